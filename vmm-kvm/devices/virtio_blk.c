#include "vmm-kvm/devices/virtio_blk.h"

#define QUEUE_SIZE 256
/* Of a chain, one descriptor each is the header and the status. */
#define SEGMENTS_MAX (QUEUE_SIZE - 2)

/* Feature bits, 5.2.3. */
#define F_SEG_MAX      (1ull << 2)
#define F_RO	       (1ull << 5)
#define F_BLK_SIZE     (1ull << 6)
#define F_FLUSH	       (1ull << 9)
#define F_TOPOLOGY     (1ull << 10)
#define F_CONFIG_WCE   (1ull << 11)
#define F_MQ	       (1ull << 12)
#define F_DISCARD      (1ull << 13)
#define F_WRITE_ZEROES (1ull << 14)

/* Limits we set ourselves, in sectors: what one request may hold up. */
#define DISCARD_MAX (GIB(2) / BLOCKDEV_SECTOR)
#define ZERO_MAX    (BLOCKDEV_ZERO_MAX / BLOCKDEV_SECTOR)
/* What file systems and page cache work in: 8 sectors, an exponent of 3. */
#define PAGE_SECTORS	 8
#define PAGE_SECTORS_LOG 3

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

/* struct virtio_blk_config up to what we offer, 5.2.4. */
struct blk_config {
	uint64_t capacity_sectors;
	uint32_t size_max, seg_max;
	uint8_t geometry[4];
	uint32_t blk_size;
	uint8_t physical_block_exp, alignment_offset;
	uint16_t min_io_blocks;
	uint32_t opt_io_blocks;
	uint8_t writeback, unused0;
	uint16_t num_queues;
	uint32_t max_discard_sectors, max_discard_seg, discard_alignment;
	uint32_t max_zero_sectors, max_zero_seg;
	uint8_t zero_may_unmap, unused1[3];
} __attribute__((packed));

_Static_assert(sizeof(struct blk_config) == 60, "5.2.4");

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

struct virtio_blk {
	struct virtio_dev dev;
	struct blockdev *blockdev;
	struct blk_config config;
	char serial[VIRTIO_BLK_SERIAL_MAX]; /* NUL-padded, not terminated */
	struct virtq_chain chain;	    /* the one being started */
};

/* A chain that the blockdev works on. `status` points into guest memory. */
struct blk_request {
	struct virtio_blk *blk;
	uint64_t epoch;
	unsigned queue;
	uint16_t head;
	bool flush; /* before it is reported: a write of a write-through disk */
	uint32_t written; /* when it succeeds */
	uint8_t *status;
};

static struct virtio_blk *from_dev(struct virtio_dev *d)
{
	return container_of(d, struct virtio_blk, dev);
}

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

