/*
 * PL031 on a clock that the input moves, back as well as on: registers in any
 * order and width, alarms, turns of the loop, resets. Its line must stand
 * exactly when the masked interrupt does, and the count follow the clock.
 *
 * Input: steps of 1 byte and operands: 0 the clock is set, 1 a turn of the
 * loop, 2 a reset, else an access.
 */
#include "tests/fuzz/fuzz_loop.h"
#include "vmm-kvm/devices/pl031.h"

#define REG_DR	0x00
#define REG_MIS 0x18

static int64_t clock_now(void *cookie)
{
	return *(const int64_t *)cookie;
}

static void clock_set(struct fuzz_input *in, struct bus *bus,
		      const struct mmio_region *region, int64_t *now)
{
	uint32_t before = fuzz_peek(bus, region, REG_DR);
	int32_t step = (int32_t)fuzz_u32(in);

	*now += step;
	fuzz_check(fuzz_peek(bus, region, REG_DR) == before + (uint32_t)step);
}

static void run(struct fuzz_input *in, struct pl031 *rtc, struct bus *bus,
		int64_t *now, const bool *line)
{
	const struct mmio_region *region = pl031_region(rtc);

	while (fuzz_more(in)) {
		switch (fuzz_u8(in) & 7) {
		case 0:
			clock_set(in, bus, region, now);
			break;
		case 1:
			fuzz_turn();
			break;
		case 2:
			bus_lock(bus);
			pl031_reset(rtc);
			bus_unlock(bus);
			break;
		default:
			fuzz_access(in, bus, region);
			break;
		}
		fuzz_check((fuzz_peek(bus, region, REG_MIS) != 0) == *line);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = fuzz_begin(data, size);
	int64_t now = 1700000000;
	bool line = false;
	struct pl031_params params = {.loop = fuzz_loop(),
				      .irq = fuzz_line(&line),
				      .now = clock_now,
				      .cookie = &now};
	struct mmio_region *region;
	struct pl031 *rtc;

	fuzz_check(bus_new(&params.bus) == 0);
	fuzz_check(pl031_new(&params, &rtc) == 0);
	region = pl031_region(rtc);
	region->base = 0x09000000;
	fuzz_check(bus_add(params.bus, region) == 0);
	run(&in, rtc, params.bus, &now, &line);
	pl031_free(rtc);
	fuzz_loop_settle();
	bus_free(params.bus);
	return 0;
}
