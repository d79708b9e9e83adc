/*
 * The table of backends this supervisor was built with.
 *
 * Thread: pure functions over constant tables.
 */
#ifndef SUPERVISOR_BACKENDS_H
#define SUPERVISOR_BACKENDS_H

#include "lib/vmm/vmm.h"
#include "supervisor/sandbox.h"

struct backend {
	enum vm_hypervisor hypervisor;
	const struct vmm_ops *ops;
	/* The ioctl requests it needs the sandbox to allow; NULL for none.
	 * The array is constant. */
	const unsigned long *(*ioctls)(size_t *ret_n);
	/* What this host's hypervisor can do, as the daemon takes it; `fd` is
	 * its device, borrowed. NULL: there is nothing to ask. */
	int (*probe)(int fd, json_object **ret, struct error *e);
	/* Its machines outlive their supervisor: vmm_params.adopt. */
	bool outlives;
	/* NULL: the whole sandbox. */
	const struct sandbox_needs *needs;
};

/* Of this program: backends_kvm.c or backends_xen.c; the last row has no ops.
 */
extern const struct backend supervisor_backends[];

/*
 * -EOPNOTSUPP when this build has no such backend, -EINVAL for "auto", which
 * the daemon resolves before it hands a definition over.
 */
int backend_find(enum vm_hypervisor hypervisor, const struct backend **ret,
		 struct error *e) must_check;

/* Row `index`, or NULL past the last one. */
const struct backend *backend_at(size_t index);

#endif