static void on_done(void *cookie, int result)
{
	struct blk_request *r = cookie;
	struct virtio_blk *blk = r->blk;
	uint8_t status;

	if (result == 0 && r->flush) {
		r->flush = false;
		result = blockdev_flush(blk->blockdev, on_done, r);
		blockdev_submit(blk->blockdev);
		if (result == 0)
			return;
	}
	status = result < 0 ? STATUS_IOERR : STATUS_OK;
	virtio_enter(&blk->dev);
	/* After a reset the guest's memory is its own again. */
	if (r->epoch == blk->dev.epoch)
		finish(blk, r->queue, r->head, r->status, status, r->written);
	virtio_leave(&blk->dev);
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
				       uint16_t head, uint8_t *status)
{
	struct blk_request *r = calloc(1, sizeof(*r));

	if (r)
		*r = (struct blk_request){
			.blk = blk,
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
	struct blk_request *r = request_new(blk, queue, chain->head, status);
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
	r = request_new(blk, queue, chain->head, status);
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
	if (err == 0)
		return -EINPROGRESS;
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

static void kick(struct virtio_dev *d, unsigned index)
{
	struct virtio_blk *blk = from_dev(d);
	unsigned n;

	/* One ring full a turn, so that a guest cannot hold the loop. */
	for (n = 0; n < QUEUE_SIZE && virtio_pop(d, index, &blk->chain); n++)
		if (!handle(blk, index, &blk->chain)) {
			virtio_fail(d);
			break;
		}
	if (n == QUEUE_SIZE)
		virtio_kick_later(d, index);
	blockdev_submit(blk->blockdev);
}

static void reset(struct virtio_dev *d)
{
	from_dev(d)->config.writeback = 1;
}

static void config_write(struct virtio_dev *d, uint64_t offset, unsigned size,
			 uint64_t value)
{
	/* 5.2.4: the one field a driver may write. */
	if (offset == offsetof(struct blk_config, writeback) && size == 1 &&
	    (d->features & F_CONFIG_WCE))
		from_dev(d)->config.writeback = value & 1;
}

/* All that was asked for is done and told. */
static void hold(struct virtio_dev *d, bool held)
{
	if (held)
		blockdev_settle(from_dev(d)->blockdev);
}

static void save(const struct virtio_dev *d, struct state_out *out)
{
	const struct virtio_blk *blk = container_of(d, struct virtio_blk, dev);

	state_put_u64(out, blk->config.capacity_sectors);
	state_put_u8(out, blk->config.writeback);
}

static int load(struct virtio_dev *d, struct state_in *in, struct error *e)
{
	struct virtio_blk *blk = from_dev(d);

	if (state_get_u64(in) != blk->config.capacity_sectors)
		return state_bad(in, e, "is of a disk of another size");
	blk->config.writeback = state_get_bool(in);
	return 0;
}

static void blk_free(struct virtio_dev *d)
{
	struct virtio_blk *blk = from_dev(d);

	blockdev_free(blk->blockdev);
	free(blk);
}

static const struct virtio_dev_ops ops = {
	.name = "virtio-blk",
	.device_id = VIRTIO_ID_BLOCK,
	.pci_class = 0x010000,
	.kick = kick,
	.reset = reset,
	.config_write = config_write,
	.hold = hold,
	.save = save,
	.load = load,
	.free = blk_free,
};

int virtio_blk_new(const struct virtio_blk_params *params,
		   struct virtio_dev **ret, struct error *e)
{
	struct virtio_blk *blk = calloc(1, sizeof(*blk));
	unsigned n_queues = params->n_queues ? params->n_queues : 1;
	uint64_t features = F_SEG_MAX | F_BLK_SIZE | F_FLUSH | F_TOPOLOGY |
			    F_CONFIG_WCE;

	if (!blk) {
		blockdev_free(params->blockdev);
		return error_set(e, -ENOMEM, "out of memory for virtio-blk");
	}
	if (blockdev_readonly(params->blockdev))
		features |= F_RO;
	else
		features |= F_DISCARD | F_WRITE_ZEROES;
	if (n_queues > 1)
		features |= F_MQ;
	blk->blockdev = params->blockdev;
	blk->config = (struct blk_config){
		.capacity_sectors = blockdev_capacity_sectors(params->blockdev),
		.seg_max = SEGMENTS_MAX,
		.blk_size = BLOCKDEV_SECTOR,
		.physical_block_exp = PAGE_SECTORS_LOG,
		.min_io_blocks = PAGE_SECTORS,
		.writeback = 1,
		.num_queues = (uint16_t)n_queues,
		.max_discard_sectors = DISCARD_MAX,
		.max_discard_seg = 1,
		.discard_alignment = PAGE_SECTORS,
		.max_zero_sectors = ZERO_MAX,
		.max_zero_seg = 1,
		.zero_may_unmap = 1,
	};
	if (params->serial)
		memcpy(blk->serial, params->serial,
		       strnlen(params->serial, sizeof(blk->serial)));
	virtio_dev_init(&blk->dev, &ops, features, &blk->config,
			sizeof(blk->config), n_queues, QUEUE_SIZE);
	*ret = &blk->dev;
	return 0;
}

void virtio_blk_resized(struct virtio_dev *d)
{
	struct virtio_blk *blk = from_dev(d);

	virtio_enter(d);
	blk->config.capacity_sectors = blockdev_capacity_sectors(blk->blockdev);
	virtio_config_changed(d);
	virtio_leave(d);
}
