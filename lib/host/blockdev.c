#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "lib/base/fd.h"
#include "lib/host/blockdev_engine.h"

static int size_of(int fd, uint64_t *ret_bytes)
{
	struct stat st;
	uint64_t bytes;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISREG(st.st_mode))
		bytes = (uint64_t)st.st_size;
	else if (!S_ISBLK(st.st_mode))
		return -EINVAL;
	else if (ioctl(fd, BLKGETSIZE64, &bytes) < 0)
		return -errno;
	/* Offsets travel as off_t further down. */
	*ret_bytes = ALIGN_DOWN(MIN(bytes, (uint64_t)INT64_MAX),
				(uint64_t)BLOCKDEV_SECTOR);
	return 0;
}

int blockdev_open(uv_loop_t *loop, int fd, bool readonly, struct blockdev **ret,
		  struct error *e)
{
	_cleanup_close_ int owned = fd;
	struct blockdev *b;
	uint64_t size_bytes;
	int r;

	r = size_of(fd, &size_bytes);
	if (r == -EINVAL)
		return error_set(e, r,
				 "a disk must be a regular file or a block "
				 "device");
	if (r < 0)
		return error_set(e, r, "cannot find the size of a disk: %s",
				 strerror(-r));
	b = calloc(1, sizeof(*b));
	if (!b)
		return error_set(e, -ENOMEM, "out of memory for a disk");
	b->loop = loop;
	b->fd = TAKE_FD(owned);
	b->readonly = readonly;
	b->size_bytes = size_bytes;
	b->queue_end = &b->queue;
	*ret = b;
	return 0;
}

void blockdev_settle(struct blockdev *b)
{
	while (b->accepted > 0) {
		blockdev_submit(b);
		b->engine->wait(b);
	}
}

void blockdev_drain(struct blockdev *b)
{
	b->closing = true;
	blockdev_settle(b);
	b->closing = false;
}

struct blockdev *blockdev_free(struct blockdev *b)
{
	if (!b)
		return NULL;
	blockdev_drain(b);
	if (b->engine)
		b->engine->close(b);
	fd_close(b->fd);
	free(b);
	return NULL;
}

uint64_t blockdev_capacity_sectors(const struct blockdev *b)
{
	return b->size_bytes / BLOCKDEV_SECTOR;
}

uv_loop_t *blockdev_loop(const struct blockdev *b)
{
	return b->loop;
}

bool blockdev_readonly(const struct blockdev *b)
{
	return b->readonly;
}

int blockdev_refresh(struct blockdev *b)
{
	return size_of(b->fd, &b->size_bytes);
}

struct blockdev_request *blockdev_dequeue(struct blockdev *b)
{
	struct blockdev_request *r = b->queue;

	if (r) {
		b->queue = r->next;
		if (!b->queue)
			b->queue_end = &b->queue;
		r->next = NULL;
	}
	return r;
}

void blockdev_requeue(struct blockdev *b, struct blockdev_request *r)
{
	r->next = b->queue;
	b->queue = r;
	if (!r->next)
		b->queue_end = &r->next;
}

static struct io_op_stats *stats_of(struct blockdev *b, enum blockdev_op op)
{
	switch (op) {
	case BLOCKDEV_READ:
		return &b->stats.read;
	case BLOCKDEV_WRITE:
		return &b->stats.write;
	case BLOCKDEV_FLUSH:
		return &b->stats.flush;
	default:
		return &b->stats.discard;
	}
}

static void enqueue(struct blockdev *b, struct blockdev_request *r)
{
	r->asked_ns = uv_hrtime();
	r->next = NULL;
	*b->queue_end = r;
	b->queue_end = &r->next;
	b->accepted++;
}

/* -EOVERFLOW when the lengths do not add up in 64 bits. */
static int total_bytes(const struct iovec *iov, int n, uint64_t *ret)
{
	uint64_t sum = 0;

	for (int i = 0; i < n; i++)
		if (__builtin_add_overflow(sum, iov[i].iov_len, &sum))
			return -EOVERFLOW;
	*ret = sum;
	return 0;
}

/* `n_room` entries of r->storage are allocated. */
static struct blockdev_request *request_new(struct blockdev *b,
					    enum blockdev_op op, int n_room,
					    uint64_t offset,
					    blockdev_done_fn done, void *cookie)
{
	struct blockdev_request *r;

	r = calloc(1, sizeof(*r) + (size_t)n_room * sizeof(r->storage[0]));
	if (!r)
		return NULL;
	r->dev = b;
	r->op = op;
	r->stats = stats_of(b, op);
	r->iov = r->storage;
	r->n_iov = n_room;
	r->offset = offset;
	r->done = done;
	r->cookie = cookie;
	return r;
}

/* r->remaining is set; a range that is not the disk's fails by callback. */
static void accept_range(struct blockdev *b, struct blockdev_request *r)
{
	uint64_t end;

	r->bytes = r->remaining;
	if (__builtin_add_overflow(r->offset, r->remaining, &end) ||
	    end > b->size_bytes) {
		r->op = BLOCKDEV_FAIL;
		r->result = -EIO;
	} else if (r->op != BLOCKDEV_FLUSH && r->remaining == 0) {
		r->op = BLOCKDEV_FAIL; /* nothing to move: ends with 0 */
	}
	enqueue(b, r);
}

