/*
 * A virtqueue in a snapshot. A split ring has all of it in guest memory but for
 * how far the device came; of a packed one chains that are out are here alone.
 */
#include "vmm-kvm/devices/virtqueue_internal.h"

/* Where a packed ring has come: the wrap counter is bit 15. */
#define WRAP_BIT 0x8000u

#define NODE_FLAGS (VIRTQ_DESC_NEXT | VIRTQ_DESC_WRITE | VIRTQ_DESC_INDIRECT)

static void save_chain(const struct virtqueue_packed *p, uint16_t head,
		       struct state_out *out)
{
	uint16_t at = head;

	state_put_u16(out, p->heads[head].id);
	state_put_u16(out, p->heads[head].count);
	for (unsigned i = 0; i < p->heads[head].count; i++) {
		const struct virtq_desc *d = &p->nodes[at];

		state_put_u16(out, at);
		state_put_u64(out, d->address);
		state_put_u32(out, d->length);
		state_put_u16(out, d->flags);
		at = d->next;
	}
}

static void save_packed(const struct virtqueue *q, struct state_out *out)
{
	const struct virtqueue_packed *p = q->ring;
	uint16_t n = 0;

	state_put_u16(out, p->avail | (p->avail_wrap ? WRAP_BIT : 0));
	state_put_u16(out, p->used | (p->used_wrap ? WRAP_BIT : 0));
	for (uint16_t i = 0; i < q->size; i++)
		n = (uint16_t)(n + (p->heads[i].count > 0));
	state_put_u16(out, n);
	for (uint16_t i = 0; i < q->size; i++)
		if (p->heads[i].count)
			save_chain(p, i, out);
}

void virtqueue_save(const struct virtqueue *q, struct state_out *out)
{
	size_t began = state_begin(
		out, q->packed ? "packed-queue" : "split-queue", 1);

	state_put_u16(out, q->size);
	state_put_u64(out, q->desc_gpa);
	state_put_u64(out, q->avail_gpa);
	state_put_u64(out, q->used_gpa);
	state_put_u8(out, q->ready);
	state_put_u8(out, q->broken);
	if (q->ring) {
		save_packed(q, out);
	} else if (!q->packed) {
		state_put_u16(out, q->last_avail);
		state_put_u16(out, q->used_index);
		state_put_u16(out, q->signalled);
	}
	state_end(out, began);
}

/* Which nodes a file has named already. */
struct taken {
	bool node[VIRTQUEUE_SIZE_MAX];
	unsigned n;
};

static bool load_chain(struct virtqueue *q, struct state_in *in,
		       struct taken *taken)
{
	struct virtqueue_packed *p = q->ring;
	uint16_t id = state_get_u16(in), count = state_get_u16(in);
	struct virtq_desc *last = NULL;

	if (count == 0 || count > q->size)
		return false;
	for (unsigned i = 0; i < count; i++) {
		uint16_t at = state_get_u16(in);
		struct virtq_desc *d;

		if (in->failed || at >= q->size || taken->node[at])
			return false;
		taken->node[at] = true;
		taken->n++;
		d = &p->nodes[at];
		d->address = state_get_u64(in);
		d->length = state_get_u32(in);
		d->flags = state_get_u16(in) & NODE_FLAGS;
		if (!(d->flags & VIRTQ_DESC_NEXT) != (i + 1 == count))
			return false;
		if (last) {
			last->next = at;
		} else {
			p->heads[at].id = id;
			p->heads[at].count = count;
		}
		last = d;
	}
	return true;
}

/* The others are free. */
static void link_free(struct virtqueue *q, const struct taken *taken)
{
	struct virtqueue_packed *p = q->ring;

	p->n_free = 0;
	for (unsigned i = q->size; i-- > 0;) {
		if (taken->node[i])
			continue;
		p->nodes[i].next = p->n_free ? p->free : (uint16_t)(i + 1);
		p->free = (uint16_t)i;
		p->n_free++;
	}
}

static bool load_packed(struct virtqueue *q, struct state_in *in)
{
	uint16_t avail = state_get_u16(in), used = state_get_u16(in);
	uint16_t n = state_get_u16(in);
	const struct virtqueue_position p = {
		.avail = avail & (WRAP_BIT - 1),
		.used = used & (WRAP_BIT - 1),
		.avail_wrap = avail & WRAP_BIT,
		.used_wrap = used & WRAP_BIT,
	};
	struct taken taken = {0};

	if (virtqueue_packed_set_position(q, &p) < 0)
		return false;
	for (unsigned i = 0; i < n; i++)
		if (!load_chain(q, in, &taken))
			return false;
	link_free(q, &taken);
	return true;
}

static int load_position(struct virtqueue *q, struct state_in *in,
			 struct error *e)
{
	if (!q->packed) {
		q->last_avail = state_get_u16(in);
		q->used_index = state_get_u16(in);
		q->signalled = state_get_u16(in);
	}
	if (q->ready && virtqueue_enable(q) < 0)
		return state_bad(in, e, "has its rings outside of memory");
	if (q->ring && !load_packed(q, in))
		return state_bad(in, e, "has a position outside of its ring");
	return state_close(in, e);
}

int virtqueue_load(struct virtqueue *q, struct state_in *in, struct error *e)
{
	struct virtqueue next = *q;
	bool broken;
	struct state_in r;
	int err = state_open(in, q->packed ? "packed-queue" : "split-queue", 1,
			     &r, e);

	if (err)
		return err;
	next.ring = NULL;
	next.size = state_get_u16(&r);
	next.desc_gpa = state_get_u64(&r);
	next.avail_gpa = state_get_u64(&r);
	next.used_gpa = state_get_u64(&r);
	next.ready = state_get_bool(&r);
	broken = state_get_bool(&r);
	err = load_position(&next, &r, e);
	if (err) {
		virtqueue_packed_done(&next);
		return err;
	}
	next.broken = broken;
	virtqueue_packed_done(q);
	*q = next;
	return 0;
}
