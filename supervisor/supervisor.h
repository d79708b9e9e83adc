/*
 * One VM's life in one process.
 *
 *   started by the daemon → hello, configure, start → events → at rest
 *
 * Promises:
 *  1. The VM outlives the daemon: once `start` was accepted, a lost connection
 *     changes nothing for the guest. Before that there is nothing worth
 *     keeping, and the process ends with the connection (or when no daemon
 *     came within SUPERVISOR_ORPHAN_MS).
 *  2. Whoever asks learns how the VM ended: the final state and its reason are
 *     sent to the connected daemon, or kept until the next one says hello.
 *     Kept means for as long as it takes, in a process that has given up the
 *     guest's memory, disks and taps. SIGTERM ends that process, too. A
 *     daemon that was told stays connected until the process has ended; one
 *     that leaves earlier may not have read it, so the next is told again.
 *  3. The backend is destroyed from the loop, never inside its own event.
 *  4. The exit status is 0 for a VM that stopped and 1 for one that crashed.
 *
 * Thread: the loop thread; the structure is shared by supervisor.c (states),
 * configure.c and handlers.c (messages) only.
 */
#ifndef SUPERVISOR_SUPERVISOR_H
#define SUPERVISOR_SUPERVISOR_H

#include "lib/host/chardev.h"
#include "supervisor/agent.h"
#include "lib/wire/messages.h"
#include "supervisor/backends.h"
#include "supervisor/configure.h"
#include "supervisor/console_log.h"
#include "supervisor/control.h"
#include "supervisor/devices.h"
#include "supervisor/nvram.h"

#define SUPERVISOR_ORPHAN_MS 60000
/* The final state and the guest's last words leave through the loop. */
#define SUPERVISOR_FAREWELL_MS 50

#define SUPERVISOR_SIGNALS 3

struct supervisor {
	uv_loop_t loop;
	const char *name; /* of the VM; borrowed from argv */
	struct control control;
	bool greeted;	     /* the connected daemon said hello */
	unsigned connection; /* how many daemons connected */
	bool told;	     /* a daemon knows the final state */
	/* Nobody will ask how it ended: a daemon's own stop, SIGTERM, a VM
	 * that never ran. */
	bool dismissed;
	bool configured, started, at_rest, ending;

	enum vm_state state;
	char reason[ERROR_MESSAGE_MAX];
	char pause_reason[ERROR_MESSAGE_MAX]; /* of the pause that begins */
	enum vm_state final_state;	      /* once at_rest */

	struct handover handover; /* descriptors of unfinished configures */
	struct vm_config config;
	const struct vmm_ops *ops;
	struct vmm *vmm; /* NULL before configure and at rest */
	/* NULL before configure; the virtio console, when there is one. */
	struct chardev *console, *virtio_console;
	struct console_log *console_log; /* of the default one; or NULL */
	struct agent *agent;		 /* NULL before configure and at rest */
	struct nvram *nvram;	/* NULL when there is none, and at rest */
	uint64_t spilled_bytes; /* at rest: what nvram said last */
	struct device *devices; /* of the guest; see devices.h */
	/* Why folders wait for a server; "": they have one. */
	char lost[VM_FILESYSTEMS_MAX][160];
	struct save_op *saving; /* handle_save.c; NULL: none */
	bool held; /* it was saved, and a daemon shall say how it goes on */

	uv_timer_t timer; /* orphan, then rest, then farewell */
	uv_signal_t signals[SUPERVISOR_SIGNALS];
	int exit_status;
};

/*
 * control_fd is consumed, also on failure. `owner` may control the VM besides
 * root. Runs until the VM and the conversation about it are over; returns the
 * exit status of the process.
 */
int supervisor_run(const char *name, int control_fd, uid_t owner);

/* Come to rest from the next turn of the loop on. The first call counts. */
void supervisor_rest(struct supervisor *s, enum vm_state final_state,
		     const char *reason);
/* Enter a state and tell the daemon, if there is one. */
void supervisor_set_state(struct supervisor *s, enum vm_state state,
			  const char *reason);
/* A message to the daemon: new, and (consuming it) sent if there is one. */
json_object *supervisor_message(enum wire_message m);
void supervisor_tell(struct supervisor *s, json_object *message);
/* handle_save.c: the guest is gone; the daemon is gone. */
void save_ended(struct supervisor *s);
void save_disconnected(struct supervisor *s);
/* End now; at rest only. */
void supervisor_leave(struct supervisor *s);
/* The connected daemon knows the final state: end soon. */
void supervisor_told(struct supervisor *s);

/* Which console: what the definition has first, or one by its name. */
enum console_device { CONSOLE_DEFAULT, CONSOLE_PL011, CONSOLE_VIRTIO };
extern const char *const console_device_names[];
/* NULL when the guest has no such console. */
struct chardev *supervisor_console(struct supervisor *s,
				   enum console_device device);

/* What consoles and their log call; cookie is the supervisor. */
void supervisor_log_event(void *cookie, const char *detail);
uint64_t supervisor_now_ms(void *cookie);
chardev_writer_fn supervisor_console_writer;

/* What the backend and the variable store call; cookie is the supervisor. */
extern const struct vmm_events supervisor_vmm_events;
extern const struct nvram_events supervisor_nvram_events;

#endif
