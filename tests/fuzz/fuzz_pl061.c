/*
 * PL061: registers in any order and width, pins that move, resets. Its line
 * must stand exactly when a masked status bit does.
 *
 * Input: steps of 1 byte and operands: 0-1 a pin, 2 a reset, else an access.
 */
#include "tests/fuzz/fuzz_input.h"
#include "vmm-kvm/devices/pl061.h"

#define REG_MIS 0x418

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = fuzz_begin(data, size);
	struct mmio_region *region;
	struct pl061 *gpio;
	struct bus *bus;
	bool line = false;

	fuzz_check(pl061_new(&(struct pl061_params){fuzz_line(&line)}, &gpio) ==
		   0);
	region = pl061_region(gpio);
	bus = fuzz_bus(region);
	while (fuzz_more(&in)) {
		uint8_t step = fuzz_u8(&in);

		switch (step & 7) {
		case 0:
		case 1:
			pl061_set_input(gpio, step >> 4, step & 8);
			break;
		case 2:
			pl061_reset(gpio);
			break;
		default:
			fuzz_access(&in, bus, region);
			break;
		}
		fuzz_check(line == (fuzz_peek(bus, region, REG_MIS) != 0));
	}
	bus_free(bus);
	pl061_free(gpio);
	return 0;
}
