#include <endian.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "lib/base/crc32.h"
#include "lib/base/fd.h"
#include "lib/wire/spill.h"

static const char spill_magic[4] = "AVSP";

/* As in the file: every number little endian. */
struct spill_header {
	char magic[4];
	uint32_t crc;
	uint64_t seq, offset, size;
};

_Static_assert(sizeof(struct spill_header) == 32, "the record has no padding");

static uint32_t record_crc(const struct spill_header *h, const void *data,
			   uint64_t size)
{
	uint32_t crc = crc32_ieee(
		0, &h->seq, sizeof(*h) - offsetof(struct spill_header, seq));

	return crc32_ieee(crc, data, size);
}

static int file_size(int fd, uint64_t *ret)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	*ret = (uint64_t)st.st_size;
	return 0;
}

int spill_append(int fd, uint64_t seq, uint64_t offset, const void *data,
		 uint64_t size)
{
	struct spill_header h = {.seq = htole64(seq),
				 .offset = htole64(offset),
				 .size = htole64(size)};
	uint64_t end;
	int r;

	memcpy(h.magic, spill_magic, sizeof(h.magic));
	h.crc = htole32(record_crc(&h, data, size));
	r = file_size(fd, &end);
	if (r < 0)
		return r;
	r = fd_pwrite_full(fd, &h, sizeof(h), (off_t)end);
	if (r == 0)
		r = fd_pwrite_full(fd, data, size, (off_t)(end + sizeof(h)));
	if (r == 0 && fdatasync(fd) < 0)
		r = -errno;
	/* A torn record would hide the ones appended after it. */
	if (r < 0 && ftruncate(fd, (off_t)end) < 0)
		return r;
	return r;
}

/* Where in the file, for messages, and what the header there says. */
struct record {
	uint64_t at, seq, offset, size;
	uint64_t number; /* from 1 */
};

/* 1 and the header, 0 when no whole record follows, -errno. */
static int read_header(int fd, uint64_t end, struct spill_header *h,
		       struct record *rec)
{
	int r;

	if (end - rec->at < sizeof(*h))
		return 0;
	r = fd_pread_full(fd, h, sizeof(*h), (off_t)rec->at);
	if (r < 0)
		return r;
	if (memcmp(h->magic, spill_magic, sizeof(h->magic)) != 0)
		return 0;
	rec->seq = le64toh(h->seq);
	rec->offset = le64toh(h->offset);
	rec->size = le64toh(h->size);
	return 1;
}

/* 1 and the bytes (owned), 0 when the record is torn, -errno. */
static int read_record(int fd, uint64_t end, uint64_t store_size,
		       struct record *rec, void **ret_data, struct error *e)
{
	_cleanup_free_ void *data = NULL;
	struct spill_header h;
	uint64_t body = rec->at + sizeof(h);
	int r;

	r = read_header(fd, end, &h, rec);
	if (r < 0)
		return error_set(e, r, "spill file: %s", strerror(-r));
	if (r == 0)
		return 0;
	if (rec->size > store_size || rec->offset > store_size - rec->size)
		return error_set(e, -EBADMSG,
				 "spill file: record %" PRIu64
				 " is out of the variable store's bounds",
				 rec->number);
	if (end - body < rec->size)
		return 0;
	data = malloc(MAX(rec->size, 1));
	if (!data)
		return error_set(e, -ENOMEM, "spill file: out of memory");
	r = fd_pread_full(fd, data, rec->size, (off_t)body);
	if (r < 0)
		return error_set(e, r, "spill file: %s", strerror(-r));
	if (record_crc(&h, data, rec->size) != le32toh(h.crc)) {
		if (end - body == rec->size)
			return 0;
		return error_set(e, -EBADMSG,
				 "spill file: record %" PRIu64 " is damaged",
				 rec->number);
	}
	*ret_data = TAKE_PTR(data);
	return 1;
}

int spill_replay(int fd, uint64_t store_size,
		 int (*apply)(void *cookie, uint64_t seq, uint64_t offset,
			      const void *data, uint64_t size),
		 void *cookie, uint64_t *ret_count, struct error *e)
{
	struct record rec = {.at = 0};
	uint64_t end;
	int r;

	*ret_count = 0;
	r = file_size(fd, &end);
	if (r < 0)
		return error_set(e, r, "spill file: %s", strerror(-r));
	for (;;) {
		_cleanup_free_ void *data = NULL;

		rec.number = *ret_count + 1;
		r = read_record(fd, end, store_size, &rec, &data, e);
		if (r <= 0)
			return r;
		r = apply(cookie, rec.seq, rec.offset, data, rec.size);
		if (r < 0)
			return error_set(e, r,
					 "spill file: record %" PRIu64
					 " could not be applied",
					 rec.number);
		rec.at += sizeof(struct spill_header) + rec.size;
		++*ret_count;
	}
}
