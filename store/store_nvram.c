/*
 * The variable store of a VM: the flash image in blocks.
 */
#include "store/store_internal.h"

#include "store/store_vars.h"

int store_nvram_load(struct store *s, int64_t vm_id, uint8_t *image,
		     uint64_t size, uint64_t *ret_blocks, struct error *e)
{
	_cleanup_stmt_ sqlite3_stmt *q = NULL;
	uint64_t at, length, blocks = 0;
	int r, rc;

	r = store_stmt(s, STMT_BLOCK_EACH, &q, e);
	if (r < 0)
		return r;
	sqlite3_bind_int64(q, 1, vm_id);
	while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
		length = (uint64_t)sqlite3_column_bytes(q, 1);
		if (__builtin_mul_overflow((uint64_t)sqlite3_column_int64(q, 0),
					   (uint64_t)STORE_NVRAM_BLOCK, &at) ||
		    at >= size || length > size - at)
			return error_set(e, -EINVAL,
					 "the stored variables are larger than "
					 "the firmware's flash of %llu bytes",
					 (unsigned long long)size);
		if (length > 0)
			memcpy(image + at, sqlite3_column_blob(q, 1), length);
		else
			memset(image + at, 0xff,
			       MIN(size - at, (uint64_t)STORE_NVRAM_BLOCK));
		blocks++;
	}
	if (rc != SQLITE_DONE)
		return store_error(s->db, rc, "load the variable store", e);
	*ret_blocks = blocks;
	return 0;
}

static bool is_erased(const uint8_t *data, size_t size)
{
	return data[0] == 0xff && memcmp(data, data + 1, size - 1) == 0;
}

/* Most of a variable store is erased: such a block is stored as an empty one.
 */
static int put_block(struct store *s, int64_t vm_id, uint64_t block,
		     const uint8_t *image, uint64_t image_size, struct error *e)
{
	_cleanup_stmt_ sqlite3_stmt *q = NULL;
	uint64_t at = block * STORE_NVRAM_BLOCK;
	size_t size = MIN(image_size - at, (uint64_t)STORE_NVRAM_BLOCK);
	int r;

	r = store_stmt(s, STMT_BLOCK_PUT, &q, e);
	if (r < 0)
		return r;
	sqlite3_bind_int64(q, 1, vm_id);
	sqlite3_bind_int64(q, 2, (int64_t)block);
	if (is_erased(image + at, size))
		size = 0;
	sqlite3_bind_blob(q, 3, image + at, (int)size, SQLITE_STATIC);
	return store_step_done(s, q, "save the variable store", e);
}

int store_nvram_commit(struct store *s, int64_t vm_id, const uint8_t *image,
		       uint64_t image_size, uint64_t offset, uint64_t size,
		       const struct uefi_vars *vars, const char *by,
		       struct error *e)
{
	_cleanup_txn_ struct store_txn t = {0};
	uint64_t first, end;
	int r;

	if (offset > image_size || size > image_size - offset)
		return error_set(e, -EINVAL,
				 "variable store bytes %llu+%llu lie outside "
				 "its %llu bytes",
				 (unsigned long long)offset,
				 (unsigned long long)size,
				 (unsigned long long)image_size);
	first = offset / STORE_NVRAM_BLOCK;
	end = size ? (offset + size - 1) / STORE_NVRAM_BLOCK + 1 : first;
	r = store_txn_begin(s, &t, e);
	for (uint64_t b = first; r == 0 && b < end; b++)
		r = put_block(s, vm_id, b, image, image_size, e);
	if (r == 0 && vars)
		r = store_vars_put(s, vm_id, vars, by, e);
	return r < 0 ? r : store_txn_commit(&t, e);
}
