/*
 * What devices have to say to the machine's owner: left on any thread, told on
 * the loop. Each kind is told once, however often it was left before that.
 *
 * Thread: notes_leave() on any; the rest on the loop thread.
 */
#ifndef VMM_KVM_NOTES_H
#define VMM_KVM_NOTES_H

#include <pthread.h>
#include <stdbool.h>

#include "lib/vmm/vmm.h"
#include "vmm-kvm/board.h"

struct notes {
	pthread_mutex_t lock;
	unsigned left; /* 1 << enum board_note */
	uint64_t values[BOARD_NOTE_COUNT];
};

void notes_init(struct notes *n);
void notes_done(struct notes *n);
void notes_leave(struct notes *n, enum board_note note, uint64_t value);

/* The next one as an event with its sentence; false when there is none. */
bool notes_take(struct notes *n, enum vmm_event_kind *ret_kind,
		char detail[ERROR_MESSAGE_MAX]);
/* Forget all: they are of a guest that is gone. */
void notes_drop(struct notes *n);

#endif
