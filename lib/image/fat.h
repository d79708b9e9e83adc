/*
 * Reading a FAT file system (FAT12, FAT16, FAT32): find a file by path, read
 * its beginning. Cluster chains may loop and lie: every walk is bounded.
 *
 * Sources: Microsoft FAT specification (fatgen103), as UEFI 2.4A 12.3 adopts.
 */
#ifndef LIB_IMAGE_FAT_H
#define LIB_IMAGE_FAT_H

#include "lib/image/disk.h"

struct fat {
	const struct disk *disk;
	uint64_t start_bytes, size_bytes; /* of the volume on the disk */
	unsigned bits;			  /* 12, 16 or 32 */
	uint32_t cluster_bytes;
	uint32_t clusters; /* data clusters; numbers are 2 .. clusters+1 */
	uint64_t fat_at;   /* these three relative to the volume */
	uint64_t root_at;  /* FAT12, FAT16: the fixed root directory */
	uint64_t data_at;
	uint32_t root_entries; /* FAT12, FAT16 */
	uint32_t root_cluster; /* FAT32 */
};

struct fat_file {
	uint32_t cluster, size_bytes;
};

/* -EBADMSG with the reason when there is no FAT file system. `disk` is borrowed
 * for the life of `ret`, which owns nothing. */
int fat_open(const struct disk *disk, uint64_t start_bytes, uint64_t size_bytes,
	     struct fat *ret, struct error *e) must_check;

/*
 * `path` as "EFI/BOOT/BOOTAA64.EFI", ASCII, compared without case with long
 * and short names. -ENOENT, -EBADMSG (a broken chain), -errno of a read.
 */
int fat_find(const struct fat *f, const char *path,
	     struct fat_file *ret) must_check;

/* Exactly `size` bytes of the file; -ERANGE beyond its end. */
int fat_read(const struct fat *f, const struct fat_file *file, uint64_t at,
	     void *buf, size_t size) must_check;

#endif
