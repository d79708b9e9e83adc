/*
 * The recorded state of a whole board, changed in any place: it is refused with
 * a reason, or the devices take it and go on like ones a guest has brought
 * there; what a guest then does reaches no memory that is not its own.
 *
 * Input: changes of 1 byte of kind and operands: 2 bytes where, then bytes to
 * put there; kinds from 0xf0 on end it. Then accesses: 1 byte of which window,
 * width and direction, 2 bytes of offset, 4 of value; 0 turns the loop.
 */
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "lib/base/fd.h"
#include "tests/fuzz/fuzz_loop.h"
#include "vmm-kvm/board.h"
#include "vmm-kvm/board_layout.h"

#define FIRMWARE_SIZE KIB(256)
#define NVRAM_SIZE    KIB(768)
#define VECTORS	      64

struct fixture {
	struct chardev *console, *agent;
	struct vm_config config;
	struct board *board;
	struct msi_sink msi;
	int vectors[VECTORS];
	unsigned n_vectors;
};

static void line_set(void *cookie, uint32_t intid, bool level)
{
	fuzz_check(intid >= 32 && intid < BOARD_GIC_IRQS);
}

static int vector_new(void *cookie, uint32_t *ret_vector, int *ret_fd)
{
	struct fixture *f = cookie;

	fuzz_check(f->n_vectors < VECTORS);
	*ret_vector = f->n_vectors;
	*ret_fd = f->vectors[f->n_vectors++] = eventfd(0, EFD_NONBLOCK |
								  EFD_CLOEXEC);
	return 0;
}

static void vector_free(void *cookie, uint32_t vector)
{
	struct fixture *f = cookie;

	f->vectors[vector] = fd_close(f->vectors[vector]);
}

static int vector_set(void *cookie, uint32_t vector, uint64_t address,
		      uint32_t data, uint32_t device_id)
{
	return 0;
}

static void vector_mask(void *cookie, uint32_t vector)
{
}

static void set_mapped(void *cookie, enum board_bank bank, bool mapped)
{
}

static void commit(void *cookie, uint64_t offset, uint64_t size)
{
	fuzz_check(size > 0 && offset < NVRAM_SIZE &&
		   size <= NVRAM_SIZE - offset);
}

static void note(void *cookie, enum board_note what, uint64_t value)
{
}

static void device_event(void *cookie, const struct vmm_device_status *status)
{
}

static int file_of(uint64_t size)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	fuzz_check(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
	return fd;
}

static void board_make(struct fixture *f)
{
	_cleanup_close_ int firmware = file_of(FIRMWARE_SIZE),
			    nvram = file_of(NVRAM_SIZE);
	struct vmm_params vmm = {
		.config = &f->config,
		.loop = fuzz_loop(),
		.hypervisor_fd = -1,
		.firmware_fd = firmware,
		.kernel_fd = -1,
		.initrd_fd = -1,
		.snapshot_fd = -1,
		.nvram_fd = nvram,
		.nvram_size = NVRAM_SIZE,
	};
	static const struct guest_abi abi = {.gic = VM_GIC_V3};
	struct board_space space;
	struct board_params p = {
		.vmm = &vmm,
		.space = &space,
		.abi = &abi,
		.line = {.set = line_set},
		.msi = &f->msi,
		.set_mapped = set_mapped,
		.commit = commit,
		.note = note,
		.device_event = device_event,
	};

	*f = (struct fixture){.config = {.vcpus = 1, .max_hotplug = 1}};
	f->msi = (struct msi_sink){vector_new, vector_free, vector_set,
				   vector_mask, f};
	fuzz_check(chardev_new(fuzz_loop(), &f->console) == 0);
	fuzz_check(chardev_new(fuzz_loop(), &f->agent) == 0);
	vmm.console = vmm.virtio_console = f->console;
	vmm.agent = f->agent;
	fuzz_check(board_space_plan(VM_MEMORY_MIN, 40, &space, NULL) == 0);
	fuzz_check(board_new(&p, &f->board, NULL) == 0);
}

static void board_end(struct fixture *f)
{
	board_free(f->board);
	chardev_free(f->console);
	chardev_free(f->agent);
	fuzz_loop_settle();
}

static void change(struct state_out *state, struct fuzz_input *in)
{
	while (in->left && fuzz_u8(in) < 0xf0) {
		size_t at = fuzz_u16(in) % state->buf.size, n;
		const uint8_t *bytes = fuzz_bytes(in, 1 + fuzz_below(in, 8),
						  &n);

		memcpy(state->buf.data + at, bytes,
		       MIN(n, state->buf.size - at));
	}
}

static void access_one(struct fixture *f, struct fuzz_input *in)
{
	static const uint64_t windows[] = {
		BOARD_PL011_BASE,      BOARD_PL031_BASE,
		BOARD_PL061_BASE,      BOARD_SP805_BASE,
		BOARD_FW_CFG_BASE,     BOARD_FLASH_VARS_BASE,
		BOARD_PCI_ECAM_BASE,   BOARD_PCI_ECAM_BASE + (1 << 15),
		BOARD_PCI_MMIO32_BASE,
	};
	uint8_t how = fuzz_u8(in);
	uint64_t at = windows[(how >> 3) % ARRAY_SIZE(windows)];
	uint64_t value;

	if (how == 0) {
		fuzz_turn();
		return;
	}
	at += fuzz_u16(in);
	if (how & 4)
		(void)bus_write(board_bus(f->board), at, 1u << (how & 3),
				fuzz_u32(in) & fuzz_mask(1u << (how & 3)));
	else
		(void)bus_read(board_bus(f->board), at, 1u << (how & 3),
			       &value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = fuzz_begin(data, size);
	_cleanup_state_out_ struct state_out out = {0};
	struct error e = ERROR_INIT;
	struct state_in state;
	struct fixture f;
	int r;

	board_make(&f);
	board_still(f.board, true);
	board_save(f.board, &out);
	fuzz_check(!out.failed);
	change(&out, &in);
	state = state_in(out.buf.data, out.buf.size);
	r = board_load(f.board, &state, &e);
	fuzz_check((r == 0) == !e.message[0]);
	if (r == 0) {
		board_still(f.board, false);
		while (fuzz_more(&in))
			access_one(&f, &in);
	}
	board_end(&f);
	return 0;
}
