/*
 * virtio balloon behind PCI, and a host that changes its mind. What is given
 * back to the host must be whole pages of the guest's memory, whatever frames
 * or buffers the guest names; nothing is really taken away here.
 *
 * Input: byte 0 bit 0 with doorbells, bit 1 with free page reporting; then
 * fuzz_virtio.h's steps and 12 a target, 13 statistics are asked for, 14 the
 * state is looked at, 15 the driver's "actual".
 */
#include <sys/mman.h>

#include "tests/fuzz/fuzz_virtio.h"
#include "vmm-kvm/devices/virtio_balloon.h"

#define RAM_BYTES (FUZZ_LOW_BYTES + FUZZ_HIGH_BYTES)

static bool inside(const uint8_t *p, size_t size, const uint8_t *from,
		   size_t bytes)
{
	return p >= from && size <= bytes && p - from <= (long)(bytes - size);
}

/* In place of libc's. */
int madvise(void *at, size_t size, int advice)
{
	const uint8_t *p = at;

	fuzz_check(advice == MADV_REMOVE || advice == MADV_DONTNEED);
	fuzz_check(size > 0 && size % FUZZ_PAGE == 0 &&
		   (uintptr_t)p % FUZZ_PAGE == 0);
	fuzz_check(inside(p, size, FUZZ_LOW, FUZZ_LOW_BYTES) ||
		   inside(p, size, FUZZ_HIGH, FUZZ_HIGH_BYTES));
	return 0;
}

static void reached(void *cookie, uint64_t bytes)
{
	fuzz_check(bytes <= RAM_BYTES);
}

static void look(struct virtio_dev *d)
{
	struct virtio_balloon_state s;

	virtio_balloon_state(d, &s);
	fuzz_check(s.target_bytes <= RAM_BYTES && s.actual_bytes <= RAM_BYTES);
	fuzz_check(s.reported_bytes % FUZZ_PAGE == 0);
}

static void run(struct fuzz_virtio *f, struct fuzz_input *in)
{
	while (fuzz_more(in)) {
		uint8_t step = fuzz_u8(in);

		switch (step & 15) {
		case 12:
			virtio_balloon_set_target(f->dev, fuzz_u16(in));
			break;
		case 13:
			fuzz_dma_before();
			virtio_balloon_ask(f->dev);
			fuzz_dma_after(f->dev, true);
			break;
		case 14:
			look(f->dev);
			break;
		case 15: /* device configuration: actual */
			fuzz_reg(f, VIRTIO_PCI_DEVICE_AT + 4, 4, fuzz_u8(in));
			break;
		default:
			fuzz_virtio_step(f, in, step);
			break;
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = fuzz_begin(data, size);
	struct virtio_balloon_params params = {.ram_bytes = RAM_BYTES,
					       .reached = reached};
	struct fuzz_virtio f = {0};
	struct virtio_dev *dev;
	uint8_t shape = fuzz_u8(&in);

	fuzz_machine_init(&f.m);
	fuzz_dma_begin();
	params.mem = &f.m.ram.mem;
	params.reporting = shape & 2;
	fuzz_check(virtio_balloon_new(&params, &dev, NULL) == 0);
	fuzz_virtio_init(&f, dev, shape & 1);
	run(&f, &in);
	look(f.dev);
	fuzz_virtio_done(&f);
	return 0;
}
