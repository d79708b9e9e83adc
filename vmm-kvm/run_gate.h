/*
 * The gate every vCPU thread passes before each entry into the guest. Whoever
 * owns the machine opens and closes it; a finished update of the variable
 * store holds it until the update is durable.
 *
 * Invariants:
 * 1. While the gate is not OPEN, no thread returns true from run_gate_pass().
 * 2. A thread that took a hold (run_gate_hold() on its own stack) does not
 *    return true from run_gate_pass() before that hold is released.
 * 3. A thread waiting for a release counts as waiting for run_gate_wait(), so
 *    the owner may close the gate and wait while holds are outstanding.
 * 4. While a fence is up, no thread returns true; to 3. it is like a hold.
 * 5. STOP overrides holds and fences: every thread returns false.
 *
 * A thread inside the guest does not see the gate: the owner kicks it after
 * run_gate_set(). See kvm_vcpu_kick() for why no kick is lost.
 */
#ifndef VMM_KVM_RUN_GATE_H
#define VMM_KVM_RUN_GATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "lib/base/util.h"

enum run_gate_state { RUN_GATE_CLOSED, RUN_GATE_OPEN, RUN_GATE_STOP };

struct run_gate {
	pthread_mutex_t lock;
	pthread_cond_t opened;	/* threads wait here */
	pthread_cond_t settled; /* the owner waits here */
	enum run_gate_state state;
	unsigned threads, waiting;
	uint64_t taken, released;
	unsigned fences;
	/* Set if run_gate_pass() has to look closer; written under the lock. */
	atomic_bool attention;
};

/* A new gate is CLOSED and has no threads. */
void run_gate_init(struct run_gate *g);
void run_gate_done(struct run_gate *g);

/* Owner. Closing does not wait. */
void run_gate_set(struct run_gate *g, enum run_gate_state state);
/* vCPU thread: closes an open gate, and leaves a stopped one stopped. */
void run_gate_close(struct run_gate *g);
/* Owner: blocks until every joined thread waits at the gate or has left. */
void run_gate_wait(struct run_gate *g);

/* A thread is about to be made (owner), and has ended (thread itself, or the
 * owner if it could not be made). */
void run_gate_join(struct run_gate *g);
void run_gate_leave(struct run_gate *g);

/* vCPU thread: blocks while it must; false means end the thread. */
bool run_gate_pass(struct run_gate *g);

/* Any thread: a ticket to release by; tickets only grow. */
uint64_t run_gate_hold(struct run_gate *g);
/* Any thread: this ticket and all before it. */
void run_gate_release(struct run_gate *g, uint64_t ticket);

/* Any thread: one fence more, or one less; several may be up. */
void run_gate_fence(struct run_gate *g, bool up);

#endif
