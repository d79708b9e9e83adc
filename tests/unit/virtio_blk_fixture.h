/*
 * A virtio block device on a small file, behind the PCI transport, and its
 * driver.
 */
#ifndef TESTS_UNIT_VIRTIO_BLK_FIXTURE_H
#define TESTS_UNIT_VIRTIO_BLK_FIXTURE_H

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>

#include "lib/base/fd.h"
#include "tests/unit/pci_fixture.h"
#include "vmm-kvm/devices/virtio_blk.h"

#define DEVFN	   PCI_DEVFN(1, 0)
#define SECTORS	   64
#define HEADER_GPA DATA_GPA
#define STATUS_GPA (DATA_GPA + 0x100)
#define BUFFER_GPA (DATA_GPA + 0x1000)

enum { IN = 0, OUT = 1, FLUSH = 4, GET_ID = 8, OK = 0, IOERR = 1, UNSUPP = 2 };

struct fixture {
	struct machine m;
	struct virtio_dev *dev;
	struct virtio_pci *v;
	struct driver d;
	struct vring ring;
	char path[32];
	int fd; /* the test's own view of the disk */
	struct virtio_blk_params blk;
};

static inline int setup_params(void **state, const struct virtio_blk_params *p,
			       bool readonly)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct virtio_blk_params blk = *p;

	f->blk = *p;
	blk.serial = "disk-serial-0123456789";
	machine_init(&f->m);
	strcpy(f->path, "/tmp/armvm-blk-XXXXXX");
	f->fd = mkostemp(f->path, O_CLOEXEC);
	assert_true(f->fd >= 0);
	assert_int_equal(ftruncate(f->fd, SECTORS * 512), 0);
	assert_int_equal(blockdev_open(&f->m.loop,
				       fcntl(f->fd, F_DUPFD_CLOEXEC, 0),
				       readonly, &blk.blockdev, NULL),
			 0);
	assert_int_equal(virtio_blk_new(&blk, &f->dev, NULL), 0);
	f->v = driver_plug(&f->d, &f->m, DEVFN, f->dev, true);
	driver_start(&f->d, 3ull << 28 | 1 << 9, &f->ring, 1);
	*state = f;
	return 0;
}

static inline int setup_with(void **state, bool readonly, unsigned n_queues)
{
	const struct virtio_blk_params blk = {.n_queues = n_queues};

	return setup_params(state, &blk, readonly);
}

static inline int setup(void **state)
{
	return setup_with(state, false, 0);
}

static inline int setup_readonly(void **state)
{
	return setup_with(state, true, 0);
}

static inline int setup_queues(void **state)
{
	return setup_with(state, false, 3);
}

static inline int setup_threads(void **state)
{
	setenv("ARMVM_BLOCKDEV", "threads", 1);
	return setup_with(state, false, 0);
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	virtio_pci_free(f->v);
	machine_done(&f->m);
	unlink(f->path);
	fd_close(f->fd);
	free(f);
	unsetenv("ARMVM_BLOCKDEV");
	return 0;
}

static inline void header(struct fixture *f, uint32_t type, uint64_t sector)
{
	uint32_t *h = ram_at(&f->m.ram, HEADER_GPA);

	h[0] = type;
	h[1] = 0;
	memcpy(&h[2], &sector, 8);
	*(uint8_t *)ram_at(&f->m.ram, STATUS_GPA) = 0xee;
}

/* Header, one buffer (unless bytes is 0), status: descriptors 0 to 2. */
static inline void post(struct fixture *f, uint32_t type, uint64_t sector,
			uint32_t bytes)
{
	struct vring *v = &f->ring;
	unsigned write = type == OUT ? 0 : VIRTQ_DESC_WRITE;

	header(f, type, sector);
	vring_desc(v, v->desc, 0, HEADER_GPA, 16, VIRTQ_DESC_NEXT,
		   bytes ? 1 : 2);
	vring_desc(v, v->desc, 1, BUFFER_GPA, bytes, VIRTQ_DESC_NEXT | write,
		   2);
	vring_desc(v, v->desc, 2, STATUS_GPA, 1, VIRTQ_DESC_WRITE, 0);
	vring_add(v, 0);
	driver_notify(&f->d, 0);
}

static inline uint8_t status(struct fixture *f)
{
	return *(uint8_t *)ram_at(&f->m.ram, STATUS_GPA);
}

static inline uint8_t request(struct fixture *f, uint32_t type, uint64_t sector,
			      uint32_t bytes, uint32_t *ret_written)
{
	uint32_t head;

	post(f, type, sector, bytes);
	assert_true(driver_wait(&f->d, &f->ring, &head, ret_written));
	assert_int_equal(head, 0);
	return status(f);
}

enum { DISCARD = 11, ZEROES = 13 };

/* A discard or write-zeroes of one range. */
static inline uint8_t range(struct fixture *f, uint32_t type, uint64_t sector,
			    uint32_t sectors, uint32_t flags)
{
	const struct {
		uint64_t sector;
		uint32_t sectors, flags;
	} segment = {sector, sectors, flags};
	struct vring *v = &f->ring;
	uint32_t head, written;

	header(f, type, 0);
	memcpy(ram_at(&f->m.ram, BUFFER_GPA), &segment, sizeof(segment));
	vring_desc(v, v->desc, 0, HEADER_GPA, 16, VIRTQ_DESC_NEXT, 1);
	vring_desc(v, v->desc, 1, BUFFER_GPA, 16, VIRTQ_DESC_NEXT, 2);
	vring_desc(v, v->desc, 2, STATUS_GPA, 1, VIRTQ_DESC_WRITE, 0);
	vring_add(v, 0);
	driver_notify(&f->d, 0);
	assert_true(driver_wait(&f->d, v, &head, &written));
	assert_int_equal(written, 1);
	return status(f);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define TEST_THREADS(f) \
	cmocka_unit_test_setup_teardown(f, setup_threads, teardown)

#endif
