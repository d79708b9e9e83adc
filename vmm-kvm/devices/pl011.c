#include "vmm-kvm/devices/pl011.h"

#include "vmm-kvm/devices/primecell.h"

/* DDI 0183 section 3.2. */
enum {
	REG_DR = 0x00,
	REG_RSR = 0x04, /* read: receive status; write: clear errors */
	REG_FR = 0x18,
	REG_ILPR = 0x20,
	REG_IBRD = 0x24,
	REG_FBRD = 0x28,
	REG_LCR_H = 0x2c,
	REG_CR = 0x30,
	REG_IFLS = 0x34,
	REG_IMSC = 0x38,
	REG_RIS = 0x3c,
	REG_MIS = 0x40,
	REG_ICR = 0x44,
	REG_DMACR = 0x48,
};

#define DR_OE	  (1u << 11)
#define RSR_OE	  (1u << 3)
#define FR_CTS	  (1u << 0)
#define FR_DSR	  (1u << 1)
#define FR_DCD	  (1u << 2)
#define FR_RXFE	  (1u << 4)
#define FR_RXFF	  (1u << 6)
#define FR_TXFE	  (1u << 7)
#define LCR_H_FEN (1u << 4)
#define CR_UARTEN (1u << 0)
#define CR_LBE	  (1u << 7)
#define CR_TXE	  (1u << 8)
#define CR_RXE	  (1u << 9)
#define INT_RX	  (1u << 4)
#define INT_TX	  (1u << 5)
#define INT_RT	  (1u << 6)
#define INT_OE	  (1u << 10)
#define INT_ALL	  0x7ffu

#define IFLS_RESET 0x12
#define CR_RESET   (CR_TXE | CR_RXE)

/* Revision 3 (r1p5), the first whose FIFOs are 32 deep. */
#define PERIPH_ID  0x00341011
#define FIFO_DEPTH 32

struct pl011 {
	struct mmio_region region;
	struct chardev *chardev;
	struct bus *bus;
	struct irq_line irq;

	uint8_t fifo[FIFO_DEPTH];
	unsigned head, count;
	bool overrun; /* the next character read carries OE */
	/* The chardev was told "no room", or took the last of it. */
	bool input_waits;

	uint32_t rsr, ilpr, ibrd, fbrd, lcr_h, cr, ifls, imsc, ris, dmacr;
};

static unsigned fifo_depth(const struct pl011 *u)
{
	return u->lcr_h & LCR_H_FEN ? FIFO_DEPTH : 1;
}

/* DDI 0183 section 3.3.9: eighths of the depth at which RX is raised. */
static unsigned rx_trigger(const struct pl011 *u)
{
	static const uint8_t eighths[8] = {1, 2, 4, 6, 7, 7, 7, 7};
	unsigned n = fifo_depth(u) * eighths[(u->ifls >> 3) & 7] / 8;

	return MAX(n, 1);
}

static bool rx_enabled(const struct pl011 *u)
{
	return (u->cr & CR_UARTEN) && (u->cr & CR_RXE);
}

static void irq_update(const struct pl011 *u)
{
	irq_line_set(&u->irq, (u->ris & u->imsc) != 0);
}

/*
 * RX stands while the FIFO is filled to the trigger. RT stands while anything
 * is in it: its 32 bit periods of silence are over at once here. Clearing
 * either through ICR lasts until the FIFO changes.
 */
static void rx_update(struct pl011 *u)
{
	u->ris &= ~(INT_RX | INT_RT);
	if (u->count >= rx_trigger(u))
		u->ris |= INT_RX;
	if (u->count)
		u->ris |= INT_RT;
}

static void rx_push(struct pl011 *u, uint8_t byte)
{
	if (u->count >= fifo_depth(u)) {
		u->overrun = true;
		u->rsr |= RSR_OE;
		u->ris |= INT_OE;
		return;
	}
	u->fifo[(u->head + u->count) % FIFO_DEPTH] = byte;
	u->count++;
	rx_update(u);
}

