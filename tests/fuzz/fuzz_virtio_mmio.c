/*
 * The MMIO transport with a device of two queues that hands back what it is
 * given: registers in any order and width, queues set up right and wrong,
 * resets. The line must stand while the interrupt status has a bit, doorbells
 * be there only for a live device, and memory be written only where it may.
 *
 * Input: byte 0 bit 0 with doorbells, then steps of 1 byte and operands: 0 the
 * device is brought up, 1-2 a chain, 3 an index jump, 4 a notification and a
 * turn of the loop, 5 bytes into memory, 6 a reset, else an access.
 */
#include <sys/eventfd.h>

#include "tests/fuzz/fuzz_dma.h"
#include "tests/fuzz/fuzz_loop.h"
#include "tests/fuzz/fuzz_shape.h"
#include "vmm-kvm/devices/virtio_mmio_internal.h"

#define BASE   0x0a000000ull
#define QUEUES 2
#define RING   0x400 /* bytes from one queue's rings to the next */

enum {
	REG_DRIVER_FEATURES = 0x20,
	REG_DRIVER_FEATURES_SEL = 0x24,
	REG_QUEUE_SEL = 0x30,
	REG_QUEUE_NUM = 0x38,
	REG_QUEUE_READY = 0x44,
	REG_QUEUE_NOTIFY = 0x50,
	REG_IRQ_STATUS = 0x60,
	REG_STATUS = 0x70,
	REG_QUEUE_DESC = 0x80,
	REG_QUEUE_DRIVER = 0x90,
	REG_QUEUE_DEVICE = 0xa0,
};

struct fixture {
	struct fuzz_ram ram;
	struct bus *bus;
	struct virtio_mmio *v;
	struct virtio_dev dev;
	struct virtq_chain chain;
	struct doorbell_sink doorbells;
	uint8_t config[6];
	bool line, freed;
	int bells[QUEUES]; /* by value; -1: none */
};

static void echo_kick(struct virtio_dev *d, unsigned index)
{
	struct fixture *f = container_of(d, struct fixture, dev);

	for (unsigned n = 0; n < 64 && virtio_pop(d, index, &f->chain); n++) {
		size_t at = f->chain.n_out;

		iov_write(f->chain.iov + at, f->chain.n_in, 0, "echo", 4);
		virtio_push(d, index, f->chain.head, 4);
	}
	virtio_notify(d, index);
}

static void config_write(struct virtio_dev *d, uint64_t offset, unsigned size,
			 uint64_t value)
{
	fuzz_check(offset < VIRTIO_MMIO_SIZE);
}

static void echo_free(struct virtio_dev *d)
{
	container_of(d, struct fixture, dev)->freed = true;
}

static const struct virtio_dev_ops ops = {
	.name = "echo",
	.device_id = 60,
	.kick = echo_kick,
	.config_write = config_write,
	.free = echo_free,
};

static int bell_add(void *cookie, uint64_t gpa, unsigned size, int64_t match,
		    int fd)
{
	struct fixture *f = cookie;

	fuzz_check(gpa == BASE + REG_QUEUE_NOTIFY && size == 4);
	fuzz_check(match >= 0 && match < QUEUES && f->bells[match] < 0);
	f->bells[match] = fd;
	return 0;
}

static void bell_remove(void *cookie, uint64_t gpa, unsigned size,
			int64_t match, int fd)
{
	struct fixture *f = cookie;

	fuzz_check(match >= 0 && match < QUEUES && f->bells[match] == fd);
	f->bells[match] = -1;
}

static void reg(struct fixture *f, uint64_t at, uint64_t value)
{
	fuzz_check(bus_write(f->bus, BASE + at, 4, value));
}

static void reg_address(struct fixture *f, uint64_t at, uint64_t gpa)
{
	reg(f, at, (uint32_t)gpa);
	reg(f, at + 4, gpa >> 32);
}

static void queue_up(struct fixture *f, unsigned i, uint8_t how)
{
	uint64_t ring = FUZZ_LOW_GPA + i * RING;

	reg(f, REG_QUEUE_SEL, i);
	reg(f, REG_QUEUE_NUM, 2u << (how & 3));
	reg_address(f, REG_QUEUE_DESC, ring);
	reg_address(f, REG_QUEUE_DRIVER, ring + 0x200);
	reg_address(f, REG_QUEUE_DEVICE, ring + 0x300);
	reg(f, REG_QUEUE_READY, 1);
}

