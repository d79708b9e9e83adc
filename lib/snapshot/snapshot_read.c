#include <sys/stat.h>
#include <zlib.h>
#include <zstd.h>

#include "lib/base/fd.h"
#include "lib/snapshot/snapshot_internal.h"

/* What may follow what, and how long a payload may be. */
static const struct {
	const char *name;
	unsigned after; /* 1 << type; bit 0: the header */
	uint64_t length_max;
} rules[SNAPSHOT_TYPES] = {
	[SNAPSHOT_META] = {"META", 1u << 0, MIB(1)},
	[SNAPSHOT_DEFINITION] = {"DEFINITION", 1u << SNAPSHOT_META, MIB(1)},
	[SNAPSHOT_VARIABLES] = {"VARIABLES", 1u << SNAPSHOT_DEFINITION, MIB(8)},
	[SNAPSHOT_MACHINE] = {"MACHINE", 1u << SNAPSHOT_VARIABLES, MIB(64)},
	[SNAPSHOT_MEMORY] = {"MEMORY",
			     1u << SNAPSHOT_MACHINE | 1u << SNAPSHOT_MEMORY,
			     SNAPSHOT_RUN_MAX},
	[SNAPSHOT_END] = {"END", 1u << SNAPSHOT_MACHINE | 1u << SNAPSHOT_MEMORY,
			  0},
};

static int read_at(struct snapshot_reader *r, uint64_t at, void *out,
		   size_t size, struct error *e)
{
	int err = fd_pread_full(r->fd, out, size, (off_t)at);

	if (err == -ENODATA)
		return error_set(e, -EBADMSG, "the snapshot is cut short");
	return err ? error_set(e, err, "the snapshot cannot be read: %s",
			       strerror(-err))
		   : 0;
}

static int read_header(struct snapshot_reader *r, struct snapshot_header *ret,
		       struct error *e)
{
	struct header_bytes b = {0};
	int err = 0;

	if (r->size >= sizeof(b))
		err = read_at(r, 0, &b, sizeof(b), e);
	if (err)
		return err;
	if (memcmp(b.magic, HEADER_MAGIC, sizeof(b.magic)) != 0)
		return error_set(e, -EBADMSG,
				 "this is no snapshot of armvmd's");
	if (le32toh(b.format) != SNAPSHOT_FORMAT)
		return error_set(e, -EOPNOTSUPP,
				 "the snapshot has format %u; this armvmd "
				 "reads format %d",
				 le32toh(b.format), SNAPSHOT_FORMAT);
	if (le32toh(b.crc) !=
		    snapshot_sum(&b, offsetof(struct header_bytes, crc)) ||
	    le32toh(b.size) != sizeof(b))
		return error_set(e, -EBADMSG,
				 "the snapshot is damaged: its header");
	ret->created_ms = le64toh(b.created_ms);
	memcpy(ret->id, b.id, sizeof(ret->id));
	return 0;
}

int snapshot_reader_init(struct snapshot_reader *r, int fd,
			 struct snapshot_header *ret, struct error *e)
{
	struct stat st;

	*r = (struct snapshot_reader){.fd = fd, .at = SNAPSHOT_HEADER_BYTES};
	if (fstat(fd, &st))
		return error_set(e, -errno, "the snapshot cannot be read: %s",
				 strerror(errno));
	if (!S_ISREG(st.st_mode))
		return error_set(e, -EBADMSG,
				 "the snapshot is not a regular file");
	r->size = (uint64_t)st.st_size;
	return read_header(r, ret, e);
}

void snapshot_reader_done(struct snapshot_reader *r)
{
	free(r->packed);
	r->packed = NULL;
}

static int damaged(const struct snapshot_reader *r, struct error *e,
		   const char *what)
{
	return error_set(e, -EBADMSG,
			 "the snapshot is damaged: at byte %llu %s",
			 (unsigned long long)r->at, what);
}

static int check_type(const struct snapshot_reader *r, unsigned type,
		      struct error *e)
{
	if (type == 0 || type >= SNAPSHOT_TYPES)
		return damaged(r, e, "there is an unknown section");
	if (!(rules[type].after & 1u << r->last))
		return damaged(r, e, "there is a section out of order");
	return 0;
}

static uint64_t unpacked_bytes(const struct snapshot_section *s)
{
	return s->flags & SNAPSHOT_TAGS ? s->size / SNAPSHOT_GRANULE : s->size;
}

