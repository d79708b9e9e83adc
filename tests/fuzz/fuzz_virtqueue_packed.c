/*
 * A packed queue alone: wrap counters that lie, chains longer than the ring or
 * linked round for ever, tables within tables, descriptors that are not the
 * driver's own, any order of handing back. What is popped lies in memory and
 * adds up, no more is out than the ring has, the ring is only written to by
 * what is published, and a broken queue stays untouched.
 *
 * Input: steps of 1 byte and operands, see run().
 */
#include "tests/fuzz/fuzz_chain.h"

#define SIZE_MAX_OFFERED 32
#define DRIVER_GPA	 (FUZZ_LOW_GPA + 0x400)
#define DEVICE_GPA	 (FUZZ_LOW_GPA + 0x600)
#define AVAIL		 0x80u
#define USED		 0x8000u

struct fixture {
	struct fuzz_ram ram;
	struct virtqueue q;
	struct virtq_chain chain;
	uint16_t out[SIZE_MAX_OFFERED], counts[SIZE_MAX_OFFERED]; /* heads */
	unsigned n_out, descriptors;
	uint16_t next; /* where a driver that obeys writes */
	bool wrap;
};

static unsigned moved(const struct fixture *f,
		      const struct virtqueue_position *from,
		      const struct virtqueue_position *to)
{
	unsigned size = f->q.size;

	return (to->avail + (to->avail_wrap ? 0 : size) + 2 * size -
		from->avail - (from->avail_wrap ? 0 : size)) %
	       (2 * size);
}

static void pop(struct fixture *f)
{
	static uint8_t was[FUZZ_LOW_BYTES];
	struct virtqueue_position from, to;
	int r;

	if (!f->q.ready || f->q.broken) {
		fuzz_check(virtqueue_pop(&f->q, &f->chain) == -ESHUTDOWN);
		return;
	}
	virtqueue_position(&f->q, &from);
	memcpy(was, FUZZ_LOW, sizeof(was));
	r = virtqueue_pop(&f->q, &f->chain);
	fuzz_check((r < 0) == f->q.broken);
	/* Nothing is written but what the device wants to hear of. */
	for (size_t i = 0; i < FUZZ_LOW_BYTES; i++)
		if (was[i] != FUZZ_LOW[i])
			fuzz_check(FUZZ_LOW_GPA + i >= f->q.used_gpa &&
				   FUZZ_LOW_GPA + i < f->q.used_gpa + 4);
	if (r <= 0)
		return;
	check_chain(&f->chain);
	virtqueue_position(&f->q, &to);
	f->out[f->n_out] = f->chain.head;
	f->counts[f->n_out] = (uint16_t)moved(f, &from, &to);
	fuzz_check(f->counts[f->n_out] >= 1);
	f->descriptors += f->counts[f->n_out++];
	fuzz_check(f->descriptors <= f->q.size);
}

/* Any of those that are out, alone or some together. */
static void push(struct fixture *f, uint8_t how)
{
	unsigned n = MIN(1 + (how >> 6), f->n_out);

	if (!f->q.ready || f->q.broken || n == 0)
		return;
	for (unsigned i = 0; i < n; i++) {
		unsigned which = how % f->n_out;

		virtqueue_fill(&f->q, f->out[which], how, i);
		f->descriptors -= f->counts[which];
		f->n_out--;
		f->out[which] = f->out[f->n_out];
		f->counts[which] = f->counts[f->n_out];
	}
	virtqueue_publish(&f->q, n);
	virtqueue_should_notify(&f->q);
}

static void unpop(struct fixture *f)
{
	/* Only the last one taken, and only if it was not moved about. */
	if (!f->q.ready || f->q.broken || f->n_out == 0 ||
	    f->out[f->n_out - 1] != f->chain.head)
		return;
	virtqueue_unpop(&f->q, 1);
	f->descriptors -= f->counts[--f->n_out];
	f->chain.head = UINT16_MAX;
}

