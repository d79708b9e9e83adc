#include "lib/model/vm_config_internal.h"

#define SOCKET_BYTES_MAX 107 /* sockaddr_un */

#define FS(member) offsetof(struct filesystem_config, member)

static const char *tag_check(const char *tag)
{
	size_t n = strlen(tag);

	/* What mount(8) and /etc/fstab take without quoting. */
	for (const char *p = tag; *p; p++)
		if (*p <= ' ' || *p > '~' || strchr(",=\"'\\", *p))
			n = 0;
	return n >= 1 && n <= VM_FS_TAG_MAX
		       ? NULL
		       : "a tag: 1 to 36 printable ASCII characters without "
			 "blanks, ',', '=', '\\' and quotes";
}

static const char *path_check(const char *path)
{
	return *path == '/' ? NULL : "an absolute path";
}

const struct json_field vm_vsock_fields[] = {
	{.name = "cid",
	 .kind = JSON_U32_AUTO,
	 .offset = offsetof(struct vsock_config, cid),
	 .flags = JSON_REQUIRED | JSON_OMIT_EMPTY,
	 .min = VM_VSOCK_CID_MIN,
	 .max = VM_VSOCK_CID_MAX,
	 .doc = "the guest's address (context id), unique on the host; auto: "
		"one that is free, and kept"},
	JSON_END,
};

const struct json_field vm_filesystem_fields[] = {
	{.name = "tag",
	 .kind = JSON_STRING,
	 .offset = FS(tag),
	 .flags = JSON_REQUIRED,
	 .check = tag_check,
	 .doc = "what the guest mounts: mount -t virtiofs TAG /mnt"},
	{.name = "path",
	 .kind = JSON_STRING,
	 .offset = FS(path),
	 .flags = JSON_OMIT_EMPTY,
	 .max = PATH_BYTES_MAX,
	 .check = path_check,
	 .doc = "absolute path of a folder of the host"},
	{.name = "socket",
	 .kind = JSON_STRING,
	 .offset = FS(socket),
	 .flags = JSON_OMIT_EMPTY,
	 .max = SOCKET_BYTES_MAX,
	 .check = path_check,
	 .doc = "instead of path: the vhost-user socket of a server that was "
		"started by somebody else"},
	{.name = "readonly",
	 .kind = JSON_BOOL,
	 .offset = FS(readonly),
	 .flags = JSON_OMIT_EMPTY,
	 .doc = "the guest cannot write to it; with path"},
	{.name = "queues",
	 .kind = JSON_U32,
	 .offset = FS(queues),
	 .flags = JSON_OMIT_EMPTY,
	 .min = 1,
	 .max = VM_FS_QUEUES_MAX,
	 .doc = "request queues, if the server has them; default 1"},
	{.name = "bus",
	 .kind = JSON_ENUM,
	 .offset = FS(bus),
	 .flags = JSON_OMIT_EMPTY,
	 .names = vm_device_buses,
	 .doc = "virtio over PCIe (default) or MMIO"},
	JSON_END,
};

static int check_filesystem(const struct vm_config *c, size_t i,
			    struct error *e)
{
	const struct filesystem_config *fs = &c->filesystems[i];

	if (!fs->path == !fs->socket)
		return error_set(e, -EINVAL,
				 "filesystems[%zu]: needs either \"path\" (a "
				 "folder) or \"socket\" (of its server)",
				 i);
	if (fs->socket && fs->readonly)
		return error_set(e, -EINVAL,
				 "filesystems[%zu].readonly: is a matter of "
				 "the server at \"socket\"; say it there",
				 i);
	for (size_t j = 0; j < i; j++)
		if (streq(c->filesystems[j].tag, fs->tag))
			return error_set(e, -EINVAL,
					 "filesystems[%zu].tag: \"%s\" is "
					 "already the tag of filesystems[%zu]",
					 i, fs->tag, j);
	return 0;
}

int vm_config_complete_shared(struct vm_config *c, struct error *e)
{
	int r = 0;

	for (size_t i = 0; i < c->n_filesystems && r == 0; i++)
		r = check_filesystem(c, i, e);
	if (r < 0 || c->n_filesystems == 0)
		return r;
	if (c->memory_backing == VM_MEMORY_HUGEPAGES)
		return error_set(e, -EINVAL,
				 "memory_backing: hugepages cannot be shared "
				 "with the server of filesystems[0]; use "
				 "memfd, or leave it out");
	/* Its server maps the guest's memory. */
	c->memory_backing = VM_MEMORY_MEMFD;
	return 0;
}
