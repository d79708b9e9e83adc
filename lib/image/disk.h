/*
 * The bytes of a disk image, read with judged bounds; and little-endian
 * numbers out of them.
 *
 * Thread: a disk has no state beyond its descriptor.
 */
#ifndef LIB_IMAGE_DISK_H
#define LIB_IMAGE_DISK_H

#include "lib/base/error.h"

struct disk {
	int fd; /* borrowed */
	uint64_t size_bytes;
	const char *path; /* borrowed; for messages */
};

/*
 * -EINVAL a directory or another thing that is no disk, -EBADMSG empty,
 * -errno unreadable; the message names path.
 */
int disk_init(struct disk *d, int fd, const char *path,
	      struct error *e) must_check;

/* -ERANGE beyond the end (nothing is read), -errno of the read otherwise. */
int disk_read(const struct disk *d, uint64_t at, void *buf,
	      size_t size) must_check;

static inline uint16_t disk_get16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t disk_get32(const uint8_t *p)
{
	return disk_get16(p) | (uint32_t)disk_get16(p + 2) << 16;
}

static inline uint64_t disk_get64(const uint8_t *p)
{
	return disk_get32(p) | (uint64_t)disk_get32(p + 4) << 32;
}

#endif
