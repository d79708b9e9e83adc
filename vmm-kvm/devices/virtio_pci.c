#include "lib/host/io_ring.h"
#include "vmm-kvm/devices/virtio_pci_internal.h"

#define VIRTIO_PCI_VENDOR   0x1af4
#define VIRTIO_PCI_DEVICE_0 0x1040 /* + device id, 4.1.2 */
#define MSIX_BAR	    2

/* struct virtio_pci_cap, 4.1.4. */
enum {
	CAP_LENGTH = 2,
	CAP_TYPE = 3,
	CAP_BAR = 4,
	CAP_OFFSET = 8,
	CAP_SIZE = 12,
	CAP_BYTES = 16,
	CAP_NOTIFY_MULTIPLIER = 16,
	CAP_NOTIFY_BYTES = 20,
	CAP_CFG_DATA = 16,
	CAP_CFG_BYTES = 20,
};

enum {
	CAP_TYPE_COMMON = 1,
	CAP_TYPE_NOTIFY = 2,
	CAP_TYPE_ISR = 3,
	CAP_TYPE_DEVICE = 4,
	CAP_TYPE_PCI_CFG = 5,
};

/* 4.1.4.5, 4.1.5.1.3: with MSI-X on, the ISR has no part in it. */
static void interrupt(struct virtio_pci *v, uint16_t vector, uint8_t isr)
{
	if (msix_enabled(&v->msix)) {
		msix_notify(&v->msix, vector);
		return;
	}
	v->isr |= isr;
	pci_intx_set(&v->pci, true);
}

/* One write for all that ends in a turn of the loop. Should a vCPU reset the
 * device before it is made, that is an interrupt too many, which drivers
 * take. */
static void notify_queue(void *transport, unsigned index)
{
	struct virtio_pci *v = transport;
	int fd = msix_open_fd(&v->msix, v->queue_vectors[index]);

	if (fd < 0 || !io_ring_signal(v->params.loop, fd))
		interrupt(v, v->queue_vectors[index], VIRTIO_ISR_QUEUE);
}

static void notify_config(void *transport)
{
	struct virtio_pci *v = transport;

	virtio_pci_hide(v); /* status or generation */
	interrupt(v, v->config_vector, VIRTIO_ISR_CONFIG);
}

static void kick_later(void *transport, unsigned index)
{
	virtio_pci_kick(transport, index);
}

static int kick_fd(void *transport, unsigned index)
{
	struct virtio_pci *v = transport;

	return v->kicks[index].fd;
}

static int call_fd(void *transport, unsigned index)
{
	struct virtio_pci *v = transport;

	return msix_enabled(&v->msix)
		       ? msix_fd(&v->msix, v->queue_vectors[index])
		       : -1;
}

static const struct virtio_transport_ops transport_ops = {
	.notify_queue = notify_queue,
	.notify_config = notify_config,
	.kick_later = kick_later,
	.kick_fd = kick_fd,
	.kick_watch = virtio_pci_kick_watch,
	.call_fd = call_fd,
};

static struct virtio_pci *from_pci(struct pci_dev *d)
{
	return container_of(d, struct virtio_pci, pci);
}

/* Whether [reg, reg+size) touches the data window of the PCI_CFG capability,
 * and that names an access we can make (4.1.4.9). */
static bool cfg_access(const struct virtio_pci *v, unsigned reg, unsigned size,
		       uint32_t *ret_offset, uint32_t *ret_length)
{
	const uint8_t *c = v->pci.config;
	unsigned data = v->cfg_cap + CAP_CFG_DATA;
	uint32_t offset = pci_get32(c, v->cfg_cap + CAP_OFFSET);
	uint32_t length = pci_get32(c, v->cfg_cap + CAP_SIZE);

	if (reg + size <= data || reg >= data + 4)
		return false;
	if (c[v->cfg_cap + CAP_BAR] != VIRTIO_PCI_REGS_BAR ||
	    (length != 1 && length != 2 && length != 4) ||
	    offset % length != 0 || offset > VIRTIO_PCI_BAR_BYTES - length)
		return false;
	*ret_offset = offset;
	*ret_length = length;
	return true;
}

