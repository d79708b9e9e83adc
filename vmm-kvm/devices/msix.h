/*
 * MSI-X: the capability, and a BAR with the vector table and the pending bits
 * (PCI Local Bus 3.0, 6.8.2). Messages go to a `struct msi_sink`.
 *
 * A vector is *open* when MSI-X is enabled and neither the function mask nor
 * the vector's own mask is set. msix_notify() raises an open vector through
 * its eventfd; otherwise it sets the pending bit, and opening delivers it.
 *
 * Thread: with the device lock held; msix_init and msix_done with no vCPU
 * running.
 */
#ifndef VMM_KVM_DEVICES_MSIX_H
#define VMM_KVM_DEVICES_MSIX_H

#include "vmm-kvm/devices/irq.h"
#include "vmm-kvm/devices/pci.h"

#define MSIX_VECTORS_MAX 64
#define MSIX_BAR_BYTES	 KIB(4)
#define MSIX_TABLE_AT	 0
#define MSIX_PBA_AT	 0x800

struct msix_vector {
	uint64_t address;
	uint32_t data;
	bool masked, pending, open;
	uint32_t id; /* the sink's */
	int fd;	     /* the sink's */
};

struct msix {
	struct pci_dev *dev;
	const struct msi_sink *sink;
	struct msix_vector *vectors;
	unsigned n_vectors;
	unsigned cap; /* offset in config space */
};

/*
 * Add `n_vectors` (1..MSIX_VECTORS_MAX) to a function that was not added to
 * its host yet; uses BAR `bar` and the next. `sink` is borrowed.
 */
int msix_init(struct msix *m, struct pci_dev *dev, unsigned bar,
	      unsigned n_vectors, const struct msi_sink *sink,
	      struct error *e) must_check;
/* Gives the vectors back; a zeroed or failed msix is fine. */
void msix_done(struct msix *m);

bool msix_enabled(const struct msix *m);
/* The eventfd that raises a vector; what is written to it while the vector is
 * not open is pending. -1 for one that does not exist. */
int msix_fd(const struct msix *m, unsigned vector);
/* Likewise, but -1 for one that is not open: what msix_notify() writes to. */
int msix_open_fd(const struct msix *m, unsigned vector);
/* Vectors that do not exist are ignored. */
void msix_notify(struct msix *m, unsigned vector);
/* To be called by the owner's config_written and reset. */
void msix_config_written(struct msix *m);
void msix_reset(struct msix *m);

/* For a snapshot. Loading comes after the function's configuration space, and
 * after that of the bridges before it: from then on the vectors are as
 * recorded, open where they were. -EBADMSG: another number of vectors. */
void msix_save(const struct msix *m, struct state_out *out);
int msix_load(struct msix *m, struct state_in *in, struct error *e) must_check;

#endif
