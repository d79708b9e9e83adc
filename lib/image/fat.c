#include "lib/image/fat.h"

#include <stdbool.h>
#include <strings.h>

/* BIOS parameter block. */
enum {
	BPB_SECTOR_BYTES = 11,
	BPB_CLUSTER_SECTORS = 13,
	BPB_RESERVED = 14,
	BPB_FATS = 16,
	BPB_ROOT_ENTRIES = 17,
	BPB_SECTORS_16 = 19,
	BPB_FAT_SECTORS_16 = 22,
	BPB_SECTORS_32 = 32,
	BPB_FAT_SECTORS_32 = 36,
	BPB_ROOT_CLUSTER = 44,
};

/* Directory entries. */
enum {
	ENTRY_SIZE = 32,
	PIECE = 512,
	ENTRY_ATTRIBUTES = 11,
	ENTRY_CLUSTER_HIGH = 20,
	ENTRY_CLUSTER_LOW = 26,
	ENTRY_FILE_SIZE = 28,
	ATTRIBUTE_VOLUME = 0x08,
	ATTRIBUTE_DIRECTORY = 0x10,
	ATTRIBUTE_LONG_NAME = 0x0f,
	LONG_LAST = 0x40,
	LONG_CHARS = 13, /* per entry */
	LONG_ENTRIES_MAX = 20,
	/* A directory holds at most 65,536 entries, however its chain runs. */
	DIRECTORY_ENTRIES_MAX = 65536,
};

static int volume_read(const struct fat *f, uint64_t at, void *buf, size_t size)
{
	if (at > f->size_bytes || size > f->size_bytes - at)
		return -ERANGE;
	return disk_read(f->disk, f->start_bytes + at, buf, size);
}

/* The numbers of the boot sector, in sectors until the end. */
static int judge_layout(const uint8_t *b, struct fat *f, struct error *e)
{
	uint32_t sector = disk_get16(b + BPB_SECTOR_BYTES);
	uint32_t per_cluster = b[BPB_CLUSTER_SECTORS];
	uint32_t fat_sectors = disk_get16(b + BPB_FAT_SECTORS_16);
	uint64_t total = disk_get16(b + BPB_SECTORS_16), root, data;

	f->bits = fat_sectors ? 16 : 32;
	if (!fat_sectors)
		fat_sectors = disk_get32(b + BPB_FAT_SECTORS_32);
	if (!total)
		total = disk_get32(b + BPB_SECTORS_32);
	if (sector < 512 || sector > 4096 || sector & (sector - 1) ||
	    !per_cluster || per_cluster & (per_cluster - 1) ||
	    !disk_get16(b + BPB_RESERVED) || !b[BPB_FATS] || !fat_sectors)
		return error_set(e, -EBADMSG, "its boot sector is not FAT's");
	f->root_entries = disk_get16(b + BPB_ROOT_ENTRIES);
	f->fat_at = (uint64_t)disk_get16(b + BPB_RESERVED) * sector;
	root = disk_get16(b + BPB_RESERVED) +
	       (uint64_t)b[BPB_FATS] * fat_sectors;
	data = root +
	       ((uint64_t)f->root_entries * ENTRY_SIZE + sector - 1) / sector;
	if (data >= total || total * sector > f->size_bytes)
		return error_set(e, -EBADMSG,
				 "its FAT file system is larger than the "
				 "partition");
	f->root_at = root * sector;
	f->data_at = data * sector;
	f->cluster_bytes = per_cluster * sector;
	f->clusters = (uint32_t)((total - data) / per_cluster);
	f->root_cluster = disk_get32(b + BPB_ROOT_CLUSTER) & 0x0fffffff;
	/* fatgen103's limit; EDK2 and Linux take FAT32 by its 16-bit field. */
	if (f->bits == 16 && f->clusters < 4085)
		f->bits = 12;
	if (f->clusters > (uint64_t)fat_sectors * sector * 8 / f->bits)
		return error_set(e, -EBADMSG,
				 "its FAT is smaller than its clusters");
	return 0;
}

int fat_open(const struct disk *disk, uint64_t start_bytes, uint64_t size_bytes,
	     struct fat *ret, struct error *e)
{
	struct fat f = {.disk = disk,
			.start_bytes = start_bytes,
			.size_bytes = size_bytes};
	uint8_t boot[512];
	int r;