static bool config_live(const struct pci_dev *d)
{
	const struct virtio_pci *v = container_of(d, struct virtio_pci, pci);
	uint32_t offset, length;

	return cfg_access(v, v->cfg_cap + CAP_CFG_DATA, 4, &offset, &length);
}

static void config_read(struct pci_dev *d, unsigned reg, unsigned size)
{
	struct virtio_pci *v = from_pci(d);
	uint32_t offset, length;

	if (cfg_access(v, reg, size, &offset, &length))
		pci_put32(d->config, v->cfg_cap + CAP_CFG_DATA,
			  (uint32_t)virtio_pci_bar_ops.read(v, offset, length));
}

static void config_written(struct pci_dev *d, unsigned reg, unsigned size)
{
	struct virtio_pci *v = from_pci(d);
	uint32_t offset, length, value;

	msix_config_written(&v->msix);
	virtio_call_changed(v->device);
	/* PCI 3.0, 6.8.3.3: with MSI-X on, the pin is not used. */
	if (msix_enabled(&v->msix))
		pci_intx_set(&v->pci, false);
	if (!cfg_access(v, reg, size, &offset, &length))
		return;
	value = pci_get32(d->config, v->cfg_cap + CAP_CFG_DATA);
	if (length < 4)
		value &= (1u << (8 * length)) - 1;
	virtio_pci_bar_ops.write(v, offset, length, value);
}

static void bar_moved(struct pci_dev *d, unsigned bar)
{
	if (bar == VIRTIO_PCI_REGS_BAR)
		virtio_pci_sync_doorbells(from_pci(d));
}

static void reset(struct pci_dev *d)
{
	struct virtio_pci *v = from_pci(d);

	msix_reset(&v->msix);
	virtio_reset(v->device);
	virtio_pci_regs_reset(v);
	virtio_pci_sync_doorbells(v);
	virtio_pci_status_changed(v);
}

static const struct pci_dev_ops pci_ops = {
	.config_read = config_read,
	.config_live = config_live,
	.config_written = config_written,
	.bar_moved = bar_moved,
	.reset = reset,
};

void virtio_pci_status_changed(struct virtio_pci *v)
{
	if (v->params.status_changed)
		v->params.status_changed(v->params.cookie);
}

bool virtio_pci_live(const struct virtio_pci *v)
{
	return virtio_live(v->device);
}

void virtio_pci_doom(struct virtio_pci *v)
{
	v->device->doomed = true;
	if (v->device->ops->doom)
		v->device->ops->doom(v->device);
}

void virtio_pci_reset(struct virtio_pci *v)
{
	pci_dev_reset(&v->pci);
}

static unsigned cap_add(struct virtio_pci *v, uint8_t type, unsigned bytes,
			uint32_t at, uint32_t size_bytes)
{
	uint8_t *c = v->pci.config;
	unsigned cap = pci_cap_add(&v->pci, PCI_CAP_VENDOR, bytes);

	if (!cap)
		return 0;
	c[cap + CAP_LENGTH] = (uint8_t)bytes;
	c[cap + CAP_TYPE] = type;
	c[cap + CAP_BAR] = VIRTIO_PCI_REGS_BAR;
	pci_put32(c, cap + CAP_OFFSET, at);
	pci_put32(c, cap + CAP_SIZE, size_bytes);
	return cap;
}

static int caps_add(struct virtio_pci *v, struct error *e)
{
	unsigned notify, cfg;

	notify = cap_add(v, CAP_TYPE_NOTIFY, CAP_NOTIFY_BYTES,
			 VIRTIO_PCI_NOTIFY_AT, VIRTIO_PCI_STRUCTURE_BYTES);
	cfg = cap_add(v, CAP_TYPE_PCI_CFG, CAP_CFG_BYTES, 0, 0);
	if (!notify || !cfg ||
	    !cap_add(v, CAP_TYPE_COMMON, CAP_BYTES, VIRTIO_PCI_COMMON_AT,
		     VIRTIO_PCI_COMMON_BYTES) ||
	    !cap_add(v, CAP_TYPE_ISR, CAP_BYTES, VIRTIO_PCI_ISR_AT, 1) ||
	    !cap_add(v, CAP_TYPE_DEVICE, CAP_BYTES, VIRTIO_PCI_DEVICE_AT,
		     VIRTIO_PCI_STRUCTURE_BYTES))
		return error_set(e, -ENOSPC, "no room for capabilities in %s",
				 v->pci.name);
	pci_put32(v->pci.config, notify + CAP_NOTIFY_MULTIPLIER,
		  VIRTIO_PCI_NOTIFY_STRIDE);
	/* The driver chooses BAR, offset and length, then moves data. */
	v->pci.wmask[cfg + CAP_BAR] = 0xff;
	memset(&v->pci.wmask[cfg + CAP_OFFSET], 0xff,
	       CAP_CFG_BYTES - CAP_OFFSET);
	v->cfg_cap = cfg;
	return 0;
}

