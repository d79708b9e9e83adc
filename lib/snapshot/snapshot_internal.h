/*
 * The numbers of the format as they lie in the file; shared by its writer and
 * its reader.
 */
#ifndef LIB_SNAPSHOT_SNAPSHOT_INTERNAL_H
#define LIB_SNAPSHOT_SNAPSHOT_INTERNAL_H

#include <endian.h>

#include "lib/snapshot/snapshot.h"

#define HEADER_MAGIC  "ARMVMSNP"
#define SECTION_MAGIC 0x54434553u /* "SECT" */

struct header_bytes {
	char magic[8];
	uint32_t format, size;
	uint64_t created_ms;
	uint8_t id[SNAPSHOT_ID_BYTES];
	uint8_t zero[20];
	uint32_t crc;
};
_Static_assert(sizeof(struct header_bytes) == SNAPSHOT_HEADER_BYTES, "packed");

struct section_bytes {
	uint32_t magic;
	uint16_t type, flags;
	uint32_t version, payload_crc;
	uint64_t length, address, size;
	uint32_t crc, zero;
};
_Static_assert(sizeof(struct section_bytes) == 48, "packed");

#endif