static int accept_request(struct blockdev *b, enum blockdev_op op,
			  const struct iovec *iov, int n, uint64_t offset,
			  blockdev_done_fn done, void *cookie)
{
	struct blockdev_request *r;

	if (b->closing)
		return -ESHUTDOWN;
	if (n < 0 || n > IOV_MAX)
		return -EINVAL;
	r = request_new(b, op, n, offset, done, cookie);
	if (!r)
		return -ENOMEM;
	if (n > 0)
		memcpy(r->storage, iov, (size_t)n * sizeof(*iov));
	if (total_bytes(iov, n, &r->remaining) < 0)
		r->remaining = UINT64_MAX; /* is no disk's */
	accept_range(b, r);
	return 0;
}

int blockdev_readv(struct blockdev *b, const struct iovec *iov, int n,
		   uint64_t offset_bytes, blockdev_done_fn done, void *cookie)
{
	return accept_request(b, BLOCKDEV_READ, iov, n, offset_bytes, done,
			      cookie);
}

int blockdev_writev(struct blockdev *b, const struct iovec *iov, int n,
		    uint64_t offset_bytes, blockdev_done_fn done, void *cookie)
{
	if (b->readonly)
		return -EROFS;
	return accept_request(b, BLOCKDEV_WRITE, iov, n, offset_bytes, done,
			      cookie);
}

int blockdev_flush(struct blockdev *b, blockdev_done_fn done, void *cookie)
{
	return accept_request(b, BLOCKDEV_FLUSH, NULL, 0, 0, done, cookie);
}

int blockdev_discard(struct blockdev *b, uint64_t offset_bytes, uint64_t bytes,
		     blockdev_done_fn done, void *cookie)
{
	struct blockdev_request *r;

	if (b->readonly)
		return -EROFS;
	if (b->closing)
		return -ESHUTDOWN;
	r = request_new(b, BLOCKDEV_DISCARD, 0, offset_bytes, done, cookie);
	if (!r)
		return -ENOMEM;
	r->remaining = bytes;
	r->fallocate_mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	accept_range(b, r);
	return 0;
}

int blockdev_zero(struct blockdev *b, uint64_t offset_bytes, uint64_t bytes,
		  bool unmap, blockdev_done_fn done, void *cookie)
{
	static const uint8_t zeroes[KIB(64)];
	int n = (int)DIV_ROUND_UP(bytes, sizeof(zeroes));
	struct blockdev_request *r;

	if (b->readonly)
		return -EROFS;
	if (b->closing)
		return -ESHUTDOWN;
	if (bytes > BLOCKDEV_ZERO_MAX)
		return -EINVAL;
	r = request_new(b, BLOCKDEV_ZERO, n, offset_bytes, done, cookie);
	if (!r)
		return -ENOMEM;
	r->remaining = bytes;
	r->fallocate_mode = (unmap ? FALLOC_FL_PUNCH_HOLE
				   : FALLOC_FL_ZERO_RANGE) |
			    FALLOC_FL_KEEP_SIZE;
	for (int i = 0; i < n; i++) {
		r->storage[i].iov_base = (void *)zeroes; /* only written out */
		r->storage[i].iov_len = MIN(bytes, sizeof(zeroes));
		bytes -= r->storage[i].iov_len;
	}
	accept_range(b, r);
	return 0;
}

void blockdev_stats(const struct blockdev *b, struct blockdev_stats *ret)
{
	*ret = b->stats;
	ret->in_flight = b->accepted;
}

static void choose_engine(struct blockdev *b)
{
	const char *forced = getenv("ARMVM_BLOCKDEV");

	b->engine = &blockdev_uring;
	if ((forced && streq(forced, "threads")) || b->engine->open(b) < 0) {
		b->engine = &blockdev_pool;
		b->engine->open(b);
	}
}

void blockdev_submit(struct blockdev *b)
{
	if (!b->queue)
		return;
	if (!b->engine)
		choose_engine(b);
	b->engine->start(b);
}

bool blockdev_request_advance(struct blockdev_request *r, ssize_t moved)
{
	uint64_t left;

	if (moved == -EINTR || moved == -EAGAIN)
		return false;
	if (moved <= 0 || (uint64_t)moved > r->remaining) {
		/* 0: the file was truncated under us. */
		r->result = moved < 0 ? (int)moved : -EIO;
		return true;
	}
	r->offset += (uint64_t)moved;
	r->remaining -= (uint64_t)moved;
	for (left = (uint64_t)moved; left > 0 && left >= r->iov->iov_len;) {
		left -= r->iov->iov_len;
		r->iov++;
		r->n_iov--;
	}
	if (left > 0) {
		r->iov->iov_base = (char *)r->iov->iov_base + left;
		r->iov->iov_len -= left;
	}
	return r->remaining == 0;
}

bool blockdev_request_allocated(struct blockdev_request *r, int result)
{
	if (result == -EINTR)
		return false;
	/* ENODEV and EINVAL: block devices that know no such thing. */
	if (result == -EOPNOTSUPP || result == -ENODEV || result == -EINVAL) {
		if (r->op == BLOCKDEV_ZERO) {
			r->op = BLOCKDEV_WRITE;
			return false;
		}
		result = 0;
	}
	r->result = result;
	return true;
}

void blockdev_request_done(struct blockdev_request *r)
{
	r->dev->accepted--;
	io_op_count(r->stats, r->bytes, uv_hrtime() - r->asked_ns,
		    r->result >= 0);
	r->done(r->cookie, r->result);
	free(r);
}
