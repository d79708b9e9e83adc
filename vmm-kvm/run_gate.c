#include "vmm-kvm/run_gate.h"

void run_gate_init(struct run_gate *g)
{
	*g = (struct run_gate){.state = RUN_GATE_CLOSED};
	pthread_mutex_init(&g->lock, NULL);
	pthread_cond_init(&g->opened, NULL);
	pthread_cond_init(&g->settled, NULL);
	atomic_init(&g->attention, true);
}

void run_gate_done(struct run_gate *g)
{
	pthread_cond_destroy(&g->settled);
	pthread_cond_destroy(&g->opened);
	pthread_mutex_destroy(&g->lock);
}

/* With the lock held, after any change. */
static void gate_changed(struct run_gate *g)
{
	/* Pairs with the load in run_gate_pass(). */
	atomic_store(&g->attention, g->state != RUN_GATE_OPEN ||
					    g->fences > 0 ||
					    g->released < g->taken);
	pthread_cond_broadcast(&g->opened);
}

void run_gate_set(struct run_gate *g, enum run_gate_state state)
{
	pthread_mutex_lock(&g->lock);
	g->state = state;
	gate_changed(g);
	pthread_mutex_unlock(&g->lock);
}

void run_gate_close(struct run_gate *g)
{
	pthread_mutex_lock(&g->lock);
	if (g->state == RUN_GATE_OPEN)
		g->state = RUN_GATE_CLOSED;
	gate_changed(g);
	pthread_mutex_unlock(&g->lock);
}

void run_gate_wait(struct run_gate *g)
{
	pthread_mutex_lock(&g->lock);
	while (g->waiting < g->threads)
		pthread_cond_wait(&g->settled, &g->lock);
	pthread_mutex_unlock(&g->lock);
}

void run_gate_join(struct run_gate *g)
{
	pthread_mutex_lock(&g->lock);
	g->threads++;
	pthread_mutex_unlock(&g->lock);
}

void run_gate_leave(struct run_gate *g)
{
	pthread_mutex_lock(&g->lock);
	g->threads--;
	pthread_cond_broadcast(&g->settled);
	pthread_mutex_unlock(&g->lock);
}

bool run_gate_pass(struct run_gate *g)
{
	uint64_t ticket;
	bool open;

	if (!atomic_load(&g->attention))
		return true;
	pthread_mutex_lock(&g->lock);
	/* Later holds are others' to wait for. */
	ticket = g->taken;
	g->waiting++;
	pthread_cond_broadcast(&g->settled);
	while (g->state == RUN_GATE_CLOSED ||
	       (g->state == RUN_GATE_OPEN &&
		(g->fences > 0 || g->released < ticket)))
		pthread_cond_wait(&g->opened, &g->lock);
	g->waiting--;
	open = g->state == RUN_GATE_OPEN;
	pthread_mutex_unlock(&g->lock);
	return open;
}

uint64_t run_gate_hold(struct run_gate *g)
{
	uint64_t ticket;

	pthread_mutex_lock(&g->lock);
	ticket = ++g->taken;
	gate_changed(g);
	pthread_mutex_unlock(&g->lock);
	return ticket;
}

void run_gate_release(struct run_gate *g, uint64_t ticket)
{
	pthread_mutex_lock(&g->lock);
	g->released = MAX(g->released, ticket);
	gate_changed(g);
	pthread_mutex_unlock(&g->lock);
}

void run_gate_fence(struct run_gate *g, bool up)
{
	pthread_mutex_lock(&g->lock);
	g->fences += up ? 1u : -1u;
	gate_changed(g);
	pthread_mutex_unlock(&g->lock);
}