static void input_resume(struct pl011 *u)
{
	if (u->input_waits && rx_enabled(u) && u->count <= fifo_depth(u) / 2) {
		u->input_waits = false;
		chardev_guest_ready(u->chardev);
	}
}

static uint32_t rx_pop(struct pl011 *u)
{
	uint32_t value;

	if (!u->count)
		return 0;
	value = u->fifo[u->head];
	u->head = (u->head + 1) % FIFO_DEPTH;
	u->count--;
	u->rsr &= ~RSR_OE;
	if (u->overrun) {
		u->overrun = false;
		u->rsr |= RSR_OE;
		value |= DR_OE;
	}
	rx_update(u);
	irq_update(u);
	input_resume(u);
	return value;
}

static void tx_byte(struct pl011 *u, uint8_t byte)
{
	if (u->cr & CR_LBE)
		rx_push(u, byte);
	else
		chardev_write(u->chardev, &byte, 1);
	/* The FIFO drained through any trigger level. */
	u->ris |= INT_TX;
}

static uint32_t flags(const struct pl011 *u)
{
	uint32_t fr = FR_TXFE | FR_CTS | FR_DSR | FR_DCD;

	if (u->count == 0)
		fr |= FR_RXFE;
	if (u->count >= fifo_depth(u))
		fr |= FR_RXFF;
	return fr;
}

static uint64_t pl011_read(void *dev, uint64_t offset, unsigned size)
{
	struct pl011 *u = dev;

	if (!primecell_aligned(offset))
		return 0;
	if (primecell_is_id(offset))
		return primecell_id(offset, PERIPH_ID);
	switch (offset) {
	case REG_DR:
		return rx_pop(u);
	case REG_RSR:
		return u->rsr;
	case REG_FR:
		return flags(u);
	case REG_ILPR:
		return u->ilpr;
	case REG_IBRD:
		return u->ibrd;
	case REG_FBRD:
		return u->fbrd;
	case REG_LCR_H:
		return u->lcr_h;
	case REG_CR:
		return u->cr;
	case REG_IFLS:
		return u->ifls;
	case REG_IMSC:
		return u->imsc;
	case REG_RIS:
		return u->ris;
	case REG_MIS:
		return u->ris & u->imsc;
	case REG_DMACR:
		return u->dmacr;
	default:
		return 0;
	}
}

static void lcr_h_write(struct pl011 *u, uint32_t value)
{
	u->lcr_h = value & 0xff;
	/* Without FIFOs there is one holding register. */
	u->count = MIN(u->count, fifo_depth(u));
	rx_update(u);
}

static void pl011_write(void *dev, uint64_t offset, unsigned size,
			uint64_t value)
{
	struct pl011 *u = dev;
	uint32_t v = (uint32_t)value;

	switch (offset) {
	case REG_DR:
		tx_byte(u, v & 0xff);
		break;
	case REG_RSR:
		u->rsr = 0;
		break;
	case REG_ILPR:
		u->ilpr = v & 0xff;
		break;
	case REG_IBRD:
		u->ibrd = v & 0xffff;
		break;
	case REG_FBRD:
		u->fbrd = v & 0x3f;
		break;
	case REG_LCR_H:
		lcr_h_write(u, v);
		break;
	case REG_CR:
		u->cr = v & 0xff87;
		break;
	case REG_IFLS:
		u->ifls = v & 0x3f;
		rx_update(u);
		break;
	case REG_IMSC:
		u->imsc = v & INT_ALL;
		break;
	case REG_ICR:
		u->ris &= ~v;
		break;
	case REG_DMACR:
		u->dmacr = v & 7;
		break;
	default:
		return;
	}
	irq_update(u);
	input_resume(u);
}

static const struct mmio_ops pl011_ops = {
	.read = pl011_read,
	.write = pl011_write,
};

