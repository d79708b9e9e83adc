#include "lib/image/kernel.h"

#include <sys/stat.h>

#include "lib/base/fd.h"
#include "lib/image/disk.h"

enum {
	IMAGE_TEXT_OFFSET = 8,
	IMAGE_SIZE = 16,
	IMAGE_MAGIC = 56,
	ZIMAGE_MAGIC = 0x24,
	ZIMAGE_START = 0x28,
	ZIMAGE_END = 0x2c,
	ZBOOT_MAGIC = 4,
	ZBOOT_OFFSET = 8,
	ZBOOT_SIZE = 12,
	ZBOOT_PACKING = 24,
	X86_MAGIC = 0x202,
	HEAD_BYTES = 0x240,
};

#define ACCEPTED                                                              \
	"accepted are an arm64 Image (plain, gzip, zstd or EFI-wrapped) for " \
	"arch aarch64 and an ARM zImage for aarch32"

static int not_a_kernel(struct error *e, const char *path, const char *what)
{
	return error_set(e, -EBADMSG, "kernel \"%.200s\" is %s; " ACCEPTED,
			 path, what);
}

static bool magic_is(const uint8_t *head, size_t size, size_t at,
		     const char *magic)
{
	return at + 4 <= size && memcmp(head + at, magic, 4) == 0;
}

/* What people hand over by mistake, by name. */
static const char *what_else(const uint8_t *head, size_t size)
{
	if (size == 0)
		return "an empty file";
	if (magic_is(head, size, 0, "\177ELF"))
		return "an ELF file (a vmlinux?)";
	if (magic_is(head, size, X86_MAGIC, "HdrS"))
		return "a kernel for x86";
	return "no kernel";
}

/* The EFI wrapper: the real thing is packed inside. */
static int take_zboot(const uint8_t *head, const char *path, uint64_t file_size,
		      struct kernel_info *k, struct error *e)
{
	static const struct {
		const char *name;
		enum unpack_format format;
	} packings[] = {{"gzip", UNPACK_GZIP}, {"zstd", UNPACK_ZSTD}};
	char packing[8] = "";

	k->offset = disk_get32(head + ZBOOT_OFFSET);
	k->length = disk_get32(head + ZBOOT_SIZE);
	if (k->offset > file_size || k->length > file_size - k->offset)
		return error_set(e, -EBADMSG,
				 "kernel \"%.200s\" is cut off: its packed "
				 "part does not lie within the file",
				 path);
	memcpy(packing, head + ZBOOT_PACKING, sizeof(packing) - 1);
	for (size_t i = 0; i < ARRAY_SIZE(packings); i++) {
		/* "zstd22" names the level, too. */
		if (strncmp(packing, packings[i].name, 4) != 0)
			continue;
		k->format = packings[i].format;
		return 0;
	}
	return error_set(e, -EBADMSG,
			 "kernel \"%.200s\" is packed in a way that is not "
			 "known here; gzip and zstd are",
			 path);
}

static int take_image(const uint8_t *head, const char *path,
		      struct kernel_info *k, struct error *e)
{
	k->aarch64 = true;
	k->text_offset = disk_get64(head + IMAGE_TEXT_OFFSET);
	k->memory_size = disk_get64(head + IMAGE_SIZE);
	if (k->memory_size == 0)
		return not_a_kernel(e, path, "older than Linux 3.17");
	if (k->text_offset >= MIB(2) || k->memory_size > KERNEL_SIZE_MAX)
		return not_a_kernel(e, path, "damaged: its header lies");
	return 0;
}

static int take_zimage(const uint8_t *head, const char *path,
		       struct kernel_info *k, struct error *e)
{
	uint32_t start = disk_get32(head + ZIMAGE_START);
	uint32_t end = disk_get32(head + ZIMAGE_END);

	k->aarch64 = false;
	k->memory_size = end - start;
	if (end <= start || end - start > KERNEL_SIZE_MAX)
		return not_a_kernel(e, path, "damaged: its header lies");
	return 0;
}

static int take_head(const uint8_t *head, size_t size, const char *path,
		     struct kernel_info *k, struct error *e)
{
	if (magic_is(head, size, IMAGE_MAGIC, "ARM\x64"))
		return take_image(head, path, k, e);
	if (magic_is(head, size, ZIMAGE_MAGIC, "\x18\x28\x6f\x01"))
		return take_zimage(head, path, k, e);
	return not_a_kernel(e, path, what_else(head, size));
}

/* The first bytes, unpacked as `k` says. */
static int read_head(int fd, const char *path, const struct kernel_info *k,
		     uint8_t head[HEAD_BYTES], size_t *ret_size,
		     struct error *e)
{
	bool whole;
	int r = unpack_file(fd, k->offset, k->length, k->format, head,
			    HEAD_BYTES, ret_size, &whole, e);

	return r ? error_prefix(e, r, "kernel \"%.200s\"", path) : 0;
}

int kernel_inspect(int fd, const char *path, bool aarch64,
		   struct kernel_info *ret, struct error *e)
{
	struct kernel_info k = {0};
	uint8_t head[HEAD_BYTES];
	struct stat st;
	size_t size;
	int r;

	if (fstat(fd, &st) < 0)
		return error_set(e, -errno, "kernel \"%.200s\": %s", path,
				 strerror(errno));
	k.length = (uint64_t)st.st_size;
	r = read_head(fd, path, &k, head, &size, e);
	if (r)
		return r;
	k.format = unpack_format_of(head, size);
	if (magic_is(head, size, ZBOOT_MAGIC, "zimg") && size == HEAD_BYTES)
		r = take_zboot(head, path, k.length, &k, e);
	if (!r && k.format != UNPACK_PLAIN)
		r = read_head(fd, path, &k, head, &size, e);
	if (!r)
		r = take_head(head, size, path, &k, e);
	if (r)
		return r;
	if (k.aarch64 != aarch64)
		return error_set(e, -EBADMSG,
				 "kernel \"%.200s\" is for %s, the VM's arch "
				 "is %s",
				 path, k.aarch64 ? "aarch64" : "aarch32",
				 aarch64 ? "aarch64" : "aarch32");
	*ret = k;
	return 0;
}

int kernel_load(int fd, const struct kernel_info *k, void *to, size_t room,
		struct error *e)
{
	size_t size;
	bool whole;
	int r = unpack_file(fd, k->offset, k->length, k->format, to, room,
			    &size, &whole, e);

	if (r)
		return r;
	if (!whole)
		return error_set(e, -ENOSPC, "has more than %zu bytes", room);
	return 0;
}
