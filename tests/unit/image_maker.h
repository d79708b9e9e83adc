/*
 * Disk images for tests, in memory files, made with plain C: a GPT, a FAT file
 * system with \EFI\BOOT\<file>, a PE header. Each piece can then be spoiled
 * with maker_poke(). No outside tools, so what is read was not written by the
 * code that reads.
 */
#ifndef TESTS_UNIT_IMAGE_MAKER_H
#define TESTS_UNIT_IMAGE_MAKER_H

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/base/crc32.h"
#include "lib/base/fd.h"

static const uint8_t maker_esp_type[16] = {0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8,
					   0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0,
					   0xc9, 0x3e, 0xc9, 0x3b};

static inline void maker_le(uint8_t *p, uint64_t v, int bytes)
{
	for (int i = 0; i < bytes; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

static inline void maker_poke(int fd, uint64_t at, const void *data,
			      size_t size)
{
	if (fd_pwrite_full(fd, data, size, (off_t)at) < 0)
		abort();
}

static inline void maker_poke_le(int fd, uint64_t at, uint64_t v, int bytes)
{
	uint8_t raw[8];

	maker_le(raw, v, bytes);
	maker_poke(fd, at, raw, (size_t)bytes);
}

static inline int maker_file(uint64_t size)
{
	int fd = memfd_create("image", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
		abort();
	return fd;
}

/* One header copy over an entry array that is in place already. */
static inline void maker_gpt_header(int fd, uint32_t sector, uint64_t my,
				    uint64_t other, uint64_t entries,
				    uint32_t entries_crc)
{
	uint8_t h[92] = "EFI PART";

	maker_le(h + 8, 0x10000, 4);
	maker_le(h + 12, sizeof(h), 4);
	maker_le(h + 24, my, 8);
	maker_le(h + 32, other, 8);
	maker_le(h + 40, 34, 8);
	maker_le(h + 72, entries, 8);
	maker_le(h + 80, 128, 4);
	maker_le(h + 84, 128, 4);
	maker_le(h + 88, entries_crc, 4);
	maker_le(h + 16, crc32_ieee(0, h, sizeof(h)), 4);
	maker_poke(fd, my * sector, h, sizeof(h));
}

/* Protective MBR and both copies; partition `number` (from 1) is first..last.
 */
static inline void maker_gpt(int fd, uint32_t sector, uint64_t size,
			     const uint8_t type[16], int number, uint64_t first,
			     uint64_t last)
{
	static uint8_t entries[128 * 128];
	uint64_t lbas = size / sector, array = sizeof(entries) / sector;
	uint8_t mbr[512] = {[510] = 0x55, [511] = 0xaa}, *e;
	uint32_t crc;

	mbr[446 + 4] = 0xee;
	maker_le(mbr + 446 + 8, 1, 4);
	maker_le(mbr + 446 + 12, lbas - 1, 4);
	maker_poke(fd, 0, mbr, sizeof(mbr));
	memset(entries, 0, sizeof(entries));
	e = entries + 128 * (number - 1);
	memcpy(e, type, 16);
	e[16] = 1;
	maker_le(e + 32, first, 8);
	maker_le(e + 40, last, 8);
	crc = crc32_ieee(0, entries, sizeof(entries));
	maker_poke(fd, 2 * sector, entries, sizeof(entries));
	maker_poke(fd, (lbas - 1 - array) * sector, entries, sizeof(entries));
	maker_gpt_header(fd, sector, 1, lbas - 1, 2, crc);
	maker_gpt_header(fd, sector, lbas - 1, 1, lbas - 1 - array, crc);
}

/*
 * A FAT volume at `start`, one 512-byte sector per cluster. Cluster 3 is \EFI,
 * cluster 4 is \EFI\BOOT; FAT32 has its root in cluster 2.
 */
struct maker_fat {
	int fd;
	unsigned bits;
	uint64_t start, fat_at, root_at, data_at;
	uint32_t next_cluster;
	int boot_entries;
};

static inline uint64_t maker_cluster(const struct maker_fat *f, uint32_t n)
{
	return f->data_at + (uint64_t)(n - 2) * 512;
}

static inline void maker_fat_set(const struct maker_fat *f, uint32_t n,
				 uint32_t value)
{
	uint64_t at = f->fat_at +
		      (f->bits == 12 ? n + n / 2 : (uint64_t)n * f->bits / 8);
	uint8_t two[2];

	if (f->bits != 12) {
		maker_poke_le(f->fd, at, value, (int)f->bits / 8);
		return;
	}
	if (fd_pread_full(f->fd, two, 2, (off_t)at) < 0)
		abort();
	value &= 0xfff;
	if (n & 1)
		value = (uint32_t)(two[0] & 0x0f) | value << 4;
	else
		value |= (uint32_t)(two[1] & 0xf0) << 8;
	maker_poke_le(f->fd, at, value, 2);
}

static inline void maker_entry(int fd, uint64_t at, const char *name11,
			       uint8_t attributes, uint32_t cluster,
			       uint32_t size)
{
	uint8_t e[32] = {0};

	memcpy(e, name11, 11);
	e[11] = attributes;
	maker_le(e + 20, cluster >> 16, 2);
	maker_le(e + 26, cluster, 2);
	maker_le(e + 28, size, 4);
	maker_poke(fd, at, e, sizeof(e));
}

/* A long name of up to 13 characters: one entry, before its short one. */
static inline void maker_long_entry(int fd, uint64_t at, const char *name,
				    const char *name11)
{
	static const uint8_t places[13] = {1,  3,  5,  7,  9,  14, 16,
					   18, 20, 22, 24, 28, 30};
	uint8_t e[32] = {[0] = 0x41, [11] = 0x0f}, sum = 0;
	size_t size = strlen(name);

	for (int i = 0; i < 11; i++)
		sum = (uint8_t)((sum >> 1 | sum << 7) + (uint8_t)name11[i]);
	e[13] = sum;
	for (size_t i = 0; i < 13; i++)
		maker_le(e + places[i],
			 i < size    ? (uint8_t)name[i]
			 : i == size ? 0
				     : 0xffff,
			 2);
	maker_poke(fd, at, e, sizeof(e));
}

static inline struct maker_fat maker_fat(int fd, uint64_t start,
					 uint32_t sectors, unsigned bits)
{
	struct maker_fat f = {.fd = fd, .bits = bits, .start = start};
	uint32_t fat_sectors = sectors * bits / 8 / 512 + 1;
	uint32_t reserved = bits == 32 ? 32 : 1, root = bits == 32 ? 0 : 32;
	uint8_t b[512] = {[510] = 0x55, [511] = 0xaa};

	maker_le(b + 11, 512, 2);
	b[13] = 1;
	maker_le(b + 14, reserved, 2);
	b[16] = 2;
	maker_le(b + 17, root * 16, 2);
	maker_le(b + 32, sectors, 4);
	maker_le(b + (bits == 32 ? 36 : 22), fat_sectors, bits == 32 ? 4 : 2);
	if (bits == 32)
		maker_le(b + 44, 2, 4);
	maker_poke(fd, start, b, sizeof(b));
	f.fat_at = start + reserved * 512;
	f.root_at = f.fat_at + 2ull * fat_sectors * 512;
	f.data_at = f.root_at + root * 512;
	f.next_cluster = 5;
	for (uint32_t n = 2; n < 5; n++)
		maker_fat_set(&f, n, 0x0fffffff);
	maker_entry(fd, f.root_at, "EFI        ", 0x10, 3, 0);
	maker_entry(fd, maker_cluster(&f, 3), "BOOT       ", 0x10, 4, 0);
	return f;
}

/* A file in \EFI\BOOT, its clusters in order. */
static inline void maker_boot_file(struct maker_fat *f, const char *name11,
				   const uint8_t *data, uint32_t size)
{
	uint64_t dir = maker_cluster(f, 4) + 32ull * (unsigned)f->boot_entries;
	uint32_t clusters = (size + 511) / 512;

	f->boot_entries++;
	maker_entry(f->fd, dir, name11, 0x20, f->next_cluster, size);
	maker_poke(f->fd, maker_cluster(f, f->next_cluster), data, size);
	for (uint32_t i = 0; i < clusters; i++)
		maker_fat_set(f, f->next_cluster + i,
			      i + 1 < clusters ? f->next_cluster + i + 1
					       : 0x0fffffff);
	f->next_cluster += clusters;
}

#define MAKER_PE_SIZE 1024

/* The header lies across a cluster border, as a chain must be followed. */
static inline void maker_pe(uint8_t pe[MAKER_PE_SIZE], uint16_t machine,
			    uint16_t magic, uint16_t subsystem)
{
	memset(pe, 0, MAKER_PE_SIZE);
	memcpy(pe, "MZ", 2);
	maker_le(pe + 0x3c, 480, 4);
	memcpy(pe + 480, "PE\0", 4);
	maker_le(pe + 480 + 4, machine, 2);
	maker_le(pe + 480 + 20, 112, 2);
	maker_le(pe + 480 + 24, magic, 2);
	maker_le(pe + 480 + 24 + 68, subsystem, 2);
}

#define MAKER_DISK_SIZE	  MIB(40)
#define MAKER_ESP_FIRST	  2048u
#define MAKER_ESP_SECTORS 72000u
#define MAKER_ESP_START	  (512ull * MAKER_ESP_FIRST)

/* A conformant disk for both architectures; *ret_fat for spoiling it. */
static inline int maker_disk(struct maker_fat *ret_fat)
{
	int fd = maker_file(MAKER_DISK_SIZE);
	uint8_t pe[MAKER_PE_SIZE];

	maker_gpt(fd, 512, MAKER_DISK_SIZE, maker_esp_type, 1, MAKER_ESP_FIRST,
		  MAKER_ESP_FIRST + MAKER_ESP_SECTORS - 1);
	*ret_fat = maker_fat(fd, MAKER_ESP_START, MAKER_ESP_SECTORS, 32);
	maker_pe(pe, 0xaa64, 0x20b, 10);
	maker_boot_file(ret_fat, "BOOTAA64EFI", pe, sizeof(pe));
	maker_pe(pe, 0x01c2, 0x10b, 10);
	maker_boot_file(ret_fat, "BOOTARM EFI", pe, sizeof(pe));
	return fd;
}

#endif