static size_t on_can_receive(void *cookie)
{
	struct pl011 *u = cookie;
	size_t room = 0;

	bus_lock(u->bus);
	if (rx_enabled(u))
		room = fifo_depth(u) - u->count;
	if (room == 0)
		u->input_waits = true;
	bus_unlock(u->bus);
	return room;
}

/* The guest may have made the FIFO shorter since it said how much fits; what
 * does not is an overrun, as on a wire. */
static void on_receive(void *cookie, const uint8_t *data, size_t size)
{
	struct pl011 *u = cookie;

	bus_lock(u->bus);
	for (size_t i = 0; i < size; i++)
		rx_push(u, data[i]);
	if (u->count >= fifo_depth(u))
		u->input_waits = true;
	irq_update(u);
	bus_unlock(u->bus);
}

static const struct chardev_guest chardev_guest = {
	.can_receive = on_can_receive,
	.receive = on_receive,
};

void pl011_reset(struct pl011 *u)
{
	u->head = u->count = 0;
	u->overrun = false;
	u->rsr = u->ilpr = u->ibrd = u->fbrd = u->lcr_h = 0;
	u->imsc = u->ris = u->dmacr = 0;
	u->cr = CR_RESET;
	u->ifls = IFLS_RESET;
	/* Input asks again once reception is enabled. */
	u->input_waits = true;
	irq_update(u);
}

int pl011_new(const struct pl011_params *params, struct pl011 **ret)
{
	struct pl011 *u = calloc(1, sizeof(*u));

	if (!u)
		return -ENOMEM;
	u->chardev = params->chardev;
	u->bus = params->bus;
	u->irq = params->irq;
	u->region = (struct mmio_region){
		.name = "pl011",
		.size_bytes = PRIMECELL_SIZE,
		.ops = &pl011_ops,
		.dev = u,
		.enabled = true,
	};
	pl011_reset(u);
	chardev_set_guest(u->chardev, &chardev_guest, u);
	*ret = u;
	return 0;
}

struct pl011 *pl011_free(struct pl011 *u)
{
	if (u) {
		chardev_set_guest(u->chardev, NULL, NULL);
		free(u);
	}
	return NULL;
}

struct mmio_region *pl011_region(struct pl011 *u)
{
	return &u->region;
}

void pl011_save(const struct pl011 *u, struct state_out *out)
{
	const uint32_t regs[] = {u->rsr, u->ilpr, u->ibrd, u->fbrd, u->lcr_h,
				 u->cr,	 u->ifls, u->imsc, u->ris,  u->dmacr};
	size_t began = state_begin(out, "pl011", 1);

	for (size_t i = 0; i < ARRAY_SIZE(regs); i++)
		state_put_u32(out, regs[i]);
	state_put_u8(out, u->overrun);
	state_put_u8(out, (uint8_t)u->count);
	for (unsigned i = 0; i < u->count; i++)
		state_put_u8(out, u->fifo[(u->head + i) % FIFO_DEPTH]);
	state_end(out, began);
}

int pl011_load(struct pl011 *u, struct state_in *in, struct error *e)
{
	struct pl011 next = *u;
	uint32_t *const regs[] = {
		&next.rsr, &next.ilpr, &next.ibrd, &next.fbrd, &next.lcr_h,
		&next.cr,  &next.ifls, &next.imsc, &next.ris,  &next.dmacr};
	struct state_in r;
	int err = state_open(in, "pl011", 1, &r, e);

	if (err)
		return err;
	for (size_t i = 0; i < ARRAY_SIZE(regs); i++)
		*regs[i] = state_get_u32(&r);
	next.overrun = state_get_bool(&r);
	next.head = 0;
	next.count = state_get_u8(&r);
	if (next.count > fifo_depth(&next))
		return state_bad(&r, e, "has more in its FIFO than that holds");
	state_get(&r, next.fifo, next.count);
	err = state_close(&r, e);
	if (err)
		return err;
	/* Input asks again. */
	next.input_waits = true;
	*u = next;
	irq_update(u);
	return 0;
}
