#include "vmm-kvm/devices/virtio_blk_internal.h"

/* Request types and status, 5.2.6. */
enum {
	TYPE_IN = 0,
	TYPE_OUT = 1,
	TYPE_FLUSH = 4,
	TYPE_GET_ID = 8,
	TYPE_DISCARD = 11,
	TYPE_WRITE_ZEROES = 13,
	STATUS_OK = 0,
	STATUS_IOERR = 1,
	STATUS_UNSUPP = 2,
};

struct blk_header {
	uint32_t type, reserved;
	uint64_t sector;
};

/* struct virtio_blk_discard_write_zeroes, 5.2.6; one per request. */
struct blk_range {
	uint64_t sector;
	uint32_t sectors, flags;
};

#define RANGE_UNMAP 1

/* A chain that the blockdev works on. `status` points into guest memory. */
struct blk_request {
	struct virtio_blk *blk;
	struct blk_request *next; /* of those held */
	uint32_t type;
	uint64_t epoch;
	unsigned queue;
	uint16_t head;
	bool flush; /* before it is reported: a write of a write-through disk */
	uint32_t written; /* when it succeeds */
	uint8_t *status;
};

static void finish(struct virtio_blk *blk, unsigned queue, uint16_t head,
		   uint8_t *status_at, uint8_t status, uint32_t written)
{
	*status_at = status;
	virtio_push(&blk->dev, queue, head, written);
	virtio_notify(&blk->dev, queue);
}

/* 5.2.6.2: who was offered a flush and did not take it expects that what is
 * written is safe. */
static bool writeback(const struct virtio_blk *blk)
{
	if (blk->dev.features & F_CONFIG_WCE)
		return blk->config.writeback;
	return blk->dev.features & F_FLUSH;
}

/* The blockdev has one. */
static void request_leaves(struct virtio_blk *blk, unsigned queue)
{
	virtio_blk_batch_busy(blk, queue, 1);
	blk->busy++;
}

/* The blockdev is through with one. */
static void request_returns(struct virtio_blk *blk, unsigned queue)
{
	virtio_blk_batch_busy(blk, queue, -1);
	if (--blk->busy == 0 && blk->fenced) {
		blk->fenced = false;
		bus_fence_set(blk->dev.bus, false);
	}
}

static bool to_be_held(const struct virtio_blk *blk, int err)
{
	if (blk->dev.doomed || !virtio_live(&blk->dev))
		return false;
	if (blk->on_error == VIRTIO_BLK_HOLD_NO_SPACE)
		return err == ENOSPC || err == EDQUOT;
	return blk->on_error == VIRTIO_BLK_HOLD;
}

/* True: it is held, and stays among the requests the guest waits for. */
static bool request_failed(struct blk_request *r, int err)
{
	static const char *const names[] = {
		[TYPE_IN] = "read",
		[TYPE_OUT] = "write",
		[TYPE_FLUSH] = "flush",
		[TYPE_DISCARD] = "discard",
		[TYPE_WRITE_ZEROES] = "zeroing",
	};
	struct virtio_blk *blk = r->blk;
	const struct virtio_blk_failure f = {
		.disk = &blk->dev,
		.what = names[r->type],
		.err = err,
		.held = to_be_held(blk, err),
	};

	if (f.held) {
		r->next = NULL;
		*blk->held_end = r;
		blk->held_end = &r->next;
	}
	if (blk->failed)
		blk->failed(blk->cookie, &f);
	return f.held;
}

static struct blk_request *take_held(struct virtio_blk *blk)
{
	blk->held_end = &blk->held;
	return TAKE_PTR(blk->held);
}

/* Of a driver that has them no more. */
void virtio_blk_drop_held(struct virtio_blk *blk)
{
	struct blk_request *list = take_held(blk);

	while (list) {
		struct blk_request *r = list;

		list = r->next;
		free(r);
	}
}

static void on_done(void *cookie, int result)
{
	struct blk_request *r = cookie;
	struct virtio_blk *blk = r->blk;
	bool held = false;

	if (result == 0 && r->flush) {
		r->flush = false;
		result = blockdev_flush(blk->blockdev, on_done, r);
		blockdev_submit(blk->blockdev);
		if (result == 0)
			return;
	}
	virtio_enter(&blk->dev);
	/* After a reset the guest's memory is its own again. */
	if (r->epoch == blk->dev.epoch) {
		held = result < 0 && request_failed(r, -result);
		if (!held)
			finish(blk, r->queue, r->head, r->status,
			       result < 0 ? STATUS_IOERR : STATUS_OK,
			       r->written);
	}
	request_returns(blk, r->queue);
	virtio_leave(&blk->dev);
	if (!held)
		free(r);
}

