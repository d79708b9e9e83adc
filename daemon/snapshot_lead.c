#include "daemon/snapshot_lead.h"

#define TEXT_MAX 4096

#define META(member) offsetof(struct snapshot_meta, member)
#define DISK(member) offsetof(struct snapshot_disk, member)
#define ABI(member)  (META(abi) + offsetof(struct guest_abi, member))

static const char *const gics[] = {"none", "v2", "v3", NULL};
_Static_assert(VM_GIC_V2 == 1 && VM_GIC_V3 == 2, "indices of gics");

static const struct json_field disk_fields[] = {
	{.name = "id",
	 .kind = JSON_STRING,
	 .offset = DISK(id),
	 .flags = JSON_REQUIRED,
	 .max = VM_DEVICE_ID_MAX},
	{.name = "path",
	 .kind = JSON_STRING,
	 .offset = DISK(path),
	 .flags = JSON_REQUIRED,
	 .max = TEXT_MAX},
	{.name = "size",
	 .kind = JSON_U64,
	 .offset = DISK(size),
	 .flags = JSON_REQUIRED},
	{.name = "modified_ns", .kind = JSON_U64, .offset = DISK(modified_ns)},
	{.name = "readonly", .kind = JSON_BOOL, .offset = DISK(readonly)},
	JSON_END,
};

static const struct json_field meta_fields[] = {
	{.name = "version",
	 .kind = JSON_STRING,
	 .offset = META(version),
	 .flags = JSON_REQUIRED,
	 .max = 64},
	{.name = "hypervisor",
	 .kind = JSON_STRING,
	 .offset = META(hypervisor),
	 .flags = JSON_REQUIRED,
	 .max = 16},
	{.name = "machine",
	 .kind = JSON_STRING,
	 .offset = META(machine),
	 .flags = JSON_REQUIRED,
	 .max = 64},
	{.name = "kernel",
	 .kind = JSON_STRING,
	 .offset = META(kernel),
	 .flags = JSON_REQUIRED,
	 .max = 64},
	{.name = "paused", .kind = JSON_BOOL, .offset = META(paused)},
	{.name = "frozen", .kind = JSON_BOOL, .offset = META(frozen)},
	{.name = "compressed", .kind = JSON_BOOL, .offset = META(compressed)},
	{.name = "abi", .kind = JSON_BOOL, .offset = META(abi_known)},
	{.name = "gic", .kind = JSON_ENUM, .offset = ABI(gic), .names = gics},
	{.name = "aarch32", .kind = JSON_BOOL, .offset = ABI(aarch32)},
	{.name = "pmu", .kind = JSON_BOOL, .offset = ABI(pmu)},
	{.name = "sve", .kind = JSON_BOOL, .offset = ABI(sve)},
	{.name = "pauth", .kind = JSON_BOOL, .offset = ABI(pauth)},
	{.name = "mte", .kind = JSON_BOOL, .offset = ABI(mte)},
	{.name = "steal_time", .kind = JSON_BOOL, .offset = ABI(steal_time)},
	{.name = "disks",
	 .kind = JSON_ARRAY,
	 .offset = META(disks),
	 .max = VM_DISKS_MAX,
	 .sub = disk_fields,
	 .element_size = sizeof(struct snapshot_disk),
	 .count_offset = META(n_disks)},
	{.name = "devices",
	 .kind = JSON_ANY,
	 .offset = META(devices),
	 .flags = JSON_OMIT_EMPTY},
	JSON_END,
};

json_object *snapshot_meta_json(const struct snapshot_meta *meta)
{
	return json_encode(meta_fields, meta);
}

void snapshot_lead_done(struct snapshot_lead *l)
{
	json_release(meta_fields, &l->meta);
	json_object_put(l->definition);
	free(l->image);
	uefi_vars_done(&l->vars);
	*l = (struct snapshot_lead){0};
}

static int put_json(struct buf *out, enum snapshot_type type,
		    json_object *object)
{
	const struct snapshot_section s = {.type = type, .version = 1};
	const char *text = object ? json_text(object) : NULL;

	return text ? snapshot_put_section(out, &s, text, strlen(text))
		    : -ENOMEM;
}

int snapshot_lead_put(const struct snapshot_lead *l, struct buf *out,
		      struct error *e)
{
	_cleanup_json_ json_object *meta = snapshot_meta_json(&l->meta);
	int r = snapshot_put_header(out, &l->header);

	if (r == 0)
		r = put_json(out, SNAPSHOT_META, meta);
	if (r == 0)
		r = put_json(out, SNAPSHOT_DEFINITION, l->definition);
	return r < 0 ? error_set(e, r, "out of memory")
		     : snapshot_vars_put(l->image, &l->vars, out, e);
}

static int read_json(struct snapshot_reader *r, enum snapshot_type type,
		     json_object **ret, struct error *e)
{
	_cleanup_free_ void *text = NULL;
	struct snapshot_section s;
	int err = snapshot_expect(r, type, &s, e);

	if (err == 0)
		err = snapshot_payload(r, &s, &text, e);
	if (err == 0)
		err = json_parse(text, s.length, ret, e);
	if (err == -EILSEQ)
		return error_set(e, -EBADMSG,
				 "the snapshot is damaged: what it says of "
				 "itself is no JSON");
	return err;
}

static int read_vars(struct snapshot_reader *r, struct snapshot_lead *l,
		     struct error *e)
{
	_cleanup_free_ void *bytes = NULL;
	struct snapshot_section s;
	int err = snapshot_expect(r, SNAPSHOT_VARIABLES, &s, e);

	if (err == 0)
		err = snapshot_payload(r, &s, &bytes, e);
	return err < 0 ? err
		       : snapshot_vars_get(bytes, s.length, &l->image, &l->vars,
					   e);
}

static int read_all(struct snapshot_reader *r, struct snapshot_lead *l,
		    struct error *e)
{
	_cleanup_json_ json_object *meta = NULL;
	int err = read_json(r, SNAPSHOT_META, &meta, e);

	if (err == 0)
		err = json_decode(meta, meta_fields, &l->meta, "snapshot", e);
	if (err == 0)
		err = read_json(r, SNAPSHOT_DEFINITION, &l->definition, e);
	return err < 0 ? err : read_vars(r, l, e);
}

int snapshot_lead_read(int fd, struct snapshot_lead *ret, struct error *e)
{
	_cleanup_snapshot_reader_ struct snapshot_reader r = {0};
	struct snapshot_lead l = {0};
	int err = snapshot_reader_init(&r, fd, &l.header, e);

	if (err == 0)
		err = read_all(&r, &l, e);
	if (err < 0) {
		snapshot_lead_done(&l);
		return err;
	}
	*ret = l;
	return 0;
}
