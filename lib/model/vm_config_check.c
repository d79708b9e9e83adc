#include <inttypes.h>
#include <stdio.h>

#include "lib/model/vm_config.h"

/*
 * One text field of all disks or all NICs: what must differ between them, and
 * what is filled in where it was left out.
 */
struct column {
	const char *array, *field;
	void *elements;
	size_t count, element_size, offset;
};

#define DISK_COLUMN(c, member)                                       \
	((struct column){"disks", #member, (c)->disks, (c)->n_disks, \
			 sizeof(struct disk_config),                 \
			 offsetof(struct disk_config, member)})
#define NIC_COLUMN(c, member)                                     \
	((struct column){"nics", #member, (c)->nics, (c)->n_nics, \
			 sizeof(struct nic_config),               \
			 offsetof(struct nic_config, member)})

static char **cell(const struct column *col, size_t i)
{
	return (char **)((char *)col->elements + i * col->element_size +
			 col->offset);
}

static bool taken(const struct column *col, const char *text)
{
	for (size_t i = 0; i < col->count; i++)
		if (*cell(col, i) && streq(*cell(col, i), text))
			return true;
	return false;
}

static int check_unique(const struct column *col, struct error *e)
{
	for (size_t i = 1; i < col->count; i++)
		for (size_t j = 0; j < i; j++) {
			const char *a = *cell(col, i), *b = *cell(col, j);

			if (!a || !b || !streq(a, b))
				continue;
			return error_set(
				e, -EINVAL,
				"%s[%zu].%s: \"%.200s\" is already the "
				"%s of %s[%zu]",
				col->array, i, col->field, a, col->field,
				col->array, j);
		}
	return 0;
}

static int replace(char **to, const char *text, struct error *e)
{
	char *copy = strdup(text);

	if (!copy)
		return error_set(e, -ENOMEM, "out of memory");
	free(*to);
	*to = copy;
	return 0;
}

/* "disk0", "disk1", ...: the place in the list, or the next one not taken. */
static int fill_ids(const struct column *col, const char *prefix,
		    struct error *e)
{
	char id[VM_DEVICE_ID_MAX + 1];
	int r = 0;

	for (size_t i = 0; i < col->count && r == 0; i++) {
		size_t number = i;

		if (*cell(col, i))
			continue;
		do
			snprintf(id, sizeof(id), "%s%zu", prefix, number++);
		while (taken(col, id));
		r = replace(cell(col, i), id, e);
	}
	return r;
}

static void lower(char *text)
{
	for (; *text; text++)
		if (*text >= 'A' && *text <= 'Z')
			*text = (char)(*text - 'A' + 'a');
}

static int complete_uuid(struct vm_config *c, struct error *e)
{
	char uuid[UUID_TEXT_SIZE];

	if (!c->uuid) {
		uuid_random(uuid);
		return replace(&c->uuid, uuid, e);
	}
	lower(c->uuid);
	if (!uuid_valid(c->uuid))
		return error_set(e, -EINVAL,
				 "uuid: \"%.60s\" is not a UUID; use e.g. "
				 "7c3e9a0e-52d4-4f0c-9c1b-3a5d7e9f1b20",
				 c->uuid);
	return 0;
}

