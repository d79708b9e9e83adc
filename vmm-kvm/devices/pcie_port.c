#include "vmm-kvm/devices/msix.h"
#include "vmm-kvm/devices/pci_mirror.h"
#include "vmm-kvm/devices/pcie_port.h"

/* The generic PCI Express root port of virtual machines (Red Hat's registry:
 * docs/specs/pci-ids of QEMU). Drivers go by the class. */
#define PORT_VENDOR 0x1b36
#define PORT_DEVICE 0x000c
#define PORT_CLASS  0x060400 /* PCI-to-PCI bridge */
#define MSIX_BAR    0

/* A type 1 header beyond what pci.h has (PCI-to-PCI Bridge 1.2, 3.2). */
#define REG_PRIMARY_BUS	     0x18
#define REG_SECONDARY_STATUS 0x1e
#define REG_MEMORY_BASE	     0x20 /* and limit; 1 MiB steps */
#define REG_PREFETCH_BASE    0x24 /* and limit; 64 bits wide */
#define REG_PREFETCH_UPPER   0x28 /* base, then limit */
#define REG_BRIDGE_CONTROL   0x3e
#define PREFETCH_64_BITS     0x0001
#define MULTIFUNCTION	     0x80
#define SECONDARY_ERRORS     0xf900 /* write 1 to clear */
#define BRIDGE_BUS_RESET     (1 << 6)
#define BRIDGE_CONTROL_BITS  (BRIDGE_BUS_RESET | 0x03)

/* Of the PCI Express capability (7.5.3.6 to 7.5.3.12). */
#define FLAGS_SLOT	    (1u << 8)
#define LINK_CAP_REPORTS    (1u << 20) /* data link layer active */
#define LINK_CAP_PORT_SHIFT 24
#define LINK_DISABLE	    (1u << 4)
#define LINK_ACTIVE	    (1u << 13)
#define ROOT_CONTROL_BITS   0x000f

#define SLOT_CAP_BUTTON	      (1u << 0)
#define SLOT_CAP_POWER	      (1u << 1)
#define SLOT_CAP_ATTENTION    (1u << 3)
#define SLOT_CAP_INDICATOR    (1u << 4)
#define SLOT_CAP_SURPRISE     (1u << 5)
#define SLOT_CAP_HOTPLUG      (1u << 6)
#define SLOT_CAP_NO_COMPLETED (1u << 18) /* commands end at once */
#define SLOT_CAP_NUMBER_SHIFT 19

/* Events stand at the same bits in control (enable) and status, but one. */
#define EVENT_BUTTON	      (1u << 0)
#define EVENT_PRESENCE	      (1u << 3)
#define EVENTS_SAME_BITS      (EVENT_BUTTON | EVENT_PRESENCE)
#define STATUS_LINK_CHANGED   (1u << 8)
#define STATUS_PRESENT	      (1u << 6)
#define CONTROL_INTERRUPT     (1u << 5)
#define CONTROL_ATTENTION_OFF (3u << 6)
#define CONTROL_INDICATOR     (3u << 8)
#define CONTROL_INDICATOR_ON  (1u << 8)
#define CONTROL_BLINK	      (2u << 8)
#define CONTROL_POWER_OFF     (1u << 10)
#define CONTROL_LINK_CHANGED  (1u << 12)
#define CONTROL_BITS	      0x17ff

struct pcie_port {
	struct pci_dev pci;
	struct msix msix;
	struct pci_bus bus;
	struct pcie_port_params params;
	unsigned cap; /* PCI Express, in config space */
	bool present, link;
	bool leaving;	   /* not present, and answers all the same */
	bool bus_reset;	   /* the bit was set when last looked at */
	bool event_signal; /* an enabled event is there: an edge was sent */
};

static struct pcie_port *from_pci(struct pci_dev *d)
{
	return container_of(d, struct pcie_port, pci);
}

static uint16_t reg(const struct pcie_port *p, unsigned at)
{
	return pci_get16(p->pci.config, p->cap + at);
}

static void reg_set(struct pcie_port *p, unsigned at, uint16_t clear,
		    uint16_t set)
{
	pci_put16(p->pci.config, p->cap + at,
		  (uint16_t)((reg(p, at) & ~clear) | set));
}

