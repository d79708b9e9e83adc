/*
 * fw_cfg: selector, data and DMA in any order and width, requests anywhere in
 * memory and outside it. DMA may only write where the request, as it stood,
 * says; and its answer.
 *
 * Input: steps of 1 byte and operands: 0-3 a DMA request is written and
 * started, 4 a reset, 5 bytes into memory, else an access.
 */
#include <endian.h>

#include "tests/fuzz/fuzz_ram.h"
#include "vmm-kvm/devices/fw_cfg.h"

#define REG_DMA	 0x10
#define DMA_READ 2u

struct request {
	uint32_t control, length;
	uint64_t address;
} __attribute__((packed));

struct fixture {
	struct fuzz_ram ram;
	struct fw_cfg *device;
	struct bus *bus;
	struct mmio_region *region;
};

static uint8_t before[FUZZ_LOW_BYTES + FUZZ_HIGH_BYTES];

static bool within(uint64_t gpa, uint64_t start, uint64_t size)
{
	return gpa >= start && gpa - start < size;
}

/* Whether everything that changed lies in the two places. */
static void check_region(const uint8_t *now, const uint8_t *was, uint64_t gpa,
			 uint64_t size, const struct request *r, uint64_t at)
{
	uint64_t bytes = r->control & htobe32(DMA_READ) ? be32toh(r->length)
							: 0;

	for (uint64_t i = 0; i < size; i++)
		if (now[i] != was[i])
			fuzz_check(
				within(gpa + i, be64toh(r->address), bytes) ||
				within(gpa + i, at, 4));
}

static void dma(struct fixture *f, uint64_t at)
{
	struct request r = {0};

	memcpy(before, FUZZ_LOW, FUZZ_LOW_BYTES);
	memcpy(before + FUZZ_LOW_BYTES, FUZZ_HIGH, FUZZ_HIGH_BYTES);
	if (guest_mem_read(&f->ram.mem, at, &r, sizeof(r)) < 0)
		r.control = 0; /* nothing may change but nothing can */
	bus_write(f->bus, f->region->base + REG_DMA, 8, htobe64(at));
	check_region(FUZZ_LOW, before, FUZZ_LOW_GPA, FUZZ_LOW_BYTES, &r, at);
	check_region(FUZZ_HIGH, before + FUZZ_LOW_BYTES, FUZZ_HIGH_GPA,
		     FUZZ_HIGH_BYTES, &r, at);
}

static void request(struct fixture *f, struct fuzz_input *in)
{
	uint64_t at = fuzz_address(in), length;
	struct request r;

	/* Mostly keys that are something, or nearly. */
	r.control = fuzz_u8(in);
	r.control |=
		(uint32_t)(r.control & 128 ? fuzz_u16(in) : fuzz_u8(in) & 0x3f)
		<< 16;
	r.control = htobe32(r.control);
	length = fuzz_u16(in);
	r.length = htobe32((uint32_t)(length & 1 ? length << 16 : length));
	r.address = htobe64(fuzz_address(in));
	fuzz_poke(&f->ram, at, &r, sizeof(r));
	dma(f, at);
}

static void memory(struct fixture *f, struct fuzz_input *in)
{
	uint64_t at = fuzz_address(in);
	size_t n;
	const uint8_t *bytes = fuzz_bytes(in, 16, &n);

	fuzz_poke(&f->ram, at, bytes, n);
}

static void run(struct fixture *f, struct fuzz_input *in)
{
	while (fuzz_more(in)) {
		switch (fuzz_u8(in) & 7) {
		case 0:
		case 1:
		case 2:
		case 3:
			request(f, in);
			break;
		case 4:
			fw_cfg_reset(f->device);
			break;
		case 5:
			memory(f, in);
			break;
		default:
			fuzz_access(in, f->bus, f->region);
			break;
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = fuzz_begin(data, size);
	struct fixture f;

	fuzz_ram_init(&f.ram);
	fuzz_check(fw_cfg_new(&f.ram.mem, &f.device) == 0);
	fuzz_check(fw_cfg_add_file(f.device, "opt/a", "0123456789", 10) == 0);
	fuzz_check(fw_cfg_add_file(f.device, "opt/b", "", 0) == 0);
	f.region = fw_cfg_region(f.device);
	f.bus = fuzz_bus(f.region);
	run(&f, &in);
	bus_free(f.bus);
	fw_cfg_free(f.device);
	fuzz_ram_done(&f.ram);
	return 0;
}
