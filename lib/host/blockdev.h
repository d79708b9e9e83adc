/*
 * The host end of a disk: asynchronous reads, writes, flushes,
 * discards and zeroing of a raw file
 * or block device given as a descriptor, by io_uring, or by a thread pool where
 * the host forbids io_uring.
 *
 * Requests wait until blockdev_submit(); callbacks come from the loop, never
 * from inside these calls, blockdev_free() excepted. The ring (io_ring.h), one
 * for all disks of the loop, is made at the first request, so that a process
 * that limits itself first is limited there too. ARMVM_BLOCKDEV=threads in the
 * environment forces the thread pool.
 *
 * Thread: all calls and callbacks on the loop thread.
 */
#ifndef LIB_HOST_BLOCKDEV_H
#define LIB_HOST_BLOCKDEV_H

#include <stdbool.h>
#include <sys/uio.h>
#include <uv.h>

#include "lib/base/error.h"
#include "lib/base/io_stats.h"

#define BLOCKDEV_SECTOR 512

struct blockdev;

/* `result` is 0 or -errno; called exactly once per accepted request. */
typedef void (*blockdev_done_fn)(void *cookie, int result);

/*
 * Consumes fd. Size is taken from the file or device; -EINVAL when it is
 * neither. A trailing partial sector is not offered.
 */
int blockdev_open(uv_loop_t *loop, int fd, bool readonly, struct blockdev **ret,
		  struct error *e) must_check;
/*
 * Waits for requests under way (their callbacks still run; new requests are
 * refused with -ESHUTDOWN), then frees. Remaining uv handles close when the
 * loop runs next.
 */
struct blockdev *blockdev_free(struct blockdev *b);
/* Waits likewise, and takes new requests again afterwards: no memory given to
 * a request before is written to any more. */
void blockdev_drain(struct blockdev *b);
/* Waits for those under way and what their callbacks ask for. */
void blockdev_settle(struct blockdev *b);
DEFINE_CLEANUP(blockdev_free, struct blockdev *)

uint64_t blockdev_capacity_sectors(const struct blockdev *b);
bool blockdev_readonly(const struct blockdev *b);
/* The one it was opened for. */
uv_loop_t *blockdev_loop(const struct blockdev *b);
/* Look at the size again, after the file or device was resized. */
int blockdev_refresh(struct blockdev *b) must_check;

/*
 * iov is copied; the memory it names must stay until the callback. Offsets
 * beyond the end fail with -EIO through the callback. A return value != 0
 * means not accepted and no callback: -EROFS, -EINVAL (more than IOV_MAX
 * buffers), -ESHUTDOWN, -ENOMEM.
 */
int blockdev_readv(struct blockdev *b, const struct iovec *iov, int n,
		   uint64_t offset_bytes, blockdev_done_fn done, void *cookie);
int blockdev_writev(struct blockdev *b, const struct iovec *iov, int n,
		    uint64_t offset_bytes, blockdev_done_fn done, void *cookie);
int blockdev_flush(struct blockdev *b, blockdev_done_fn done, void *cookie);
/*
 * What the range holds from then on does not matter, and its space may be given
 * back. Where the host cannot do that, it succeeds and nothing happens.
 */
int blockdev_discard(struct blockdev *b, uint64_t offset_bytes, uint64_t bytes,
		     blockdev_done_fn done, void *cookie);
/*
 * The range reads as zeroes from then on; with `unmap` its space may be given
 * back. Zeroes are written where the host knows no shorter way. At most
 * BLOCKDEV_ZERO_MAX bytes, else -EINVAL.
 */
#define BLOCKDEV_ZERO_MAX MIB(32)
int blockdev_zero(struct blockdev *b, uint64_t offset_bytes, uint64_t bytes,
		  bool unmap, blockdev_done_fn done, void *cookie);
/* What was done since it was opened, by what was asked for. */
struct blockdev_stats {
	unsigned in_flight;
	struct io_op_stats read, write, flush;
	struct io_op_stats discard; /* and zeroing */
};
void blockdev_stats(const struct blockdev *b, struct blockdev_stats *ret);

/* Start what was queued since the last call: once per batch. */
void blockdev_submit(struct blockdev *b);

#endif
