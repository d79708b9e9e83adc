/*
 * The daemon's end of one supervisor: its process (pidfd), its channel, and
 * the requests under way on it. Spawned or adopted, the rest is the same path:
 * connect, hello, and from then on messages.
 *
 * Ownership: a link belongs to its vm and is freed when its process has ended,
 * after one last vm_supervisor_ended(); callbacks may not free it.
 * Thread: the loop thread.
 */
#ifndef DAEMON_SUPERVISOR_LINK_H
#define DAEMON_SUPERVISOR_LINK_H

#include "daemon/vm.h"
#include "lib/wire/channel.h"

struct link_request;
struct link_held; /* in link_hold.c */

/* Before a VM's uuid: how systemd calls the pidfd it keeps of its supervisor.
 */
#define LINK_KEPT_PREFIX "supervisor-"

struct supervisor {
	struct vm *vm;
	pid_t pid;
	bool is_child; /* adopted ones are not: no exit status then */
	int pidfd;
	uv_poll_t pidfd_poll;
	uv_timer_t retry;	 /* reconnecting, or retrying a failed commit */
	struct channel *channel; /* NULL while not connected */
	struct link_request *requests;
	/* While it takes a machine over, requests of others wait. */
	bool holds;
	struct link_held *held;
	int64_t last_id;
	int nvram_fd; /* the shared variable store; -1 until known */
	/* A commit that could not be stored yet. */
	int64_t nvram_seq;
	uint64_t nvram_offset, nvram_size;
	bool replay_due;    /* the spill file is not stored yet */
	bool nvram_failing; /* told once, not at each retry */
	bool ended;
	int open_handles;
};

/*
 * `reply` is borrowed; NULL with `e` filled when the supervisor refused, went
 * away or did not answer in time. fds as in struct channel_events.
 */
typedef void (*link_done_fn)(struct vm *vm, void *cookie, json_object *reply,
			     int *fds, size_t n_fds, const struct error *e);

/*
 * Bind the control socket, start armvm-supervisor with it, record the run and
 * connect. On success vm->supervisor is set.
 */
int link_spawn(struct vm *vm, struct error *e) must_check;

/*
 * Take over a process recorded by an earlier daemon: known by the pidfd that
 * systemd kept, or verified by start time and boot id, never by pid alone. The
 * VM goes on in the state its row has. -ESRCH when the process is gone.
 */
int link_adopt(struct vm *vm, const struct store_run *run,
	       const struct store_vm *row, struct error *e) must_check;

/* `body` (consumed; NULL: nothing but type and id) with descriptors (dup'ed).
 */
void link_request(struct supervisor *s, const char *type, json_object *body,
		  const int *fds, size_t n_fds, uint64_t timeout_ms,
		  link_done_fn done, void *cookie);

/* Likewise, of whoever lets it take a machine over: not held back. */
void link_request_now(struct supervisor *s, const char *type, json_object *body,
		      const int *fds, size_t n_fds, uint64_t timeout_ms,
		      link_done_fn done, void *cookie);
/* It has taken it over, and said how it found it: what was held back since
 * s->holds was set is sent. */
void link_let_go(struct supervisor *s);
/* For supervisor_link.c alone. On failure `body` stays the caller's. */
int link_hold_request(struct supervisor *s, const char *type, json_object *body,
		      const int *fds, size_t n_fds, uint64_t timeout_ms,
		      link_done_fn done, void *cookie) must_check;
void link_held_fail(struct supervisor *s, const struct error *e);

/* A message without reply. */
void link_notify(struct supervisor *s, const char *type, json_object *body);

/* SIGKILL by pidfd; the end comes as an event. */
void link_kill(struct supervisor *s);

/* Close our side and forget; the process goes on. For the daemon's exit. */
void link_abandon(struct supervisor *s);

/* They are read on, after turn_ready() said no. */
void links_resume(struct manager *m);

/* What its process runs as, and whatever else works for the VM. */
uid_t link_uid(const struct vm *vm);

/* Implemented by vm_run.c. */
void vm_supervisor_message(struct vm *vm, json_object *message, int *fds,
			   size_t n_fds);
void vm_supervisor_ended(struct vm *vm, const char *how);
/* The channel is up (again); say hello. */
void vm_supervisor_connected(struct vm *vm);

#endif
