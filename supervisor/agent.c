#include <inttypes.h>
#include <sys/random.h>

#include "lib/base/buf.h"
#include "lib/base/log.h"
#include "supervisor/agent.h"

/* Before a sync it makes the other side forget half a line; in front of the
 * answer to one it tells where that begins. */
#define SENTINEL 0xff

struct request {
	struct request *next;
	char *command;
	json_object *arguments;
	uint64_t timeout_ms;
	agent_done_fn *done;
	void *cookie;
};

struct agent {
	struct chardev *chardev;
	const char *vm;
	uv_timer_t timer; /* of the request or sync under way */
	bool open, answers;
	bool synced;
	bool sent; /* a sync, or the first of the queue when synced */
	int32_t sync_id;
	struct request *queue;
	size_t n_queue;
	struct buf line;
	bool too_long; /* what follows up to the next line end is dropped */
};

static void pump(struct agent *a);

static void request_end(struct request *q, json_object *result,
			const struct error *e)
{
	if (q->done)
		q->done(q->cookie, result, e);
	json_object_put(q->arguments);
	free(q->command);
	free(q);
}

/* The first of the queue has its answer. */
static void finish(struct agent *a, json_object *result, const struct error *e)
{
	struct request *q = a->queue;

	uv_timer_stop(&a->timer);
	a->sent = false;
	a->queue = q->next;
	a->n_queue--;
	request_end(q, result, e);
}

static void fail_all(struct agent *a, const struct error *e)
{
	while (a->queue)
		finish(a, NULL, e);
}

static void doubt(struct agent *a)
{
	uv_timer_stop(&a->timer);
	a->synced = a->sent = a->answers = false;
}

static void on_timer(uv_timer_t *timer)
{
	struct agent *a = timer->data;
	bool was_synced = a->synced;
	struct error e = ERROR_INIT;

	error_set(&e, -ETIMEDOUT, "the guest's agent does not answer");
	doubt(a);
	if (!was_synced) {
		fail_all(a, &e);
		return;
	}
	finish(a, NULL, &e);
	pump(a);
}

/* A line, or nothing: a guest that takes no input is told nothing. */
static void send_line(struct agent *a, json_object *message, bool sentinel,
		      uint64_t timeout_ms)
{
	_cleanup_buf_ struct buf line = {0};
	const uint8_t mark = SENTINEL;
	struct error e = ERROR_INIT;

	if ((sentinel && buf_append(&line, &mark, 1) < 0) ||
	    buf_printf(&line, "%s\n", json_text(message)) < 0)
		line.size = 0;
	a->sent = true;
	uv_timer_start(&a->timer, on_timer, timeout_ms, 0);
	if (line.size > 0 && chardev_input(a->chardev, (uint8_t *)line.data,
					   line.size) == line.size)
		return;
	error_set(&e, -EIO, "the guest's agent takes no more requests");
	doubt(a);
	fail_all(a, &e);
}

static json_object *execute(const char *command, json_object *arguments)
{
	json_object *message = json_object_new_object();

	json_object_object_add(message, "execute",
			       json_object_new_string(command));
	if (arguments)
		json_object_object_add(message, "arguments", arguments);
	return message;
}

static void send_sync(struct agent *a)
{
	_cleanup_json_ json_object *message = NULL;
	json_object *arguments = json_object_new_object();
	uint32_t id = 0;

	if (getrandom(&id, sizeof(id), GRND_NONBLOCK) != sizeof(id))
		id = (uint32_t)a->sync_id + 1;
	a->sync_id = (int32_t)(id & INT32_MAX);
	json_object_object_add(arguments, "id",
			       json_object_new_int(a->sync_id));
	message = execute("guest-sync-delimited", arguments);
	send_line(a, message, true, AGENT_SYNC_MS);
}

static void send_request(struct agent *a)
{
	struct request *q = a->queue;
	_cleanup_json_ json_object *message = NULL;

	message = execute(q->command, TAKE_PTR(q->arguments));
	send_line(a, message, false, q->timeout_ms);
}

static void pump(struct agent *a)
{
	if (!a->open || a->sent || !a->queue)
		return;
	if (a->synced)
		send_request(a);
	else
		send_sync(a);
}

static void answer_error(struct agent *a, json_object *error)
{
	json_object *class = NULL, *desc = NULL;
	const char *kind, *text;
	struct error e = ERROR_INIT;
	bool unknown;

	json_object_object_get_ex(error, "class", &class);
	json_object_object_get_ex(error, "desc", &desc);
	kind = class ? json_object_get_string(class) : "";
	text = desc ? json_object_get_string(desc) : "";
	unknown = streq(kind, "CommandNotFound");
	error_set(&e, unknown ? -EOPNOTSUPP : -EIO,
		  "the guest's agent refused %s: %.200s", a->queue->command,
		  text);
	finish(a, NULL, &e);
}

