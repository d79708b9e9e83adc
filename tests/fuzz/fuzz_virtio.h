/*
 * A virtio device behind the PCI transport, and a driver that obeys no rule:
 * the part that all virtio targets share. Input after what the target takes
 * for itself: steps of 1 byte and operands, see fuzz_virtio_step().
 *
 * The driver can bring the device up as it should be, so that what comes
 * after reaches the device; and it can do everything wrong from there.
 *
 * Invariants, checked at each turn of the loop: the device writes to guest
 * memory only where a device-writable descriptor says, and to used rings. And
 * at each step: registers that are shown as memory read as they are.
 */
#ifndef TESTS_FUZZ_FUZZ_VIRTIO_H
#define TESTS_FUZZ_FUZZ_VIRTIO_H

#include "tests/fuzz/fuzz_dma.h"
#include "tests/fuzz/fuzz_machine.h"
#include "tests/fuzz/fuzz_shape.h"
#include "vmm-kvm/devices/virtio_pci_internal.h"

#define FUZZ_DEVFN	PCI_DEVFN(1, 0)
#define FUZZ_BAR0	FUZZ_WINDOW
#define FUZZ_BAR2	(FUZZ_WINDOW + 0x10000)
#define FUZZ_RING_BYTES 0x400 /* of a queue, at the start of memory */
#define FUZZ_RING_MAX	16

struct fuzz_virtio {
	struct fuzz_machine m;
	struct virtio_dev *dev; /* the transport owns it */
	struct virtio_pci *v;
	/* Of packed rings: where a driver that obeys writes next. */
	struct {
		uint16_t next;
		bool wrap;
	} drivers[VIRTIO_QUEUES_MAX];
	/* Complete what the host has under way; NULL: nothing is. */
	void (*settle)(struct fuzz_virtio *f);
};

static inline void fuzz_virtio_init(struct fuzz_virtio *f,
				    struct virtio_dev *dev, bool doorbells)
{
	struct virtio_pci_params params = {
		.host = f->m.host,
		.devfn = FUZZ_DEVFN,
		.device = dev,
		.mem = &f->m.ram.mem,
		.bus = f->m.bus,
		.loop = fuzz_loop(),
		.msi = &f->m.msi,
		.doorbells = doorbells ? &f->m.doorbells : NULL,
		.reg_page = f->m.reg_page,
	};

	f->dev = dev;
	virtio_offer_packed(dev);
	fuzz_check(virtio_pci_new(&params, &f->v, NULL) == 0);
	fuzz_bar_move(&f->m, FUZZ_DEVFN, 0, FUZZ_BAR0);
	fuzz_bar_move(&f->m, FUZZ_DEVFN, 2, FUZZ_BAR2);
	fuzz_config_write(&f->m, FUZZ_DEVFN, PCI_REG_COMMAND, 2, 6);
}

static inline void fuzz_virtio_done(struct fuzz_virtio *f)
{
	virtio_pci_free(f->v);
	fuzz_loop_settle();
	fuzz_machine_done(&f->m);
}

/* Registers, as long as the BAR is where the driver put it. */
static inline void fuzz_reg(struct fuzz_virtio *f, uint64_t at, unsigned width,
			    uint64_t value)
{
	bus_write(f->m.bus, f->v->pci.bars[0].base + at, width, value);
}

static inline uint64_t fuzz_ring(unsigned queue)
{
	return FUZZ_LOW_GPA + queue * (uint64_t)FUZZ_RING_BYTES;
}

#define FUZZ_AVAIL 0x200
#define FUZZ_USED  0x300

