/*
 * The file a running VM is saved to, format version 1. Every number is little
 * endian.
 *
 *   header    { magic "ARMVMSNP", u32 format, u32 header bytes (64),
 *               u64 when (ms, Unix time), id[16], zeroes, u32 CRC-32 of all
 *               before it }
 *   sections  { u32 magic "SECT", u16 type, u16 flags, u32 version,
 *               u32 CRC-32 of the payload, u64 length of the payload,
 *               u64 address, u64 size, u32 CRC-32 of all before it, zeroes:
 *               48 bytes } payload
 *
 *   META, DEFINITION, VARIABLES   once each, in this order
 *   MACHINE                       once: backend's state (lib/snapshot/state.h)
 *   MEMORY*                       `size` bytes of guest memory at `address`,
 *                                 or, with the flag, their tags (MTE): a byte
 *                                 for each 16; what no section names is zero
 *   END                           `address`: bytes from MACHINE up to here;
 *                                 `size`: sections before it, likewise counted
 *
 * The first three are the daemon's own, the rest is a supervisor's, which the
 * daemon writes down as it comes: it reads nothing behind VARIABLES, and the
 * part of it that a guest could have had changed is read in a supervisor again.
 *
 * A reader trusts nothing: lengths are bounded by type and by the file, sums
 * are checked before anything is used, sections come in this order. A later
 * format has another number; new types are a new format, too.
 *
 * Thread: no state but the structures'.
 */
#ifndef LIB_SNAPSHOT_SNAPSHOT_H
#define LIB_SNAPSHOT_SNAPSHOT_H

#include <stdbool.h>

#include "lib/base/buf.h"
#include "lib/base/error.h"

#define SNAPSHOT_FORMAT	      1
#define SNAPSHOT_HEADER_BYTES 64
#define SNAPSHOT_ID_BYTES     16
/* Of guest memory in one section. */
#define SNAPSHOT_RUN_MAX MIB(1)

enum snapshot_type {
	SNAPSHOT_META = 1,   /* JSON: see daemon/snapshot_lead.h */
	SNAPSHOT_DEFINITION, /* JSON: lib/model/vm_config.h */
	SNAPSHOT_VARIABLES,  /* rows and flash image: daemon/snapshot_vars.c */
	SNAPSHOT_MACHINE,
	SNAPSHOT_MEMORY,
	SNAPSHOT_END,
	SNAPSHOT_TYPES
};

/* Flags of MEMORY. */
enum {
	SNAPSHOT_ZSTD = 1, /* the payload is one frame */
	SNAPSHOT_TAGS = 2, /* of the memory there, not its content */
};

/* Bytes of memory that have one tag, in a byte of its own here. */
#define SNAPSHOT_GRANULE 16
/* Tags begin and, but for the end of memory, end at a multiple of this, which
 * is one of every host's page. */
#define SNAPSHOT_TAGS_UNIT KIB(64)

struct snapshot_header {
	uint64_t created_ms;
	uint8_t id[SNAPSHOT_ID_BYTES]; /* random; tells files apart */
};

struct snapshot_section {
	enum snapshot_type type;
	uint16_t flags;
	uint32_t version;
	uint64_t length, address, size;
	uint32_t payload_crc;
	uint64_t at; /* of the payload, in the file */
};

/* Appended to `out`: -ENOMEM. Of a section type, flags, version, address and
 * size are used. */
int snapshot_put_header(struct buf *out,
			const struct snapshot_header *header) must_check;
int snapshot_put_section(struct buf *out, const struct snapshot_section *s,
			 const void *payload, size_t length) must_check;

/* A supervisor's part, to a descriptor that takes it all: a file or a blocking
 * stream socket. */
struct snapshot_writer {
	int fd; /* borrowed */
	bool compress;
	uint64_t bytes, sections;
	void *packed; /* room for one run */
	size_t packed_size;
};

int snapshot_writer_init(struct snapshot_writer *w, int fd, bool compress,
			 struct error *e) must_check;
void snapshot_writer_done(struct snapshot_writer *w);
int snapshot_write_machine(struct snapshot_writer *w, const void *state,
			   size_t size, struct error *e) must_check;
/* Those of `size` bytes of memory that are not zero, in pages of 4 KiB; `size`
 * is a multiple of that. */
int snapshot_write_memory(struct snapshot_writer *w, uint64_t gpa,
			  const void *data, uint64_t size,
			  struct error *e) must_check;
/* The same, of a mapping of the file `fd` from `offset` on: holes of it stay
 * holes, which reading the mapping would fill. */
int snapshot_write_mapped(struct snapshot_writer *w, uint64_t gpa,
			  const void *data, uint64_t size, int fd,
			  uint64_t offset, struct error *e) must_check;
/* The tags of `size` bytes of memory at `gpa`, a multiple of SNAPSHOT_TAGS_UNIT
 * that only the last piece of memory may end short of; those not zero. */
int snapshot_write_tags(struct snapshot_writer *w, uint64_t gpa,
			const uint8_t *tags, uint64_t size,
			struct error *e) must_check;
int snapshot_write_end(struct snapshot_writer *w, struct error *e) must_check;

bool snapshot_is_zero(const void *data, size_t size);

/* A CRC-32 as the file has it, as fast as memory can be read. */
uint32_t snapshot_sum(const void *data, size_t size);

struct snapshot_reader {
	int fd; /* borrowed */
	uint64_t size, at;
	enum snapshot_type last;  /* 0: none was read yet */
	uint64_t bytes, sections; /* from MACHINE on */
	void *packed;		  /* room for one run */
};

/* -EBADMSG when it is no such file, -EOPNOTSUPP when it is one of a format
 * that is not known here. */
int snapshot_reader_init(struct snapshot_reader *r, int fd,
			 struct snapshot_header *ret,
			 struct error *e) must_check;
void snapshot_reader_done(struct snapshot_reader *r);
#define _cleanup_snapshot_reader_ _cleanup_(snapshot_reader_done)

/*
 * The next section's header; its payload is skipped by asking for the next.
 * The order above is kept, or -EBADMSG. After END only the end of the file may
 * come, which is checked with it.
 */
int snapshot_next(struct snapshot_reader *r, struct snapshot_section *ret,
		  struct error *e) must_check;
/* The same, which has to be of this type. */
int snapshot_expect(struct snapshot_reader *r, enum snapshot_type type,
		    struct snapshot_section *ret, struct error *e) must_check;
/* Its payload, whole and of the right sum; owned by the caller, never NULL, a
 * NUL behind it. */
int snapshot_payload(struct snapshot_reader *r,
		     const struct snapshot_section *s, void **ret,
		     struct error *e) must_check;
/* Of MEMORY, unpacked: s->size bytes, or their tags, a SNAPSHOT_GRANULE'th of
 * that. On failure `out` holds anything. */
int snapshot_run(struct snapshot_reader *r, const struct snapshot_section *s,
		 void *out, struct error *e) must_check;

#endif
