/*
 * Disks and network interfaces of a VM that runs: what they are, and the steps
 * on which they come and go.
 *
 *   attach: requested → offered → acknowledged → active
 *   detach: releasing → released
 *
 * An attach that the guest does not follow to "active" in time is undone; a
 * detach that it does not follow is withdrawn. Both then end as "failed", with
 * everything as it was before.
 *
 * Thread: pure functions over constant tables.
 */
#ifndef LIB_MODEL_VM_DEVICE_H
#define LIB_MODEL_VM_DEVICE_H

#include "lib/base/error.h"

/* X(STATE, name) */
#define VM_DEVICE_STATE_TABLE(X)                                       \
	/* nobody but us knows of it */                                \
	X(REQUESTED, "requested")                                      \
	/* it is in its slot; the guest did not take notice yet */     \
	X(OFFERED, "offered")                                          \
	/* the guest gave the slot power */                            \
	X(ACKNOWLEDGED, "acknowledged")                                \
	/* a driver of the guest uses it */                            \
	X(ACTIVE, "active")                                            \
	/* the guest was asked to let go of it */                      \
	X(RELEASING, "releasing")                                      \
	/* it is gone */                                               \
	X(RELEASED, "released")                                        \
	/* the last request ended without success; all is as it was */ \
	X(FAILED, "failed")                                            \
	/* built in: it comes and goes with the machine only */        \
	X(FIXED, "fixed")

enum vm_device_state {
#define X(state, name) VM_DEVICE_##state,
	VM_DEVICE_STATE_TABLE(X)
#undef X
		VM_DEVICE_STATE_COUNT
};

enum vm_device_kind { VM_DEVICE_DISK, VM_DEVICE_NIC, VM_DEVICE_KIND_COUNT };

#define VM_DEVICE_ADDRESS_MAX 32
/* More than anyone waits for a guest, and far from the end of a timer. */
#define VM_DEVICE_TIMEOUT_MAX_MS (24 * 3600 * 1000)

const char *vm_device_state_name(enum vm_device_state state);
/* -EINVAL when there is none of that name. */
int vm_device_state_by_name(const char *name,
			    enum vm_device_state *ret) must_check;
/* "disk", "nic" */
const char *vm_device_kind_name(enum vm_device_kind kind);
int vm_device_kind_by_name(const char *name,
			   enum vm_device_kind *ret) must_check;

#endif
