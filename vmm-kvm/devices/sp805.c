#include "vmm-kvm/devices/sp805.h"

#include "vmm-kvm/devices/primecell.h"

/* DDI 0270, section 3.2. */
enum {
	REG_LOAD = 0x000,
	REG_VALUE = 0x004,
	REG_CONTROL = 0x008,
	REG_INTCLR = 0x00c,
	REG_RIS = 0x010,
	REG_MIS = 0x014,
	REG_LOCK = 0xc00,
};

enum { CONTROL_INTEN = 1, CONTROL_RESEN = 2 };

#define PERIPH_ID  0x00141805
#define UNLOCK_KEY 0x1acce551
#define NS_PER_S   1000000000ull

struct sp805 {
	struct mmio_region region;
	struct irq_line irq;
	struct bus *bus;
	uint32_t clock_hz;
	void (*expired)(void *cookie);
	void *cookie;

	uint32_t load, control;
	bool raised, locked, held;
	bool over;	   /* it expired; quiet until it is reset */
	uint64_t began_ns; /* of this period; counts while INTEN */

	/* Only the loop thread touches the timer; a vCPU that changes the
	 * count wakes it through the async handle. */
	uv_async_t changed;
	uv_timer_t timer;
	unsigned open_handles;
	bool closing;
};

static uint64_t period_ns(const struct sp805 *w)
{
	return ((uint64_t)w->load + 1) * NS_PER_S / w->clock_hz;
}

static bool counting(const struct sp805 *w)
{
	return (w->control & CONTROL_INTEN) && !w->held && !w->over;
}

static uint32_t counter(const struct sp805 *w)
{
	uint64_t ticks;

	if (!counting(w))
		return w->load;
	/* No overflow: a period is at most 2^32 / clock_hz seconds. */
	ticks = MIN(uv_hrtime() - w->began_ns, period_ns(w)) * w->clock_hz /
		NS_PER_S;
	return w->load - (uint32_t)MIN(ticks, w->load);
}

static void irq_update(const struct sp805 *w)
{
	irq_line_set(&w->irq, w->raised && (w->control & CONTROL_INTEN));
}

static void reload(struct sp805 *w)
{
	w->began_ns = uv_hrtime();
	irq_update(w);
	uv_async_send(&w->changed);
}

/* The period is over. */
static void reach_zero(struct sp805 *w)
{
	w->began_ns = uv_hrtime();
	if (!w->raised) {
		w->raised = true;
		irq_update(w);
	} else if (w->control & CONTROL_RESEN) {
		w->over = true;
		w->expired(w->cookie);
	}
}

static void on_timer(uv_timer_t *timer);

/* A millisecond late rather than early. */
static void timer_arm(struct sp805 *w)
{
	uint64_t end = w->began_ns + period_ns(w), now = uv_hrtime();

	/* Nothing follows an interrupt when there is no reset behind it. */
	if (!counting(w) || (w->raised && !(w->control & CONTROL_RESEN))) {
		uv_timer_stop(&w->timer);
		return;
	}
	uv_update_time(w->timer.loop);
	uv_timer_start(&w->timer, on_timer,
		       end > now ? (end - now) / 1000000 + 1 : 0, 0);
}

static void loop_look(struct sp805 *w)
{
	if (w->closing)
		return;
	bus_lock(w->bus);
	if (counting(w) && uv_hrtime() - w->began_ns >= period_ns(w))
		reach_zero(w);
	timer_arm(w);
	bus_unlock(w->bus);
}

static void on_timer(uv_timer_t *timer)
{
	loop_look(timer->data);
}

static void on_changed(uv_async_t *async)
{
	loop_look(async->data);
}

static uint64_t sp805_read(void *dev, uint64_t offset, unsigned size)
{
	const struct sp805 *w = dev;

	if (!primecell_aligned(offset))
		return 0;
	if (primecell_is_id(offset))
		return primecell_id(offset, PERIPH_ID);
	switch (offset) {
	case REG_LOAD:
		return w->load;
	case REG_VALUE:
		return counter(w);
	case REG_CONTROL:
		return w->control;
	case REG_RIS:
		return w->raised;
	case REG_MIS:
		return w->raised && (w->control & CONTROL_INTEN);
	case REG_LOCK:
		return w->locked;
	default:
		return 0;
	}
}

