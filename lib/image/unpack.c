#include "lib/image/unpack.h"

#include <zlib.h>
#include <zstd.h>

#include "lib/base/fd.h"

#define INPUT_BYTES KIB(64)
/* zlib: the largest window, and a gzip header around it. */
#define GZIP_WINDOW_BITS (15 + 16)

/* The input piece by piece, the output as it fills. */
struct stream {
	int fd;
	uint64_t offset, left;
	uint8_t *in;
	size_t in_size; /* of which in_at were used */
	size_t in_at;
	uint8_t *out;
	size_t room, size;
	bool ended;
};

enum unpack_format unpack_format_of(const void *head, size_t size)
{
	static const uint8_t gzip[] = {0x1f, 0x8b};
	static const uint8_t zstd[] = {0x28, 0xb5, 0x2f, 0xfd};

	if (size < 4)
		return UNPACK_PLAIN;
	if (memcmp(head, gzip, sizeof(gzip)) == 0)
		return UNPACK_GZIP;
	return memcmp(head, zstd, sizeof(zstd)) == 0 ? UNPACK_ZSTD
						     : UNPACK_PLAIN;
}

/* More input when all was used; in_size is 0 at its end. */
static int refill(struct stream *s, struct error *e)
{
	size_t wanted = MIN(s->left, INPUT_BYTES);
	ssize_t n;

	if (s->in_at < s->in_size)
		return 0;
	do
		n = pread(s->fd, s->in, wanted, (off_t)s->offset);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return error_set(e, -errno, "cannot be read: %s",
				 strerror(errno));
	s->in_at = 0;
	s->in_size = (size_t)n;
	s->offset += (size_t)n;
	s->left -= (size_t)n;
	return 0;
}

static int step_gzip(void *state, struct stream *s, struct error *e)
{
	z_stream *z = state;
	/* zlib counts in 32 bits. */
	size_t room = MIN(s->room - s->size, MIB(64));
	int r;

	z->next_in = s->in + s->in_at;
	z->avail_in = (uInt)(s->in_size - s->in_at);
	z->next_out = s->out + s->size;
	z->avail_out = (uInt)room;
	r = inflate(z, Z_NO_FLUSH);
	s->in_at = s->in_size - z->avail_in;
	s->size += room - z->avail_out;
	s->ended = r == Z_STREAM_END;
	if (r == Z_MEM_ERROR)
		return error_set(e, -ENOMEM, "cannot be unpacked: no memory");
	if (r != Z_OK && r != Z_STREAM_END && r != Z_BUF_ERROR)
		return error_set(e, -EBADMSG, "is damaged: its gzip data: %s",
				 z->msg ? z->msg : "ends within itself");
	return 0;
}

static int step_zstd(void *state, struct stream *s, struct error *e)
{
	ZSTD_inBuffer in = {s->in, s->in_size, s->in_at};
	ZSTD_outBuffer out = {s->out, s->room, s->size};
	size_t r = ZSTD_decompressStream(state, &out, &in);

	s->in_at = in.pos;
	s->size = out.pos;
	s->ended = r == 0;
	if (ZSTD_isError(r))
		return error_set(e, -EBADMSG, "is damaged: its zstd data: %s",
				 ZSTD_getErrorName(r));
	return 0;
}

static int run(struct stream *s, void *state,
	       int (*step)(void *state, struct stream *s, struct error *e),
	       struct error *e)
{
	int r = 0;

	while (!r && !s->ended && s->size < s->room) {
		size_t before = s->size;

		r = refill(s, e);
		if (!r)
			r = step(state, s, e);
		if (!r && !s->ended && s->in_size == 0 && s->size == before)
			r = error_set(e, -EBADMSG, "ends too early");
	}
	return r;
}

/* Straight to where it goes; one that fills the room to its end is whole. */
static int run_plain(struct stream *s, struct error *e)
{
	uint64_t left = s->left;
	ssize_t n = 1;

	while (n != 0 && left > 0 && s->size < s->room) {
		n = pread(s->fd, s->out + s->size, MIN(left, s->room - s->size),
			  (off_t)(s->offset + s->size));
		if (n < 0 && errno != EINTR)
			return error_set(e, -errno, "cannot be read: %s",
					 strerror(errno));
		if (n > 0) {
			s->size += (size_t)n;
			left -= (size_t)n;
		}
	}
	s->ended = n == 0 || left == 0;
	return 0;
}

static int run_gzip(struct stream *s, struct error *e)
{
	z_stream z = {0};
	int r;

	if (inflateInit2(&z, GZIP_WINDOW_BITS) != Z_OK)
		return error_set(e, -ENOMEM, "cannot be unpacked: no memory");
	r = run(s, &z, step_gzip, e);
	inflateEnd(&z);
	return r;
}

static int run_zstd(struct stream *s, struct error *e)
{
	ZSTD_DStream *z = ZSTD_createDStream();
	int r;

	if (!z)
		return error_set(e, -ENOMEM, "cannot be unpacked: no memory");
	r = run(s, z, step_zstd, e);
	ZSTD_freeDStream(z);
	return r;
}

int unpack_file(int fd, uint64_t offset, uint64_t length,
		enum unpack_format format, void *out, size_t room,
		size_t *ret_size, bool *ret_whole, struct error *e)
{
	_cleanup_free_ uint8_t *in = malloc(INPUT_BYTES);
	struct stream s = {
		.fd = fd,
		.offset = offset,
		.left = length,
		.in = in,
		.out = out,
		.room = room,
	};
	int r;

	if (!in)
		return error_set(e, -ENOMEM, "cannot be unpacked: no memory");
	if (format == UNPACK_GZIP)
		r = run_gzip(&s, e);
	else if (format == UNPACK_ZSTD)
		r = run_zstd(&s, e);
	else
		r = run_plain(&s, e);
	if (r)
		return r;
	*ret_size = s.size;
	*ret_whole = s.ended;
	return 0;
}
