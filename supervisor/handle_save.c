/*
 * The `save` message: pause, have the backend write the machine down, go on.
 *
 * Promises: whatever fails, the daemon's end included, a guest that ran runs
 * on. Nothing else is asked of the machine meanwhile, but its stop.
 */
#include "lib/base/log.h"
#include "supervisor/handlers_internal.h"

#define TELL_MS 250

struct save_op {
	struct supervisor *supervisor;
	struct later later;
	bool was_running, hold;
	uv_timer_t timer; /* tells how far it is; its closing frees the op */
};

int save_check(const struct supervisor *s, struct error *e)
{
	return s->saving ? error_set(e, -EBUSY,
				     "a snapshot of %s is being saved; this is "
				     "possible when that has ended",
				     s->name)
			 : 0;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void op_free(struct save_op *op)
{
	op->supervisor->saving = NULL;
	uv_close((uv_handle_t *)&op->timer, on_closed);
}

static bool go_on(struct supervisor *s)
{
	struct error e = ERROR_INIT;

	s->held = false;
	if (!s->vmm)
		return false;
	if (s->ops->resume(s->vmm, &e) == 0)
		return true;
	log_vm(LOG_LEVEL_WARNING, s->name, "after its snapshot: %s", e.message);
	return false;
}

static void on_done(void *cookie, const struct error *e)
{
	struct save_op *op = cookie;
	struct supervisor *s = op->supervisor;
	struct later later = op->later;
	bool was_running = op->was_running, hold = op->hold, resumed = false;
	json_object *reply = json_object_new_object();

	op_free(op);
	/* A daemon that has gone cannot say how to go on. */
	s->held = !e && hold && was_running && s->greeted &&
		  s->connection == later.connection;
	if (was_running && !s->held)
		resumed = go_on(s);
	json_object_object_add(reply, "resumed",
			       json_object_new_boolean(resumed));
	log_vm(e ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, s->name, "%s",
	       e ? e->message : "its snapshot is written");
	handlers_reply(s, &later, reply, e);
}

static void on_timer(uv_timer_t *timer)
{
	struct save_op *op = timer->data;
	struct supervisor *s = op->supervisor;
	json_object *message;
	uint64_t done, total;

	if (!s->vmm || !s->ops->save_progress(s->vmm, &done, &total))
		return;
	message = supervisor_message(WIRE_SAVING);
	json_object_object_add(message, "done", json_object_new_uint64(done));
	json_object_object_add(message, "total", json_object_new_uint64(total));
	supervisor_tell(s, message);
}

static int begin(struct save_op *op, int fd, bool compress, struct error *e)
{
	struct supervisor *s = op->supervisor;
	const struct vmm_save params = {
		.fd = fd,
		.compress = compress,
		.done = on_done,
		.cookie = op,
	};
	int r = 0;

	if (op->was_running)
		r = s->ops->pause(s->vmm, e);
	if (r < 0) {
		fd_close(fd);
		return r;
	}
	r = s->ops->save(s->vmm, &params, e);
	if (r < 0 && op->was_running)
		go_on(s);
	return r;
}

int handle_save(struct supervisor *s, const struct request *q,
		struct reply *reply, struct error *e)
{
	int r = handlers_check_request(s, VM_REQUEST_SNAPSHOT, e);
	struct save_op *op;

	if (r == 0 && q->n_fds != 1)
		r = error_set(e, -EINVAL,
			      "save needs one descriptor: a stream socket");
	if (r < 0)
		return r;
	op = calloc(1, sizeof(*op));
	if (!op)
		return error_set(e, -ENOMEM, "out of memory");
	op->supervisor = s;
	op->later = (struct later){q->id, s->connection};
	op->was_running = s->state == VM_RUNNING;
	op->hold = q->hold;
	uv_timer_init(&s->loop, &op->timer);
	op->timer.data = op;
	s->saving = op;
	r = begin(op, TAKE_FD(q->fds[0]), q->compress, e);
	if (r < 0) {
		op_free(op);
		return r;
	}
	uv_timer_start(&op->timer, on_timer, TELL_MS, TELL_MS);
	reply->later = true;
	return 0;
}

void save_ended(struct supervisor *s)
{
	s->held = false;
	if (s->saving)
		op_free(s->saving);
}

void save_disconnected(struct supervisor *s)
{
	if (s->held)
		go_on(s);
}