static void check_broken(struct fixture *f)
{
	static uint8_t was[FUZZ_LOW_BYTES + FUZZ_HIGH_BYTES];

	if (!f->q.broken)
		return;
	memcpy(was, FUZZ_LOW, FUZZ_LOW_BYTES);
	memcpy(was + FUZZ_LOW_BYTES, FUZZ_HIGH, FUZZ_HIGH_BYTES);
	virtqueue_push(&f->q, 0, 1);
	fuzz_check(!virtqueue_should_notify(&f->q));
	fuzz_check(virtqueue_pop(&f->q, &f->chain) == -ESHUTDOWN);
	fuzz_check(memcmp(was, FUZZ_LOW, FUZZ_LOW_BYTES) == 0 &&
		   memcmp(was + FUZZ_LOW_BYTES, FUZZ_HIGH, FUZZ_HIGH_BYTES) ==
			   0);
}

static void enable(struct fixture *f, struct fuzz_input *in)
{
	uint8_t how = fuzz_u8(in);

	virtqueue_reset(&f->q);
	f->n_out = f->descriptors = f->next = 0;
	f->wrap = true;
	f->chain.head = UINT16_MAX;
	f->q.size = how & 16 ? fuzz_u16(in) : 1 + (how & 15) * 2;
	f->q.packed = true;
	f->q.event_index = how & 32;
	f->q.indirect = how & 64;
	f->q.desc_gpa = FUZZ_LOW_GPA;
	f->q.avail_gpa = DRIVER_GPA;
	f->q.used_gpa = DEVICE_GPA;
	if (how & 128) {
		f->q.desc_gpa = fuzz_address(in);
		f->q.avail_gpa = fuzz_address(in);
		f->q.used_gpa = fuzz_address(in);
	}
	fuzz_check((virtqueue_enable(&f->q) == 0) ==
		   (f->q.ready && !f->q.broken));
	fuzz_check(!f->q.ready || f->q.size <= SIZE_MAX_OFFERED);
}

/* Where the driver's next one goes, with the bits it should have, or not. */
static void descriptor(struct fixture *f, struct fuzz_input *in, uint8_t step)
{
	uint8_t how = fuzz_u8(in);
	struct {
		uint64_t address;
		uint32_t length;
		uint16_t id, flags;
	} d = {.address = fuzz_address(in),
	       .length = how & 16 ? fuzz_u32(in) : how,
	       .id = fuzz_u8(in),
	       .flags = how & 7};

	if (!f->q.ready)
		return;
	/* A table, whole or not, or longer than any queue. */
	if (d.flags & VIRTQ_DESC_INDIRECT)
		d.length = (how >> 4) == 15 ? FUZZ_HIGH_BYTES
					    : 16u * (how >> 4) + (how >> 7);
	d.flags |= f->wrap ? AVAIL : USED;
	if ((step & 0xe0) == 0xe0)
		d.flags ^= how & 8 ? AVAIL : USED;
	fuzz_poke(&f->ram, f->q.desc_gpa + 16ull * f->next, &d, sizeof(d));
	if (++f->next >= f->q.size) {
		f->next = 0;
		f->wrap = !f->wrap;
	}
}

static void memory(struct fixture *f, struct fuzz_input *in)
{
	uint64_t at = fuzz_address(in);
	size_t n;
	const uint8_t *bytes = fuzz_bytes(in, 16, &n);

	fuzz_poke(&f->ram, at, bytes, n);
}

static void run(struct fixture *f, struct fuzz_input *in)
{
	while (fuzz_more(in)) {
		uint8_t step = fuzz_u8(in);
		uint32_t wish;

		switch (step & 7) {
		case 0:
			enable(f, in);
			break;
		case 1:
		case 2:
			descriptor(f, in, step);
			break;
		case 3:
		case 4:
			pop(f);
			break;
		case 5:
			push(f, step);
			break;
		case 6:
			if (step & 8)
				unpop(f);
			wish = fuzz_u32(in);
			fuzz_poke(&f->ram, DRIVER_GPA, &wish, sizeof(wish));
			break;
		default:
			memory(f, in);
			break;
		}
		check_broken(f);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = fuzz_begin(data, size);
	struct fixture f = {0};

	fuzz_ram_init(&f.ram);
	virtqueue_init(&f.q, &f.ram.mem, SIZE_MAX_OFFERED);
	run(&f, &in);
	virtqueue_reset(&f.q);
	fuzz_ram_done(&f.ram);
	return 0;
}
