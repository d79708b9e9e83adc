/* A board on sinks that only remember, for tests. */
#ifndef TESTS_UNIT_BOARD_FIXTURE_H
#define TESTS_UNIT_BOARD_FIXTURE_H

#include <sys/eventfd.h>
#include <sys/mman.h>

#include "lib/base/fd.h"
#include "vmm-kvm/board_layout.h"
#include "vmm-kvm/boot.h"

#define FIRMWARE_SIZE KIB(512)
#define NVRAM_SIZE    KIB(768)
#define VECTORS	      32

/* A board on sinks that only remember. */
struct fixture {
	uv_loop_t loop;
	struct chardev *console;
	struct vm_config config;
	struct disk_config disks[VM_DISKS_MAX];
	struct nic_config nics[VM_NICS_MAX];
	struct vmm_params params;
	struct board_space space;
	struct guest_abi abi;
	struct board *board;
	struct msi_sink msi;
	uint64_t lines; /* bit per INTID below 64 */
	int vectors[VECTORS];
	size_t n_vectors;
	unsigned commits;
	uint64_t commit_offset, commit_size;
};

static void on_line(void *cookie, uint32_t intid, bool level)
{
	struct fixture *f = cookie;

	assert_in_range(intid, 32, BOARD_GIC_IRQS - 1);
	if (intid >= 64)
		return;
	f->lines &= ~(1ull << intid);
	f->lines |= (uint64_t)level << intid;
}

static int vector_new(void *cookie, uint32_t *ret_vector, int *ret_fd)
{
	struct fixture *f = cookie;

	assert_true(f->n_vectors < VECTORS);
	*ret_vector = (uint32_t)f->n_vectors;
	*ret_fd = f->vectors[f->n_vectors++] = memfd_create("vector",
							    MFD_CLOEXEC);
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

static void ignore_mapped(void *cookie, enum board_bank bank, bool mapped)
{
}

static void on_commit(void *cookie, uint64_t offset, uint64_t size)
{
	struct fixture *f = cookie;

	f->commits++;
	f->commit_offset = offset;
	f->commit_size = size;
}

static int file_of(uint64_t size)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	return fd;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	uv_loop_init(&f->loop);
	assert_int_equal(chardev_new(&f->loop, &f->console), 0);
	f->config.disks = f->disks;
	f->config.nics = f->nics;
	f->config.vcpus = 2;
	f->params = (struct vmm_params){
		.config = &f->config,
		.loop = &f->loop,
		.console = f->console,
		.hypervisor_fd = -1,
		.firmware_fd = file_of(FIRMWARE_SIZE),
		.kernel_fd = -1,
		.snapshot_fd = -1,
		.initrd_fd = -1,
		.nvram_fd = file_of(NVRAM_SIZE),
		.nvram_size = NVRAM_SIZE,
	};
	assert_int_equal(board_space_plan(MIB(128), 40, &f->space, NULL), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	board_free(f->board);
	chardev_free(f->console);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	for (size_t i = 0; i < f->n_vectors; i++)
		assert_int_equal(f->vectors[i], -1);
	fd_close(f->params.firmware_fd);
	fd_close(f->params.nvram_fd);
	free(f);
	return 0;
}

static int make_board(struct fixture *f, struct error *e)
{
	struct board_params p = {
		.vmm = &f->params,
		.space = &f->space,
		.abi = &f->abi,
		.line = {.set = on_line, .cookie = f},
		.msi = &f->msi,
		.set_mapped = ignore_mapped,
		.commit = on_commit,
		.cookie = f,
	};

	f->msi = (struct msi_sink){
		.vector_new = vector_new,
		.vector_free = vector_free,
		.vector_set = vector_set,
		.vector_mask = vector_mask,
		.cookie = f,
	};
	return board_new(&p, &f->board, e);
}

/* With erased variables. */
static void need_board(struct fixture *f)
{
	struct error e = ERROR_INIT;
	int r = make_board(f, &e);

	if (r)
		fail_msg("%s", e.message);
	memset(board_bank(f->board, BOARD_BANK_VARS)->hva, 0xff, NVRAM_SIZE);
}

#endif