/* Take the status byte off the end of the in-buffers. */
static uint8_t *take_status(struct virtq_chain *chain)
{
	struct iovec *last = &chain->iov[chain->n_out + chain->n_in - 1];

	last->iov_len--;
	chain->in_bytes--;
	if (last->iov_len == 0)
		chain->n_in--;
	return (uint8_t *)last->iov_base + last->iov_len;
}

static bool in_range(const struct virtio_blk *blk, uint64_t sector,
		     uint64_t bytes)
{
	uint64_t end;

	return bytes > 0 && bytes % BLOCKDEV_SECTOR == 0 &&
	       !__builtin_add_overflow(sector, bytes / BLOCKDEV_SECTOR, &end) &&
	       end <= blk->config.capacity_sectors;
}

/* -errno when the request was not started: the caller finishes it. */
static int start_io(struct virtio_blk *blk, const struct blk_header *header,
		    struct blk_request *r, struct iovec *data, unsigned n,
		    uint64_t bytes)
{
	uint64_t at;

	if (header->type == TYPE_FLUSH)
		return blockdev_flush(blk->blockdev, on_done, r);
	if (!in_range(blk, header->sector, bytes))
		return -EIO;
	at = header->sector * BLOCKDEV_SECTOR;
	r->flush = header->type == TYPE_OUT && !writeback(blk);
	if (header->type == TYPE_OUT)
		return blockdev_writev(blk->blockdev, data, (int)n, at, on_done,
				       r);
	r->written += (uint32_t)bytes;
	return blockdev_readv(blk->blockdev, data, (int)n, at, on_done, r);
}

static struct blk_request *request_new(struct virtio_blk *blk, unsigned queue,
				       uint32_t type, uint16_t head,
				       uint8_t *status)
{
	struct blk_request *r = calloc(1, sizeof(*r));

	if (r)
		*r = (struct blk_request){
			.blk = blk,
			.type = type,
			.epoch = blk->dev.epoch,
			.queue = queue,
			.head = head,
			.written = 1,
			.status = status,
		};
	return r;
}

static int start_request(struct virtio_blk *blk, unsigned queue,
			 struct virtq_chain *chain,
			 const struct blk_header *header, uint8_t *status)
{
	struct blk_request *r = request_new(blk, queue, header->type,
					    chain->head, status);
	struct iovec *data = chain->iov;
	unsigned n;
	uint64_t bytes;
	int err;

	if (!r)
		return -ENOMEM;
	if (header->type == TYPE_IN) {
		data += chain->n_out;
		n = chain->n_in;
		bytes = chain->in_bytes;
	} else {
		n = iov_drop_front(&data, chain->n_out, sizeof(*header));
		bytes = chain->out_bytes - sizeof(*header);
	}
	err = start_io(blk, header, r, data, n, bytes);
	if (err < 0)
		free(r);
	else
		request_leaves(blk, queue);
	return err;
}

/* 5.2.6.2: the status of a range that cannot be; STATUS_OK if it can. */
static uint8_t range_judge(const struct virtio_blk *blk, uint32_t type,
			   const struct blk_range *range)
{
	uint32_t known = type == TYPE_WRITE_ZEROES ? RANGE_UNMAP : 0;
	uint32_t max = type == TYPE_WRITE_ZEROES ? ZERO_MAX : DISCARD_MAX;

	if (range->flags & ~known)
		return STATUS_UNSUPP;
	if (range->sectors > max ||
	    !in_range(blk, range->sector,
		      (uint64_t)range->sectors * BLOCKDEV_SECTOR))
		return STATUS_IOERR;
	return STATUS_OK;
}