	r = volume_read(&f, 0, boot, sizeof(boot));
	if (r < 0)
		return error_set(e, r, "its boot sector cannot be read: %s",
				 strerror(-r));
	if (boot[510] != 0x55 || boot[511] != 0xaa)
		return error_set(e, -EBADMSG, "it has no FAT boot sector");
	r = judge_layout(boot, &f, e);
	if (r == 0)
		*ret = f;
	return r;
}

/* The cluster after *cluster; 0 in *cluster at the end of the chain. */
static int next_cluster(const struct fat *f, uint32_t *cluster)
{
	uint64_t at = f->bits == 12 ? *cluster + *cluster / 2
				    : (uint64_t)*cluster * (f->bits / 8);
	uint8_t raw[4] = {0};
	uint32_t value;
	int r;

	r = volume_read(f, f->fat_at + at, raw, f->bits == 32 ? 4 : 2);
	if (r < 0)
		return r;
	value = disk_get32(raw);
	if (f->bits == 12)
		value = *cluster & 1 ? value >> 4 : value & 0xfff;
	else if (f->bits == 32)
		value &= 0x0fffffff;
	if (value >= (0x0ffffff8u &
		      (f->bits == 32 ? 0x0fffffffu : (1u << f->bits) - 1))) {
		*cluster = 0;
		return 0;
	}
	if (value < 2 || value - 2 >= f->clusters)
		return -EBADMSG;
	*cluster = value;
	return 0;
}

static uint64_t cluster_at(const struct fat *f, uint32_t cluster)
{
	return f->data_at + (uint64_t)(cluster - 2) * f->cluster_bytes;
}

/* A place in a directory, read by pieces of the smallest sector; cluster 0 is
 * the fixed root of FAT12 and FAT16. */
struct cursor {
	uint32_t cluster, in_cluster, seen;
	uint8_t piece[PIECE];
};

static int read_piece(const struct fat *f, struct cursor *c)
{
	uint64_t at;
	int r;

	if (c->cluster == 0) {
		at = f->root_at + (uint64_t)c->seen * ENTRY_SIZE;
		return volume_read(f, at, c->piece, PIECE) < 0 ? -EBADMSG : 1;
	}
	if (c->in_cluster == f->cluster_bytes) {
		r = next_cluster(f, &c->cluster);
		if (r < 0 || c->cluster == 0)
			return r;
		c->in_cluster = 0;
	}
	at = cluster_at(f, c->cluster) + c->in_cluster;
	c->in_cluster += PIECE;
	r = volume_read(f, at, c->piece, PIECE);
	return r < 0 ? r : 1;
}

/* 1: *ret is the next entry, valid until the next call; 0: the end. */
static int read_entry(const struct fat *f, struct cursor *c,
		      const uint8_t **ret)
{
	const uint8_t *entry;
	int r;

	if (c->seen >= DIRECTORY_ENTRIES_MAX)
		return -EBADMSG;
	if (c->cluster == 0 && c->seen >= f->root_entries)
		return 0;
	if (c->seen * ENTRY_SIZE % PIECE == 0) {
		r = read_piece(f, c);
		if (r <= 0)
			return r;
	}
	entry = c->piece + c->seen * ENTRY_SIZE % PIECE;
	c->seen++;
	*ret = entry;
	return entry[0] != 0;
}

/* A long name is put together from the entries before its short one. */
struct long_name {
	char text[LONG_ENTRIES_MAX * LONG_CHARS + 1];
	unsigned next; /* sequence number expected next; 0: none or complete */
	uint8_t checksum;
	bool valid;
};

static uint8_t short_checksum(const uint8_t *name)
{
	uint8_t sum = 0;

	for (int i = 0; i < 11; i++)
		sum = (uint8_t)((sum >> 1 | sum << 7) + name[i]);
	return sum;
}

/* Characters outside ASCII become '?', which no path we look for holds. */
static void take_long(struct long_name *l, const uint8_t *entry)
{
	static const uint8_t places[LONG_CHARS] = {1,  3,  5,  7,  9,  14, 16,
						   18, 20, 22, 24, 28, 30};
	unsigned number = entry[0] & 0x3f;
	char *text;
	uint16_t c;

	if (entry[0] & LONG_LAST) {
		*l = (struct long_name){.next = number, .checksum = entry[13]};
		l->valid = number >= 1 && number <= LONG_ENTRIES_MAX;
	}
	if (!l->valid || number != l->next || entry[13] != l->checksum) {
		l->valid = false;
		return;
	}
	text = l->text + (size_t)(number - 1) * LONG_CHARS;
	for (int i = 0; i < LONG_CHARS; i++) {
		c = disk_get16(entry + places[i]);
		text[i] = c == 0xffff ? '\0' : c < 0x80 ? (char)c : '?';
	}
	l->next--;
	l->valid = l->next > 0 || number == 1;
}

