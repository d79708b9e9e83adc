/*
 * What devices and vCPUs have to say to the machine's owner: left on any
 * thread, told on the loop. Each kind is told once, however often it was left
 * before that; of reasons to stop the first counts.
 *
 * Thread: notes_leave() and notes_stop() on any; the rest on the loop thread.
 */
#ifndef VMM_KVM_NOTES_H
#define VMM_KVM_NOTES_H

#include <pthread.h>
#include <stdbool.h>

#include "lib/vmm/vmm.h"
#include "vmm-kvm/board.h"
#include "vmm-kvm/kvm_vcpu.h"

/* Why vCPUs stopped the machine. */
struct notes_stop {
	enum kvm_vcpu_stop why;
	char detail[ERROR_MESSAGE_MAX];
};

struct notes {
	pthread_mutex_t lock;
	unsigned left; /* 1 << enum board_note */
	uint64_t values[BOARD_NOTE_COUNT];
	char device_failed[ERROR_MESSAGE_MAX];
	bool stopped;
	struct notes_stop stop;
	/* Requests of disks that failed and were not told yet. */
	unsigned io_errors;
	bool io_held;
	char io_what[ERROR_MESSAGE_MAX]; /* of the first */
	uint64_t io_told_ns;
};

/* Those that were only reported to the guest are told once in this time. */
#define NOTES_IO_INTERVAL_MS 1000

void notes_init(struct notes *n);
void notes_done(struct notes *n);
void notes_leave(struct notes *n, enum board_note note, uint64_t value);

/* Leaves BOARD_NOTE_DEVICE with its sentence; of several the last is told. */
void notes_device_failed(struct notes *n, const char *why);

/* The next one as an event with its sentence; false when there is none. */
bool notes_take(struct notes *n, enum vmm_event_kind *ret_kind,
		char detail[ERROR_MESSAGE_MAX]);
void notes_stop(struct notes *n, enum kvm_vcpu_stop why, const char *detail);
bool notes_stopped(struct notes *n);
/* False when nobody stopped the machine since it was taken last. */
bool notes_take_stop(struct notes *n, struct notes_stop *ret);

/* A request failed; `held`: the machine is to be paused for it. */
void notes_io_error(struct notes *n, const char *what, bool held);
/* What there is to tell of that at now_ns (of uv_hrtime()): VMM_EVENT_IO_HELD,
 * or VMM_EVENT_IO_ERROR; false: nothing now, *ret_wait_ms says after how long
 * to ask again, 0 that there is nothing to wait for. */
bool notes_take_io(struct notes *n, uint64_t now_ns,
		   enum vmm_event_kind *ret_kind,
		   char detail[ERROR_MESSAGE_MAX], uint64_t *ret_wait_ms);

/* Forget all but the stop: they are of a guest that is gone. */
void notes_drop(struct notes *n);

#endif