/* Discard and write-zeroes; the request's status unless it was started. */
static int start_range(struct virtio_blk *blk, unsigned queue,
		       struct virtq_chain *chain, uint32_t type,
		       uint8_t *status)
{
	struct blk_request *r;
	struct blk_range range;
	uint64_t at, bytes;
	int err;

	if (iov_read(chain->iov, chain->n_out, sizeof(struct blk_header),
		     &range, sizeof(range)) != sizeof(range) ||
	    chain->out_bytes != sizeof(struct blk_header) + sizeof(range))
		return STATUS_IOERR;
	err = range_judge(blk, type, &range);
	if (err != STATUS_OK)
		return err;
	r = request_new(blk, queue, type, chain->head, status);
	if (!r)
		return STATUS_IOERR;
	r->flush = type == TYPE_WRITE_ZEROES && !writeback(blk);
	at = range.sector * BLOCKDEV_SECTOR;
	bytes = (uint64_t)range.sectors * BLOCKDEV_SECTOR;
	if (type == TYPE_DISCARD)
		err = blockdev_discard(blk->blockdev, at, bytes, on_done, r);
	else
		err = blockdev_zero(blk->blockdev, at, bytes,
				    range.flags & RANGE_UNMAP, on_done, r);
	if (err == 0) {
		request_leaves(blk, queue);
		return -EINPROGRESS;
	}
	free(r);
	return STATUS_IOERR;
}

static void get_id(struct virtio_blk *blk, unsigned queue,
		   struct virtq_chain *chain, uint8_t *status)
{
	size_t n = iov_write(chain->iov + chain->n_out, chain->n_in, 0,
			     blk->serial, sizeof(blk->serial));

	finish(blk, queue, chain->head, status,
	       n == sizeof(blk->serial) ? STATUS_OK : STATUS_IOERR,
	       (uint32_t)n + 1);
}

/* false: the chain holds no request, which only a broken driver makes. */
static bool handle(struct virtio_blk *blk, unsigned queue,
		   struct virtq_chain *chain)
{
	struct blk_header header;
	uint8_t *status;
	int err;

	if (chain->in_bytes < 1 ||
	    iov_read(chain->iov, chain->n_out, 0, &header, sizeof(header)) !=
		    sizeof(header))
		return false;
	status = take_status(chain);
	if (blk->dev.doomed) {
		finish(blk, queue, chain->head, status, STATUS_IOERR, 1);
		return true;
	}
	switch (header.type) {
	case TYPE_IN:
	case TYPE_OUT:
	case TYPE_FLUSH:
		err = start_request(blk, queue, chain, &header, status);
		if (err < 0)
			finish(blk, queue, chain->head, status, STATUS_IOERR,
			       1);
		return true;
	case TYPE_DISCARD:
	case TYPE_WRITE_ZEROES:
		err = start_range(blk, queue, chain, header.type, status);
		if (err >= 0)
			finish(blk, queue, chain->head, status, (uint8_t)err,
			       1);
		return true;
	case TYPE_GET_ID:
		get_id(blk, queue, chain, status);
		return true;
	default:
		finish(blk, queue, chain->head, status, STATUS_UNSUPP, 1);
		return true;
	}
}

void virtio_blk_kick(struct virtio_dev *d, unsigned index)
{
	struct virtio_blk *blk = virtio_blk_of(d);
	unsigned n, batch = virtio_blk_batch_begin(blk, index);

	virtqueue_ask_for(&d->queues[index], batch);
	/* One ring full a turn, so that a guest cannot hold the loop. */
	for (n = 0; n < QUEUE_SIZE && virtio_pop(d, index, &blk->chain); n++)
		if (!handle(blk, index, &blk->chain)) {
			virtio_fail(d);
			break;
		}
	if (n == QUEUE_SIZE)
		virtio_kick_later(d, index);
	virtio_blk_batch_end(blk, index, batch, n);
	blockdev_submit(blk->blockdev);
}

void virtio_blk_retry(struct virtio_dev *d)
{
	struct virtio_blk *blk = virtio_blk_of(d);
	struct blk_request *list;

	virtio_enter(d);
	list = take_held(blk);
	while (list) {
		struct blk_request *r = list;

		list = r->next;
		/* The memory is the guest's: what stands there is judged like
		 * a new request. */
		if (virtio_again(d, r->queue, r->head, &blk->chain) &&
		    !handle(blk, r->queue, &blk->chain))
			virtio_fail(d);
		free(r);
	}
	blockdev_submit(blk->blockdev);
	virtio_leave(d);
}
