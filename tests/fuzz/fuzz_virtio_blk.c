/*
 * virtio block behind PCI, over a real blockdev on an engine of our own: a
 * disk in memory whose requests end when, in which order, in what pieces and
 * with what error the input says; also after the device was reset.
 *
 * Input: byte 0 bit 0 with doorbells, bit 1 read-only; then fuzz_virtio.h's
 * steps and 12 some requests end, 13 the disk is said to be resized.
 */
#include <fcntl.h>
#include <sys/mman.h>

#include "lib/host/blockdev_engine.h"
#include "tests/fuzz/fuzz_virtio.h"
#include "vmm-kvm/devices/virtio_blk.h"

#define SECTORS 64

static struct {
	uint8_t bytes[SECTORS * BLOCKDEV_SECTOR];
	struct virtio_dev *dev;
	struct blockdev_request *started; /* newest first */
	/* How the next ones end: 0, -errno; bytes moved at a time. */
	int result;
	size_t piece;
} disk;

/* Move up to a piece of what remains; memory must be the guest's. */
static ssize_t move(struct blockdev_request *r)
{
	uint8_t *at = disk.bytes + r->offset, *base = r->iov->iov_base;
	size_t n = MIN(r->iov->iov_len, disk.piece);

	fuzz_check(r->offset + r->remaining <= sizeof(disk.bytes));
	fuzz_check(r->n_iov > 0);
	fuzz_check((base >= FUZZ_LOW && base < FUZZ_LOW + FUZZ_LOW_BYTES) ||
		   (base >= FUZZ_HIGH && base < FUZZ_HIGH + FUZZ_HIGH_BYTES));
	if (r->op == BLOCKDEV_READ)
		memcpy(base, at, n);
	else
		memcpy(at, base, n);
	return (ssize_t)n;
}

/* A request that asked for no data may not touch memory after a reset: that is
 * the guest's own again. */
static void end_stale(struct blockdev_request *r)
{
	uint64_t epoch = disk.dev->epoch;

	fuzz_dma_before();
	blockdev_request_done(r);
	fuzz_check(epoch == disk.dev->epoch && fuzz_dma_same());
}

static void end_one(struct blockdev_request *r)
{
	bool moves = r->op == BLOCKDEV_READ;

	fuzz_check(!r->dev->readonly || r->op != BLOCKDEV_WRITE);
	if (r->op == BLOCKDEV_FLUSH) {
		r->result = disk.result;
	} else if (r->op != BLOCKDEV_FAIL) {
		while (!blockdev_request_advance(r, disk.result ? disk.result
								: move(r)))
			;
	}
	if (disk.dev->status == 0 && !moves)
		end_stale(r);
	else
		blockdev_request_done(r);
}

static int engine_open(struct blockdev *b)
{
	return 0;
}

static void engine_start(struct blockdev *b)
{
	struct blockdev_request *r;

	while ((r = blockdev_dequeue(b))) {
		r->next = disk.started;
		disk.started = r;
	}
}

/* The newest or the oldest of what was started. */
static void end_next(bool oldest)
{
	struct blockdev_request **at = &disk.started, *r;

	while (oldest && *at && (*at)->next)
		at = &(*at)->next;
	r = *at;
	if (!r)
		return;
	*at = r->next;
	end_one(r);
}

static void engine_wait(struct blockdev *b)
{
	fuzz_check(disk.started);
	end_next(true);
}

static void engine_close(struct blockdev *b)
{
	fuzz_check(!disk.started);
}

/* In place of the library's. */
const struct blockdev_engine blockdev_uring = {engine_open, engine_start,
					       engine_wait, engine_close};
const struct blockdev_engine blockdev_pool = {engine_open, engine_start,
					      engine_wait, engine_close};

/* Gives blockdev_open() the size. */
static int disk_file(void)
{
	static int fd = -1;

	if (fd < 0) {
		fd = memfd_create("disk", MFD_CLOEXEC);
		fuzz_check(fd >= 0 && ftruncate(fd, sizeof(disk.bytes)) == 0);
	}
	return fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

static void settle(struct fuzz_virtio *f)
{
	while (disk.started)
		end_next(true);
}

static void end_some(struct fuzz_input *in)
{
	uint8_t how = fuzz_u8(in);

	disk.result = how & 0x40 ? -EIO : 0;
	disk.piece = how & 0x80 ? 1 + fuzz_u8(in) : SIZE_MAX;
	for (unsigned i = 0; i < (how & 7u); i++)
		end_next(how & 8);
}

static void run(struct fuzz_virtio *f, struct fuzz_input *in)
{
	while (fuzz_more(in)) {
		uint8_t step = fuzz_u8(in);

		switch (step & 15) {
		case 12:
		case 14:
			end_some(in);
			break;
		case 13:
			virtio_blk_resized(f->dev);
			break;
		default:
			fuzz_virtio_step(f, in, step);
			break;
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = fuzz_begin(data, size);
	struct virtio_blk_params params = {.serial = "a-serial"};
	struct fuzz_virtio f = {.settle = settle};
	struct virtio_dev *dev;
	uint8_t shape = fuzz_u8(&in);

	memset(disk.bytes, 0x5d, sizeof(disk.bytes));
	disk.result = 0;
	disk.piece = SIZE_MAX;
	fuzz_machine_init(&f.m);
	fuzz_dma_begin();
	fuzz_check(blockdev_open(fuzz_loop(), disk_file(), shape & 2,
				 &params.blockdev, NULL) == 0);
	fuzz_check(virtio_blk_new(&params, &dev, NULL) == 0);
	disk.dev = dev;
	fuzz_virtio_init(&f, dev, shape & 1);
	run(&f, &in);
	fuzz_virtio_done(&f);
	return 0;
}
