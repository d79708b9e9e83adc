#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vmm-kvm/run_gate.h"

#define THREADS 4

/* A stand-in for a vCPU: passes the gate again and again, and may take a hold
 * in between, as a write to the flash would. */
struct runner {
	struct run_gate *gate;
	pthread_t thread;
	bool hold_once;
	atomic_uint passes;
	atomic_uint_least64_t ticket;
	uint64_t released_at_return; /* what it saw after its hold */
};

static void *runner_main(void *arg)
{
	struct runner *r = arg;

	while (run_gate_pass(r->gate)) {
		if (atomic_load(&r->ticket) && !r->released_at_return) {
			pthread_mutex_lock(&r->gate->lock);
			r->released_at_return = r->gate->released;
			pthread_mutex_unlock(&r->gate->lock);
		}
		atomic_fetch_add(&r->passes, 1);
		if (r->hold_once && !atomic_load(&r->ticket))
			atomic_store(&r->ticket, run_gate_hold(r->gate));
	}
	run_gate_leave(r->gate);
	return NULL;
}

static void runner_start(struct runner *r, struct run_gate *g)
{
	r->gate = g;
	run_gate_join(g);
	assert_int_equal(pthread_create(&r->thread, NULL, runner_main, r), 0);
}

static void runners_stop(struct runner *r, size_t n)
{
	run_gate_set(r[0].gate, RUN_GATE_STOP);
	for (size_t i = 0; i < n; i++)
		pthread_join(r[i].thread, NULL);
}

static void await_passes(struct runner *r, unsigned more)
{
	unsigned from = atomic_load(&r->passes);

	while (atomic_load(&r->passes) - from < more)
		sched_yield();
}

static void test_closed_gate_lets_nobody_pass(void **state)
{
	struct runner r[THREADS] = {0};
	struct run_gate g;

	run_gate_init(&g);
	for (int i = 0; i < THREADS; i++)
		runner_start(&r[i], &g);
	run_gate_wait(&g);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(atomic_load(&r[i].passes), 0);
	runners_stop(r, THREADS);
	assert_int_equal(g.threads, 0);
	run_gate_done(&g);
}

static void test_close_waits_for_everybody_and_opens_again(void **state)
{
	struct runner r[THREADS] = {0};
	unsigned passes[THREADS];
	struct run_gate g;

	run_gate_init(&g);
	for (int i = 0; i < THREADS; i++)
		runner_start(&r[i], &g);
	for (int round = 0; round < 50; round++) {
		run_gate_set(&g, RUN_GATE_OPEN);
		await_passes(&r[round % THREADS], 3);
		run_gate_set(&g, RUN_GATE_CLOSED);
		run_gate_wait(&g);
		for (int i = 0; i < THREADS; i++)
			passes[i] = atomic_load(&r[i].passes);
		sched_yield();
		for (int i = 0; i < THREADS; i++)
			assert_int_equal(atomic_load(&r[i].passes), passes[i]);
	}
	runners_stop(r, THREADS);
	run_gate_done(&g);
}

static void test_hold_keeps_its_thread_until_release(void **state)
{
	struct runner r = {.hold_once = true};
	struct run_gate g;

	run_gate_init(&g);
	runner_start(&r, &g);
	run_gate_set(&g, RUN_GATE_OPEN);
	while (!atomic_load(&r.ticket))
		sched_yield();
	/* Invariant 3: it counts as waiting, though the gate is open. */
	run_gate_wait(&g);
	assert_int_equal(atomic_load(&r.passes), 1);
	run_gate_release(&g, atomic_load(&r.ticket));
	await_passes(&r, 2);
	runners_stop(&r, 1);
	assert_int_equal(r.released_at_return, 1);
	run_gate_done(&g);
}

