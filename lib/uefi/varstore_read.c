/*
 * Reading a variable volume by the rules of the firmware that writes it: the
 * same headers are demanded (VirtNorFlashDxe), the same walk is taken, the same
 * copy of a variable counts (VariableRuntimeDxe), and the write queue decides
 * whether a rewrite is under way (FaultTolerantWriteDxe).
 */
#include "lib/uefi/uefi_var.h"
#include "lib/uefi/varstore_layout.h"

static int erased(const uint8_t *p, size_t size, uint8_t byte)
{
	return size == 0 || (p[0] == byte && memcmp(p, p + 1, size - 1) == 0);
}

static int header_valid(const uint8_t *image)
{
	return memcmp(image + FV_GUID, FV_GUID_VALUE, 16) == 0 &&
	       layout_get64(image + FV_LENGTH) == VARSTORE_SIZE &&
	       layout_get32(image + FV_SIGNATURE) == FV_SIGNATURE_VALUE &&
	       layout_get16(image + FV_HEADER_LENGTH) == FV_HEADER_SIZE &&
	       image[FV_REVISION] == FV_REVISION_VALUE &&
	       layout_sum16(image, FV_HEADER_SIZE) == 0 &&
	       memcmp(image + STORE_AT, STORE_GUID_VALUE, 16) == 0 &&
	       layout_get32(image + STORE_SIZE_AT) == STORE_SIZE_VALUE &&
	       image[STORE_FORMAT_AT] == STORE_FORMATTED &&
	       image[STORE_STATE_AT] == STORE_HEALTHY;
}

/* Size of a queue entry with its records, or 0 when it leaves the queue. */
static size_t entry_size(const uint8_t *entry, size_t left)
{
	uint64_t writes = layout_get64(entry + FTW_ENTRY_WRITES);
	uint64_t record, size;

	if (__builtin_add_overflow(layout_get64(entry + FTW_ENTRY_PRIVATE),
				   FTW_RECORD_SIZE, &record) ||
	    __builtin_mul_overflow(writes, record, &size) ||
	    __builtin_add_overflow(size, FTW_ENTRY_SIZE, &size) || size > left)
		return 0;
	return (size_t)size;
}

/* A record whose new contents are in the spare block but not yet in place. */
static int entry_moving(const uint8_t *entry)
{
	uint64_t writes = layout_get64(entry + FTW_ENTRY_WRITES);
	size_t record_size = FTW_RECORD_SIZE +
			     layout_get64(entry + FTW_ENTRY_PRIVATE);
	const uint8_t *record = entry + FTW_ENTRY_SIZE;

	for (uint64_t i = 0; i < writes; i++, record += record_size)
		if (!(record[0] & FTW_RECORD_SPARE) &&
		    (record[0] & FTW_RECORD_DONE))
			return 1;
	return 0;
}

/* Only the last entry that is not complete matters; before it lie finished
 * writes. */
static int rewrite_under_way(const uint8_t *image)
{
	const uint8_t *entry = image + FTW_AT + FTW_HEADER_SIZE;
	size_t left = FTW_QUEUE_SIZE_VALUE, size;
	uint8_t header[FTW_HEADER_SIZE];

	layout_ftw_header(header);
	if (memcmp(image + FTW_AT, header, sizeof(header)) != 0)
		return 0;
	while (left >= FTW_ENTRY_SIZE && !(entry[0] & FTW_ENTRY_ALLOCATED)) {
		size = entry_size(entry, left);
		if (size == 0)
			return 0;
		if (entry[0] & FTW_ENTRY_COMPLETE)
			return entry_moving(entry);
		entry += size;
		left -= size;
	}
	return 0;
}

/* One variable where it lies in the image; bounds are already judged. */
struct found {
	const uint8_t *at; /* its header */
	uint32_t name_size, data_size;
	struct uefi_var var;
};

struct walk {
	const uint8_t *image;
	struct found *list;
	size_t count, allocated;
	struct error *why;
};

static int walk_add(struct walk *w, const struct found *f)
{
	struct found *grown;

	if (w->count == w->allocated) {
		w->allocated = w->allocated ? 2 * w->allocated : 32;
		grown = reallocarray(w->list, w->allocated, sizeof(*grown));
		if (!grown)
			return error_set(w->why, -ENOMEM, "out of memory");
		w->list = grown;
	}
	w->list[w->count++] = *f;
	return 0;
}

static int judge_variable(struct walk *w, size_t at, struct found *f)
{
	const uint8_t *p = w->image + at;
	uint64_t end;

	switch (p[VAR_STATE]) {
	case VAR_HEADER_ONLY:
	case VAR_ADDED:
	case VAR_IN_DELETED:
	case VAR_DELETED:
	case VAR_DELETED_AFTER:
		break;
	default:
		return error_set(w->why, -EBADMSG,
				 "the variable at offset 0x%zx is in the "
				 "unknown state 0x%02x",
				 at, p[VAR_STATE]);
	}
	f->at = p;
	f->name_size = layout_get32(p + VAR_NAME_SIZE);
	f->data_size = layout_get32(p + VAR_DATA_SIZE);
	end = at + VAR_HEADER_SIZE + (uint64_t)f->name_size + f->data_size;
	if (end > VARSTORE_BLOCK)
		return error_set(w->why, -EBADMSG,
				 "the variable at offset 0x%zx (%u bytes of "
				 "name, %u of data) reaches beyond the store",
				 at, f->name_size, f->data_size);
	if (f->name_size & 1 || f->name_size < 4)
		return error_set(w->why, -EBADMSG,
				 "the variable at offset 0x%zx has a name of "
				 "%u bytes",
				 at, f->name_size);
	p += VAR_HEADER_SIZE + f->name_size - 2;
	if (f->at[VAR_STATE] != VAR_HEADER_ONLY && layout_get16(p) != 0)
		return error_set(w->why, -EBADMSG,
				 "the name of the variable at offset 0x%zx is "
				 "not terminated",
				 at);
	return 0;
}