/* Features, queues of a size the input chooses, DRIVER_OK. */
static inline void fuzz_bring_up(struct fuzz_virtio *f, struct fuzz_input *in)
{
	uint8_t how = fuzz_u8(in);
	uint64_t features = f->dev->features_offered;

	if (how & 8)
		features &= fuzz_u64(in) | VIRTIO_F_VERSION_1;
	else if (!(how & 16))
		features &= ~VIRTIO_F_RING_PACKED;
	for (unsigned status = 0; status <= 3; status++)
		fuzz_reg(f, 0x14, 1, status);
	for (unsigned half = 0; half < 2; half++) {
		fuzz_reg(f, 0x08, 4, half);
		fuzz_reg(f, 0x0c, 4, (uint32_t)(features >> (32 * half)));
	}
	fuzz_reg(f, 0x14, 1, 11);
	for (unsigned i = 0; i < f->dev->n_queues; i++) {
		fuzz_reg(f, 0x16, 2, i);
		fuzz_reg(f, 0x18, 2, 2u << (how & 3));
		fuzz_reg(f, 0x20, 8, fuzz_ring(i));
		fuzz_reg(f, 0x28, 8, fuzz_ring(i) + FUZZ_AVAIL);
		fuzz_reg(f, 0x30, 8, fuzz_ring(i) + FUZZ_USED);
		if (how & 4)
			fuzz_reg(f, 0x1a, 2, i);
		fuzz_reg(f, 0x1c, 2, 1);
	}
	memset(FUZZ_LOW, 0, f->dev->n_queues * (size_t)FUZZ_RING_BYTES);
	for (unsigned i = 0; i < f->dev->n_queues; i++) {
		f->drivers[i].next = 0;
		f->drivers[i].wrap = true;
	}
	fuzz_reg(f, 0x14, 1, 15);
}

static inline void fuzz_descriptor(struct fuzz_virtio *f, unsigned queue,
				   unsigned index, uint64_t address,
				   uint32_t length, unsigned flags,
				   unsigned next)
{
	struct virtq_desc d = {address, length, (uint16_t)flags,
			       (uint16_t)next};

	fuzz_poke(&f->m.ram, fuzz_ring(queue) + 16ull * index, &d, sizeof(d));
}

/* The next one of a packed ring: the driver's, unless `lie`. */
static inline void fuzz_packed(struct fuzz_virtio *f, unsigned queue,
			       uint64_t address, uint32_t length,
			       unsigned flags, unsigned id, bool lie)
{
	uint16_t size = f->dev->queues[queue].size;
	bool wrap = f->drivers[queue].wrap;
	/* Flags are where a split one has its link. */
	struct virtq_desc d = {
		address, length, (uint16_t)id,
		(uint16_t)((flags & 7) | (wrap != lie ? 0x80 : 0x8000))};

	fuzz_poke(&f->m.ram, fuzz_ring(queue) + 16ull * f->drivers[queue].next,
		  &d, sizeof(d));
	if (++f->drivers[queue].next >= MIN(size, FUZZ_RING_MAX)) {
		f->drivers[queue].next = 0;
		f->drivers[queue].wrap = !wrap;
	}
}

/* Lengths that matter: small, of sectors and pages, and absurd. */
static inline uint32_t fuzz_length(struct fuzz_input *in)
{
	uint8_t how = fuzz_u8(in);

	switch (how & 3) {
	case 0:
		return how >> 2;
	case 1:
		return (how >> 2) * 512u;
	case 2:
		return fuzz_u16(in);
	default:
		return how & 4 ? fuzz_u32(in) : 16;
	}
}

static inline uint16_t *fuzz_u16_at(uint64_t gpa)
{
	return (uint16_t *)(FUZZ_LOW + (gpa - FUZZ_LOW_GPA));
}

/* Make `head` available; the index moves on by one, or by what `jump` says. */
static inline void fuzz_offer(struct fuzz_virtio *f, unsigned queue,
			      uint16_t head, uint16_t jump)
{
	uint64_t avail = fuzz_ring(queue) + FUZZ_AVAIL;
	uint16_t size = f->dev->queues[queue].size, *index;

	index = fuzz_u16_at(avail + 2);
	if (size && size <= FUZZ_RING_MAX)
		*fuzz_u16_at(avail + 4 + 2ull * (*index % size)) = head;
	*index = (uint16_t)(*index + jump);
}

/* As KVM does it where there is a doorbell, else by the trap. */
static inline void fuzz_notify(struct fuzz_virtio *f, unsigned queue)
{
	uint64_t gpa = f->v->pci.bars[0].base + VIRTIO_PCI_NOTIFY_AT +
		       queue * 4ull;

	fuzz_shape(f->dev, queue);
	for (size_t i = 0; i < FUZZ_SINKS; i++)
		if (f->m.bells[i].used && f->m.bells[i].gpa == gpa) {
			eventfd_write(f->m.bells[i].fd, 1);
			return;
		}
	bus_write(f->m.bus, gpa, 2, queue);
}

/* A chain of up to 8 buffers: out, then in, if the input does not say
 * otherwise; each may be indirect, loop or lead nowhere. */