static void bring_up(struct fixture *f, uint8_t how)
{
	for (unsigned status = 0; status <= 3; status++)
		reg(f, REG_STATUS, status);
	for (unsigned half = 0; half < 2; half++) {
		reg(f, REG_DRIVER_FEATURES_SEL, half);
		reg(f, REG_DRIVER_FEATURES,
		    half || !(how & 4)
			    ? (uint32_t)(f->dev.features_offered >> (32 * half))
			    : 0);
	}
	reg(f, REG_STATUS, 11);
	memset(FUZZ_LOW, 0, QUEUES * RING);
	for (unsigned i = 0; i < QUEUES; i++)
		queue_up(f, i, how);
	reg(f, REG_STATUS, 15);
}

static void offer(struct fixture *f, unsigned queue, uint16_t head,
		  uint16_t jump)
{
	uint8_t *avail = FUZZ_LOW + queue * RING + 0x200;
	uint16_t size = f->dev.queues[queue].size, index;

	memcpy(&index, avail + 2, sizeof(index));
	if (size && size <= 16)
		memcpy(avail + 4 + 2 * (index % size), &head, sizeof(head));
	index = (uint16_t)(index + jump);
	memcpy(avail + 2, &index, sizeof(index));
}

static void chain(struct fixture *f, struct fuzz_input *in, unsigned queue)
{
	unsigned n = 1 + fuzz_below(in, 4);

	for (unsigned i = 0; i < n; i++) {
		uint8_t how = fuzz_u8(in);
		struct virtq_desc d = {fuzz_address(in), how >> 3, how & 7,
				       (uint16_t)(i + 1)};

		if (d.flags & VIRTQ_DESC_INDIRECT)
			d.length *= 16;
		fuzz_poke(&f->ram, FUZZ_LOW_GPA + queue * RING + 16ull * i, &d,
			  sizeof(d));
	}
	offer(f, queue, 0, 1);
}

/* As KVM does it where there is a doorbell, else by the trap. */
static void notify(struct fixture *f, unsigned queue)
{
	if (f->bells[queue] >= 0)
		eventfd_write(f->bells[queue], 1);
	else
		reg(f, REG_QUEUE_NOTIFY, queue);
	fuzz_shape(&f->dev, queue);
	fuzz_dma_before();
	for (int i = 0; i < 3; i++)
		fuzz_turn();
	fuzz_dma_after(&f->dev, true);
}

static void step(struct fixture *f, struct fuzz_input *in, uint8_t what)
{
	unsigned queue = (what >> 4) % QUEUES;
	size_t n;
	uint64_t at;

	switch (what & 7) {
	case 0:
		bring_up(f, fuzz_u8(in));
		break;
	case 1:
	case 2:
		chain(f, in, queue);
		break;
	case 3:
		offer(f, queue, fuzz_u16(in), fuzz_u16(in));
		break;
	case 4:
		notify(f, queue);
		break;
	case 5:
		at = fuzz_address(in);
		fuzz_poke(&f->ram, at, fuzz_bytes(in, 16, &n), n);
		break;
	case 6:
		bus_lock(f->bus);
		virtio_mmio_reset(f->v);
		bus_unlock(f->bus);
		break;
	default:
		fuzz_access(in, f->bus, &f->v->region);
		break;
	}
}

static void check(struct fixture *f)
{
	fuzz_check(f->line ==
		   (fuzz_peek(f->bus, &f->v->region, REG_IRQ_STATUS) != 0));
	for (unsigned i = 0; i < QUEUES; i++) {
		fuzz_check(f->bells[i] < 0 ||
			   (f->dev.status & VIRTIO_STATUS_DRIVER_OK));
		fuzz_check(!f->dev.queues[i].broken || !virtio_live(&f->dev));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = fuzz_begin(data, size);
	struct fixture f = {.bells = {-1, -1}};
	struct virtio_mmio_params params = {.device = &f.dev,
					    .mem = &f.ram.mem,
					    .base = BASE,
					    .loop = fuzz_loop(),
					    .irq = fuzz_line(&f.line)};

	fuzz_ram_init(&f.ram);
	fuzz_dma_begin();
	fuzz_check(bus_new(&f.bus) == 0);
	virtio_dev_init(&f.dev, &ops, 1 << 3, f.config, sizeof(f.config),
			QUEUES, 16);
	f.doorbells = (struct doorbell_sink){bell_add, bell_remove, &f};
	params.bus = f.bus;
	params.doorbells = fuzz_u8(&in) & 1 ? &f.doorbells : NULL;
	fuzz_check(virtio_mmio_new(&params, &f.v, NULL) == 0);
	while (fuzz_more(&in)) {
		step(&f, &in, fuzz_u8(&in));
		check(&f);
	}
	virtio_mmio_free(f.v);
	fuzz_loop_settle();
	fuzz_check(f.freed && f.bells[0] < 0 && f.bells[1] < 0);
	bus_free(f.bus);
	fuzz_ram_done(&f.ram);
	return 0;
}