static void status_raise(struct pcie_port *p, uint16_t events)
{
	reg_set(p, PCI_EXPRESS_SLOT_STATUS, 0, events);
}

bool pcie_port_powered(const struct pcie_port *p)
{
	return !(reg(p, PCI_EXPRESS_SLOT_CONTROL) & CONTROL_POWER_OFF);
}

static bool link_should_be_up(const struct pcie_port *p)
{
	return p->present && pcie_port_powered(p) &&
	       !(reg(p, PCI_EXPRESS_LINK_CONTROL) & LINK_DISABLE);
}

static void reset_below(struct pcie_port *p)
{
	for (size_t i = 0; i < ARRAY_SIZE(p->bus.devs); i++)
		if (p->bus.devs[i])
			pci_dev_reset(p->bus.devs[i]);
}

static void dark_set(struct pcie_port *p, bool dark)
{
	p->bus.dark = dark;
	if (p->pci.parent)
		pci_mirror_walk(pci_host_mirror(p->params.host));
}

static void link_set(struct pcie_port *p, bool up)
{
	p->link = up;
	dark_set(p, !up && !p->leaving);
	reg_set(p, PCI_EXPRESS_LINK_STATUS, LINK_ACTIVE, up ? LINK_ACTIVE : 0);
}

static void link_update(struct pcie_port *p)
{
	bool up = link_should_be_up(p);

	if (p->leaving && !pcie_port_powered(p)) {
		p->leaving = false;
		dark_set(p, true);
		reset_below(p);
	}
	if (up == p->link)
		return;
	/* 6.6.1: what is behind a link that goes down is reset. */
	if (!up && !p->leaving)
		reset_below(p);
	link_set(p, up);
	status_raise(p, STATUS_LINK_CHANGED);
}

/* 6.7.3.4: a message when the first enabled event comes, the pin as long as
 * there is one. */
static void interrupt_update(struct pcie_port *p)
{
	uint16_t control = reg(p, PCI_EXPRESS_SLOT_CONTROL);
	uint16_t status = reg(p, PCI_EXPRESS_SLOT_STATUS);
	bool before = p->event_signal;
	bool now = (control & status & EVENTS_SAME_BITS) ||
		   ((control & CONTROL_LINK_CHANGED) &&
		    (status & STATUS_LINK_CHANGED));

	now = now && (control & CONTROL_INTERRUPT);
	p->event_signal = now;
	pci_intx_set(&p->pci, now && !msix_enabled(&p->msix));
	if (now && !before && msix_enabled(&p->msix))
		msix_notify(&p->msix, 0);
}

static void update(struct pcie_port *p)
{
	link_update(p);
	interrupt_update(p);
}

static void config_written(struct pci_dev *d, unsigned at, unsigned size)
{
	struct pcie_port *p = from_pci(d);
	bool bus_reset = pci_get16(d->config, REG_BRIDGE_CONTROL) &
			 BRIDGE_BUS_RESET;
	unsigned slot = p->cap + PCI_EXPRESS_SLOT_CONTROL;

	msix_config_written(&p->msix);
	if (bus_reset && !p->bus_reset)
		reset_below(p);
	p->bus_reset = bus_reset;
	update(p);
	if (p->params.changed && at < slot + 4 && at + size > slot)
		p->params.changed(p->params.cookie);
}

/* As after power-on: what is in the slot has power already. */
static void settle(struct pcie_port *p)
{
	reg_set(p, PCI_EXPRESS_SLOT_CONTROL, UINT16_MAX,
		p->present ? CONTROL_ATTENTION_OFF | CONTROL_INDICATOR_ON
			   : CONTROL_ATTENTION_OFF | CONTROL_INDICATOR |
				     CONTROL_POWER_OFF);
	reg_set(p, PCI_EXPRESS_SLOT_STATUS, UINT16_MAX,
		p->present ? STATUS_PRESENT : 0);
	p->leaving = false;
	link_set(p, link_should_be_up(p));
	p->event_signal = false;
	p->bus_reset = false;
}

static void reset(struct pci_dev *d)
{
	struct pcie_port *p = from_pci(d);

	msix_reset(&p->msix);
	settle(p);
}

static const struct pci_dev_ops port_ops = {
	.config_written = config_written,
	.reset = reset,
};

