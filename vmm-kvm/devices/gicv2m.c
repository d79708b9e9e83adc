#include "vmm-kvm/devices/gicv2m.h"

enum {
	REG_TYPER = 0x008,
	REG_SETSPI = GICV2M_SETSPI,
};

/* MSI_TYPER: the first SPI in 25..16, how many in 9..0. */
#define TYPER_FIRST_SHIFT 16

struct gicv2m {
	struct mmio_region region;
	struct irq_line line;
	uint32_t first, count;
};

static uint64_t gicv2m_read(void *dev, uint64_t offset, unsigned size)
{
	const struct gicv2m *g = dev;

	/* MSI_IIDR is 0, too: the product and implementer of no chip. */
	return offset == REG_TYPER ? g->first << TYPER_FIRST_SHIFT | g->count
				   : 0;
}

static void gicv2m_write(void *dev, uint64_t offset, unsigned size,
			 uint64_t value)
{
	struct gicv2m *g = dev;
	struct irq_line line = g->line;
	uint32_t intid = (uint32_t)value & 0x3ff;

	if (offset != REG_SETSPI || intid < g->first ||
	    intid - g->first >= g->count)
		return;
	/* The guest has made it edge triggered. */
	line.intid = intid;
	irq_line_set(&line, true);
	irq_line_set(&line, false);
}

static const struct mmio_ops gicv2m_ops = {
	.read = gicv2m_read,
	.write = gicv2m_write,
};

int gicv2m_new(const struct gicv2m_params *params, struct gicv2m **ret)
{
	struct gicv2m *g = calloc(1, sizeof(*g));

	if (!g)
		return -ENOMEM;
	g->line = params->line;
	g->first = params->first_intid;
	g->count = params->n_intids;
	g->region = (struct mmio_region){
		.name = "gicv2m",
		.size_bytes = GICV2M_SIZE,
		.ops = &gicv2m_ops,
		.dev = g,
		.enabled = true,
	};
	*ret = g;
	return 0;
}

struct gicv2m *gicv2m_free(struct gicv2m *g)
{
	free(g);
	return NULL;
}

struct mmio_region *gicv2m_region(struct gicv2m *g)
{
	return &g->region;
}