static int check_memory(const struct vm_config *c, struct error *e)
{
	uint64_t bytes = c->memory_bytes;
	char size[16];

	if (bytes < VM_MEMORY_MIN)
		return error_set(e, -EINVAL,
				 "memory: %s is too little; the stock firmware "
				 "needs at least 128 MiB",
				 format_size(bytes, size, sizeof(size)));
	if (bytes > VM_MEMORY_MAX)
		return error_set(e, -EINVAL,
				 "memory: %s is too much; at most 128 TiB",
				 format_size(bytes, size, sizeof(size)));
	if (bytes % VM_MEMORY_STEP != 0)
		return error_set(e, -EINVAL,
				 "memory: %" PRIu64
				 " bytes are not a whole number of MiB",
				 bytes);
	if (c->memory_backing == VM_MEMORY_HUGEPAGES && bytes % MIB(2) != 0)
		return error_set(e, -EINVAL,
				 "memory: %s are not a whole number of huge "
				 "pages of 2 MiB",
				 format_size(bytes, size, sizeof(size)));
	if (c->arch == VM_ARCH_AARCH32 && bytes > VM_MEMORY_MAX_AARCH32)
		return error_set(e, -EINVAL,
				 "memory: %s is too much for an AArch32 guest, "
				 "whose RAM lies below 4 GiB; at most 3 GiB",
				 format_size(bytes, size, sizeof(size)));
	return 0;
}

/* What a GICv2 can do is no host's matter: it is in its specification. */
static int check_gic(const struct vm_config *c, struct error *e)
{
	if (c->gic != VM_GIC_V2 || c->vcpus <= VM_GICV2_VCPUS_MAX)
		return 0;
	return error_set(e, -EINVAL,
			 "vcpus: %u are too many for a GICv2, which serves at "
			 "most %d; use %d, or gic v3",
			 c->vcpus, VM_GICV2_VCPUS_MAX, VM_GICV2_VCPUS_MAX);
}

static int check_boot(const struct vm_config *c, struct error *e)
{
	if (!c->kernel && (c->initrd || c->cmdline))
		return error_set(e, -EINVAL,
				 "%s: has no use without a \"kernel\"; the "
				 "firmware's boot loader has its own",
				 c->initrd ? "initrd" : "cmdline");
	if (c->kernel && c->firmware)
		return error_set(e, -EINVAL,
				 "kernel: a VM starts either a \"kernel\" or "
				 "a \"firmware\"; give one of them");
	return 0;
}

/* Two writers of one file know nothing of each other's writes. */
static int check_paths(const struct vm_config *c, struct error *e)
{
	for (size_t i = 1; i < c->n_disks; i++)
		for (size_t j = 0; j < i; j++) {
			const struct disk_config *a = &c->disks[i];
			const struct disk_config *b = &c->disks[j];

			if (!streq(a->path, b->path) ||
			    (a->readonly && b->readonly))
				continue;
			return error_set(e, -EINVAL,
					 "disks[%zu].path: \"%.200s\" is "
					 "already the path of disks[%zu]; give "
					 "it a file of its own, or make both "
					 "readonly",
					 i, a->path, j);
		}
	return 0;
}

static int complete_disks(struct vm_config *c, struct error *e)
{
	const struct column id = DISK_COLUMN(c, id);
	const struct column serial = DISK_COLUMN(c, serial);
	int r;

	r = check_paths(c, e);
	if (r == 0)
		r = fill_ids(&id, "disk", e);
	if (r == 0)
		r = check_unique(&id, e);
	for (size_t i = 0; i < c->n_disks && r == 0; i++)
		if (!c->disks[i].serial)
			r = replace(&c->disks[i].serial, c->disks[i].id, e);
	return r == 0 ? check_unique(&serial, e) : r;
}

/* FNV-1a, 32 bits. */
static uint32_t hash_text(uint32_t hash, const char *text)
{
	for (; *text; text++)
		hash = (hash ^ (uint8_t)*text) * 16777619u;
	return hash;
}

/*
 * In QEMU's and KVM's customary range, the same at every definition with the
 * same uuid and id; `salt` moves on where two NICs of a VM meet.
 */
static int fill_mac(const struct vm_config *c, const struct column *macs,
		    size_t i, struct error *e)
{
	uint32_t hash = hash_text(2166136261u, c->uuid);
	char mac[sizeof("52:54:00:00:00:00")];

	hash = hash_text(hash, c->nics[i].id);
	for (uint32_t salt = 0;; salt++) {
		uint32_t h = hash + salt;

		h ^= h >> 24; /* all 32 bits count in the 24 used */
		snprintf(mac, sizeof(mac), "52:54:00:%02x:%02x:%02x",
			 h >> 16 & 255, h >> 8 & 255, h & 255);
		if (!taken(macs, mac))
			return replace(cell(macs, i), mac, e);
	}
}

