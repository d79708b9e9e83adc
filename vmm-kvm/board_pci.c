#include "lib/base/fd.h"
#include "vmm-kvm/board_internal.h"
#include "vmm-kvm/devices/virtio_blk.h"
#include "vmm-kvm/devices/virtio_console.h"
#include "vmm-kvm/devices/virtio_net.h"
#include "vmm-kvm/devices/virtio_rng.h"

/* Where the stock agent looks for its host. */
#define AGENT_PORT "org.qemu.guest_agent.0"
/* Functions besides disks and network interfaces: entropy, console, balloon,
 * pvpanic. */
#define FUNCTIONS_FIXED 4

static int add_pci_host(struct board *b, const struct board_params *p,
			struct error *e)
{
	struct pci_host_params params = {
		.bus = b->bus,
		.ecam_base = BOARD_PCI_ECAM_BASE,
		.n_buses = BOARD_PCI_BUSES,
		.windows = {{BOARD_PCI_MMIO32_BASE, BOARD_PCI_MMIO32_SIZE},
			    {p->space->mmio64_base, p->space->mmio64_size}},
		.n_windows = p->space->mmio64_size ? 2 : 1,
	};

	for (uint32_t i = 0; i < PCI_HOST_WIRES; i++)
		params.intx[i] = board_line(p, BOARD_SPI_PCI_INTX + i);
	return pci_host_new(&params, &b->pci, e);
}

/* Puts a device (consumed) into the next free slot. */
static int add_function(struct board *b, const struct board_params *p,
			struct virtio_dev *device, struct error *e)
{
	struct virtio_pci_params params = {
		.host = b->pci,
		.devfn = PCI_DEVFN(BOARD_PCI_SLOT_FIRST + b->n_functions, 0),
		.device = device,
		.mem = &b->guest_mem,
		.bus = b->bus,
		.loop = p->vmm->loop,
		.msi = p->msi,
		.doorbells = p->doorbells,
	};
	int r = virtio_pci_new(&params, &b->functions[b->n_functions], e);

	if (!r)
		b->n_functions++;
	return r;
}

/* `bus` is an enum vm_device_bus; the device is consumed. */
static int add_device(struct board *b, const struct board_params *p, int bus,
		      struct virtio_dev *device, struct error *e)
{
	return bus == VM_DEVICE_BUS_MMIO ? board_add_mmio(b, p, device, e)
					 : add_function(b, p, device, e);
}

static int add_rng(struct board *b, const struct board_params *p,
		   struct error *e)
{
	struct virtio_dev *device;
	int r = virtio_rng_new(&device, e);

	return r ? r : add_function(b, p, device, e);
}

static int add_console(struct board *b, const struct board_params *p,
		       struct error *e)
{
	const struct virtio_console_port ports[VIRTIO_CONSOLE_PORTS] = {
		{.chardev = p->vmm->virtio_console},
		{.chardev = p->vmm->agent, .name = AGENT_PORT},
	};
	struct virtio_dev *device;
	int r = virtio_console_new(ports, &device, e);

	return r ? r : add_function(b, p, device, e);
}

static void balloon_reached(void *cookie, uint64_t bytes)
{
	struct board *b = cookie;

	b->note(b->cookie, BOARD_NOTE_BALLOON, bytes);
}

static int add_balloon(struct board *b, const struct board_params *p,
		       struct error *e)
{
	const struct virtio_balloon_params params = {
		.mem = &b->guest_mem,
		.ram_bytes = p->space->ram_size,
		.reporting = p->vmm->config->free_page_reporting,
		.reached = balloon_reached,
		.cookie = b,
	};
	struct virtio_dev *device;
	int r = virtio_balloon_new(&params, &device, e);

	if (r)
		return r;
	b->balloon = device;
	return add_function(b, p, device, e);
}

static void guest_panicked(void *cookie)
{
	struct board *b = cookie;

	b->note(b->cookie, BOARD_NOTE_PANIC, 0);
}

static int add_pvpanic(struct board *b, struct error *e)
{
	const struct pvpanic_params params = {
		.host = b->pci,
		/* Behind all others, which are virtio. */
		.devfn = PCI_DEVFN(BOARD_PCI_SLOT_FIRST + b->n_functions, 0),
		.panicked = guest_panicked,
		.cookie = b,
	};

	return pvpanic_new(&params, &b->pvpanic, e);
}

static int add_disk(struct board *b, const struct board_params *p, size_t i,
		    struct error *e)
{
	const struct disk_config *disk = &p->vmm->config->disks[i];
	struct virtio_blk_params params = {
		.serial = disk->serial ? disk->serial : disk->id,
		.n_queues = disk->queues,
	};
	struct virtio_dev *device;
	struct blockdev *blockdev = NULL;
	int r = blockdev_open(p->vmm->loop, TAKE_FD(p->vmm->disks[i].fd),
			      disk->readonly, &blockdev, e);

	params.blockdev = blockdev;

	if (!r)
		r = virtio_blk_new(&params, &device, e);
	if (!r)
		r = add_device(b, p, disk->bus, device, e);
	if (!r)
		b->blockdevs[b->n_blockdevs++] = blockdev;
	return r ? error_prefix(e, r, "disk \"%s\"", disk->id) : 0;
}

static int add_nic(struct board *b, const struct board_params *p, size_t i,
		   struct error *e)
{
	const struct nic_config *nic = &p->vmm->config->nics[i];
	struct virtio_net_params params = {
		.loop = p->vmm->loop,
		.tap_fd = -1,
	};
	struct virtio_dev *device;
	int r = parse_mac(nic->mac, "mac", params.mac, e);

	if (!r) {
		params.tap_fd = TAKE_FD(p->vmm->nics[i].tap_fd);
		r = virtio_net_new(&params, &device, e);
	}
	if (!r)
		r = add_device(b, p, nic->bus, device, e);
	return r ? error_prefix(e, r, "nic \"%s\"", nic->id) : 0;
}

/* Disks and network interfaces on PCIe. */
static size_t count_functions(const struct vm_config *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n_disks; i++)
		n += c->disks[i].bus == VM_DEVICE_BUS_PCIE;
	for (size_t i = 0; i < c->n_nics; i++)
		n += c->nics[i].bus == VM_DEVICE_BUS_PCIE;
	return n;
}

int board_add_pci(struct board *b, const struct board_params *p,
		  struct error *e)
{
	const struct vm_config *c = p->vmm->config;
	int r;

	if (FUNCTIONS_FIXED + count_functions(c) > BOARD_FUNCTIONS_MAX)
		return error_set(e, -EINVAL,
				 "%zu disks and %zu nics are %zu devices on "
				 "PCIe; at most %d fit: give some of them "
				 "\"bus\": \"mmio\"",
				 c->n_disks, c->n_nics, count_functions(c),
				 BOARD_FUNCTIONS_MAX - FUNCTIONS_FIXED);
	r = add_pci_host(b, p, e);
	if (!r)
		r = add_rng(b, p, e);
	for (size_t i = 0; !r && i < c->n_disks; i++)
		r = add_disk(b, p, i, e);
	for (size_t i = 0; !r && i < c->n_nics; i++)
		r = add_nic(b, p, i, e);
	/* Last, so that the disks keep the places that boot entries name. */
	if (!r)
		r = add_console(b, p, e);
	if (!r)
		r = add_balloon(b, p, e);
	if (!r)
		r = add_pvpanic(b, e);
	return r;
}
