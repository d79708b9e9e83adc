/*
 * SP805: registers in any order and width, time that passes as the input says,
 * the machine held and let go, resets. Its line stands exactly while the masked
 * status does, and it expires only when it may: counting, with its interrupt
 * left uncleared and its reset enabled, once until it is reset.
 *
 * Input: steps of 1 byte and operands: 0-1 time passes, 2 the machine stands
 * still or goes on, 3 a reset, else an access.
 */
#include "tests/fuzz/fuzz_loop.h"
#include "vmm-kvm/devices/sp805.h"

#define CLOCK	    1000000
#define REG_VALUE   0x04
#define REG_CONTROL 0x08
#define REG_RIS	    0x10
#define REG_MIS	    0x14
#define REG_LOAD    0x00
#define BOTH	    3

static uint64_t now_ns;

/* In place of libuv's: what the device asks, not its timers. */
uint64_t uv_hrtime(void)
{
	return now_ns;
}

struct fixture {
	struct sp805 *dev;
	struct mmio_region *region;
	struct bus *bus;
	bool line, held, over;
	unsigned control, raised; /* before this turn */
};

static void expired(void *cookie)
{
	struct fixture *f = cookie;

	fuzz_check(!f->over && !f->held && f->control == BOTH && f->raised);
	f->over = true;
}

static void turn(struct fixture *f)
{
	f->control = fuzz_peek(f->bus, f->region, REG_CONTROL);
	f->raised = fuzz_peek(f->bus, f->region, REG_RIS);
	fuzz_turn();
}

static void reset(struct fixture *f)
{
	bus_lock(f->bus);
	sp805_reset(f->dev);
	bus_unlock(f->bus);
	f->over = false;
	fuzz_check(fuzz_peek(f->bus, f->region, REG_VALUE) == UINT32_MAX);
}

/* As an instant, or far ahead; the device looks when it is woken. */
static void pass(struct fixture *f, struct fuzz_input *in, bool far)
{
	now_ns += far ? fuzz_u64(in) >> 8 : fuzz_u32(in);
	bus_lock(f->bus);
	sp805_hold(f->dev, f->held);
	bus_unlock(f->bus);
}

static void step(struct fixture *f, struct fuzz_input *in)
{
	uint8_t what = fuzz_u8(in);

	switch (what & 7) {
	case 0:
		now_ns += fuzz_u32(in);
		break;
	case 1:
		pass(f, in, what & 8);
		break;
	case 2:
		f->held = what & 8;
		bus_lock(f->bus);
		sp805_hold(f->dev, f->held);
		bus_unlock(f->bus);
		break;
	case 3:
		reset(f);
		break;
	default:
		fuzz_access(in, f->bus, f->region);
		break;
	}
	if (what & 128)
		turn(f);
	fuzz_check(f->line == (fuzz_peek(f->bus, f->region, REG_MIS) == 1));
	fuzz_check(fuzz_peek(f->bus, f->region, REG_VALUE) <=
		   fuzz_peek(f->bus, f->region, REG_LOAD));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = fuzz_begin(data, size);
	struct fixture f = {0};
	struct sp805_params params = {.loop = fuzz_loop(),
				      .irq = fuzz_line(&f.line),
				      .clock_hz = CLOCK,
				      .expired = expired,
				      .cookie = &f};

	now_ns = 1000000000;
	fuzz_check(bus_new(&f.bus) == 0);
	params.bus = f.bus;
	fuzz_check(sp805_new(&params, &f.dev) == 0);
	f.region = sp805_region(f.dev);
	f.region->base = 0x09000000;
	fuzz_check(bus_add(f.bus, f.region) == 0);
	while (fuzz_more(&in))
		step(&f, &in);
	bus_free(f.bus);
	sp805_free(f.dev);
	/* Its handles keep no loop running. */
	for (int i = 0; i < 4; i++)
		fuzz_turn();
	fuzz_loop_settle();
	return 0;
}
