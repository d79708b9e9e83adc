/*
 * The spill file: where a supervisor makes variable store updates durable
 * while no daemon is there to put them into SQLite. Append-only records
 *   { magic "AVSP", u32 crc32 of the rest, u64 seq, u64 offset, u64 size,
 *     bytes }
 * little endian; fdatasync before an update is acknowledged to the guest. The
 * daemon applies records in order and truncates. A torn last record (crash in
 * the middle of a write) was never acknowledged and is ignored.
 *
 * Written only by supervisors, read only by the daemon, which trusts nothing
 * in it: size and offset are bounded by the store's size.
 */
#ifndef LIB_WIRE_SPILL_H
#define LIB_WIRE_SPILL_H

#include "lib/base/error.h"

/*
 * One record at the end of the file, durable when this returns 0. On failure
 * what was written of it is cut off again as far as the file system allows.
 * `data` must not change meanwhile.
 */
int spill_append(int fd, uint64_t seq, uint64_t offset, const void *data,
		 uint64_t size) must_check;

/*
 * Calls apply() for each whole record in order, with `data` borrowed. 0 at the
 * end or at a torn last record; apply()'s own failure; -EBADMSG at a record
 * out of the store's bounds or damaged in the middle of the file. *ret_count
 * counts what was applied, in every case.
 */
int spill_replay(int fd, uint64_t store_size,
		 int (*apply)(void *cookie, uint64_t seq, uint64_t offset,
			      const void *data, uint64_t size),
		 void *cookie, uint64_t *ret_count, struct error *e) must_check;

#endif