static inline void fuzz_chain(struct fuzz_virtio *f, struct fuzz_input *in,
			      unsigned queue)
{
	unsigned shape = fuzz_u8(in), n = 1 + (shape & 7);
	unsigned out = shape >> 3 & 7, first = shape >> 6;

	for (unsigned i = 0; i < n; i++) {
		unsigned flags = i < out ? 0 : VIRTQ_DESC_WRITE;
		unsigned next = first + i + 1;
		uint64_t address = fuzz_address(in);
		uint32_t length = fuzz_length(in);
		uint8_t twist = fuzz_u8(in);

		if (i + 1 < n)
			flags |= VIRTQ_DESC_NEXT;
		if ((twist & 0xf0) == 0xf0) {
			flags ^= twist & 7;
			next = twist & 8 ? fuzz_u8(in) : next;
		}
		if (f->dev->queues[queue].packed)
			fuzz_packed(f, queue, address, length, flags, next,
				    (twist & 0xe0) == 0xe0 && twist & 8);
		else
			fuzz_descriptor(f, queue, first + i, address, length,
					flags, next);
	}
	if (!f->dev->queues[queue].packed)
		fuzz_offer(f, queue, (uint16_t)first, 1);
}

/* An indirect table in high memory, two descriptors of it given; or one that
 * claims all of it, longer than any queue. */
static inline void fuzz_indirect(struct fuzz_virtio *f, struct fuzz_input *in,
				 unsigned queue)
{
	unsigned slot = fuzz_below(in, 4);
	uint64_t table = FUZZ_HIGH_GPA + slot * 64ull;
	uint32_t length;

	for (unsigned i = 0; i < 2; i++) {
		struct virtq_desc d = {.address = fuzz_address(in),
				       .length = fuzz_length(in),
				       .flags = fuzz_u8(in) & 7,
				       .next = fuzz_u8(in) & 3};

		if (f->dev->queues[queue].packed)
			d.next = d.flags;

		fuzz_poke(&f->m.ram, table + 16ull * i, &d, sizeof(d));
	}
	length = fuzz_u8(in);
	length = length & 128 ? FUZZ_HIGH_BYTES - slot * 64u
			      : 16 * (1 + (length & 3)) + (slot == 3);
	if (f->dev->queues[queue].packed) {
		fuzz_packed(f, queue, table, length,
			    VIRTQ_DESC_INDIRECT | (fuzz_u8(in) & 3), slot,
			    false);
		return;
	}
	fuzz_descriptor(f, queue, slot, table, length,
			VIRTQ_DESC_INDIRECT | (fuzz_u8(in) & 3), 0);
	fuzz_offer(f, queue, (uint16_t)slot, 1);
}

static inline void fuzz_virtio_turn(struct fuzz_virtio *f, bool settle)
{
	fuzz_dma_before();
	for (int i = 0; i < 3; i++) {
		fuzz_turn();
		if (settle && f->settle)
			f->settle(f);
	}
	fuzz_dma_after(f->dev, settle || !f->settle);
	for (unsigned i = 0; i < f->dev->n_queues; i++)
		fuzz_check(!f->dev->queues[i].broken || !virtio_live(f->dev));
}

/* The window of the PCI_CFG capability into the BAR (VIRTIO 1.2, 4.1.4.9). */
static inline void fuzz_config_window(struct fuzz_virtio *f,
				      struct fuzz_input *in)
{
	uint8_t how = fuzz_u8(in);
	unsigned cap = f->v->cfg_cap, width = 1u << (how & 3);
	uint64_t value;

	fuzz_config_write(&f->m, FUZZ_DEVFN, cap + 4, 1, how & 4 ? 2 : 0);
	fuzz_config_write(&f->m, FUZZ_DEVFN, cap + 8, 4,
			  how & 8 ? fuzz_u32(in) : fuzz_u16(in));
	fuzz_config_write(&f->m, FUZZ_DEVFN, cap + 12, 4, width);
	if (how & 16)
		fuzz_config_write(&f->m, FUZZ_DEVFN, cap + 16, 4, fuzz_u32(in));
	else
		bus_read(f->m.bus, fuzz_config_at(FUZZ_DEVFN, cap + 16), 4,
			 &value);
}

/* Of the common structure. */
static const struct {
	uint8_t at, width;
} fuzz_regs[] = {{0x00, 4}, {0x04, 4}, {0x08, 4}, {0x0c, 4},
		 {0x10, 2}, {0x12, 2}, {0x14, 1}, {0x15, 1},
		 {0x16, 2}, {0x18, 2}, {0x1a, 2}, {0x1c, 2},
		 {0x1e, 2}, {0x20, 8}, {0x28, 8}, {0x30, 8}};

