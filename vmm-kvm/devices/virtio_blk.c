#include "vmm-kvm/devices/virtio_blk.h"

#define QUEUE	   0
#define QUEUE_SIZE 256
/* Of a chain, one descriptor each is the header and the status. */
#define SEGMENTS_MAX (QUEUE_SIZE - 2)

/* Feature bits, 5.2.3. */
#define F_SEG_MAX  (1ull << 2)
#define F_RO	   (1ull << 5)
#define F_BLK_SIZE (1ull << 6)
#define F_FLUSH	   (1ull << 9)

/* Request types and status, 5.2.6. */
enum {
	TYPE_IN = 0,
	TYPE_OUT = 1,
	TYPE_FLUSH = 4,
	TYPE_GET_ID = 8,
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
} __attribute__((packed));

struct blk_header {
	uint32_t type, reserved;
	uint64_t sector;
};

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
	uint16_t head;
	uint32_t written; /* when it succeeds */
	uint8_t *status;
};

static struct virtio_blk *from_dev(struct virtio_dev *d)
{
	return container_of(d, struct virtio_blk, dev);
}

static void finish(struct virtio_blk *blk, uint16_t head, uint8_t *status_at,
		   uint8_t status, uint32_t written)
{
	*status_at = status;
	virtio_push(&blk->dev, QUEUE, head, written);
	virtio_notify(&blk->dev, QUEUE);
}

static void on_done(void *cookie, int result)
{
	_cleanup_free_ struct blk_request *r = cookie;
	struct virtio_blk *blk = r->blk;
	uint8_t status = result < 0 ? STATUS_IOERR : STATUS_OK;

	virtio_enter(&blk->dev);
	/* After a reset the guest's memory is its own again. */
	if (r->epoch == blk->dev.epoch)
		finish(blk, r->head, r->status, status, r->written);
	virtio_leave(&blk->dev);
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
	if (header->type == TYPE_OUT)
		return blockdev_writev(blk->blockdev, data, (int)n, at, on_done,
				       r);
	r->written += (uint32_t)bytes;
	return blockdev_readv(blk->blockdev, data, (int)n, at, on_done, r);
}

static int start_request(struct virtio_blk *blk, struct virtq_chain *chain,
			 const struct blk_header *header, uint8_t *status)
{
	struct blk_request *r = calloc(1, sizeof(*r));
	struct iovec *data = chain->iov;
	unsigned n;
	uint64_t bytes;
	int err;

	if (!r)
		return -ENOMEM;
	*r = (struct blk_request){
		.blk = blk,
		.epoch = blk->dev.epoch,
		.head = chain->head,
		.written = 1,
		.status = status,
	};
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

static void get_id(struct virtio_blk *blk, struct virtq_chain *chain,
		   uint8_t *status)
{
	size_t n = iov_write(chain->iov + chain->n_out, chain->n_in, 0,
			     blk->serial, sizeof(blk->serial));

	finish(blk, chain->head, status,
	       n == sizeof(blk->serial) ? STATUS_OK : STATUS_IOERR,
	       (uint32_t)n + 1);
}

/* false: the chain holds no request, which only a broken driver makes. */
static bool handle(struct virtio_blk *blk, struct virtq_chain *chain)
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
		finish(blk, chain->head, status, STATUS_IOERR, 1);
		return true;
	}
	switch (header.type) {
	case TYPE_IN:
	case TYPE_OUT:
	case TYPE_FLUSH:
		err = start_request(blk, chain, &header, status);
		if (err < 0)
			finish(blk, chain->head, status, STATUS_IOERR, 1);
		return true;
	case TYPE_GET_ID:
		get_id(blk, chain, status);
		return true;
	default:
		finish(blk, chain->head, status, STATUS_UNSUPP, 1);
		return true;
	}
}

static void kick(struct virtio_dev *d, unsigned index)
{
	struct virtio_blk *blk = from_dev(d);
	unsigned n;

	/* One ring full a turn, so that a guest cannot hold the loop. */
	for (n = 0; n < QUEUE_SIZE && virtio_pop(d, index, &blk->chain); n++)
		if (!handle(blk, &blk->chain)) {
			virtio_fail(d);
			break;
		}
	if (n == QUEUE_SIZE)
		virtio_kick_later(d, index);
	blockdev_submit(blk->blockdev);
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
	.free = blk_free,
};

int virtio_blk_new(const struct virtio_blk_params *params,
		   struct virtio_dev **ret, struct error *e)
{
	struct virtio_blk *blk = calloc(1, sizeof(*blk));
	uint64_t features = F_SEG_MAX | F_BLK_SIZE | F_FLUSH;

	if (!blk) {
		blockdev_free(params->blockdev);
		return error_set(e, -ENOMEM, "out of memory for virtio-blk");
	}
	if (blockdev_readonly(params->blockdev))
		features |= F_RO;
	blk->blockdev = params->blockdev;
	blk->config = (struct blk_config){
		.capacity_sectors = blockdev_capacity_sectors(params->blockdev),
		.seg_max = SEGMENTS_MAX,
		.blk_size = BLOCKDEV_SECTOR,
	};
	if (params->serial)
		memcpy(blk->serial, params->serial,
		       strnlen(params->serial, sizeof(blk->serial)));
	virtio_dev_init(&blk->dev, &ops, features, &blk->config,
			sizeof(blk->config), 1, QUEUE_SIZE);
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
