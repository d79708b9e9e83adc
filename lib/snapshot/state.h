/*
 * The state of one part of a machine as bytes: what a device, a vCPU or the
 * interrupt controller needs to go on where it stood.
 *
 * A record is { u8 length of its name, the name, u16 version, u32 length, the
 * fields }, records may hold records; every number is little endian. A writer
 * remembers its failure (no memory) until it is asked; a reader that runs over
 * the end of its record reads zeroes from then on and says so when it is
 * closed. So a part reads all its fields, judges them as it would judge what a
 * hostile guest writes, and changes itself only then: a snapshot file is
 * whatever somebody made it.
 *
 * Thread: no state but the structures'.
 */
#ifndef LIB_SNAPSHOT_STATE_H
#define LIB_SNAPSHOT_STATE_H

#include <stdbool.h>

#include "lib/base/buf.h"
#include "lib/base/error.h"

#define STATE_NAME_MAX 32

struct state_out {
	struct buf buf;
	bool failed; /* out of memory, or a record of 4 GiB */
};

void state_out_done(struct state_out *o);
#define _cleanup_state_out_ _cleanup_(state_out_done)

void state_put(struct state_out *o, const void *data, size_t size);
void state_put_u8(struct state_out *o, uint8_t value);
void state_put_u16(struct state_out *o, uint16_t value);
void state_put_u32(struct state_out *o, uint32_t value);
void state_put_u64(struct state_out *o, uint64_t value);
/* A record begins; what is returned is for its end. */
size_t state_begin(struct state_out *o, const char *name, uint16_t version);
void state_end(struct state_out *o, size_t began);

struct state_in {
	char name[STATE_NAME_MAX + 1]; /* for errors */
	uint16_t version;
	const uint8_t *at, *end;
	bool failed;
};

/* The whole; `data` is borrowed while it is read. */
struct state_in state_in(const void *data, size_t size);

/* Zeroes past the end. */
void state_get(struct state_in *in, void *out, size_t size);
uint8_t state_get_u8(struct state_in *in);
uint16_t state_get_u16(struct state_in *in);
uint32_t state_get_u32(struct state_in *in);
uint64_t state_get_u64(struct state_in *in);
bool state_get_bool(struct state_in *in);
size_t state_left(const struct state_in *in);

/*
 * The next record has to be `name`, of a version from 1 to version_max. Its
 * fields are then read from *ret, and state_close() says whether they were all
 * there and nothing else. -EBADMSG names the record.
 */
int state_open(struct state_in *in, const char *name, uint16_t version_max,
	       struct state_in *ret, struct error *e) must_check;
int state_close(const struct state_in *in, struct error *e) must_check;
/* -EBADMSG: a field of this record is not what it can be. */
int state_bad(const struct state_in *in, struct error *e, const char *what);

#endif