static void header_init(struct pcie_port *p)
{
	struct pci_dev *d = &p->pci;

	d->config[PCI_REG_HEADER_TYPE] =
		PCI_HEADER_BRIDGE |
		(p->params.multifunction ? MULTIFUNCTION : 0);
	for (unsigned i = REG_PRIMARY_BUS; i <= PCI_REG_SUBORDINATE_BUS; i++)
		d->wmask[i] = 0xff;
	/* No I/O window: its registers read as zero and cannot be written. */
	pci_put16(d->w1cmask, REG_SECONDARY_STATUS, SECONDARY_ERRORS);
	pci_put32(d->wmask, REG_MEMORY_BASE, 0xfff0fff0);
	pci_put32(d->wmask, REG_PREFETCH_BASE, 0xfff0fff0);
	pci_put32(d->config, REG_PREFETCH_BASE,
		  PREFETCH_64_BITS | PREFETCH_64_BITS << 16);
	pci_put32(d->wmask, REG_PREFETCH_UPPER, UINT32_MAX);
	pci_put32(d->wmask, REG_PREFETCH_UPPER + 4, UINT32_MAX);
	pci_put16(d->wmask, REG_BRIDGE_CONTROL, BRIDGE_CONTROL_BITS);
}

static int express_init(struct pcie_port *p, struct error *e)
{
	unsigned cap = pci_cap_add_express(&p->pci, PCI_EXPRESS_ROOT_PORT);
	uint8_t *c = p->pci.config, *w = p->pci.wmask;

	if (!cap)
		return error_set(e, -ENOSPC, "no room in a PCIe port");
	p->cap = cap;
	reg_set(p, PCI_EXPRESS_FLAGS, 0, FLAGS_SLOT);
	pci_put32(c, cap + PCI_EXPRESS_LINK_CAP,
		  pci_get32(c, cap + PCI_EXPRESS_LINK_CAP) | LINK_CAP_REPORTS |
			  (uint32_t)(p->params.slot & 0xff)
				  << LINK_CAP_PORT_SHIFT);
	w[cap + PCI_EXPRESS_LINK_CONTROL] |= LINK_DISABLE;
	pci_put32(c, cap + PCI_EXPRESS_SLOT_CAP,
		  SLOT_CAP_BUTTON | SLOT_CAP_POWER | SLOT_CAP_ATTENTION |
			  SLOT_CAP_INDICATOR | SLOT_CAP_SURPRISE |
			  SLOT_CAP_HOTPLUG | SLOT_CAP_NO_COMPLETED |
			  (uint32_t)p->params.slot << SLOT_CAP_NUMBER_SHIFT);
	pci_put16(w, cap + PCI_EXPRESS_SLOT_CONTROL, CONTROL_BITS);
	pci_put16(p->pci.w1cmask, cap + PCI_EXPRESS_SLOT_STATUS,
		  EVENTS_SAME_BITS | STATUS_LINK_CHANGED);
	pci_put16(w, cap + PCI_EXPRESS_ROOT_CONTROL, ROOT_CONTROL_BITS);
	settle(p);
	return 0;
}

static int function_init(struct pcie_port *p, struct error *e)
{
	static const struct pci_ids ids = {
		.vendor = PORT_VENDOR,
		.device = PORT_DEVICE,
		.class_code = PORT_CLASS,
	};
	int r;

	pci_dev_init(&p->pci, "pcie-port", &ids, &port_ops);
	header_init(p);
	p->bus.bridge = &p->pci;
	p->pci.secondary = &p->bus;
	r = msix_init(&p->msix, &p->pci, MSIX_BAR, 1, p->params.msi, e);
	return r ? r : express_init(p, e);
}

int pcie_port_new(const struct pcie_port_params *params, struct pcie_port **ret,
		  struct error *e)
{
	struct pcie_port *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return error_set(e, -ENOMEM, "out of memory for a PCIe port");
	p->params = *params;
	r = function_init(p, e);
	if (!r)
		r = pci_host_add(params->host, &p->pci, params->devfn, e);
	if (r) {
		msix_done(&p->msix);
		free(p);
		return r;
	}
	*ret = p;
	return 0;
}

