/*
 * What Xen on a host can give its guests, and what of a definition it cannot:
 * everything that works on KVM alone is refused by name and with the reason,
 * before anything is created.
 *
 * The backend finds out (`armvm-supervisor-xen --probe`); the daemon keeps the
 * answer, judges definitions by it and shows it in host.info. The backend
 * judges again, by the same function, what it is given.
 *
 * Thread: no state.
 */
#ifndef LIB_MODEL_XEN_CAPS_H
#define LIB_MODEL_XEN_CAPS_H

#include "lib/model/vm_config.h"

struct xen_caps {
	char *version; /* "4.17.3" */
	uint32_t vcpus_max;
	uint64_t memory_max;	    /* bytes of one guest */
	uint64_t memory, available; /* bytes of the host; not given away yet */
	bool gic_v2, gic_v3;	    /* what guests may have */
	bool aarch32;		    /* guests that start in AArch32 at EL1 */
};

/* Release with json_release(). */
extern const struct json_field xen_caps_fields[];

/*
 * What no Xen on ARM does, whatever the host. -EOPNOTSUPP with the field, the
 * reason and what to do.
 */
int xen_check(const struct vm_config *c, struct error *e) must_check;

/* That, and what this host does not. */
int xen_caps_check(const struct xen_caps *x, const struct vm_config *c,
		   struct error *e) must_check;

#endif
