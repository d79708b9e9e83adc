#include "vmm-kvm/board_internal.h"

int board_add_mmio(struct board *b, const struct board_params *p,
		   const struct board_device *device, struct error *e)
{
	const struct virtio_mmio_params params = {
		.device = device->virtio,
		.mem = &b->guest_mem,
		.bus = b->bus,
		.base = BOARD_VIRTIO_MMIO_BASE + b->n_mmio * VIRTIO_MMIO_SIZE,
		.loop = p->vmm->loop,
		.irq = board_line(p, BOARD_SPI_VIRTIO_MMIO + b->n_mmio),
		.doorbells = p->doorbells,
	};
	/* As many devices as a definition may have do fit. */
	int r = virtio_mmio_new(&params, &b->mmio[b->n_mmio], e);

	if (!r)
		b->mmio_devices[b->n_mmio++] = *device;
	return r;
}

void board_reset_mmio(struct board *b)
{
	for (unsigned i = 0; i < b->n_mmio; i++)
		virtio_mmio_reset(b->mmio[i]);
}

void board_free_mmio(struct board *b)
{
	while (b->n_mmio)
		virtio_mmio_free(b->mmio[--b->n_mmio]);
}
