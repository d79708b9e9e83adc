#include "vmm-kvm/devices/virtio_blk_internal.h"

/*
 * 2.4.1: when the driver finds the device reset, no byte of its memory changes
 * any more. Reads under way would: the vCPU does not go on before they have
 * ended.
 */
static void reset(struct virtio_dev *d)
{
	struct virtio_blk *blk = virtio_blk_of(d);

	blk->config.writeback = 1;
	virtio_blk_drop_held(blk);
	if (blk->busy > 0 && !blk->fenced && d->bus) {
		blk->fenced = true;
		bus_fence_set(d->bus, true);
	}
}

static void config_write(struct virtio_dev *d, uint64_t offset, unsigned size,
			 uint64_t value)
{
	/* 5.2.4: the one field a driver may write. */
	if (offset == offsetof(struct blk_config, writeback) && size == 1 &&
	    (d->features & F_CONFIG_WCE))
		virtio_blk_of(d)->config.writeback = value & 1;
}

/* What waits for others to come (virtio_blk_batch.c) is to fail as well. */
static void doom(struct virtio_dev *d)
{
	for (unsigned i = 0; i < d->n_queues; i++)
		virtio_kick(d, i);
}

/* All that was asked for is done and told. */
static void hold(struct virtio_dev *d, bool held)
{
	if (held)
		blockdev_settle(virtio_blk_of(d)->blockdev);
}

static const char *no_snapshot(const struct virtio_dev *d)
{
	const struct virtio_blk *blk = container_of(d, struct virtio_blk, dev);

	return blk->held ? "requests to it have failed and wait to be repeated"
			 : NULL;
}

static void save(const struct virtio_dev *d, struct state_out *out)
{
	const struct virtio_blk *blk = container_of(d, struct virtio_blk, dev);

	state_put_u64(out, blk->config.capacity_sectors);
	state_put_u8(out, blk->config.writeback);
}

static int load(struct virtio_dev *d, struct state_in *in, struct error *e)
{
	struct virtio_blk *blk = virtio_blk_of(d);

	if (state_get_u64(in) != blk->config.capacity_sectors)
		return state_bad(in, e, "is of a disk of another size");
	blk->config.writeback = state_get_bool(in);
	return 0;
}

static void blk_free(struct virtio_dev *d)
{
	struct virtio_blk *blk = virtio_blk_of(d);

	blockdev_free(blk->blockdev);
	virtio_blk_drop_held(blk);
	virtio_blk_batches_free(blk->batches);
	free(blk);
}

static const struct virtio_dev_ops ops = {
	.name = "virtio-blk",
	.device_id = VIRTIO_ID_BLOCK,
	.pci_class = 0x010000,
	.kick = virtio_blk_kick,
	.reset = reset,
	.config_write = config_write,
	.hold = hold,
	.doom = doom,
	.save = save,
	.load = load,
	.no_snapshot = no_snapshot,
	.free = blk_free,
};

int virtio_blk_new(const struct virtio_blk_params *params,
		   struct virtio_dev **ret, struct error *e)
{
	struct virtio_blk *blk = calloc(1, sizeof(*blk));
	unsigned n_queues = params->n_queues ? params->n_queues : 1;
	uint64_t features = F_SEG_MAX | F_BLK_SIZE | F_FLUSH | F_TOPOLOGY |
			    F_CONFIG_WCE;

	if (!blk || virtio_blk_batches_new(blk, blockdev_loop(params->blockdev),
					   n_queues) < 0) {
		free(blk);
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
	blk->held_end = &blk->held;
	blk->on_error = params->on_error;
	blk->failed = params->failed;
	blk->cookie = params->cookie;
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
	struct virtio_blk *blk = virtio_blk_of(d);

	virtio_enter(d);
	blk->config.capacity_sectors = blockdev_capacity_sectors(blk->blockdev);
	virtio_config_changed(d);
	virtio_leave(d);
}