/* After the sum: what only a liar gets wrong. */
static int check_section(const struct snapshot_reader *r,
			 const struct snapshot_section *s, struct error *e)
{
	uint64_t end;

	if (s->version != 1)
		return error_set(e, -EOPNOTSUPP,
				 "the snapshot's %s has version %u; this "
				 "armvmd reads version 1",
				 rules[s->type].name, s->version);
	if (s->length > rules[s->type].length_max ||
	    s->length > r->size - s->at)
		return damaged(r, e, "a section is longer than it can be");
	if (s->flags &
	    ~(s->type == SNAPSHOT_MEMORY ? SNAPSHOT_ZSTD | SNAPSHOT_TAGS : 0u))
		return damaged(r, e, "a section has unknown flags");
	if (s->type == SNAPSHOT_MEMORY &&
	    (s->size == 0 || s->size > SNAPSHOT_RUN_MAX ||
	     s->size % SNAPSHOT_GRANULE ||
	     __builtin_add_overflow(s->address, s->size, &end) ||
	     (!(s->flags & SNAPSHOT_ZSTD) && unpacked_bytes(s) != s->length)))
		return damaged(r, e, "a piece of memory has no possible size");
	if (s->type == SNAPSHOT_END &&
	    (s->address != r->bytes || s->size != r->sections ||
	     s->at != r->size))
		return damaged(r, e, "the end does not fit what was before it");
	return 0;
}

int snapshot_next(struct snapshot_reader *r, struct snapshot_section *ret,
		  struct error *e)
{
	struct section_bytes b;
	struct snapshot_section s;
	int err;

	if (r->size - r->at < sizeof(b))
		return error_set(e, -EBADMSG, "the snapshot is cut short");
	err = read_at(r, r->at, &b, sizeof(b), e);
	if (err)
		return err;
	if (le32toh(b.magic) != SECTION_MAGIC || b.zero ||
	    le32toh(b.crc) !=
		    snapshot_sum(&b, offsetof(struct section_bytes, crc)))
		return damaged(r, e, "a section should begin");
	err = check_type(r, le16toh(b.type), e);
	if (err)
		return err;
	s = (struct snapshot_section){
		.type = (enum snapshot_type)le16toh(b.type),
		.flags = le16toh(b.flags),
		.version = le32toh(b.version),
		.length = le64toh(b.length),
		.address = le64toh(b.address),
		.size = le64toh(b.size),
		.payload_crc = le32toh(b.payload_crc),
		.at = r->at + sizeof(b),
	};
	err = check_section(r, &s, e);
	if (err)
		return err;
	r->last = s.type;
	r->at = s.at + s.length;
	if (s.type >= SNAPSHOT_MACHINE) {
		r->bytes += sizeof(b) + s.length;
		r->sections++;
	}
	*ret = s;
	return 0;
}

int snapshot_expect(struct snapshot_reader *r, enum snapshot_type type,
		    struct snapshot_section *ret, struct error *e)
{
	int err = snapshot_next(r, ret, e);

	if (!err && ret->type != type)
		return error_set(e, -EBADMSG,
				 "the snapshot is damaged: it has no %s",
				 rules[type].name);
	return err;
}

static int read_payload(struct snapshot_reader *r,
			const struct snapshot_section *s, void *out,
			struct error *e)
{
	int err = read_at(r, s->at, out, s->length, e);

	if (err || snapshot_sum(out, s->length) == s->payload_crc)
		return err;
	return error_set(e, -EBADMSG,
			 "the snapshot is damaged: the sum of %s at byte %llu "
			 "is wrong",
			 rules[s->type].name, (unsigned long long)s->at);
}

int snapshot_payload(struct snapshot_reader *r,
		     const struct snapshot_section *s, void **ret,
		     struct error *e)
{
	_cleanup_free_ uint8_t *data = malloc(s->length + 1);
	int err;

	if (!data)
		return error_set(e, -ENOMEM, "out of memory");
	err = read_payload(r, s, data, e);
	if (err)
		return err;
	data[s->length] = '\0';
	*ret = TAKE_PTR(data);
	return 0;
}

int snapshot_run(struct snapshot_reader *r, const struct snapshot_section *s,
		 void *out, struct error *e)
{
	size_t n;
	int err;

	if (!(s->flags & SNAPSHOT_ZSTD))
		return read_payload(r, s, out, e);
	if (!r->packed)
		r->packed = malloc(SNAPSHOT_RUN_MAX);
	if (!r->packed)
		return error_set(e, -ENOMEM, "out of memory");
	err = read_payload(r, s, r->packed, e);
	if (err)
		return err;
	n = ZSTD_decompress(out, unpacked_bytes(s), r->packed, s->length);
	if (ZSTD_isError(n) || n != unpacked_bytes(s))
		return error_set(e, -EBADMSG,
				 "the snapshot is damaged: memory at byte %llu "
				 "cannot be unpacked",
				 (unsigned long long)s->at);
	return 0;
}
