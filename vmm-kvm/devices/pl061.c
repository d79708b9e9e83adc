#include "vmm-kvm/devices/pl061.h"

#include "vmm-kvm/devices/primecell.h"

/* DDI 0190 section 3.2. The data register fills 0x000 to 0x3fc: address bits
 * 9 to 2 say which pins an access means. */
enum {
	REG_DATA_LAST = 0x3fc,
	REG_DIR = 0x400,
	REG_IS = 0x404,
	REG_IBE = 0x408,
	REG_IEV = 0x40c,
	REG_IE = 0x410,
	REG_RIS = 0x414,
	REG_MIS = 0x418,
	REG_IC = 0x41c,
	REG_AFSEL = 0x420,
};

#define PERIPH_ID 0x00041061

struct pl061 {
	struct mmio_region region;
	struct irq_line irq;
	uint8_t inputs; /* levels from outside */
	uint8_t driven; /* what the guest wrote to data */
	uint8_t dir;	/* 1: output */
	uint8_t is;	/* 1: level, 0: edge */
	uint8_t ibe;	/* 1: both edges */
	uint8_t iev;	/* 1: rising edge or high level */
	uint8_t ie;
	uint8_t afsel;
	uint8_t edges; /* seen, not yet cleared */
};

static uint8_t pin_levels(const struct pl061 *p)
{
	return (p->inputs & ~p->dir) | (p->driven & p->dir);
}

static uint8_t raw_status(const struct pl061 *p)
{
	uint8_t active = ~(p->inputs ^ p->iev) & ~p->dir;

	return (p->is & active) | (~p->is & p->edges);
}

static void irq_update(const struct pl061 *p)
{
	irq_line_set(&p->irq, (raw_status(p) & p->ie) != 0);
}

void pl061_set_input(struct pl061 *p, unsigned pin, bool level)
{
	uint8_t bit;

	if (pin >= PL061_PINS)
		return;
	bit = 1u << pin;
	if (!!(p->inputs & bit) == level)
		return;
	p->inputs ^= bit;
	if (!(p->dir & bit) && !(p->is & bit) &&
	    ((p->ibe & bit) || !!(p->iev & bit) == level))
		p->edges |= bit;
	irq_update(p);
}

bool pl061_watched(const struct pl061 *p, unsigned pin)
{
	return pin < PL061_PINS && (p->ie & 1u << pin);
}

static uint64_t pl061_read(void *dev, uint64_t offset, unsigned size)
{
	const struct pl061 *p = dev;

	if (!primecell_aligned(offset))
		return 0;
	if (offset <= REG_DATA_LAST)
		return pin_levels(p) & (offset >> 2);
	if (primecell_is_id(offset))
		return primecell_id(offset, PERIPH_ID);
	switch (offset) {
	case REG_DIR:
		return p->dir;
	case REG_IS:
		return p->is;
	case REG_IBE:
		return p->ibe;
	case REG_IEV:
		return p->iev;
	case REG_IE:
		return p->ie;
	case REG_RIS:
		return raw_status(p);
	case REG_MIS:
		return raw_status(p) & p->ie;
	case REG_AFSEL:
		return p->afsel;
	default:
		return 0;
	}
}

static void pl061_write(void *dev, uint64_t offset, unsigned size,
			uint64_t value)
{
	struct pl061 *p = dev;
	uint8_t byte = value & 0xff;

	if (!primecell_aligned(offset))
		return;
	if (offset <= REG_DATA_LAST) {
		uint8_t mask = (offset >> 2) & p->dir;

		p->driven = (p->driven & ~mask) | (byte & mask);
		return;
	}
	switch (offset) {
	case REG_DIR:
		p->dir = byte;
		break;
	case REG_IS:
		p->is = byte;
		break;
	case REG_IBE:
		p->ibe = byte;
		break;
	case REG_IEV:
		p->iev = byte;
		break;
	case REG_IE:
		p->ie = byte;
		break;
	case REG_IC:
		p->edges &= ~byte;
		break;
	case REG_AFSEL:
		p->afsel = byte;
		break;
	default:
		return;
	}
	irq_update(p);
}

static const struct mmio_ops pl061_ops = {
	.read = pl061_read,
	.write = pl061_write,
};

void pl061_reset(struct pl061 *p)
{
	p->driven = p->dir = p->is = p->ibe = p->iev = 0;
	p->ie = p->afsel = p->edges = 0;
	irq_update(p);
}

int pl061_new(const struct pl061_params *params, struct pl061 **ret)
{
	struct pl061 *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->irq = params->irq;
	p->region = (struct mmio_region){
		.name = "pl061",
		.size_bytes = PRIMECELL_SIZE,
		.ops = &pl061_ops,
		.dev = p,
		.enabled = true,
	};
	*ret = p;
	return 0;
}

struct pl061 *pl061_free(struct pl061 *p)
{
	free(p);
	return NULL;
}

struct mmio_region *pl061_region(struct pl061 *p)
{
	return &p->region;
}

void pl061_save(const struct pl061 *p, struct state_out *out)
{
	const uint8_t regs[] = {p->inputs, p->driven, p->dir,	p->is,	 p->ibe,
				p->iev,	   p->ie,     p->afsel, p->edges};
	size_t began = state_begin(out, "pl061", 1);

	state_put(out, regs, sizeof(regs));
	state_end(out, began);
}

int pl061_load(struct pl061 *p, struct state_in *in, struct error *e)
{
	uint8_t *const regs[] = {&p->inputs, &p->driven, &p->dir,
				 &p->is,     &p->ibe,	 &p->iev,
				 &p->ie,     &p->afsel,	 &p->edges};
	uint8_t bytes[ARRAY_SIZE(regs)];
	struct state_in r;
	int err = state_open(in, "pl061", 1, &r, e);

	if (err)
		return err;
	state_get(&r, bytes, sizeof(bytes));
	err = state_close(&r, e);
	if (err)
		return err;
	for (size_t i = 0; i < ARRAY_SIZE(regs); i++)
		*regs[i] = bytes[i];
	irq_update(p);
	return 0;
}
