/*
 * A split queue alone: rings anywhere, loops, chains longer than the queue,
 * addresses outside memory, indirect in indirect, jumps of the index. What is
 * popped must lie in memory and add up, and a broken queue stays untouched.
 *
 * Input: steps of 1 byte and operands, see run().
 */
#include "tests/fuzz/fuzz_chain.h"

#define SIZE_MAX_OFFERED 32
#define USED_BYTES	 (6 + 8 * SIZE_MAX_OFFERED)

struct fixture {
	struct fuzz_ram ram;
	struct virtqueue q;
	struct virtq_chain chain;
	unsigned popped; /* and not handed back */
};

static void pop(struct fixture *f)
{
	bool usable = f->q.ready && !f->q.broken;
	int r = virtqueue_pop(&f->q, &f->chain);

	fuzz_check(usable || r == -ESHUTDOWN);
	fuzz_check((r < 0) == (!f->q.ready || f->q.broken));
	if (r <= 0)
		return;
	check_chain(&f->chain);
	f->popped++;
	/* No more than the ring has are ever under way. */
	fuzz_check(f->popped <= f->q.size);
}

static void push(struct fixture *f, uint8_t how)
{
	uint16_t before = f->q.used_index;

	if (f->popped == 0)
		return;
	virtqueue_push(&f->q, f->chain.head, how);
	fuzz_check(f->q.broken || f->q.used_index == (uint16_t)(before + 1));
	f->popped--;
	virtqueue_should_notify(&f->q);
}

/* Whatever is asked of a broken queue, its rings stay as they are. */
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
	f->popped = 0;
	f->q.size = how & 16 ? fuzz_u16(in) : (uint16_t)(1 << (how & 7));
	f->q.event_index = how & 32;
	f->q.indirect = how & 64;
	f->q.desc_gpa = FUZZ_LOW_GPA;
	f->q.avail_gpa = FUZZ_LOW_GPA + 0x400;
	f->q.used_gpa = FUZZ_LOW_GPA + 0x600;
	if (how & 128)
		f->q.desc_gpa = fuzz_address(in);
	if (how & 8) {
		f->q.avail_gpa = fuzz_address(in);
		f->q.used_gpa = fuzz_address(in);
	}
	fuzz_check((virtqueue_enable(&f->q) == 0) ==
		   (f->q.ready && !f->q.broken));
	fuzz_check(!f->q.ready || f->q.size <= SIZE_MAX_OFFERED);
}

static void descriptor(struct fixture *f, struct fuzz_input *in, uint64_t table)
{
	unsigned slot = fuzz_below(in, 64);
	uint8_t how = fuzz_u8(in);
	struct virtq_desc d = {.address = fuzz_address(in),
			       .length = how & 16 ? fuzz_u32(in) : how,
			       .flags = how & 7,
			       .next = how & 8 ? fuzz_u16(in)
					       : (uint16_t)(slot + 1)};

	/* A table again, whole or not, or longer than any queue. */
	if (d.flags & VIRTQ_DESC_INDIRECT)
		d.length = (how >> 4) == 15 ? FUZZ_HIGH_BYTES
					    : 16u * (how >> 4) + (how >> 7);
	fuzz_poke(&f->ram, table + 16ull * slot, &d, sizeof(d));
}

static void offer(struct fixture *f, uint16_t head, uint16_t jump)
{
	uint64_t index_at = f->q.avail_gpa + 2;
	uint16_t index = 0;

	if (!f->q.ready || guest_mem_read(&f->ram.mem, index_at, &index, 2) < 0)
		return;
	fuzz_poke(&f->ram, f->q.avail_gpa + 4 + 2ull * (index % f->q.size),
		  &head, sizeof(head));
	index = (uint16_t)(index + jump);
	fuzz_poke(&f->ram, index_at, &index, sizeof(index));
}

/* An indirect table of up to 512 buffers, each behind the one before. */
static void long_table(struct fixture *f, struct fuzz_input *in)
{
	unsigned n = 1 + fuzz_u16(in) % (FUZZ_HIGH_BYTES / 16);
	struct virtq_desc d = {.address = FUZZ_HIGH_GPA,
			       .length = 16 * n,
			       .flags = VIRTQ_DESC_INDIRECT};

	fuzz_poke(&f->ram, f->q.desc_gpa, &d, sizeof(d));
	for (unsigned i = 0; i < n; i++) {
		d = (struct virtq_desc){FUZZ_LOW_GPA + i, 1, VIRTQ_DESC_NEXT,
					(uint16_t)(i + 1)};
		if (i + 1 == n)
			d.flags = 0;
		fuzz_poke(&f->ram, FUZZ_HIGH_GPA + 16ull * i, &d, sizeof(d));
	}
	offer(f, 0, 1);
}

static void memory(struct fixture *f, struct fuzz_input *in)
{
	uint64_t at = fuzz_address(in);
	size_t n;
	const uint8_t *bytes = fuzz_bytes(in, 8, &n);

	fuzz_poke(&f->ram, at, bytes, n);
}

static void run(struct fixture *f, struct fuzz_input *in)
{
	while (fuzz_more(in)) {
		uint8_t step = fuzz_u8(in);

		switch (step & 7) {
		case 0:
			enable(f, in);
			break;
		case 1:
			descriptor(f, in, FUZZ_LOW_GPA);
			break;
		case 2:
			descriptor(f, in, fuzz_address(in));
			break;
		case 3:
			offer(f, step >> 3, 1);
			break;
		case 4:
			offer(f, fuzz_u16(in), fuzz_u16(in));
			break;
		case 5:
			pop(f);
			break;
		case 6:
			push(f, step);
			break;
		default:
			if (step & 128)
				long_table(f, in);
			else
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
	enable(&f, &in);
	run(&f, &in);
	fuzz_ram_done(&f.ram);
	return 0;
}