static void test_hold_survives_close_and_open(void **state)
{
	struct runner r = {.hold_once = true};
	struct run_gate g;

	run_gate_init(&g);
	runner_start(&r, &g);
	run_gate_set(&g, RUN_GATE_OPEN);
	while (!atomic_load(&r.ticket))
		sched_yield();
	run_gate_set(&g, RUN_GATE_CLOSED);
	run_gate_wait(&g);
	run_gate_set(&g, RUN_GATE_OPEN);
	run_gate_wait(&g);
	assert_int_equal(atomic_load(&r.passes), 1);
	/* A release while it is closed counts when it opens. */
	run_gate_set(&g, RUN_GATE_CLOSED);
	run_gate_release(&g, atomic_load(&r.ticket));
	run_gate_wait(&g);
	assert_int_equal(atomic_load(&r.passes), 1);
	run_gate_set(&g, RUN_GATE_OPEN);
	await_passes(&r, 1);
	runners_stop(&r, 1);
	run_gate_done(&g);
}

static void test_stop_overrides_hold(void **state)
{
	struct runner r = {.hold_once = true};
	struct run_gate g;

	run_gate_init(&g);
	runner_start(&r, &g);
	run_gate_set(&g, RUN_GATE_OPEN);
	while (!atomic_load(&r.ticket))
		sched_yield();
	runners_stop(&r, 1);
	assert_int_equal(atomic_load(&r.passes), 1);
	run_gate_done(&g);
}

static void test_close_from_a_thread_leaves_stop_alone(void **state)
{
	struct run_gate g;

	run_gate_init(&g);
	run_gate_set(&g, RUN_GATE_OPEN);
	run_gate_close(&g);
	assert_int_equal(g.state, RUN_GATE_CLOSED);
	run_gate_set(&g, RUN_GATE_STOP);
	run_gate_close(&g);
	assert_int_equal(g.state, RUN_GATE_STOP);
	assert_false(run_gate_pass(&g));
	run_gate_done(&g);
}

static void test_release_covers_earlier_tickets_only(void **state)
{
	struct run_gate g;
	uint64_t first, second;

	run_gate_init(&g);
	run_gate_set(&g, RUN_GATE_OPEN);
	assert_false(atomic_load(&g.attention));
	first = run_gate_hold(&g);
	second = run_gate_hold(&g);
	assert_true(second > first);
	run_gate_release(&g, first);
	assert_true(atomic_load(&g.attention));
	run_gate_release(&g, second);
	assert_false(atomic_load(&g.attention));
	/* Tickets never go back. */
	run_gate_release(&g, first);
	assert_false(atomic_load(&g.attention));
	run_gate_done(&g);
}

static void test_fence_keeps_everybody(void **state)
{
	struct runner r[THREADS] = {0};
	struct run_gate g;

	run_gate_init(&g);
	for (int i = 0; i < THREADS; i++)
		runner_start(&r[i], &g);
	run_gate_set(&g, RUN_GATE_OPEN);
	for (int i = 0; i < THREADS; i++)
		await_passes(&r[i], 1);
	run_gate_fence(&g, true);
	run_gate_fence(&g, true);
	run_gate_wait(&g);
	for (int i = 0; i < THREADS; i++)
		atomic_store(&r[i].passes, 0);
	/* Closing and opening is another matter. */
	run_gate_set(&g, RUN_GATE_CLOSED);
	run_gate_set(&g, RUN_GATE_OPEN);
	run_gate_fence(&g, false);
	run_gate_wait(&g);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(atomic_load(&r[i].passes), 0);
	run_gate_fence(&g, false);
	for (int i = 0; i < THREADS; i++)
		await_passes(&r[i], 1);
	run_gate_fence(&g, true);
	runners_stop(r, THREADS);
	run_gate_done(&g);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_closed_gate_lets_nobody_pass),
		cmocka_unit_test(
			test_close_waits_for_everybody_and_opens_again),
		cmocka_unit_test(test_hold_keeps_its_thread_until_release),
		cmocka_unit_test(test_hold_survives_close_and_open),
		cmocka_unit_test(test_stop_overrides_hold),
		cmocka_unit_test(test_close_from_a_thread_leaves_stop_alone),
		cmocka_unit_test(test_release_covers_earlier_tickets_only),
		cmocka_unit_test(test_fence_keeps_everybody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
