/*
 * GUID Partition Table (UEFI 2.4A, 5.2 protective MBR, 5.3 GPT).
 */
#ifndef LIB_IMAGE_GPT_H
#define LIB_IMAGE_GPT_H

#include <stdbool.h>

#include "lib/image/disk.h"

#define GPT_PARTITIONS_MAX 128 /* used entries kept; more are ignored */

struct gpt_partition {
	uint8_t type[16];     /* EFI_GUID as stored */
	uint32_t number;      /* counted from 1, as tools do */
	uint64_t start_bytes; /* inside the disk: judged */
	uint64_t size_bytes;
};

struct gpt {
	uint32_t sector_bytes; /* 512 or 4096: where the table was found */
	bool protective_mbr;
	bool primary, backup; /* which copies are sound */
	char primary_why[96]; /* what is wrong with it; "" when sound */
	char backup_why[96];
	struct gpt_partition partitions[GPT_PARTITIONS_MAX];
	size_t count;
};

/*
 * Looks for the table with 512-byte sectors, then with 4096. Returns 0 when at
 * least one copy is sound (partitions come from the primary if it is), -EBADMSG
 * when none is: `ret` then holds the reasons of the 512-byte attempt. -errno
 * when the disk could not be read.
 */
int gpt_read(const struct disk *d, struct gpt *ret) must_check;

/* C12A7328-F81F-11D2-BA4B-00A0C93EC93B */
bool gpt_is_esp(const struct gpt_partition *p);

#endif
