#include "lib/snapshot/state.h"

#include <endian.h>
#include <stdio.h>

void state_out_done(struct state_out *o)
{
	buf_done(&o->buf);
}

void state_put(struct state_out *o, const void *data, size_t size)
{
	if (!o->failed && buf_append(&o->buf, data, size) < 0)
		o->failed = true;
}

void state_put_u8(struct state_out *o, uint8_t value)
{
	state_put(o, &value, sizeof(value));
}

void state_put_u16(struct state_out *o, uint16_t value)
{
	value = htole16(value);
	state_put(o, &value, sizeof(value));
}

void state_put_u32(struct state_out *o, uint32_t value)
{
	value = htole32(value);
	state_put(o, &value, sizeof(value));
}

void state_put_u64(struct state_out *o, uint64_t value)
{
	value = htole64(value);
	state_put(o, &value, sizeof(value));
}

size_t state_begin(struct state_out *o, const char *name, uint16_t version)
{
	size_t length = strnlen(name, STATE_NAME_MAX);

	state_put_u8(o, (uint8_t)length);
	state_put(o, name, length);
	state_put_u16(o, version);
	state_put_u32(o, 0);
	return o->buf.size;
}

void state_end(struct state_out *o, size_t began)
{
	uint32_t length;

	if (o->failed)
		return;
	if (o->buf.size - began > UINT32_MAX) {
		o->failed = true;
		return;
	}
	length = htole32((uint32_t)(o->buf.size - began));
	memcpy(o->buf.data + began - sizeof(length), &length, sizeof(length));
}

struct state_in state_in(const void *data, size_t size)
{
	return (struct state_in){
		.name = "machine",
		.at = data,
		.end = size ? (const uint8_t *)data + size : data,
	};
}

size_t state_left(const struct state_in *in)
{
	return (size_t)(in->end - in->at);
}

void state_get(struct state_in *in, void *out, size_t size)
{
	if (in->failed || state_left(in) < size) {
		in->failed = true;
		memset(out, 0, size);
		return;
	}
	if (size)
		memcpy(out, in->at, size);
	in->at += size;
}

uint8_t state_get_u8(struct state_in *in)
{
	uint8_t value;

	state_get(in, &value, sizeof(value));
	return value;
}

uint16_t state_get_u16(struct state_in *in)
{
	uint16_t value;

	state_get(in, &value, sizeof(value));
	return le16toh(value);
}

uint32_t state_get_u32(struct state_in *in)
{
	uint32_t value;

	state_get(in, &value, sizeof(value));
	return le32toh(value);
}

uint64_t state_get_u64(struct state_in *in)
{
	uint64_t value;

	state_get(in, &value, sizeof(value));
	return le64toh(value);
}

bool state_get_bool(struct state_in *in)
{
	return state_get_u8(in) & 1;
}

int state_bad(const struct state_in *in, struct error *e, const char *what)
{
	return error_set(e, -EBADMSG, "the recorded state of %s %s", in->name,
			 what);
}

int state_open(struct state_in *in, const char *name, uint16_t version_max,
	       struct state_in *ret, struct error *e)
{
	char found[STATE_NAME_MAX + 1] = {0};
	struct state_in r = {0};
	size_t length = state_get_u8(in);
	uint32_t size;

	if (length > STATE_NAME_MAX)
		in->failed = true;
	else
		state_get(in, found, length);
	snprintf(r.name, sizeof(r.name), "%s", name);
	r.version = state_get_u16(in);
	size = state_get_u32(in);
	if (in->failed || state_left(in) < size)
		return error_set(e, -EBADMSG,
				 "the recorded state ends before that of %s",
				 name);
	if (!streq(found, name))
		return error_set(e, -EBADMSG,
				 "the recorded state has something else where "
				 "that of %s should be: the machine was built "
				 "of other parts",
				 name);
	if (r.version < 1 || r.version > version_max)
		return error_set(e, -EOPNOTSUPP,
				 "the recorded state of %s has version %u; "
				 "this armvmd reads 1 to %u",
				 name, r.version, version_max);
	r.at = in->at;
	r.end = in->at + size;
	in->at = r.end;
	*ret = r;
	return 0;
}

int state_close(const struct state_in *in, struct error *e)
{
	if (in->failed)
		return state_bad(in, e, "is too short");
	return in->at == in->end ? 0 : state_bad(in, e, "is too long");
}
