/*
 * What a host can give its guests, and what a definition makes of it.
 *
 * The hypervisor's backend finds out (`armvm-supervisor --probe`), the daemon
 * keeps the answer: it judges definitions by it before anything is started and
 * shows it in host.info. The backend judges again, by the same function, what
 * it is given.
 *
 * Thread: no state.
 */
#ifndef LIB_MODEL_HOST_CAPS_H
#define LIB_MODEL_HOST_CAPS_H

#include "lib/model/vm_config.h"

struct host_caps {
	uint32_t ipa_bits; /* of a guest physical address */
	uint32_t vcpus_max;
	uint64_t memory_max; /* bytes of one guest */
	bool gic_v2, gic_v3, its;
	bool aarch32; /* guests that start in AArch32 at EL1 */
	bool pmu, sve, pauth, mte, steal_time;
};

extern const struct json_field host_caps_fields[];

/* A definition's wishes with every "auto" decided. */
struct guest_abi {
	bool aarch32;
	int gic; /* VM_GIC_V2 or VM_GIC_V3 */
	bool pmu, sve, pauth, mte, steal_time;
};

/*
 * -EINVAL or -EOPNOTSUPP with the field, the reason and the nearest possible
 * value. "auto" takes what is there; but MTE, which costs a guest speed, only
 * when it is asked for.
 */
int host_caps_choose(const struct host_caps *h, const struct vm_config *c,
		     struct guest_abi *ret, struct error *e) must_check;

/* Can the host give a guest what another host gave it? -EOPNOTSUPP names what
 * is missing. */
int host_caps_provide(const struct host_caps *h, const struct guest_abi *abi,
		      struct error *e) must_check;

#endif
