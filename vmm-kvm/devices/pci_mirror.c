#include <sys/mman.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "vmm-kvm/devices/guest_mem.h"
#include "vmm-kvm/devices/pci_mirror.h"

#define PAGE_BYTES  KIB(4)
#define FUNCTIONS   256
#define EMPTY_BYTES KIB(256) /* divides a bus */

struct pci_mirror {
	struct pci_mirror_params params;
	uint8_t *at;
	uint64_t size;
	bool mapped;
	/* Function 0 of each bus but the root, as its page shows it. */
	struct pci_dev *shown[FUNCTIONS];
};

static uint32_t *page(const struct pci_mirror *m, unsigned bus, unsigned devfn)
{
	return (uint32_t *)(m->at + bus * PCI_HOST_BUS_BYTES +
			    devfn * PAGE_BYTES);
}

/* Whole words, for vCPUs read them meanwhile. */
static void word_show(uint32_t *to, uint32_t word)
{
	__atomic_store_n(to, word, __ATOMIC_RELAXED);
}

/* Only what differs: what is not touched need not be cleaned. */
static void config_show(uint32_t *to, const uint8_t *config)
{
	for (unsigned i = 0; i < PCI_CONFIG_SIZE / 4; i++) {
		uint32_t word = pci_get32(config, 4 * i);

		if (to[i] == word)
			continue;
		word_show(&to[i], word);
		guest_mem_publish(&to[i], sizeof(to[i]));
	}
}

/* All of a page: the function, or NULL for none. Beyond its registers it reads
 * as zero. */
static void page_show(uint32_t *to, const struct pci_dev *d)
{
	unsigned i = 0;

	for (; d && i < PCI_CONFIG_SIZE / 4; i++)
		word_show(&to[i], pci_get32(d->config, 4 * i));
	for (; i < PAGE_BYTES / 4; i++)
		word_show(&to[i], d ? 0 : UINT32_MAX);
	guest_mem_publish(to, PAGE_BYTES);
}

void pci_mirror_update(struct pci_mirror *m, const struct pci_dev *d)
{
	if (m && d->shown)
		config_show(d->shown, d->config);
}

/* First what went, since bus numbers may be exchanged. */
void pci_mirror_walk(struct pci_mirror *m)
{
	for (unsigned bus = 1; m && bus < m->params.n_buses; bus++) {
		struct pci_dev *was = m->shown[bus];

		if (!was ||
		    pci_host_find(m->params.host, (uint8_t)bus, 0) == was)
			continue;
		was->shown = NULL;
		m->shown[bus] = NULL;
		page_show(page(m, bus, 0), NULL);
	}
	for (unsigned bus = 1; m && bus < m->params.n_buses; bus++) {
		struct pci_dev *is = pci_host_find(m->params.host, (uint8_t)bus,
						   0);

		if (!is || is == m->shown[bus])
			continue;
		m->shown[bus] = is;
		is->shown = page(m, bus, 0);
		page_show(is->shown, is);
	}
}

static void mapped_set(struct pci_mirror *m, bool mapped)
{
	if (m->mapped == mapped)
		return;
	m->mapped = mapped;
	m->params.set_mapped(m->params.cookie, mapped);
}

void pci_mirror_trap(struct pci_mirror *m)
{
	if (m)
		mapped_set(m, false);
}

void pci_mirror_reset(struct pci_mirror *m)
{
	if (m)
		mapped_set(m, true);
}

/* A file of all ones. */
static int empty_new(struct error *e)
{
	_cleanup_close_ int fd = memfd_create("pci-empty", MFD_CLOEXEC);
	uint8_t ones[PAGE_BYTES];

	memset(ones, 0xff, sizeof(ones));
	for (uint64_t at = 0; fd >= 0 && at < EMPTY_BYTES; at += sizeof(ones))
		if (fd_pwrite_full(fd, ones, sizeof(ones), at) < 0)
			return error_set(e, -ENOMEM, "out of memory");
	return fd < 0 ? error_set(e, -errno, "cannot make a memfd: %s",
				  strerror(errno))
		      : TAKE_FD(fd);
}

/* Private, for a guest with memory tags may have nothing shared (KVM, 6.1); as
 * nobody writes, it is the same memory everywhere. */
static int map_empty(struct pci_mirror *m, struct error *e)
{
	_cleanup_close_ int fd = empty_new(e);

	if (fd < 0)
		return fd;
	for (uint64_t at = 0; at < m->size; at += EMPTY_BYTES)
		if (mmap(m->at + at, EMPTY_BYTES, PROT_READ,
			 MAP_PRIVATE | MAP_FIXED, fd, 0) == MAP_FAILED)
			return error_set(e, -errno, "out of memory");
	return 0;
}

/* A page of its own at that place. */
static int map_page(const struct pci_mirror *m, unsigned bus, unsigned devfn,
		    struct error *e)
{
	return mmap(page(m, bus, devfn), PAGE_BYTES, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		    0) == MAP_FAILED
		       ? error_set(e, -errno, "out of memory")
		       : 0;
}

static int map_functions(struct pci_mirror *m, struct error *e)
{
	int r = 0;

	for (unsigned devfn = 0; !r && devfn < FUNCTIONS; devfn++) {
		struct pci_dev *d = pci_host_find(m->params.host, 0,
						  (uint8_t)devfn);

		if (!d)
			continue;
		r = map_page(m, 0, devfn, e);
		if (r)
			break;
		d->shown = page(m, 0, devfn);
		page_show(d->shown, d);
	}
	for (unsigned bus = 1; !r && bus < m->params.n_buses; bus++) {
		r = map_page(m, bus, 0, e);
		if (!r)
			page_show(page(m, bus, 0), NULL);
	}
	return r;
}

int pci_mirror_new(const struct pci_mirror_params *params,
		   struct pci_mirror **ret, struct error *e)
{
	struct pci_mirror *m;
	int r;

	if (params->n_buses < 1 || params->n_buses > FUNCTIONS)
		return error_set(e, -EINVAL, "1 to 256 buses, not %u",
				 params->n_buses);
	if (sysconf(_SC_PAGESIZE) != (long)PAGE_BYTES)
		return error_set(e, -EOPNOTSUPP,
				 "pages of this host are not of 4 KiB");
	m = calloc(1, sizeof(*m));
	if (!m)
		return error_set(e, -ENOMEM, "out of memory");
	m->params = *params;
	m->mapped = true;
	m->size = params->n_buses * PCI_HOST_BUS_BYTES;
	m->at = mmap(NULL, m->size, PROT_NONE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (m->at == MAP_FAILED) {
		free(m);
		return error_set(e, -ENOMEM, "out of memory");
	}
	r = map_empty(m, e);
	if (!r)
		r = map_functions(m, e);
	if (r) {
		pci_mirror_free(m);
		return r;
	}
	pci_host_set_mirror(params->host, m);
	pci_mirror_walk(m);
	*ret = m;
	return 0;
}

struct pci_mirror *pci_mirror_free(struct pci_mirror *m)
{
	if (!m)
		return NULL;
	pci_host_set_mirror(m->params.host, NULL);
	for (unsigned i = 0; i < FUNCTIONS; i++) {
		struct pci_dev *d = pci_host_find(m->params.host, 0,
						  (uint8_t)i);

		if (d)
			d->shown = NULL;
		if (m->shown[i])
			m->shown[i]->shown = NULL;
	}
	munmap(m->at, m->size);
	free(m);
	return NULL;
}

void *pci_mirror_memory(struct pci_mirror *m)
{
	return m->at;
}
