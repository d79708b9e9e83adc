#include <stdio.h>

#include "lib/base/fd.h"
#include "lib/host/vhost_kernel.h"
#include "vmm-kvm/board_internal.h"
#include "vmm-kvm/devices/virtio_console.h"
#include "vmm-kvm/devices/virtio_rng.h"
#include "vmm-kvm/devices/virtio_vsock.h"

/* Where the stock agent looks for its host. */
#define AGENT_PORT "org.qemu.guest_agent.0"

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

void board_offer(const struct board *b, struct virtio_dev *device)
{
	if (b->config->ring == VM_RING_PACKED)
		virtio_offer_packed(device);
}

static int add_function(struct board *b, struct virtio_dev *device,
			struct error *e)
{
	struct virtio_pci_params params = b->function_params;
	int r;

	if (b->n_functions == BOARD_FUNCTIONS_MAX) {
		virtio_dev_free(device);
		return error_set(e, -ENOSPC,
				 "more than %d devices on the root bus",
				 BOARD_FUNCTIONS_MAX);
	}
	params.devfn = PCI_DEVFN(BOARD_PCI_SLOT_FIRST + b->n_functions, 0);
	params.device = device;
	r = virtio_pci_new(&params, &b->functions[b->n_functions], e);
	if (!r)
		b->n_functions++;
	return r;
}

int board_build_in(struct board *b, const struct board_params *p, int bus,
		   struct virtio_dev *device, struct error *e)
{
	const struct board_device made = {.virtio = device};

	board_offer(b, device);
	return bus == VM_DEVICE_BUS_MMIO ? board_add_mmio(b, p, &made, e)
					 : add_function(b, device, e);
}

static int add_rng(struct board *b, const struct board_params *p,
		   struct error *e)
{
	struct virtio_dev *device;
	int r = virtio_rng_new(&device, e);

	return r ? r : board_build_in(b, p, b->config->buses.rng, device, e);
}

/* On virtio over MMIO it has no slot. */
static int add_fixed(struct board *b, const struct board_params *p,
		     const struct vmm_device *device, struct error *e)
{
	struct board_device made;
	int r = board_device_new(b, device, &made, e);

	return r ? r : board_add_mmio(b, p, &made, e);
}

static int add_device(struct board *b, const struct board_params *p, int bus,
		      const struct vmm_device *device, struct error *e)
{
	return bus == VM_DEVICE_BUS_MMIO ? add_fixed(b, p, device, e)
					 : board_slots_plug_cold(b, device, e);
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

	return r ? r
		 : board_build_in(b, p, b->config->buses.console, device, e);
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
	return board_build_in(b, p, b->config->buses.balloon, device, e);
}

static void vsock_failed(void *cookie, const char *why)
{
	struct board *b = cookie;
	char text[ERROR_MESSAGE_MAX];

	snprintf(text, sizeof(text), "vsock: %s", why);
	b->device_failed(b->cookie, text);
}

static int add_vsock(struct board *b, const struct board_params *p,
		     struct error *e)
{
	struct virtio_vsock_params params = {
		.loop = p->vmm->loop,
		.cid = p->vmm->config->vsock.cid,
		.failed = vsock_failed,
		.cookie = b,
	};
	struct virtio_dev *device;
	int r;

	if (!params.cid)
		return 0;
	r = vhost_vsock_open(TAKE_FD(p->vmm->vsock_fd), &params.vhost, e);
	if (!r)
		r = virtio_vsock_new(&params, &device, e);
	if (r)
		return r;
	b->vsock = device;
	return board_build_in(b, p, b->config->buses.vsock, device, e);
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

static void config_set_mapped(void *cookie, bool mapped)
{
	struct board *b = cookie;

	b->set_mapped(b->cookie, BOARD_BANK_CONFIG, mapped);
}

/* Without it all is the same, and slower: each read is an exit. */
static void add_mirror(struct board *b)
{
	const struct pci_mirror_params params = {
		.host = b->pci,
		/* The root bus and one behind each port, the numbers both
		 * firmware and Linux give them. */
		.n_buses = 1 + b->n_slots,
		.set_mapped = config_set_mapped,
		.cookie = b,
	};
	struct error why = ERROR_INIT;

	if (!pci_mirror_new(&params, &b->pci_mirror, &why))
		b->memory.banks[BOARD_BANK_CONFIG] = (struct board_bank_memory){
			.name = "PCI configuration space",
			.gpa = BOARD_PCI_ECAM_BASE,
			.size_bytes = params.n_buses * PCI_HOST_BUS_BYTES,
			.hva = pci_mirror_memory(b->pci_mirror),
			.readonly = true,
			.device = true,
			.fd = -1,
		};
}

/* Likewise. */
static void add_reg_page(struct board *b, const struct board_params *p)
{
	struct error why = ERROR_INIT;

	if (!p->reg_page.show || reg_page_new(&p->reg_page, &b->reg_page, &why))
		b->reg_page = NULL;
}

static int add_disk(struct board *b, const struct board_params *p, size_t i,
		    struct error *e)
{
	const struct vmm_device device = {
		.kind = VM_DEVICE_DISK,
		.disk = &p->vmm->config->disks[i],
		.fd = TAKE_FD(p->vmm->disks[i].fd),
	};

	return add_device(b, p, device.disk->bus, &device, e);
}

static int add_nic(struct board *b, const struct board_params *p, size_t i,
		   struct error *e)
{
	const struct vmm_device device = {
		.kind = VM_DEVICE_NIC,
		.nic = &p->vmm->config->nics[i],
		.fd = -1,
		.nic_host.fds = fd_list_take(&p->vmm->nics[i].fds),
	};

	return add_device(b, p, device.nic->bus, &device, e);
}

int board_add_pci(struct board *b, const struct board_params *p,
		  struct error *e)
{
	const struct vm_config *c = p->vmm->config;
	int r = add_pci_host(b, p, e);

	add_reg_page(b, p);
	b->function_params = (struct virtio_pci_params){
		.host = b->pci,
		.mem = &b->guest_mem,
		.bus = b->bus,
		.loop = p->vmm->loop,
		.msi = p->msi,
		.doorbells = p->doorbells,
		.reg_page = b->reg_page,
	};
	if (!r)
		r = add_rng(b, p, e);
	if (!r)
		r = board_slots_new(
			b, p->n_slots ? p->n_slots : vm_config_slots(c), e);
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
		r = add_vsock(b, p, e);
	if (!r)
		r = board_add_filesystems(b, p, e);
	if (!r)
		r = add_pvpanic(b, e);
	if (!r)
		add_mirror(b);
	return r;
}
