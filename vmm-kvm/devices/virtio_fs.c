#include "vmm-kvm/devices/virtio_fs.h"
#include "vmm-kvm/devices/virtio_vhost.h"

#define QUEUE_SIZE 256
#define TAG_BYTES  36

/* struct virtio_fs_config up to what we offer, 5.11.4; little-endian. */
struct fs_config {
	char tag[TAG_BYTES]; /* without an end when it is full */
	uint32_t n_request_queues;
} __attribute__((packed));

struct virtio_fs {
	struct virtio_dev dev;
	struct virtio_vhost vh;
	struct fs_config config;
};

static struct virtio_fs *from_dev(struct virtio_dev *d)
{
	return container_of(d, struct virtio_fs, dev);
}

static void kick(struct virtio_dev *d, unsigned index)
{
	virtio_vhost_kick(&from_dev(d)->vh);
}

static void reset(struct virtio_dev *d)
{
	virtio_vhost_reset(&from_dev(d)->vh);
}

static void call_changed(struct virtio_dev *d)
{
	virtio_vhost_call_changed(&from_dev(d)->vh);
}

static const char *no_snapshot(const struct virtio_dev *d)
{
	return "what its server (virtiofsd) has open cannot be saved";
}

static void closed(struct virtio_dev *d)
{
	free(from_dev(d));
}

static void fs_free(struct virtio_dev *d)
{
	virtio_vhost_close(&from_dev(d)->vh, closed);
}

static const struct virtio_dev_ops ops = {
	.name = "virtio-fs",
	.device_id = VIRTIO_ID_FS,
	.pci_class = 0x018000,
	.kick = kick,
	.reset = reset,
	.call_changed = call_changed,
	.no_snapshot = no_snapshot,
	.free = fs_free,
};

int virtio_fs_new(const struct virtio_fs_params *params,
		  struct virtio_dev **ret, struct error *e)
{
	struct virtio_fs *fs = calloc(1, sizeof(*fs));
	struct virtio_vhost_params vh = {
		.loop = params->loop,
		.vhost = params->vhost,
		.n_rings = 1 + params->n_queues,
		.failed = params->failed,
		.cookie = params->cookie,
	};
	int r;

	if (!fs) {
		vhost_free(params->vhost);
		return error_set(e, -ENOMEM, "out of memory for virtio-fs");
	}
	memcpy(fs->config.tag, params->tag,
	       MIN(strlen(params->tag), (size_t)TAG_BYTES));
	fs->config.n_request_queues = params->n_queues;
	virtio_dev_init(&fs->dev, &ops, 0, &fs->config, sizeof(fs->config),
			1 + params->n_queues, QUEUE_SIZE);
	vh.dev = &fs->dev;
	r = virtio_vhost_init(&fs->vh, &vh, e);
	if (r < 0) {
		fs_free(&fs->dev);
		return r;
	}
	*ret = &fs->dev;
	return 0;
}

void virtio_fs_lost(struct virtio_dev *d, const char *why)
{
	virtio_enter(d);
	virtio_vhost_fail(&from_dev(d)->vh, why);
	virtio_leave(d);
}

int virtio_fs_replace(struct virtio_dev *d, struct vhost *vhost,
		      struct error *e)
{
	int r;

	virtio_enter(d);
	r = virtio_vhost_replace(&from_dev(d)->vh, vhost, e);
	virtio_leave(d);
	return r;
}
