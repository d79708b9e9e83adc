/*
 * A definition as libxl takes it.
 *
 * Thread: no state.
 */
#ifndef VMM_XEN_DOMAIN_CONFIG_H
#define VMM_XEN_DOMAIN_CONFIG_H

#include "vmm-xen/domain.h"

/*
 * *ret is for libxl_domain_config_dispose(), also on failure. Paths in it name
 * `boot`'s descriptors (/proc/self/fd), so they are good in this process and
 * while those are open. -ENOMEM, -EINVAL.
 */
int domain_config_fill(const struct vm_config *c,
		       const struct domain_boot *boot, libxl_domain_config *ret,
		       struct error *e) must_check;

/* The scheduler's weight for a cpu_weight: 256 is the usual one of Xen, as 100
 * is systemd's. */
int domain_config_weight(uint32_t cpu_weight);

#endif