static void control_write(struct sp805 *w, uint32_t value)
{
	bool enabled = value & ~w->control & CONTROL_INTEN;

	w->control = value & (CONTROL_INTEN | CONTROL_RESEN);
	irq_update(w);
	/* Counting begins at the top. */
	if (enabled)
		reload(w);
	else
		uv_async_send(&w->changed);
}

static void sp805_write(void *dev, uint64_t offset, unsigned size,
			uint64_t value)
{
	struct sp805 *w = dev;

	if (!primecell_aligned(offset))
		return;
	if (offset == REG_LOCK) {
		w->locked = (uint32_t)value != UNLOCK_KEY;
		return;
	}
	if (w->locked)
		return;
	switch (offset) {
	case REG_LOAD:
		w->load = (uint32_t)value;
		reload(w);
		break;
	case REG_CONTROL:
		control_write(w, (uint32_t)value);
		break;
	case REG_INTCLR:
		w->raised = false;
		reload(w);
		break;
	default:
		break;
	}
}

static const struct mmio_ops sp805_ops = {
	.read = sp805_read,
	.write = sp805_write,
};

void sp805_reset(struct sp805 *w)
{
	w->load = UINT32_MAX;
	w->control = 0;
	w->raised = w->locked = w->over = false;
	reload(w);
}

void sp805_hold(struct sp805 *w, bool held)
{
	w->held = held;
	reload(w);
}

static void on_closed(uv_handle_t *handle)
{
	struct sp805 *w = handle->data;

	if (--w->open_handles == 0)
		free(w);
}

struct sp805 *sp805_free(struct sp805 *w)
{
	if (w) {
		w->closing = true;
		uv_close((uv_handle_t *)&w->timer, on_closed);
		uv_close((uv_handle_t *)&w->changed, on_closed);
	}
	return NULL;
}

int sp805_new(const struct sp805_params *params, struct sp805 **ret)
{
	struct sp805 *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return -ENOMEM;
	r = uv_async_init(params->loop, &w->changed, on_changed);
	if (r < 0) {
		free(w);
		return r;
	}
	uv_timer_init(params->loop, &w->timer);
	w->changed.data = w->timer.data = w;
	w->open_handles = 2;
	/* A watchdog does not keep a loop from ending. */
	uv_unref((uv_handle_t *)&w->changed);
	uv_unref((uv_handle_t *)&w->timer);
	w->irq = params->irq;
	w->bus = params->bus;
	w->clock_hz = params->clock_hz;
	w->expired = params->expired;
	w->cookie = params->cookie;
	w->load = UINT32_MAX;
	w->region = (struct mmio_region){
		.name = "sp805",
		.size_bytes = PRIMECELL_SIZE,
		.ops = &sp805_ops,
		.dev = w,
		.enabled = true,
	};
	*ret = w;
	return 0;
}

struct mmio_region *sp805_region(struct sp805 *w)
{
	return &w->region;
}

/* What has passed of a period does not count: see sp805_hold(). */
void sp805_save(const struct sp805 *w, struct state_out *out)
{
	size_t began = state_begin(out, "sp805", 1);

	state_put_u32(out, w->load);
	state_put_u32(out, w->control);
	state_put_u8(out, w->raised);
	state_put_u8(out, w->locked);
	state_put_u8(out, w->over);
	state_end(out, began);
}

int sp805_load(struct sp805 *w, struct state_in *in, struct error *e)
{
	uint32_t load, control;
	bool raised, locked, over;
	struct state_in r;
	int err = state_open(in, "sp805", 1, &r, e);

	if (err)
		return err;
	load = state_get_u32(&r);
	control = state_get_u32(&r);
	raised = state_get_bool(&r);
	locked = state_get_bool(&r);
	over = state_get_bool(&r);
	err = state_close(&r, e);
	if (err)
		return err;
	w->load = load;
	w->control = control & (CONTROL_INTEN | CONTROL_RESEN);
	w->raised = raised;
	w->locked = locked;
	w->over = over;
	reload(w);
	return 0;
}
