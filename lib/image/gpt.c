#include "lib/image/gpt.h"

#include <stdio.h>

#include "lib/base/crc32.h"

/* GPT header (UEFI 2.4A, table 18) and entry (table 19). */
enum {
	HEADER_REVISION = 8,
	HEADER_SIZE = 12,
	HEADER_CRC = 16,
	HEADER_MY_LBA = 24,
	HEADER_ALTERNATE_LBA = 32,
	HEADER_ENTRIES_LBA = 72,
	HEADER_ENTRIES_COUNT = 80,
	HEADER_ENTRY_SIZE = 84,
	HEADER_ENTRIES_CRC = 88,
	HEADER_SIZE_MIN = 92,
	ENTRY_TYPE = 0,
	ENTRY_FIRST = 32,
	ENTRY_LAST = 40,
	ENTRY_SIZE_MIN = 128,
	SECTOR_MAX = 4096,
	/* Protective MBR (5.2.3). */
	MBR_PARTITION = 446,
	MBR_PARTITION_SIZE = 16,
	MBR_TYPE_PROTECTIVE = 0xee,
};

/* A table larger than this is not read: 128 entries are 16 KiB. */
#define ENTRIES_BYTES_MAX MIB(1)

struct header {
	uint64_t my_lba, alternate_lba, entries_lba;
	uint32_t entries_count, entry_size;
};

static int read_mbr(const struct disk *d, struct gpt *g)
{
	uint8_t mbr[512], *p = mbr + MBR_PARTITION;
	int r = disk_read(d, 0, mbr, sizeof(mbr));

	if (r < 0)
		return r == -ERANGE ? 0 : r;
	if (mbr[510] != 0x55 || mbr[511] != 0xaa)
		return 0;
	for (int i = 0; i < 4; i++, p += MBR_PARTITION_SIZE)
		if (p[4] == MBR_TYPE_PROTECTIVE && disk_get32(p + 8) == 1)
			g->protective_mbr = true;
	return 0;
}

/* NULL when the header at `lba` is sound, or what is wrong with it. */
static const char *judge_header(uint8_t *sector, uint32_t sector_bytes,
				uint64_t lba, struct header *ret)
{
	uint32_t size = disk_get32(sector + HEADER_SIZE);
	uint32_t crc = disk_get32(sector + HEADER_CRC);

	if (memcmp(sector, "EFI PART", 8) != 0)
		return "is missing";
	if (disk_get32(sector + HEADER_REVISION) >> 16 != 1)
		return "has an unknown revision";
	if (size < HEADER_SIZE_MIN || size > sector_bytes)
		return "has an impossible header size";
	memset(sector + HEADER_CRC, 0, 4);
	if (crc32_ieee(0, sector, size) != crc)
		return "has a wrong header checksum";
	*ret = (struct header){
		.my_lba = disk_get64(sector + HEADER_MY_LBA),
		.alternate_lba = disk_get64(sector + HEADER_ALTERNATE_LBA),
		.entries_lba = disk_get64(sector + HEADER_ENTRIES_LBA),
		.entries_count = disk_get32(sector + HEADER_ENTRIES_COUNT),
		.entry_size = disk_get32(sector + HEADER_ENTRY_SIZE),
	};
	if (ret->my_lba != lba)
		return "says it lies elsewhere";
	if (ret->entry_size < ENTRY_SIZE_MIN || ret->entry_size & 7 ||
	    (uint64_t)ret->entry_size * ret->entries_count > ENTRIES_BYTES_MAX)
		return "has an impossible entry array";
	return NULL;
}