/* One register, in its own width; read so often that it may become memory. */
static inline void fuzz_register(struct fuzz_virtio *f, struct fuzz_input *in)
{
	uint8_t how = fuzz_u8(in);
	unsigned i = how % ARRAY_SIZE(fuzz_regs), width = fuzz_regs[i].width;
	uint64_t at = f->v->pci.bars[0].base + fuzz_regs[i].at, value;

	if (how & 128)
		for (unsigned n = 0; n < 64; n++)
			bus_read(f->m.bus, at, width, &value);
	else
		fuzz_reg(f, fuzz_regs[i].at, width,
			 fuzz_number(in, how & 64 ? width : 1));
}

static inline void fuzz_shown_check(struct fuzz_virtio *f)
{
	if (!f->m.shown_gpa)
		return;
	fuzz_check(f->v->shown_gpa == f->m.shown_gpa && !f->v->delayed_gpa);
	fuzz_check(f->v->pci.bars[0].enabled &&
		   f->v->pci.bars[0].base == f->m.shown_gpa);
	for (unsigned i = 0; i < ARRAY_SIZE(fuzz_regs); i++) {
		uint64_t value = 0, at = fuzz_regs[i].at;

		memcpy(&value, f->m.shown + at, fuzz_regs[i].width);
		fuzz_check(value == virtio_pci_bar_ops.read(
					    f->v, at, fuzz_regs[i].width));
	}
}

static inline void fuzz_raw_access(struct fuzz_virtio *f, struct fuzz_input *in)
{
	uint8_t how = fuzz_u8(in);
	unsigned width = 1u << (how & 3);
	uint64_t at = fuzz_u16(in), value;

	if (how & 4) /* common configuration */
		at %= VIRTIO_PCI_COMMON_BYTES + 8;
	if (how & 8 && f->v->pci.bars[2].enabled)
		fuzz_kind(KIND_MSIX);
	else if (how & 4 && width != 4)
		fuzz_kind(KIND_WIDTH);
	at += f->v->pci.bars[how & 8 ? 2 : 0].base;
	if (how & 16)
		at = fuzz_config_at(FUZZ_DEVFN, at & 0xff);
	if (how & 32)
		bus_read(f->m.bus, at, width, &value);
	else
		bus_write(f->m.bus, at, width, fuzz_number(in, width));
}

static inline void fuzz_memory(struct fuzz_virtio *f, struct fuzz_input *in)
{
	uint64_t at = fuzz_address(in);
	size_t n, max = fuzz_below(in, 24);
	const uint8_t *bytes = fuzz_bytes(in, max, &n);

	fuzz_poke(&f->m.ram, at, bytes, n);
}

/* Steps 0 to 11; what is above is the target's own. */
static inline void fuzz_virtio_step(struct fuzz_virtio *f,
				    struct fuzz_input *in, uint8_t step)
{
	unsigned queue = (step >> 4) % f->dev->n_queues;

	switch (step & 15) {
	case 0:
		fuzz_bring_up(f, in);
		break;
	case 1:
	case 2:
		fuzz_chain(f, in, queue);
		break;
	case 3:
		fuzz_indirect(f, in, queue);
		break;
	case 4:
		fuzz_offer(f, queue, fuzz_u16(in), fuzz_u16(in));
		break;
	case 5:
	case 6:
		fuzz_notify(f, queue);
		fuzz_virtio_turn(f, true);
		break;
	case 7:
		fuzz_notify(f, queue);
		fuzz_virtio_turn(f, false);
		break;
	case 8:
		if (step & 64)
			fuzz_register(f, in);
		else if (step & 128)
			fuzz_config_window(f, in);
		else
			fuzz_raw_access(f, in);
		break;
	case 9:
		fuzz_memory(f, in);
		break;
	case 10:
		fuzz_bar_move(&f->m, FUZZ_DEVFN, step & 16 ? 0 : 2,
			      fuzz_bar_place(in));
		f->m.refuse = step & 128;
		break;
	default:
		bus_lock(f->m.bus);
		if (step & 16)
			pci_host_reset(f->m.host);
		else
			fuzz_reg(f, 0x14, 1, 0);
		bus_unlock(f->m.bus);
		break;
	}
	fuzz_bars_check(&f->m, &f->v->pci);
	fuzz_shown_check(f);
}

#endif
