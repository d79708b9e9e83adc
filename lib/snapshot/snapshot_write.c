#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "lib/base/fd.h"
#include "lib/snapshot/snapshot_internal.h"

#define PAGE	   4096
#define ZSTD_LEVEL 1

uint32_t snapshot_sum(const void *data, size_t size)
{
	return (uint32_t)crc32_z(0, data, size);
}

int snapshot_put_header(struct buf *out, const struct snapshot_header *header)
{
	struct header_bytes b = {
		.format = htole32(SNAPSHOT_FORMAT),
		.size = htole32(sizeof(b)),
		.created_ms = htole64(header->created_ms),
	};

	memcpy(b.magic, HEADER_MAGIC, sizeof(b.magic));
	memcpy(b.id, header->id, sizeof(b.id));
	b.crc = htole32(snapshot_sum(&b, offsetof(struct header_bytes, crc)));
	return buf_append(out, &b, sizeof(b));
}

static struct section_bytes section_bytes(const struct snapshot_section *s,
					  const void *payload, size_t length)
{
	struct section_bytes b = {
		.magic = htole32(SECTION_MAGIC),
		.type = htole16((uint16_t)s->type),
		.flags = htole16(s->flags),
		.version = htole32(s->version),
		.payload_crc = htole32(snapshot_sum(payload, length)),
		.length = htole64(length),
		.address = htole64(s->address),
		.size = htole64(s->size),
	};

	b.crc = htole32(snapshot_sum(&b, offsetof(struct section_bytes, crc)));
	return b;
}

int snapshot_put_section(struct buf *out, const struct snapshot_section *s,
			 const void *payload, size_t length)
{
	struct section_bytes b = section_bytes(s, payload, length);
	int r = buf_append(out, &b, sizeof(b));

	return r ? r : buf_append(out, payload, length);
}

int snapshot_writer_init(struct snapshot_writer *w, int fd, bool compress,
			 struct error *e)
{
	*w = (struct snapshot_writer){.fd = fd, .compress = compress};
	if (!compress)
		return 0;
	w->packed_size = ZSTD_compressBound(SNAPSHOT_RUN_MAX);
	w->packed = malloc(w->packed_size);
	return w->packed ? 0 : error_set(e, -ENOMEM, "out of memory");
}

void snapshot_writer_done(struct snapshot_writer *w)
{
	free(w->packed);
	w->packed = NULL;
}

static int write_section(struct snapshot_writer *w,
			 const struct snapshot_section *s, const void *payload,
			 size_t length, struct error *e)
{
	struct section_bytes b = section_bytes(s, payload, length);
	int r = fd_write_full(w->fd, &b, sizeof(b));

	if (!r)
		r = fd_write_full(w->fd, payload, length);
	if (r)
		return error_set(e, r, "the snapshot cannot be written: %s",
				 strerror(-r));
	w->bytes += sizeof(b) + length;
	w->sections++;
	return 0;
}

int snapshot_write_machine(struct snapshot_writer *w, const void *state,
			   size_t size, struct error *e)
{
	const struct snapshot_section s = {
		.type = SNAPSHOT_MACHINE, .version = 1, .size = size};

	return write_section(w, &s, state, size, e);
}

/* One run; a frame only when it is the shorter one. `length` bytes say what is
 * in `size` bytes of memory. */
static int write_run(struct snapshot_writer *w, uint64_t gpa, uint64_t size,
		     uint16_t flags, const void *data, size_t length,
		     struct error *e)
{
	struct snapshot_section s = {
		.type = SNAPSHOT_MEMORY,
		.version = 1,
		.flags = flags,
		.address = gpa,
		.size = size,
	};
	size_t n;

	if (w->compress) {
		n = ZSTD_compress(w->packed, w->packed_size, data, length,
				  ZSTD_LEVEL);
		if (!ZSTD_isError(n) && n < length) {
			s.flags |= SNAPSHOT_ZSTD;
			return write_section(w, &s, w->packed, n, e);
		}
	}
	return write_section(w, &s, data, length, e);
}

bool snapshot_is_zero(const void *data, size_t size)
{
	const uint8_t *p = data;

	/* Each byte equal to its neighbour, and the first one zero. */
	return size == 0 || (p[0] == 0 && memcmp(p, p + 1, size - 1) == 0);
}

/* Runs of units of `data` that are not zero; a unit is `unit` bytes of memory,
 * and `scale` of those one byte of `data`. */
static int write_runs(struct snapshot_writer *w, uint64_t gpa,
		      const uint8_t *data, uint64_t size, uint64_t unit,
		      unsigned scale, uint16_t flags, struct error *e)
{
	uint64_t begin = 0, end;
	int r = 0;

	while (r == 0 && begin < size) {
		for (end = begin; end < size; end += unit) {
			uint64_t n = MIN(unit, size - end);

			if (end - begin >= SNAPSHOT_RUN_MAX ||
			    snapshot_is_zero(data + end / scale, n / scale))
				break;
		}
		end = MIN(end, size);
		if (end > begin)
			r = write_run(w, gpa + begin, end - begin, flags,
				      data + begin / scale,
				      (size_t)(end - begin) / scale, e);
		begin = end > begin ? end : end + unit;
	}
	return r;
}

int snapshot_write_memory(struct snapshot_writer *w, uint64_t gpa,
			  const void *data, uint64_t size, struct error *e)
{
	return write_runs(w, gpa, data, size, PAGE, 1, 0, e);
}

int snapshot_write_mapped(struct snapshot_writer *w, uint64_t gpa,
			  const void *data, uint64_t size, int fd,
			  uint64_t offset, struct error *e)
{
	uint64_t at = 0;
	int r = 0;

	while (r == 0 && at < size) {
		off_t begin = lseek(fd, (off_t)(offset + at), SEEK_DATA), end;
		uint64_t from;

		if (begin < 0 && errno == ENXIO)
			return 0; /* nothing but a hole is left */
		end = begin < 0 ? -1 : lseek(fd, begin, SEEK_HOLE);
		if (end < 0)
			return error_set(e, -errno,
					 "cannot look for holes in the guest's "
					 "memory: %s",
					 strerror(errno));
		/* Of whole pages, also where the file's are larger ones. */
		from = MIN(((uint64_t)begin - offset) & ~(PAGE - 1ull), size);
		at = MIN(ALIGN_UP((uint64_t)end - offset, PAGE), size);
		r = snapshot_write_memory(w, gpa + from,
					  (const uint8_t *)data + from,
					  at - from, e);
	}
	return r;
}

int snapshot_write_tags(struct snapshot_writer *w, uint64_t gpa,
			const uint8_t *tags, uint64_t size, struct error *e)
{
	return write_runs(w, gpa, tags, size, SNAPSHOT_TAGS_UNIT,
			  SNAPSHOT_GRANULE, SNAPSHOT_TAGS, e);
}

int snapshot_write_end(struct snapshot_writer *w, struct error *e)
{
	const struct snapshot_section s = {
		.type = SNAPSHOT_END,
		.version = 1,
		.address = w->bytes,
		.size = w->sections,
	};

	return write_section(w, &s, "", 0, e);
}