static void short_name(const uint8_t *entry, char ret[13])
{
	size_t n = 0;

	for (int i = 0; i < 11; i++) {
		if (i == 8 && entry[8] != ' ')
			ret[n++] = '.';
		if (entry[i] != ' ')
			ret[n++] = (char)entry[i];
	}
	ret[n] = '\0';
}

static bool entry_is(const uint8_t *entry, const struct long_name *l,
		     const char *name)
{
	char text[13];

	short_name(entry, text);
	if (strcasecmp(text, name) == 0)
		return true;
	return l->valid && l->next == 0 &&
	       l->checksum == short_checksum(entry) &&
	       strcasecmp(l->text, name) == 0;
}

static void take_entry(const struct fat *f, const uint8_t *entry,
		       struct fat_file *ret)
{
	ret->cluster = disk_get16(entry + ENTRY_CLUSTER_LOW);
	/* Older than FAT32, the high half meant something else. */
	if (f->bits == 32)
		ret->cluster |= (uint32_t)disk_get16(entry + ENTRY_CLUSTER_HIGH)
				<< 16;
	ret->size_bytes = disk_get32(entry + ENTRY_FILE_SIZE);
}

static int find_in(const struct fat *f, uint32_t directory, const char *name,
		   bool want_directory, struct fat_file *ret)
{
	struct cursor c = {.cluster = directory};
	struct long_name l = {0};
	const uint8_t *entry;
	int r;

	while ((r = read_entry(f, &c, &entry)) > 0) {
		uint8_t attributes = entry[ENTRY_ATTRIBUTES];

		if (entry[0] != 0xe5 &&
		    (attributes & 0x3f) == ATTRIBUTE_LONG_NAME) {
			take_long(&l, entry);
			continue;
		}
		if (entry[0] != 0xe5 && !(attributes & ATTRIBUTE_VOLUME) &&
		    !(attributes & ATTRIBUTE_DIRECTORY) == !want_directory &&
		    entry_is(entry, &l, name)) {
			take_entry(f, entry, ret);
			return 0;
		}
		l.valid = false;
	}
	return r < 0 ? r : -ENOENT;
}

static bool cluster_valid(const struct fat *f, uint32_t cluster)
{
	return cluster >= 2 && cluster - 2 < f->clusters;
}

int fat_find(const struct fat *f, const char *path, struct fat_file *ret)
{
	struct fat_file at = {.cluster = f->bits == 32 ? f->root_cluster : 0};
	char name[32];
	const char *end;
	int r;

	if (f->bits == 32 && !cluster_valid(f, at.cluster))
		return -EBADMSG;
	for (;; path = end + 1) {
		end = strchrnul(path, '/');
		if (end == path || (size_t)(end - path) >= sizeof(name))
			return -ENOENT;
		memcpy(name, path, (size_t)(end - path));
		name[end - path] = '\0';
		r = find_in(f, at.cluster, name, *end == '/', &at);
		if (r < 0)
			return r;
		if (*end == '\0')
			break;
		if (!cluster_valid(f, at.cluster))
			return -EBADMSG;
	}
	if (at.size_bytes > 0 && !cluster_valid(f, at.cluster))
		return -EBADMSG;
	*ret = at;
	return 0;
}

int fat_read(const struct fat *f, const struct fat_file *file, uint64_t at,
	     void *buf, size_t size)
{
	uint32_t cluster = file->cluster;
	uint8_t *out = buf;
	size_t part;
	int r;

	if (at > file->size_bytes || size > file->size_bytes - at)
		return -ERANGE;
	/* Steps are bounded by the file's size, which is below 4 GiB. */
	for (; size > 0; at -= f->cluster_bytes) {
		if (at < f->cluster_bytes) {
			part = MIN(size, (size_t)(f->cluster_bytes - at));
			r = volume_read(f, cluster_at(f, cluster) + at, out,
					part);
			if (r < 0)
				return r;
			out += part;
			size -= part;
			if (size == 0)
				return 0;
			at = f->cluster_bytes;
		}
		r = next_cluster(f, &cluster);
		if (r < 0)
			return r;
		if (cluster == 0)
			return -EBADMSG;
	}
	return 0;
}