/* Keeps used entries whose range lies inside the disk. */
static void take_entries(const struct disk *d, const uint8_t *entries,
			 const struct header *h, struct gpt *g)
{
	static const uint8_t unused[16];
	const uint8_t *p = entries;
	uint64_t first, last, end;

	g->count = 0;
	for (uint32_t i = 0; i < h->entries_count; i++, p += h->entry_size) {
		if (memcmp(p + ENTRY_TYPE, unused, sizeof(unused)) == 0)
			continue;
		first = disk_get64(p + ENTRY_FIRST);
		last = disk_get64(p + ENTRY_LAST);
		if (g->count == GPT_PARTITIONS_MAX || first > last ||
		    __builtin_add_overflow(last, 1, &end) ||
		    end > d->size_bytes / g->sector_bytes)
			continue;
		g->partitions[g->count].number = i + 1;
		memcpy(g->partitions[g->count].type, p + ENTRY_TYPE, 16);
		g->partitions[g->count].start_bytes = first * g->sector_bytes;
		g->partitions[g->count].size_bytes = (end - first) *
						     g->sector_bytes;
		g->count++;
	}
}

/* Reads one copy; *why NULL when sound. take: fill in the partitions. */
static int read_copy(const struct disk *d, struct gpt *g, uint64_t lba,
		     bool take, struct header *h, const char **why)
{
	_cleanup_free_ uint8_t *entries = NULL;
	uint8_t sector[SECTOR_MAX];
	uint64_t at;
	size_t size;
	int r;

	r = disk_read(d, lba * g->sector_bytes, sector, g->sector_bytes);
	if (r == -ERANGE) {
		*why = "is missing";
		return 0;
	}
	if (r < 0)
		return r;
	*why = judge_header(sector, g->sector_bytes, lba, h);
	if (*why)
		return 0;
	size = (size_t)h->entry_size * h->entries_count;
	entries = malloc(size + 1);
	if (!entries)
		return -ENOMEM;
	if (__builtin_mul_overflow(h->entries_lba, g->sector_bytes, &at))
		at = UINT64_MAX;
	r = disk_read(d, at, entries, size);
	if (r < 0 && r != -ERANGE)
		return r;
	if (r == -ERANGE)
		*why = "has its entries beyond the end of the disk";
	else if (crc32_ieee(0, entries, size) !=
		 disk_get32(sector + HEADER_ENTRIES_CRC))
		*why = "has a wrong entry checksum";
	else if (take)
		take_entries(d, entries, h, g);
	return 0;
}

static int read_with_sector(const struct disk *d, uint32_t sector_bytes,
			    struct gpt *g)
{
	uint64_t last = d->size_bytes / sector_bytes;
	const char *primary_why = NULL, *backup_why = "is missing";
	struct header primary = {0}, backup = {0};
	int r;

	*g = (struct gpt){.sector_bytes = sector_bytes};
	r = read_mbr(d, g);
	if (r == 0)
		r = read_copy(d, g, 1, true, &primary, &primary_why);
	if (r == 0 && last > 2)
		r = read_copy(d, g, last - 1, primary_why != NULL, &backup,
			      &backup_why);
	if (r < 0)
		return r;
	if (!primary_why && primary.alternate_lba >= last)
		backup_why = "lies beyond the end: the disk is cut short";
	else if (!primary_why && primary.alternate_lba != last - 1)
		backup_why = "is not at the end: the disk was enlarged";
	g->primary = !primary_why;
	g->backup = !backup_why;
	snprintf(g->primary_why, sizeof(g->primary_why), "%s",
		 primary_why ? primary_why : "");
	snprintf(g->backup_why, sizeof(g->backup_why), "%s",
		 backup_why ? backup_why : "");
	return g->primary || g->backup ? 0 : -EBADMSG;
}

int gpt_read(const struct disk *d, struct gpt *ret)
{
	int r = read_with_sector(d, 512, ret);

	if (r != -EBADMSG)
		return r;
	r = read_with_sector(d, 4096, ret);
	if (r != -EBADMSG)
		return r;
	return read_with_sector(d, 512, ret);
}

bool gpt_is_esp(const struct gpt_partition *p)
{
	static const uint8_t esp[16] = {0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8,
					0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0,
					0xc9, 0x3e, 0xc9, 0x3b};

	return memcmp(p->type, esp, sizeof(esp)) == 0;
}