static void answer(struct agent *a, json_object *message)
{
	json_object *value = NULL;

	if (!json_object_is_type(message, json_type_object))
		return;
	if (!a->synced) {
		/* What is not ours to await is of an earlier conversation. */
		if (!json_object_object_get_ex(message, "return", &value) ||
		    !json_object_is_type(value, json_type_int) ||
		    json_object_get_int64(value) != a->sync_id)
			return;
		uv_timer_stop(&a->timer);
		a->synced = true;
		a->sent = false;
	} else if (json_object_object_get_ex(message, "return", &value)) {
		finish(a, value, NULL);
	} else if (json_object_object_get_ex(message, "error", &value) &&
		   json_object_is_type(value, json_type_object)) {
		answer_error(a, value);
	} else {
		return;
	}
	pump(a);
}

static void end_line(struct agent *a)
{
	_cleanup_json_ json_object *message = NULL;
	struct error e = ERROR_INIT;
	bool awaited = a->sent;

	if (a->too_long && awaited && a->synced) {
		error_set(&e, -EIO,
			  "the guest's agent answered more than %zu KiB",
			  (size_t)AGENT_REPLY_MAX / 1024);
		doubt(a);
		finish(a, NULL, &e);
		pump(a);
	} else if (awaited && a->line.size > 0 &&
		   json_parse(a->line.data, a->line.size, &message, &e) == 0) {
		answer(a, message);
	}
	a->too_long = false;
	a->line.size = 0;
}

static void on_output(void *cookie, const uint8_t *data, size_t size)
{
	struct agent *a = cookie;

	for (size_t i = 0; i < size; i++) {
		if (data[i] == SENTINEL) {
			a->line.size = 0;
			a->too_long = false;
		} else if (data[i] == '\n') {
			end_line(a);
		} else if (!a->too_long) {
			a->too_long = a->line.size == AGENT_REPLY_MAX ||
				      buf_append(&a->line, &data[i], 1) < 0;
		}
	}
}

static void on_ping(void *cookie, json_object *result, const struct error *e)
{
	struct agent *a = cookie;

	a->answers = !e;
	if (!e)
		log_vm(LOG_LEVEL_INFO, a->vm, "the guest's agent answers");
}

static void on_opened(void *cookie, bool open)
{
	struct agent *a = cookie;
	struct error e = ERROR_INIT;

	a->open = open;
	doubt(a);
	a->line.size = 0;
	a->too_long = false;
	if (!open) {
		error_set(&e, -EOPNOTSUPP, "the guest's agent has ended");
		fail_all(a, &e);
		return;
	}
	agent_request(a, "guest-ping", NULL, AGENT_SYNC_MS, on_ping, a);
}

static const struct chardev_peer peer = {
	.output = on_output,
	.opened = on_opened,
};

void agent_request(struct agent *a, const char *command, json_object *arguments,
		   uint64_t timeout_ms, agent_done_fn *done, void *cookie)
{
	struct request *q = calloc(1, sizeof(*q)), **at = &a->queue;
	struct error e = ERROR_INIT;

	if (q)
		q->command = strdup(command);
	if (!q || !q->command)
		error_set(&e, -ENOMEM, "out of memory");
	else if (!a->open)
		error_set(&e, -EOPNOTSUPP,
			  "no agent runs in the guest (qemu-guest-agent)");
	else if (a->n_queue == AGENT_REQUESTS_MAX)
		error_set(&e, -EBUSY,
			  "%d requests to the guest's agent wait already",
			  AGENT_REQUESTS_MAX);
	if (e.err) {
		json_object_put(arguments);
		if (done)
			done(cookie, NULL, &e);
		if (q)
			free(q->command);
		free(q);
		return;
	}
	q->arguments = arguments;
	q->timeout_ms = timeout_ms;
	q->done = done;
	q->cookie = cookie;
	while (*at)
		at = &(*at)->next;
	*at = q;
	a->n_queue++;
	pump(a);
}

void agent_shutdown(struct agent *a, const char *mode)
{
	json_object *arguments = json_object_new_object();

	json_object_object_add(arguments, "mode", json_object_new_string(mode));
	agent_request(a, "guest-shutdown", arguments, AGENT_SYNC_MS, NULL,
		      NULL);
}

int agent_new(uv_loop_t *loop, const char *vm, struct agent **ret,
	      struct error *e)
{
	struct agent *a = calloc(1, sizeof(*a));
	int r = a ? chardev_new(loop, &a->chardev) : -ENOMEM;

	if (r < 0) {
		free(a);
		return error_set(e, r, "guest agent: %s", strerror(-r));
	}
	a->vm = vm;
	uv_timer_init(loop, &a->timer);
	a->timer.data = a;
	chardev_set_peer(a->chardev, &peer, a);
	*ret = a;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

struct agent *agent_free(struct agent *a)
{
	struct error e = ERROR_INIT;

	if (!a)
		return NULL;
	a->open = false;
	error_set(&e, -ECANCELED, "the VM has ended");
	fail_all(a, &e);
	a->chardev = chardev_free(a->chardev);
	buf_done(&a->line);
	uv_close((uv_handle_t *)&a->timer, on_closed);
	return NULL;
}

struct chardev *agent_chardev(struct agent *a)
{
	return a->chardev;
}

bool agent_answers(const struct agent *a)
{
	return a->answers;
}
