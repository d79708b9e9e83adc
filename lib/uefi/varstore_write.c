/*
 * Making a variable volume from rows, bit for bit as the firmware formats one.
 */
#include "lib/base/crc32.h"
#include "lib/uefi/uefi_var.h"
#include "lib/uefi/varstore_layout.h"

void layout_ftw_header(uint8_t *p)
{
	/* The checksum is taken while it and the state are still erased. */
	memset(p, 0xff, FTW_HEADER_SIZE);
	memcpy(p, FTW_GUID_VALUE, 16);
	layout_put64(p + FTW_QUEUE_SIZE, FTW_QUEUE_SIZE_VALUE);
	layout_put32(p + FTW_CRC, crc32_ieee(0, p, FTW_HEADER_SIZE));
	p[FTW_STATE] = FTW_STATE_VALUE;
}

static void write_headers(uint8_t *image)
{
	uint8_t *store = image + STORE_AT;

	memset(image, 0, FV_HEADER_SIZE + STORE_HEADER_SIZE);
	memcpy(image + FV_GUID, FV_GUID_VALUE, 16);
	layout_put64(image + FV_LENGTH, VARSTORE_SIZE);
	layout_put32(image + FV_SIGNATURE, FV_SIGNATURE_VALUE);
	layout_put32(image + FV_ATTRIBUTES, FV_ATTRIBUTES_VALUE);
	layout_put16(image + FV_HEADER_LENGTH, FV_HEADER_SIZE);
	image[FV_REVISION] = FV_REVISION_VALUE;
	layout_put32(image + FV_BLOCK_COUNT, FV_CHIP_BLOCKS);
	layout_put32(image + FV_BLOCK_SIZE, (uint32_t)VARSTORE_BLOCK);
	layout_put16(image + FV_CHECKSUM,
		     0x10000u - layout_sum16(image, FV_HEADER_SIZE));
	memcpy(store, STORE_GUID_VALUE, 16);
	layout_put32(image + STORE_SIZE_AT, STORE_SIZE_VALUE);
	image[STORE_FORMAT_AT] = STORE_FORMATTED;
	image[STORE_STATE_AT] = STORE_HEALTHY;
	layout_ftw_header(image + FTW_AT);
}

static int write_variable(uint8_t *image, size_t *at, const struct uefi_var *v,
			  struct error *e)
{
	_cleanup_free_ uint8_t *name = NULL;
	uint8_t guid[16], *p = image + *at;
	size_t name_size = 0, left = VARSTORE_BLOCK - *at;

	if (uefi_guid_parse(v->guid, guid) < 0)
		return error_set(e, -EINVAL,
				 "variable %s: \"%s\" is not a GUID", v->name,
				 v->guid);
	if (uefi_name_from_utf8(v->name, &name, &name_size) < 0 ||
	    name_size < 4)
		return error_set(e, -EINVAL,
				 "variable %s: the name must be UTF-8 and not "
				 "empty",
				 v->name);
	if (left <= VAR_HEADER_SIZE || name_size > left - VAR_HEADER_SIZE ||
	    v->data_size > left - VAR_HEADER_SIZE - name_size)
		return error_set(e, -ENOSPC,
				 "variable %s (%zu bytes) does not fit into "
				 "the variable store",
				 v->name, v->data_size);
	memset(p, 0, VAR_HEADER_SIZE);
	layout_put16(p, VAR_START_ID);
	p[VAR_STATE] = VAR_ADDED;
	layout_put32(p + VAR_ATTRIBUTES, v->attributes);
	layout_put64(p + VAR_MONOTONIC, v->monotonic_count);
	memcpy(p + VAR_TIMESTAMP, v->timestamp, UEFI_TIMESTAMP_SIZE);
	layout_put32(p + VAR_PUBKEY, v->pubkey_index);
	layout_put32(p + VAR_NAME_SIZE, (uint32_t)name_size);
	layout_put32(p + VAR_DATA_SIZE, (uint32_t)v->data_size);
	memcpy(p + VAR_GUID, guid, sizeof(guid));
	memcpy(p + VAR_HEADER_SIZE, name, name_size);
	if (v->data_size > 0)
		memcpy(p + VAR_HEADER_SIZE + name_size, v->data, v->data_size);
	*at = ALIGN_UP(*at + VAR_HEADER_SIZE + name_size + v->data_size,
		       (size_t)VAR_ALIGN);
	return 0;
}

int varstore_write(const struct uefi_vars *vars, uint8_t *image, size_t size,
		   struct error *e)
{
	_cleanup_free_ uint8_t *made = NULL;
	size_t at = STORE_AT + STORE_HEADER_SIZE;
	int r;

	if (size != VARSTORE_SIZE)
		return error_set(e, -EINVAL,
				 "a variable store has %llu bytes, not %zu",
				 (unsigned long long)VARSTORE_SIZE, size);
	made = malloc(VARSTORE_SIZE);
	if (!made)
		return error_set(e, -ENOMEM, "out of memory");
	memset(made, 0xff, VARSTORE_SIZE);
	write_headers(made);
	for (size_t i = 0; vars && i < vars->count; i++) {
		r = write_variable(made, &at, &vars->list[i], e);
		if (r < 0)
			return r;
	}
	memcpy(image, made, VARSTORE_SIZE);
	return 0;
}