struct pcie_port *pcie_port_free(struct pcie_port *p)
{
	if (!p)
		return NULL;
	pci_host_remove(p->params.host, &p->pci);
	msix_done(&p->msix);
	free(p);
	return NULL;
}

struct pci_bus *pcie_port_bus(struct pcie_port *p)
{
	return &p->bus;
}

void pcie_port_insert(struct pcie_port *p, bool cold)
{
	p->present = true;
	if (cold) {
		settle(p);
		pci_config_changed(&p->pci);
		return;
	}
	/* Linux acts on a changed presence at once, but with a button in the
	 * slot it only listens to that (pciehp, pcie_enable_notification). */
	status_raise(p, STATUS_PRESENT | EVENT_PRESENCE | EVENT_BUTTON);
	update(p);
}

static void vanish(struct pcie_port *p)
{
	if (p->present)
		reg_set(p, PCI_EXPRESS_SLOT_STATUS,
			STATUS_PRESENT | EVENT_BUTTON, EVENT_PRESENCE);
	p->present = false;
	update(p);
}

void pcie_port_leave(struct pcie_port *p)
{
	p->leaving = true;
	vanish(p);
}

void pcie_port_eject(struct pcie_port *p)
{
	p->leaving = false;
	vanish(p);
	dark_set(p, !p->link);
}

void pcie_port_press_button(struct pcie_port *p)
{
	status_raise(p, EVENT_BUTTON);
	update(p);
}

bool pcie_port_cancel_press(struct pcie_port *p)
{
	if (pcie_port_unnoticed(p)) {
		reg_set(p, PCI_EXPRESS_SLOT_STATUS, EVENT_BUTTON, 0);
		update(p);
		return true;
	}
	if (!pcie_port_blinking(p))
		return false;
	pcie_port_press_button(p);
	return true;
}

bool pcie_port_listened(const struct pcie_port *p)
{
	uint16_t need = CONTROL_INTERRUPT | EVENT_BUTTON;

	return (reg(p, PCI_EXPRESS_SLOT_CONTROL) & need) == need;
}

bool pcie_port_unnoticed(const struct pcie_port *p)
{
	return reg(p, PCI_EXPRESS_SLOT_STATUS) & EVENT_BUTTON;
}

bool pcie_port_departure_seen(const struct pcie_port *p)
{
	return !(reg(p, PCI_EXPRESS_SLOT_STATUS) &
		 (EVENT_PRESENCE | STATUS_LINK_CHANGED));
}

bool pcie_port_blinking(const struct pcie_port *p)
{
	return (reg(p, PCI_EXPRESS_SLOT_CONTROL) & CONTROL_INDICATOR) ==
	       CONTROL_BLINK;
}

uint8_t pcie_port_bus_number(const struct pcie_port *p)
{
	return p->pci.config[PCI_REG_SECONDARY_BUS];
}

void pcie_port_save(const struct pcie_port *p, struct state_out *out)
{
	size_t began;

	pci_dev_save(&p->pci, out);
	began = state_begin(out, "pcie-port", 1);
	state_put_u8(out, p->present);
	state_put_u8(out, p->link);
	state_put_u8(out, p->bus_reset);
	state_put_u8(out, p->event_signal);
	state_end(out, began);
	msix_save(&p->msix, out);
}

int pcie_port_load(struct pcie_port *p, struct state_in *in, struct error *e)
{
	bool present, link, bus_reset, event_signal;
	struct state_in r;
	int err = pci_dev_load(&p->pci, in, e);

	if (!err)
		err = state_open(in, "pcie-port", 1, &r, e);
	if (err)
		return err;
	present = state_get_bool(&r);
	link = state_get_bool(&r);
	bus_reset = state_get_bool(&r);
	event_signal = state_get_bool(&r);
	err = state_close(&r, e);
	if (err)
		return err;
	if (present != p->present || link != link_should_be_up(p))
		return state_bad(&r, e, "is of another slot");
	p->bus_reset = bus_reset;
	p->event_signal = event_signal;
	reg_set(p, PCI_EXPRESS_SLOT_STATUS, STATUS_PRESENT,
		present ? STATUS_PRESENT : 0);
	link_set(p, link);
	pci_config_changed(&p->pci);
	return msix_load(&p->msix, in, e);
}
