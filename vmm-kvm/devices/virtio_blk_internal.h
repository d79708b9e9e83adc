/*
 * What virtio_blk.c (the device) and virtio_blk_requests.c (what it is asked)
 * share. Nobody else includes it.
 */
#ifndef VMM_KVM_DEVICES_VIRTIO_BLK_INTERNAL_H
#define VMM_KVM_DEVICES_VIRTIO_BLK_INTERNAL_H

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

struct blk_request;
struct blk_batches;

struct virtio_blk {
	struct virtio_dev dev;
	struct blockdev *blockdev;
	struct blk_config config;
	char serial[VIRTIO_BLK_SERIAL_MAX]; /* NUL-padded, not terminated */
	struct virtq_chain chain;	    /* the one being started */
	struct blk_batches *batches;	    /* owned */
	unsigned busy;			    /* requests the blockdev has */
	bool fenced; /* the guest waits for them: it has reset us */
	struct blk_request *held, **held_end; /* failed, in that order */
	enum virtio_blk_on_error on_error;
	void (*failed)(void *cookie, const struct virtio_blk_failure *f);
	void *cookie;
};

static inline struct virtio_blk *virtio_blk_of(struct virtio_dev *d)
{
	return container_of(d, struct virtio_blk, dev);
}

/* virtio_blk_requests.c: struct virtio_dev_ops. */
void virtio_blk_kick(struct virtio_dev *d, unsigned index);
/* Free the requests of a driver that has them no more. */
void virtio_blk_drop_held(struct virtio_blk *blk);

/* virtio_blk_batch.c: how many requests a driver shall gather before it
 * notifies us. Loop thread. -ENOMEM. */
int virtio_blk_batches_new(struct virtio_blk *blk, uv_loop_t *loop,
			   unsigned n) must_check;
void virtio_blk_batches_free(struct blk_batches *all);
/* So many requests of the queue more are under way in the host. */
void virtio_blk_batch_busy(struct virtio_blk *blk, unsigned index, int change);
/* Before a queue is looked at: how many to ask for. */
unsigned virtio_blk_batch_begin(struct virtio_blk *blk, unsigned index);
/* And afterwards: so many were asked for when it was empty, and `n` found. */
void virtio_blk_batch_end(struct virtio_blk *blk, unsigned index,
			  unsigned asked, unsigned n);

#endif
