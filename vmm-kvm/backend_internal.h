/*
 * What backend.c and backend_devices.c share. Nobody else includes it.
 */
#ifndef VMM_KVM_BACKEND_INTERNAL_H
#define VMM_KVM_BACKEND_INTERNAL_H

#include <stdatomic.h>

#include "lib/snapshot/snapshot.h"
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
	/* Folders whose servers ended, to be told from the loop; "": none. */
	char lost[VM_FILESYSTEMS_MAX][160];
	struct kvm_save *save; /* backend_save.c; NULL: none is under way */
	uv_timer_t again;      /* a note that must wait */
	uv_async_t async;      /* closed before it; the last frees the vmm */
};

/* Whether there is a guest to take part in anything. */
bool backend_alive(const struct vmm *v);
/* `what` is a verb: "cannot start a machine that is paused". */
int backend_check_phase(const struct vmm *v, enum phase wanted,
			const char *what, struct error *e) must_check;

/* The guest cannot go on: it stands still, and its owner is told why. Any
 * thread. */
void backend_fatal(struct vmm *v, const char *why);

/* backend_devices.c: operations of struct vmm_ops. */
int backend_attach(struct vmm *v, const struct vmm_device *device,
		   uint32_t *ret_slot, struct error *e);
int backend_detach(struct vmm *v, const char *id, bool force, struct error *e);
void backend_give_up(struct vmm *v, const char *id, struct error *why);
int backend_set_link(struct vmm *v, const char *id, bool up, struct error *e);
int backend_device_status(struct vmm *v, const char *id,
			  struct vmm_device_status *ret);

int backend_set_filesystem(struct vmm *v, size_t index, int fd,
			   struct error *e);
/* The board's callbacks, and what tells the second on. */
void backend_device_failed(void *cookie, const char *why);
void backend_filesystem_lost(void *cookie, size_t index, const char *why);
void backend_tell_filesystems(struct vmm *v);
/* How a device's registers become memory of the guest. */
struct reg_page_sink backend_reg_page(struct vmm *v);

int backend_resize(struct vmm *v, const char *id, struct error *e);
int backend_stats(struct vmm *v, struct vm_stats *ret, struct error *e);

/* backend_params.c: what no KVM machine can be made of. */
int backend_check_params(const struct vmm_params *p,
			 struct error *e) must_check;
int backend_shutdown(struct vmm *v, struct error *e);
bool backend_button_heard(struct vmm *v);
int backend_set_balloon(struct vmm *v, uint64_t bytes, struct error *e);

/* backend_save.c: operations; what a turn of the loop has to do for one; its
 * end without a word. */
int backend_save(struct vmm *v, const struct vmm_save *params, struct error *e);
bool backend_save_progress(struct vmm *v, uint64_t *ret_done,
			   uint64_t *ret_total);
void backend_save_turn(struct vmm *v);
void backend_save_drop(struct vmm *v);

/* backend_memory.c: what a bank holds, with the tags of memory that has some;
 * `done` counts the bytes that were looked at. Any thread, standing still. */
int backend_write_bank(struct vmm *v, enum board_bank which,
		       struct snapshot_writer *w, atomic_uint_least64_t *done,
		       struct error *e) must_check;
/* A piece of tags, which lies in a bank (judged). */
int backend_read_tags(struct vmm *v, struct snapshot_reader *reader,
		      const struct snapshot_section *s,
		      struct error *e) must_check;

/* backend_load.c: what params.snapshot_fd holds. */
struct kvm_load {
	struct snapshot_reader reader;
	void *bytes;	       /* what `state` reads */
	struct state_in state; /* behind what stands here */
	struct guest_abi abi;
	unsigned n_slots;
	bool code; /* there is a firmware */
	uint32_t code_crc;
};

/* What the machine is to be made of; judged by the definition and by what the
 * host can give. *ret is given to backend_load_end(). */
int backend_load_begin(struct vmm *v, const struct host_caps *caps,
		       const struct board_space *space, struct kvm_load **ret,
		       struct error *e) must_check;
/* With the machine made (`r` 0): its memory and state. Consumes `load`. */
int backend_load_end(struct vmm *v, struct kvm_load *load, int r,
		     struct error *e) must_check;

/* The record in front, both ways. */
#define BACKEND_STATE_NAME    "kvm-machine"
#define BACKEND_STATE_VERSION 1

#endif