/* Collects what counts now: added, or about to be replaced. */
static int walk_variables(struct walk *w)
{
	size_t at = STORE_AT + STORE_HEADER_SIZE;
	struct found f = {0};
	uint8_t state;
	int r;

	for (;;) {
		if (at + VAR_HEADER_SIZE >= VARSTORE_BLOCK ||
		    layout_get16(w->image + at) != VAR_START_ID)
			return 0;
		state = w->image[at + VAR_STATE];
		/* The header is still being written, or was when somebody
		 * pulled the plug: no name or data follows it, whatever it
		 * says, and the next variable comes right behind it
		 * (NameSizeOfVariable(), DataSizeOfVariable()). */
		if (state == VAR_UNWRITTEN) {
			at += VAR_HEADER_SIZE;
			at = ALIGN_UP(at, (size_t)VAR_ALIGN);
			continue;
		}
		r = judge_variable(w, at, &f);
		if (r == 0 && (state == VAR_ADDED || state == VAR_IN_DELETED))
			r = walk_add(w, &f);
		if (r < 0)
			return r;
		at += VAR_HEADER_SIZE + f.name_size + f.data_size;
		at = ALIGN_UP(at, (size_t)VAR_ALIGN);
	}
}

static int decode(struct found *f)
{
	const uint8_t *p = f->at;
	struct uefi_var *v = &f->var;

	uefi_guid_format(p + VAR_GUID, v->guid);
	v->attributes = layout_get32(p + VAR_ATTRIBUTES);
	v->monotonic_count = layout_get64(p + VAR_MONOTONIC);
	memcpy(v->timestamp, p + VAR_TIMESTAMP, UEFI_TIMESTAMP_SIZE);
	v->pubkey_index = layout_get32(p + VAR_PUBKEY);
	v->name = uefi_name_to_utf8(p + VAR_HEADER_SIZE, f->name_size);
	v->data_size = f->data_size;
	v->data = malloc(v->data_size + 1);
	if (!v->name || !v->data)
		return -ENOMEM;
	memcpy(v->data, p + VAR_HEADER_SIZE + f->name_size, v->data_size);
	return 0;
}

/*
 * By name and GUID; among copies of one variable the one that counts first: an
 * added one before one in transition, then (as the firmware finds them) the
 * first added one, the last in transition.
 */
static int compare(const void *left, const void *right)
{
	const struct found *a = left, *b = right;
	int added = a->at[VAR_STATE] == VAR_ADDED;
	int order = strcmp(a->var.name, b->var.name);

	if (order == 0)
		order = strcmp(a->var.guid, b->var.guid);
	if (order)
		return order;
	if (a->at[VAR_STATE] != b->at[VAR_STATE])
		return added ? -1 : 1;
	return (a->at < b->at) == added ? -1 : 1;
}

static int same_variable(const struct uefi_var *a, const struct uefi_var *b)
{
	return streq(a->name, b->name) && streq(a->guid, b->guid);
}

/* Decode, sort, keep one copy of each; the rest is released. */
static int take_variables(struct walk *w, struct uefi_vars *ret)
{
	struct uefi_vars vars = {0};
	int r = 0;

	vars.list = calloc(w->count + 1, sizeof(*vars.list));
	if (!vars.list)
		r = -ENOMEM;
	for (size_t i = 0; r == 0 && i < w->count; i++)
		r = decode(&w->list[i]);
	if (r == 0 && w->count > 1)
		qsort(w->list, w->count, sizeof(*w->list), compare);
	for (size_t i = 0; i < w->count; i++) {
		struct uefi_var *v = &w->list[i].var;

		if (r == 0 && (vars.count == 0 ||
			       !same_variable(&vars.list[vars.count - 1], v))) {
			vars.list[vars.count++] = *v;
			continue;
		}
		free(v->name);
		free(v->data);
	}
	if (r < 0) {
		uefi_vars_done(&vars);
		return error_set(w->why, r, "out of memory");
	}
	*ret = vars;
	return 0;
}

enum varstore_condition varstore_read(const uint8_t *image, size_t size,
				      struct uefi_vars *ret_vars,
				      struct error *why)
{
	struct walk w = {.image = image, .why = why};
	struct uefi_vars vars = {0};
	size_t body = STORE_AT + STORE_HEADER_SIZE;
	int r;

	if (size < VARSTORE_SIZE) {
		error_set(why, -EBADMSG,
			  "the variable store has %zu bytes; the firmware's "
			  "has %llu",
			  size, (unsigned long long)VARSTORE_SIZE);
		return VARSTORE_CORRUPT;
	}
	if (rewrite_under_way(image))
		return VARSTORE_MOVING;
	if (!header_valid(image)) {
		/* Erased, or erased with headers on their way in. */
		if (erased(image, VARSTORE_BLOCK, 0) ||
		    erased(image + body, VARSTORE_BLOCK - body, 0xff))
			return VARSTORE_BLANK;
		error_set(why, -EBADMSG,
			  "the variable store's headers are not those of the "
			  "stock firmware");
		return VARSTORE_CORRUPT;
	}
	r = walk_variables(&w);
	if (r == 0)
		r = take_variables(&w, &vars);
	free(w.list);
	if (r < 0)
		return VARSTORE_CORRUPT;
	*ret_vars = vars;
	return VARSTORE_VALID;
}
