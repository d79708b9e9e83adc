#include "vmm-kvm/devices/pl031.h"

#include <time.h>

#include "vmm-kvm/devices/primecell.h"

/* DDI 0224 section 3.2. */
enum {
	REG_DR = 0x00,
	REG_MR = 0x04,
	REG_LR = 0x08,
	REG_CR = 0x0c,
	REG_IMSC = 0x10,
	REG_RIS = 0x14,
	REG_MIS = 0x18,
	REG_ICR = 0x1c,
};

#define PERIPH_ID 0x00041031

/* The host's clock may be set while an alarm waits, so look at least this
 * often; a monotonic timer over the whole distance would be late or early. */
#define ALARM_LOOK_MS 60000

struct pl031 {
	struct mmio_region region;
	struct irq_line irq;
	struct bus *bus;
	int64_t (*now)(void *cookie);
	void *cookie;

	uint32_t shift; /* DR = host seconds + shift, modulo 2^32 */
	uint32_t match, load;
	bool armed; /* a match was written and has not come yet */
	bool masked_in, raised;

	/* Only the loop thread touches the timer; a vCPU that changes the
	 * alarm wakes it through the async handle. */
	uv_async_t changed;
	uv_timer_t timer;
	unsigned open_handles;
	bool closing;
};

static int64_t host_now(void *cookie)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec;
}

static uint32_t counter(const struct pl031 *p)
{
	return (uint32_t)p->now(p->cookie) + p->shift;
}

/* The counter may step over the match when the host's clock is set, so "at or
 * up to half the range past it" counts as reached. */
static void alarm_check(struct pl031 *p)
{
	if (p->armed && (int32_t)(counter(p) - p->match) >= 0) {
		p->armed = false;
		p->raised = true;
	}
}

static void irq_update(const struct pl031 *p)
{
	irq_line_set(&p->irq, p->raised && p->masked_in);
}

static void alarm_changed(struct pl031 *p)
{
	alarm_check(p);
	irq_update(p);
	if (p->armed && p->masked_in)
		uv_async_send(&p->changed);
}

static void on_timer(uv_timer_t *timer);

static void timer_arm(struct pl031 *p)
{
	uint64_t ms;

	if (!p->armed || !p->masked_in) {
		uv_timer_stop(&p->timer);
		return;
	}
	/* Seconds turn somewhere inside the first of these; look four times
	 * a second near the end rather than be up to one late. */
	ms = (uint64_t)(uint32_t)(p->match - counter(p)) * 1000;
	ms = ms > 1000 ? ms - 1000 : 250;
	uv_timer_start(&p->timer, on_timer, MIN(ms, ALARM_LOOK_MS), 0);
}

static void loop_look(struct pl031 *p)
{
	if (p->closing)
		return;
	bus_lock(p->bus);
	alarm_check(p);
	irq_update(p);
	timer_arm(p);
	bus_unlock(p->bus);
}

static void on_timer(uv_timer_t *timer)
{
	loop_look(timer->data);
}

static void on_changed(uv_async_t *async)
{
	loop_look(async->data);
}

static uint64_t pl031_read(void *dev, uint64_t offset, unsigned size)
{
	struct pl031 *p = dev;

	if (!primecell_aligned(offset))
		return 0;
	if (primecell_is_id(offset))
		return primecell_id(offset, PERIPH_ID);
	switch (offset) {
	case REG_DR:
		return counter(p);
	case REG_MR:
		return p->match;
	case REG_LR:
		return p->load;
	case REG_CR:
		return 1; /* the host's clock never stands still */
	case REG_IMSC:
		return p->masked_in;
	case REG_RIS:
	case REG_MIS:
		alarm_check(p);
		irq_update(p);
		return p->raised && (offset == REG_RIS || p->masked_in);
	default:
		return 0;
	}
}

static void pl031_write(void *dev, uint64_t offset, unsigned size,
			uint64_t value)
{
	struct pl031 *p = dev;

	switch (offset) {
	case REG_MR:
		p->match = (uint32_t)value;
		/* A time already past is no alarm for another 136 years; the
		 * one that is now is. */
		p->armed = (int32_t)(p->match - counter(p)) >= 0;
		break;
	case REG_LR:
		p->load = (uint32_t)value;
		p->shift = p->load - (uint32_t)p->now(p->cookie);
		p->armed = (int32_t)(p->match - counter(p)) >= 0;
		break;
	case REG_IMSC:
		p->masked_in = value & 1;
		break;
	case REG_ICR:
		if (value & 1)
			p->raised = false;
		break;
	default:
		return;
	}
	alarm_changed(p);
}

static const struct mmio_ops pl031_ops = {
	.read = pl031_read,
	.write = pl031_write,
};

void pl031_reset(struct pl031 *p)
{
	p->match = p->load = 0;
	p->armed = p->masked_in = p->raised = false;
	irq_update(p);
}

static void on_closed(uv_handle_t *handle)
{
	struct pl031 *p = handle->data;

	if (--p->open_handles == 0)
		free(p);
}

struct pl031 *pl031_free(struct pl031 *p)
{
	if (p) {
		p->closing = true;
		uv_close((uv_handle_t *)&p->timer, on_closed);
		uv_close((uv_handle_t *)&p->changed, on_closed);
	}
	return NULL;
}

int pl031_new(const struct pl031_params *params, struct pl031 **ret)
{
	struct pl031 *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	r = uv_async_init(params->loop, &p->changed, on_changed);
	if (r < 0) {
		free(p);
		return r;
	}
	uv_timer_init(params->loop, &p->timer);
	p->changed.data = p->timer.data = p;
	p->open_handles = 2;
	/* A clock does not keep a loop from ending. */
	uv_unref((uv_handle_t *)&p->changed);
	uv_unref((uv_handle_t *)&p->timer);
	p->irq = params->irq;
	p->bus = params->bus;
	p->now = params->now ? params->now : host_now;
	p->cookie = params->cookie;
	p->region = (struct mmio_region){
		.name = "pl031",
		.size_bytes = PRIMECELL_SIZE,
		.ops = &pl031_ops,
		.dev = p,
		.enabled = true,
	};
	*ret = p;
	return 0;
}

struct mmio_region *pl031_region(struct pl031 *p)
{
	return &p->region;
}

void pl031_save(const struct pl031 *p, struct state_out *out)
{
	size_t began = state_begin(out, "pl031", 1);

	/* Against the host's clock, which goes on meanwhile. */
	state_put_u32(out, p->shift);
	state_put_u32(out, p->match);
	state_put_u32(out, p->load);
	state_put_u8(out, p->armed);
	state_put_u8(out, p->masked_in);
	state_put_u8(out, p->raised);
	state_end(out, began);
}

int pl031_load(struct pl031 *p, struct state_in *in, struct error *e)
{
	uint32_t shift, match, load;
	bool armed, masked_in, raised;
	struct state_in r;
	int err = state_open(in, "pl031", 1, &r, e);

	if (err)
		return err;
	shift = state_get_u32(&r);
	match = state_get_u32(&r);
	load = state_get_u32(&r);
	armed = state_get_bool(&r);
	masked_in = state_get_bool(&r);
	raised = state_get_bool(&r);
	err = state_close(&r, e);
	if (err)
		return err;
	p->shift = shift;
	p->match = match;
	p->load = load;
	p->armed = armed;
	p->masked_in = masked_in;
	p->raised = raised;
	alarm_changed(p);
	return 0;
}
