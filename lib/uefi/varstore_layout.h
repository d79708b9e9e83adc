/*
 * The bytes of an EDK2 variable volume, shared by reader and writer. Offsets
 * rather than structures: the image is a guest's, little-endian, unaligned.
 *
 * Sources: UEFI PI 1.7 volume 3, 3.2.1 (EFI_FIRMWARE_VOLUME_HEADER); facts of
 * EDK2's VariableFormat.h, SystemNvDataGuid.h and VirtNorFlashDxe.
 *
 *   0x00000  firmware volume header, variable store header, variables
 *   0x40000  fault tolerant write: working block (queue of writes)
 *   0x80000  fault tolerant write: spare block (copy during a rewrite)
 */
#ifndef LIB_UEFI_VARSTORE_LAYOUT_H
#define LIB_UEFI_VARSTORE_LAYOUT_H

#include "lib/uefi/varstore.h"

/* Firmware volume header. The block map counts the whole 64 MiB chip, not the
 * 3 blocks of FvLength: so does the firmware's own formatting. */
enum {
	FV_GUID = 0x10,
	FV_LENGTH = 0x20,
	FV_SIGNATURE = 0x28, /* "_FVH" */
	FV_ATTRIBUTES = 0x2c,
	FV_HEADER_LENGTH = 0x30,
	FV_CHECKSUM = 0x32, /* 16-bit words of the header sum to 0 */
	FV_REVISION = 0x37,
	FV_BLOCK_COUNT = 0x38,
	FV_BLOCK_SIZE = 0x3c,
	FV_HEADER_SIZE = 0x48,
	FV_REVISION_VALUE = 2,
	FV_ATTRIBUTES_VALUE = 0xe36,
	FV_CHIP_BLOCKS = 256,
};
#define FV_SIGNATURE_VALUE 0x4856465fu
#define FV_GUID_VALUE \
	"\x8d\x2b\xf1\xff\x96\x76\x8b\x4c\xa9\x85\x27\x47\x07\x5b\x4f\x50"

/* Variable store header, right behind it. */
enum {
	STORE_AT = FV_HEADER_SIZE,
	STORE_SIZE_AT = STORE_AT + 0x10,
	STORE_FORMAT_AT = STORE_AT + 0x14,
	STORE_STATE_AT = STORE_AT + 0x15,
	STORE_HEADER_SIZE = 0x1c,
	STORE_FORMATTED = 0x5a,
	STORE_HEALTHY = 0xfe,
};
#define STORE_SIZE_VALUE ((uint32_t)(VARSTORE_BLOCK - FV_HEADER_SIZE))
#define STORE_GUID_VALUE \
	"\x78\x2c\xf3\xaa\x7b\x94\x9a\x43\xa1\x80\x2e\x14\x4e\xc3\x77\x92"

/* Authenticated variable header; name and data follow without padding, the
 * next header is aligned to VAR_ALIGN from the start of the volume. */
enum {
	VAR_STATE = 0x02,
	VAR_ATTRIBUTES = 0x04,
	VAR_MONOTONIC = 0x08,
	VAR_TIMESTAMP = 0x10,
	VAR_PUBKEY = 0x20,
	VAR_NAME_SIZE = 0x24,
	VAR_DATA_SIZE = 0x28,
	VAR_GUID = 0x2c,
	VAR_HEADER_SIZE = 0x3c,
	VAR_START_ID = 0x55aa,
	VAR_ALIGN = 4,
};

/* States: flash only clears bits, so a later state has fewer. */
enum {
	VAR_UNWRITTEN = 0xff,
	VAR_HEADER_ONLY = 0x7f,
	VAR_ADDED = 0x3f,
	VAR_IN_DELETED = 0x3e, /* a successor is being written */
	VAR_DELETED = 0x3d,
	VAR_DELETED_AFTER = 0x3c, /* ... once it was written */
};

/* Fault tolerant write working block: header, then a queue of entries, each a
 * header and one record per write. A state bit of 0 means "true". */
enum {
	FTW_AT = (int)VARSTORE_BLOCK,
	FTW_CRC = 0x10,
	FTW_STATE = 0x14,
	FTW_QUEUE_SIZE = 0x18,
	FTW_HEADER_SIZE = 0x20,
	FTW_STATE_VALUE = 0xfe, /* valid, not invalidated */

	FTW_ENTRY_WRITES = 24,
	FTW_ENTRY_PRIVATE = 32,
	FTW_ENTRY_SIZE = 40,
	FTW_ENTRY_ALLOCATED = 1 << 0,
	FTW_ENTRY_COMPLETE = 1 << 2,

	FTW_RECORD_SIZE = 40,
	FTW_RECORD_SPARE = 1 << 1, /* spare holds the new contents */
	FTW_RECORD_DONE = 1 << 2,
};
#define FTW_QUEUE_SIZE_VALUE (VARSTORE_BLOCK - FTW_HEADER_SIZE)
#define FTW_GUID_VALUE \
	"\x2b\x29\x58\x9e\x68\x7c\x7d\x49\xa0\xce\x65\x00\xfd\x9f\x1b\x95"

static inline uint32_t layout_get16(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static inline uint32_t layout_get32(const uint8_t *p)
{
	return layout_get16(p) | layout_get16(p + 2) << 16;
}

static inline uint64_t layout_get64(const uint8_t *p)
{
	return layout_get32(p) | (uint64_t)layout_get32(p + 4) << 32;
}

static inline void layout_put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

static inline void layout_put32(uint8_t *p, uint32_t v)
{
	layout_put16(p, v);
	layout_put16(p + 2, v >> 16);
}

static inline void layout_put64(uint8_t *p, uint64_t v)
{
	layout_put32(p, (uint32_t)v);
	layout_put32(p + 4, (uint32_t)(v >> 32));
}

/* Sum of the header's 16-bit words; a valid header sums to 0. */
static inline uint16_t layout_sum16(const uint8_t *p, size_t size)
{
	uint32_t sum = 0;

	for (size_t i = 0; i + 1 < size; i += 2)
		sum += layout_get16(p + i);
	return (uint16_t)sum;
}

/* Working block header as the firmware makes it, 32 bytes into p. */
void layout_ftw_header(uint8_t *p);

#endif