static int complete_nics(struct vm_config *c, struct error *e)
{
	const struct column id = NIC_COLUMN(c, id);
	const struct column tap = NIC_COLUMN(c, tap);
	const struct column mac = NIC_COLUMN(c, mac);
	int r = 0;

	for (size_t i = 0; i < c->n_nics && r == 0; i++)
		r = vm_config_check_nic(&c->nics[i], i, e);
	if (r == 0)
		r = fill_ids(&id, "nic", e);
	if (r == 0)
		r = check_unique(&id, e);
	if (r == 0)
		r = check_unique(&tap, e);
	if (r == 0)
		r = check_unique(&mac, e);
	for (size_t i = 0; i < c->n_nics && r == 0; i++)
		if (!c->nics[i].mac)
			r = fill_mac(c, &mac, i, e);
	return r;
}

static int check_label(const char *key, json_object *value, struct error *e)
{
	const char *text = json_object_get_string(value);

	if (!*key || strlen(key) > VM_LABEL_MAX || strpbrk(key, "=, \t"))
		return error_set(
			e, -EINVAL,
			"labels: \"%.140s\" is not a label's key: 1 to "
			"%d bytes without '=', ',' or blanks",
			key, VM_LABEL_MAX);
	if (json_object_is_type(value, json_type_string) &&
	    strlen(text) == (size_t)json_object_get_string_len(value) &&
	    strlen(text) <= VM_LABEL_MAX)
		return 0;
	return error_set(e, -EINVAL,
			 "labels.%.140s: %.60s is not a string of at most %d "
			 "bytes",
			 key, json_text(value), VM_LABEL_MAX);
}

static int check_labels(json_object *labels, struct error *e)
{
	int r = 0;

	if (!labels)
		return 0;
	if (!json_object_is_type(labels, json_type_object))
		return error_set(e, -EINVAL,
				 "labels: %.60s is not an object of strings; "
				 "use e.g. {\"role\": \"db\"}",
				 json_text(labels));
	if (json_object_object_length(labels) > VM_LABELS_MAX)
		return error_set(e, -EINVAL,
				 "labels: has %d entries; at most "
				 "%d are accepted",
				 json_object_object_length(labels),
				 VM_LABELS_MAX);
	json_object_object_foreach (labels, key, value) {
		if (r == 0)
			r = check_label(key, value, e);
	}
	return r;
}

/* KVM keeps tags with pages of the VM's alone. */
static int check_tags(const struct vm_config *c, struct error *e)
{
	if (c->features.mte != VM_FEATURE_ON ||
	    c->memory_backing != VM_MEMORY_MEMFD)
		return 0;
	return error_set(e, -EINVAL,
			 "features.mte: memory that is shared%s has no tags; "
			 "%s, or leave mte out",
			 c->n_filesystems ? " with the server of filesystems[0]"
					  : " (memory_backing memfd)",
			 c->n_filesystems ? "leave filesystems out"
					  : "use memory_backing anonymous");
}

int vm_config_complete(struct vm_config *c, struct error *e)
{
	int r = complete_uuid(c, e);

	if (r == 0)
		r = check_memory(c, e);
	if (r == 0)
		r = check_boot(c, e);
	if (r == 0)
		r = check_gic(c, e);
	if (r == 0)
		r = complete_disks(c, e);
	if (r == 0)
		r = complete_nics(c, e);
	if (r == 0)
		r = check_labels(c->labels, e);
	if (r == 0)
		r = vm_config_complete_shared(c, e);
	if (r == 0)
		r = check_tags(c, e);
	return r ? r : vm_config_complete_slots(c, e);
}
