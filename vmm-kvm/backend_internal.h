/*
 * What backend.c and backend_devices.c share. Nobody else includes it.
 */
#ifndef VMM_KVM_BACKEND_INTERNAL_H
#define VMM_KVM_BACKEND_INTERNAL_H

#include "vmm-kvm/machine.h"
#include "vmm-kvm/notes.h"
#include "vmm-kvm/nvram_commits.h"

enum phase {
	PHASE_CREATED,
	PHASE_RUNNING,
	PHASE_PAUSED,
	PHASE_RESTING, /* turned off, crashed or failed: only destroy is left */
	PHASE_DEAD,    /* destroyed; memory goes when the loop turns */
};

/* What is told from the loop, in this order, not from inside an operation:
 * at most one start, and pause and resume cancel each other. */
struct announcements {
	bool running, paused, resumed, poweroff;
};

struct vmm {
	struct vmm_params params;
	enum phase phase;
	struct board *board;
	struct machine machine;
	bool machine_made;
	struct nvram_commits commits;
	struct notes notes;
	struct announcements announce;
	uv_async_t async; /* its closing frees the vmm */
};

/* Whether there is a guest to take part in anything. */
bool backend_alive(const struct vmm *v);
/* `what` is a verb: "cannot start a machine that is paused". */
int backend_check_phase(const struct vmm *v, enum phase wanted,
			const char *what, struct error *e) must_check;

/* backend_devices.c: operations of struct vmm_ops. */
int backend_attach(struct vmm *v, const struct vmm_device *device,
		   uint32_t *ret_slot, struct error *e);
int backend_detach(struct vmm *v, const char *id, bool force, struct error *e);
void backend_give_up(struct vmm *v, const char *id, struct error *why);
int backend_set_link(struct vmm *v, const char *id, bool up, struct error *e);
int backend_device_status(struct vmm *v, const char *id,
			  struct vmm_device_status *ret);

int backend_set_balloon(struct vmm *v, uint64_t bytes, struct error *e);
int backend_resize(struct vmm *v, const char *id, struct error *e);
int backend_stats(struct vmm *v, struct vm_stats *ret, struct error *e);

#endif
