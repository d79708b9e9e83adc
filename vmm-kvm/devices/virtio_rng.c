#include <sys/random.h>

#include "vmm-kvm/devices/virtio_rng.h"

#define QUEUE	   0
#define QUEUE_SIZE 64

struct virtio_rng {
	struct virtio_dev dev;
	struct virtq_chain chain;
};

/* Fill the chain with up to `budget` bytes; returns how many. */
static size_t fill(const struct virtq_chain *chain, size_t budget)
{
	uint8_t bytes[256]; /* getrandom() gives that many without a break */
	size_t total = MIN(chain->in_bytes, (uint64_t)budget), at = 0;

	while (at < total) {
		ssize_t n = getrandom(bytes, MIN(sizeof(bytes), total - at),
				      GRND_NONBLOCK);

		/* The host is starting: the driver asks again for the rest. */
		if (n <= 0)
			break;
		at += iov_write(chain->iov + chain->n_out, chain->n_in, at,
				bytes, (size_t)n);
	}
	return at;
}

static void kick(struct virtio_dev *d, unsigned index)
{
	struct virtio_rng *rng = container_of(d, struct virtio_rng, dev);
	size_t budget = VIRTIO_RNG_KICK_BYTES;
	unsigned n;

	for (n = 0; n < QUEUE_SIZE && budget > 0; n++) {
		size_t written;

		if (!virtio_pop(d, index, &rng->chain))
			break;
		/* 5.4.6.1: only device-writable buffers. */
		if (rng->chain.n_out || !rng->chain.n_in) {
			virtio_fail(d);
			break;
		}
		written = fill(&rng->chain, budget);
		budget -= written;
		virtio_push(d, index, rng->chain.head, (uint32_t)written);
	}
	virtio_notify(d, index);
	if (budget == 0 || n == QUEUE_SIZE)
		virtio_kick_later(d, index);
}

static void rng_free(struct virtio_dev *d)
{
	free(container_of(d, struct virtio_rng, dev));
}

static const struct virtio_dev_ops ops = {
	.name = "virtio-rng",
	.device_id = VIRTIO_ID_RNG,
	.pci_class = 0xff0000,
	.kick = kick,
	.free = rng_free,
};

int virtio_rng_new(struct virtio_dev **ret, struct error *e)
{
	struct virtio_rng *rng = calloc(1, sizeof(*rng));

	if (!rng)
		return error_set(e, -ENOMEM, "out of memory for virtio-rng");
	virtio_dev_init(&rng->dev, &ops, 0, NULL, 0, 1, QUEUE_SIZE);
	*ret = &rng->dev;
	return 0;
}