static int function_init(struct virtio_pci *v, struct error *e)
{
	const struct virtio_dev_ops *ops = v->device->ops;
	const struct pci_ids ids = {
		.vendor = VIRTIO_PCI_VENDOR,
		.device = (uint16_t)(VIRTIO_PCI_DEVICE_0 + ops->device_id),
		.subsystem_vendor = VIRTIO_PCI_VENDOR,
		.subsystem = (uint16_t)(0x40 + ops->device_id),
		.revision = 1,
		.class_code = ops->pci_class,
	};
	int r;

	pci_dev_init(&v->pci, ops->name, &ids, &pci_ops);
	pci_bar_init(&v->pci, VIRTIO_PCI_REGS_BAR, VIRTIO_PCI_BAR_BYTES,
		     &virtio_pci_bar_ops, v);
	/* One vector per queue and one for the configuration. */
	r = msix_init(&v->msix, &v->pci, MSIX_BAR, v->device->n_queues + 1,
		      v->params.msi, e);
	if (r < 0)
		return r;
	r = caps_add(v, e);
	if (r == 0 &&
	    !pci_cap_add_express(&v->pci, v->params.behind
						  ? PCI_EXPRESS_ENDPOINT
						  : PCI_EXPRESS_INTEGRATED))
		r = error_set(e, -ENOSPC, "no room for capabilities in %s",
			      v->pci.name);
	return r;
}

/* The last step makes it visible to the guest; the lock is for what vCPUs share
 * with us: vectors, and the bus. */
static int function_add(struct virtio_pci *v, struct error *e)
{
	const struct virtio_pci_params *p = &v->params;
	int r;

	bus_lock(p->bus);
	r = function_init(v, e);
	if (r == 0)
		r = virtio_pci_kicks_init(v, e);
	if (r == 0)
		virtio_pci_regs_reset(v);
	if (r == 0 && p->behind)
		r = pci_host_add_behind(p->host, p->behind, &v->pci, p->devfn,
					e);
	else if (r == 0)
		r = pci_host_add(p->host, &v->pci, p->devfn, e);
	bus_unlock(p->bus);
	return r;
}

int virtio_pci_new(const struct virtio_pci_params *params,
		   struct virtio_pci **ret, struct error *e)
{
	_cleanup_(virtio_dev_freep) struct virtio_dev *device = params->device;
	_cleanup_(virtio_pci_freep) struct virtio_pci *v = NULL;
	int r;

	v = calloc(1, sizeof(*v));
	if (!v)
		return error_set(e, -ENOMEM, "out of memory for %s",
				 device->ops->name);
	v->params = *params;
	v->device = TAKE_PTR(device);
	virtio_pci_shown_init(v);
	virtio_attach(v->device, &transport_ops, v, params->mem, params->bus);
	r = function_add(v, e);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(v);
	return 0;
}

struct virtio_pci *virtio_pci_free(struct virtio_pci *v)
{
	if (!v)
		return NULL;
	/* First no vCPU can reach it, then no more requests, then none under
	 * way; that wait is without the lock, for their completions take it. */
	bus_lock(v->params.bus);
	virtio_pci_hide(v);
	pci_host_remove(v->params.host, &v->pci);
	virtio_reset(v->device);
	bus_unlock(v->params.bus);
	v->device = virtio_dev_free(v->device);
	/* Signals on their way to the vectors. */
	io_ring_flush(v->params.loop);
	bus_lock(v->params.bus);
	msix_done(&v->msix);
	virtio_pci_kicks_close(v);
	bus_unlock(v->params.bus);
	free(v);
	return NULL;
}
