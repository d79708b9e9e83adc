#include "daemon/turn.h"

#include "daemon/supervisor_link.h"
#include "lib/base/log.h"

#define RETRY_MS 1000
/* How long another process may hold the database, and how often we look. */
#define LOCKED_MAX_MS  2000
#define LOCKED_LOOK_MS 10
/* A client that sends one change after the other must not keep the loop. */
#define FLUSHES_MAX 16

struct after {
	struct after *next;
	turn_fn fn;
	struct turn_note note;
};

struct turn {
	struct manager *manager;
	uv_prepare_t prepare; /* after timers, before the loop sleeps */
	uv_check_t check;     /* after what was read */
	uv_idle_t spin;	      /* there is more: do not sleep */
	uv_timer_t retry;
	uv_timer_t locked; /* runs while others wait for the database */
	uint64_t locked_since_ms;
	bool gave_up; /* they wait no longer */
	unsigned open_handles;
	struct after *first, **tail;
	bool ending;
};

bool turn_held(void *cookie)
{
	const struct manager *m = cookie;

	return store_dirty(m->store);
}

/* Those who waited go on, in order: first who asked, then who is asked. */
static void go_on(struct turn *t)
{
	uv_timer_stop(&t->locked);
	if (t->manager->server)
		api_server_resume(t->manager->server);
	links_resume(t->manager);
}

static void locked_cb(uv_timer_t *timer)
{
	struct turn *t = timer->data;
	uint64_t waited_ms = uv_now(t->manager->loop) - t->locked_since_ms;

	if (store_ready(t->manager->store)) {
		log_info("the database was locked by another process for about "
			 "%llu ms",
			 (unsigned long long)waited_ms);
		go_on(t);
	} else if (waited_ms >= LOCKED_MAX_MS) {
		log_warning("the database has been locked by another process "
			    "for %llu ms; changes fail",
			    (unsigned long long)waited_ms);
		t->gave_up = true;
		go_on(t);
		t->gave_up = false;
	}
}

bool turn_ready(void *cookie)
{
	const struct manager *m = cookie;
	struct turn *t = m->turn;

	if (!t || t->gave_up || store_ready(m->store))
		return true;
	if (!uv_is_active((uv_handle_t *)&t->locked)) {
		t->locked_since_ms = uv_now(m->loop);
		uv_timer_start(&t->locked, locked_cb, LOCKED_LOOK_MS,
			       LOCKED_LOOK_MS);
	}
	return false;
}

void turn_after(struct manager *m, turn_fn fn, const struct turn_note *note)
{
	struct after *a = store_dirty(m->store) ? calloc(1, sizeof(*a)) : NULL;
	struct error e = ERROR_INIT;
	int r;

	if (!a) {
		/* Out of memory costs a commit of its own, nothing else. */
		r = store_flush(m->store, &e);
		fn(m, note, r < 0 ? &e : NULL);
		return;
	}
	*a = (struct after){.fn = fn, .note = *note};
	*m->turn->tail = a;
	m->turn->tail = &a->next;
}

static void run_after(struct turn *t, const struct error *why)
{
	struct after *a = t->first, *next;

	t->first = NULL;
	t->tail = &t->first;
	for (; a; a = next) {
		next = a->next;
		a->fn(t->manager, &a->note, why);
		free(a);
	}
}

static void flush(struct turn *t)
{
	struct manager *m = t->manager;
	struct error e = ERROR_INIT;
	bool dirty = store_dirty(m->store);
	int r = store_flush(m->store, &e);

	if (r < 0) {
		log_error("%s", e.message);
		vm_saves_lost(m);
	} else if (dirty) {
		vm_saves_done(m);
	}
	run_after(t, r < 0 ? &e : NULL);
	if (m->server)
		api_server_release(m->server, r < 0 ? &e : NULL);
}

static void spin_cb(uv_idle_t *idle)
{
	uv_idle_stop(idle);
}

void turn_end(struct turn *t)
{
	struct manager *m = t->manager;

	if (t->ending)
		return;
	t->ending = true;
	for (int i = 0; i < FLUSHES_MAX && (store_dirty(m->store) || t->first);
	     i++)
		flush(t);
	if (store_dirty(m->store))
		uv_idle_start(&t->spin, spin_cb);
	else
		vm_sweep(m);
	t->ending = false;
}

static void prepare_cb(uv_prepare_t *handle)
{
	turn_end(handle->data);
}

static void check_cb(uv_check_t *handle)
{
	turn_end(handle->data);
}

static void retry_cb(uv_timer_t *timer)
{
	struct turn *t = timer->data;

	if (vm_save_again(t->manager) > 0)
		turn_retry_saves(t);
}

void turn_retry_saves(struct turn *t)
{
	if (!uv_is_active((uv_handle_t *)&t->retry))
		uv_timer_start(&t->retry, retry_cb, RETRY_MS, 0);
}

int turn_new(struct manager *m, struct turn **ret, struct error *e)
{
	struct turn *t = calloc(1, sizeof(*t));

	if (!t)
		return error_set(e, -ENOMEM, "out of memory");
	t->manager = m;
	t->tail = &t->first;
	uv_prepare_init(m->loop, &t->prepare);
	uv_check_init(m->loop, &t->check);
	uv_idle_init(m->loop, &t->spin);
	uv_timer_init(m->loop, &t->retry);
	uv_timer_init(m->loop, &t->locked);
	t->prepare.data = t->check.data = t->spin.data = t->retry.data = t;
	t->locked.data = t;
	t->open_handles = 5;
	uv_prepare_start(&t->prepare, prepare_cb);
	uv_check_start(&t->check, check_cb);
	/* They only accompany what keeps the loop running. */
	uv_unref((uv_handle_t *)&t->prepare);
	uv_unref((uv_handle_t *)&t->check);
	*ret = t;
	return 0;
}

static void closed_cb(uv_handle_t *handle)
{
	struct turn *t = handle->data;

	if (--t->open_handles == 0)
		free(t);
}

struct turn *turn_free(struct turn *t)
{
	if (!t)
		return NULL;
	turn_end(t);
	uv_close((uv_handle_t *)&t->prepare, closed_cb);
	uv_close((uv_handle_t *)&t->check, closed_cb);
	uv_close((uv_handle_t *)&t->spin, closed_cb);
	uv_close((uv_handle_t *)&t->retry, closed_cb);
	uv_close((uv_handle_t *)&t->locked, closed_cb);
	return NULL;
}
