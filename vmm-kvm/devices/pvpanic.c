#include "vmm-kvm/devices/pvpanic.h"

#define VENDOR	  0x1b36
#define DEVICE	  0x0011
#define CLASS	  0x088000 /* system peripheral, other */
#define BAR_BYTES 4096	   /* a page of its own */

enum { PANICKED = 1 };

struct pvpanic {
	struct pci_dev pci;
	struct pci_host *host;
	void (*panicked)(void *cookie);
	void *cookie;
};

static uint64_t pvpanic_read(void *dev, uint64_t offset, unsigned size)
{
	return offset == 0 ? PANICKED : 0;
}

static void pvpanic_write(void *dev, uint64_t offset, unsigned size,
			  uint64_t value)
{
	struct pvpanic *p = dev;

	if (offset == 0 && (value & PANICKED))
		p->panicked(p->cookie);
}

static const struct mmio_ops bar_ops = {
	.read = pvpanic_read,
	.write = pvpanic_write,
};

static const struct pci_dev_ops pci_ops = {0};

int pvpanic_new(const struct pvpanic_params *params, struct pvpanic **ret,
		struct error *e)
{
	static const struct pci_ids ids = {
		.vendor = VENDOR,
		.device = DEVICE,
		.subsystem_vendor = 0x1af4,
		.subsystem = 0x1100,
		.revision = 1,
		.class_code = CLASS,
	};
	_cleanup_free_ struct pvpanic *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return error_set(e, -ENOMEM, "out of memory for pvpanic");
	p->host = params->host;
	p->panicked = params->panicked;
	p->cookie = params->cookie;
	pci_dev_init(&p->pci, "pvpanic", &ids, &pci_ops);
	pci_bar_init(&p->pci, 0, BAR_BYTES, &bar_ops, p);
	r = pci_host_add(params->host, &p->pci, params->devfn, e);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(p);
	return 0;
}

struct pvpanic *pvpanic_free(struct pvpanic *p)
{
	if (p) {
		pci_host_remove(p->host, &p->pci);
		free(p);
	}
	return NULL;
}

void pvpanic_save(const struct pvpanic *p, struct state_out *out)
{
	pci_dev_save(&p->pci, out);
}

int pvpanic_load(struct pvpanic *p, struct state_in *in, struct error *e)
{
	return pci_dev_load(&p->pci, in, e);
}
