/*
 * The Xen backend of lib/vmm/vmm.h, on libxl.
 *
 * A domain is Xen's, not this process's: it goes on when the supervisor ends
 * without destroy(), and create() with `adopt` finds it again by the VM's
 * uuid. Its devices are served by dom0's kernel, its console by xenconsoled.
 */
#ifndef VMM_XEN_BACKEND_H
#define VMM_XEN_BACKEND_H

#include "lib/model/xen_caps.h"
#include "lib/vmm/vmm.h"

extern const struct vmm_ops vmm_xen_ops;

/* What Xen on this host can do for a guest; to be released by json_release().
 * -ENODEV and -EACCES say what is missing. */
int vmm_xen_probe(struct xen_caps *ret, struct error *e) must_check;

#endif
