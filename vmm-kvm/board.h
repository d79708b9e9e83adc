/*
 * The machine as its guest sees it: memory, devices and where they stand
 * (board_layout.h). It knows no KVM: interrupts go to the sinks of
 * devices/irq.h, and whoever runs the CPUs hands their accesses to the bus.
 *
 * A board survives resets of the machine; CPUs and interrupt controller are
 * made anew by their owner.
 *
 * Thread: the loop thread, with no vCPU running unless said otherwise.
 */
#ifndef VMM_KVM_BOARD_H
#define VMM_KVM_BOARD_H

#include <uv.h>

#include "lib/host/chardev.h"
#include "lib/model/host_caps.h"
#include "lib/snapshot/state.h"
#include "lib/vmm/vmm.h"
#include "vmm-kvm/board_memory.h"
#include "vmm-kvm/devices/bus.h"
#include "vmm-kvm/devices/guest_mem.h"
#include "vmm-kvm/devices/irq.h"
#include "vmm-kvm/devices/reg_page.h"

/* What a device says to the machine's owner. */
enum board_note {
	BOARD_NOTE_PANIC,    /* the guest's kernel says so */
	BOARD_NOTE_WATCHDOG, /* the guest let it expire */
	BOARD_NOTE_BALLOON,  /* the balloon's target is reached; bytes left */
	BOARD_NOTE_DEVICE,   /* not by note(), but by device_failed() */
	BOARD_NOTE_COUNT
};

struct board_params {
	struct vmm_params *vmm; /* descriptors of devices are consumed */
	const struct board_space *space;
	const struct guest_abi *abi;
	unsigned n_slots;     /* 0: as the definition says */
	struct irq_line line; /* a copy of it, per interrupt, for devices */
	const struct msi_sink *msi;
	const struct doorbell_sink *doorbells;
	struct reg_page_sink reg_page; /* `show` NULL: none is shown */
	/* With the device lock held, maybe on a vCPU thread: show a flash bank
	 * as memory, or have its reads come to the bus. */
	void (*set_mapped)(void *cookie, enum board_bank bank, bool mapped);
	/* Likewise: bytes of the variables to be made durable. */
	void (*commit)(void *cookie, uint64_t offset, uint64_t size);
	/* Likewise, on the loop thread: a request of a disk failed, and is
	 * held until board_retry() or told to the guest; a sentence. */
	void (*io_error)(void *cookie, const char *what, bool held);
	/* Likewise. */
	void (*note)(void *cookie, enum board_note note, uint64_t value);
	/* Likewise: a sentence that names the device. */
	void (*device_failed)(void *cookie, const char *why);
	/* The server of a folder ended. Loop thread. */
	void (*filesystem_lost)(void *cookie, size_t index, const char *why);
	/* With the device lock held, on any thread: board_slots_poll() is due,
	 * on the loop thread. */
	void (*slots_changed)(void *cookie);
	/* From inside board_slots_poll(); see struct vmm_events. Optional. */
	void (*nic_failed)(void *cookie, const char *id, const char *why);
	/* A step of an attach or detach, on the loop thread, from inside
	 * board_slots_poll(), board_detach() and board_reset(). */
	void (*device_event)(void *cookie,
			     const struct vmm_device_status *status);
	void *cookie;
};

struct board;

/* Descriptors in params->vmm that were taken are set to -1, also on
 * failure. Everything else is borrowed for the board's life; kernel and initrd
 * are read again at every reset. */
int board_new(const struct board_params *params, struct board **ret,
	      struct error *e) must_check;
/* Waits for I/O under way. */
struct board *board_free(struct board *b);
DEFINE_CLEANUP(board_free, struct board *)

struct bus *board_bus(struct board *b);
const struct board_bank_memory *board_bank(const struct board *b,
					   enum board_bank bank);

/* All devices as after power-on and RAM empty; flash keeps its content, and
 * what of it was not committed yet goes to commit(). */
void board_reset(struct board *b);

/* Commit what the guest wrote to its variables but did not end. */
void board_sync(struct board *b);

/* Disks start again what they held. vCPUs stand still or may run. */
void board_retry(struct board *b);
/* Look at a disk's size again and tell the guest. -ENOENT, or as
 * blockdev_refresh(). vCPUs may run. */
int board_resize(struct board *b, const char *id, struct error *e) must_check;

/* The CPUs stand still, or go on: time of the watchdog. */
void board_hold(struct board *b, bool held);

/* Memory to be left to the guest; see devices/virtio_balloon.h. vCPUs may run.
 */
void board_set_balloon(struct board *b, uint64_t bytes);

/* Plug a network interface's cable in or out. vCPUs may run. -ENOENT. */
int board_set_link(struct board *b, const char *id, bool up,
		   struct error *e) must_check;

/*
 * What its devices did, into `ret`; and ask the guest for what its balloon
 * knows, which is in the next answer. -ENOMEM. vCPUs may run.
 */
int board_stats(struct board *b, struct vm_stats *ret) must_check;

/* Another server for a folder: a vhost-user socket, consumed also on failure.
 * It is used when it answers; until then, or if it does not, the folder stays
 * as it is. vCPUs may run. */
int board_set_filesystem(struct board *b, size_t index, int fd,
			 struct error *e) must_check;

/* A driver in the guest watches the power button. vCPUs may run. */
bool board_power_watched(struct board *b);

/* Push the power button and let it go again after a moment. vCPUs may run. */
void board_press_power(struct board *b);

/*
 * For a snapshot (board_state.c), no vCPU running. A board that is still
 * changes neither itself nor guest memory; what is under way to its disks has
 * ended. One that is made from a snapshot is so until the guest goes on.
 */
void board_still(struct board *b, bool still);
/* -EOPNOTSUPP and -EBUSY name the device that cannot be part of one, now. */
int board_snapshot_check(struct board *b, struct error *e) must_check;
void board_save(struct board *b, struct state_out *out);
/* A new board, of the same definition and slots, its memory loaded: still. */
int board_load(struct board *b, struct state_in *in,
	       struct error *e) must_check;
unsigned board_slots_count(const struct board *b);
/* The firmware's code is to be another than this host's: memory of its own,
 * zeroed. */
int board_own_code(struct board *b, struct error *e) must_check;

#endif
