/*
 * The MSI frame of a GICv2: any access at any width. Only its own SPIs are
 * raised, each as an edge, and only by a write to MSI_SETSPI that names one.
 *
 * Input: 2 bytes first SPI and count, then accesses.
 */
#include "tests/fuzz/fuzz_input.h"
#include "vmm-kvm/devices/gicv2m.h"

struct fixture {
	struct gicv2m_params params;
	bool level;
	unsigned edges;
	uint32_t intid;
};

static void line_set(void *cookie, uint32_t intid, bool level)
{
	struct fixture *f = cookie;

	fuzz_check(intid >= f->params.first_intid &&
		   intid - f->params.first_intid < f->params.n_intids);
	fuzz_check(level != f->level && (level || intid == f->intid));
	f->level = level;
	f->intid = intid;
	f->edges += level;
}

static void setspi(struct fixture *f, struct fuzz_input *in, struct bus *bus,
		   const struct mmio_region *r)
{
	uint64_t value = fuzz_u16(in);
	unsigned width = fuzz_width(in), before = f->edges;
	uint32_t intid = value & fuzz_mask(width) & 0x3ff;
	bool ours = intid >= f->params.first_intid &&
		    intid - f->params.first_intid < f->params.n_intids;

	fuzz_check(bus_write(bus, r->base + GICV2M_SETSPI, width,
			     value & fuzz_mask(width)));
	fuzz_check(f->edges == before + ours);
	fuzz_check(!ours || f->intid == intid);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = fuzz_begin(data, size);
	struct fixture f = {0};
	struct mmio_region *region;
	struct gicv2m *frame;
	struct bus *bus;

	f.params.line = (struct irq_line){line_set, &f, 0};
	f.params.first_intid = 32 + fuzz_u8(&in);
	f.params.n_intids = 1 + fuzz_u8(&in);
	fuzz_check(gicv2m_new(&f.params, &frame) == 0);
	region = gicv2m_region(frame);
	bus = fuzz_bus(region);
	while (fuzz_more(&in)) {
		if (fuzz_u8(&in) & 1)
			setspi(&f, &in, bus, region);
		else
			fuzz_access(&in, bus, region);
		fuzz_check(!f.level);
		fuzz_check(fuzz_peek(bus, region, 8) ==
			   (f.params.first_intid << 16 | f.params.n_intids));
	}
	bus_free(bus);
	gicv2m_free(frame);
	return 0;
}
