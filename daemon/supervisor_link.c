#include <signal.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "daemon/link_internal.h"
#include "daemon/scope.h"
#include "daemon/supervisor_link.h"
#include "daemon/turn.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"

#define RECONNECT_MS 1000

struct link_request {
	struct link_request *next;
	struct supervisor *link; /* NULL once settled */
	int64_t id;
	uv_timer_t timer;
	link_done_fn done;
	void *cookie;
};

static void request_free_cb(uv_handle_t *handle)
{
	free(container_of(handle, struct link_request, timer));
}

/* Takes the request off its link's list, tells its maker, frees it. */
static void request_settle(struct link_request *rq, json_object *reply,
			   int *fds, size_t n_fds, const struct error *e)
{
	struct supervisor *s = rq->link;
	struct link_request **at = &s->requests;

	while (*at != rq)
		at = &(*at)->next;
	*at = rq->next;
	rq->link = NULL;
	uv_close((uv_handle_t *)&rq->timer, request_free_cb);
	rq->done(s->vm, rq->cookie, reply, fds, n_fds, e);
}

static void requests_fail(struct supervisor *s, const struct error *e)
{
	while (s->requests)
		request_settle(s->requests, NULL, NULL, 0, e);
	link_held_fail(s, e);
}

static void request_timeout_cb(uv_timer_t *timer)
{
	struct link_request *rq = container_of(timer, struct link_request,
					       timer);
	struct error e = ERROR_INIT;

	error_set(&e, -ETIMEDOUT,
		  "the supervisor of %s (process %d) did not answer",
		  rq->link->vm->config.name, (int)rq->link->pid);
	request_settle(rq, NULL, NULL, 0, &e);
}

static void reply_error(json_object *reply, struct error *e)
{
	json_object *error = NULL, *code = NULL, *text = NULL;

	json_object_object_get_ex(reply, "error", &error);
	json_object_object_get_ex(error, "code", &code);
	json_object_object_get_ex(error, "message", &text);
	error_set_code(e,
		       code ? error_code_by_name(json_object_get_string(code))
			    : ERROR_INTERNAL,
		       "%s",
		       text ? json_object_get_string(text)
			    : "the supervisor refused without a reason");
}

static void handle_reply(struct supervisor *s, json_object *message, int *fds,
			 size_t n_fds)
{
	json_object *id = NULL, *ok = NULL;
	struct link_request *rq;
	struct error e = ERROR_INIT;

	json_object_object_get_ex(message, "id", &id);
	json_object_object_get_ex(message, "ok", &ok);
	for (rq = s->requests; rq; rq = rq->next)
		if (rq->id == json_object_get_int64(id))
			break;
	if (!rq)
		return; /* it came after its deadline */
	if (json_object_get_boolean(ok)) {
		request_settle(rq, message, fds, n_fds, NULL);
		return;
	}
	reply_error(message, &e);
	request_settle(rq, NULL, NULL, 0, &e);
}

static void message_cb(void *cookie, json_object *message, int *fds,
		       size_t n_fds)
{
	struct supervisor *s = cookie;
	json_object *type = NULL;

	json_object_object_get_ex(message, "type", &type);
	if (type && streq(json_object_get_string(type), "reply"))
		handle_reply(s, message, fds, n_fds);
	else
		vm_supervisor_message(s->vm, message, fds, n_fds);
}

static void handle_closed_cb(uv_handle_t *handle)
{
	struct supervisor *s = handle->data;

	if (--s->open_handles > 0)
		return;
	s->pidfd = fd_close(s->pidfd);
	s->nvram_fd = fd_close(s->nvram_fd);
	free(s);
}

static void link_free(struct supervisor *s)
{
	s->channel = channel_free(s->channel);
	uv_close((uv_handle_t *)&s->pidfd_poll, handle_closed_cb);
	uv_close((uv_handle_t *)&s->retry, handle_closed_cb);
}

/* Why the process ended; only a parent is told. */
static void describe_end(struct supervisor *s, char *out, size_t size)
{
	siginfo_t info = {0};

	if (!s->is_child ||
	    waitid(P_PIDFD, (id_t)s->pidfd, &info, WEXITED | WNOHANG) < 0 ||
	    info.si_pid == 0)
		snprintf(out, size, "its supervisor ended");
	else if (info.si_code == CLD_EXITED)
		snprintf(out, size, "its supervisor exited with status %d",
			 info.si_status);
	else
		snprintf(out, size,
			 "its supervisor was killed by signal %d (%s)",
			 info.si_status, strsignal(info.si_status));
}

/* The process is dead and all it said has been read. */
static void link_finish(struct supervisor *s)
{
	struct vm *vm = s->vm;
	char how[128];

	describe_end(s, how, sizeof(how));
	link_drop(s);
	scopes_end(vm->manager->scopes, vm);
	vm->supervisor = NULL;
	link_free(s);
	vm_supervisor_ended(vm, how);
}

static void pidfd_cb(uv_poll_t *poll, int status, int events)
{
	struct supervisor *s = poll->data;

	uv_poll_stop(poll);
	s->ended = true;
	/* What it sent before it died is still in the socket: the channel
	 * delivers it, then closes, and only then this is the end. */
	if (!s->channel)
		link_finish(s);
}

static void closed_cb(void *cookie, const struct error *why)
{
	struct supervisor *s = cookie;
	struct error e = ERROR_INIT;

	error_set(&e, -EIO, "the supervisor of %s (process %d) went away",
		  s->vm->config.name, (int)s->pid);
	s->channel = channel_free(s->channel);
	s->nvram_seq = 0;
	requests_fail(s, &e);
	if (s->ended) {
		link_finish(s);
		return;
	}
	if (why && why->err && why->err != ECONNRESET)
		log_vm(LOG_LEVEL_WARNING, s->vm->config.name,
		       "lost its supervisor's channel: %s", why->message);
	uv_timer_start(&s->retry, link_retry_cb, RECONNECT_MS, 0);
}

/* Most of what it says is written down. */
static bool ready_cb(void *cookie)
{
	struct supervisor *s = cookie;

	return turn_ready(s->vm->manager);
}

static const struct channel_events channel_events = {
	.message = message_cb,
	.closed = closed_cb,
	.ready = ready_cb,
};

static int check_peer(struct supervisor *s, int fd, struct error *e)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	/* The listener was bound by a daemon, so its credentials are those of
	 * whoever called listen(); only the path's permissions guard it. */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return error_set(e, -errno, "cannot ask who listens: %m");
	if (peer.uid != geteuid())
		return error_set(e, -EACCES,
				 "the control socket of %s belongs to uid %u",
				 s->vm->config.name, peer.uid);
	return 0;
}

int link_connect(struct supervisor *s, struct error *e)
{
	struct vm *vm = s->vm;
	_cleanup_free_ char *path = manager_socket_path(vm->manager,
							vm->config.uuid);
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	_cleanup_close_ int fd = -1;
	int r;

	if (!path || strlen(path) >= sizeof(addr.sun_path))
		return error_set(e, -ENAMETOOLONG,
				 "the control socket's path is too long");
	strcpy(addr.sun_path, path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return error_set(e, -errno, "cannot connect to %s: %m", path);
	r = check_peer(s, fd, e);
	if (r < 0)
		return r;
	r = channel_new(vm->manager->loop, TAKE_FD(fd), &channel_events, s,
			&s->channel);
	return r < 0 ? error_set(e, r, "cannot make a channel") : 0;
}

void link_retry_cb(uv_timer_t *timer)
{
	struct supervisor *s = timer->data;
	struct error e = ERROR_INIT;

	if (s->channel)
		return;
	if (link_connect(s, &e) == 0)
		vm_supervisor_connected(s->vm);
	else
		uv_timer_start(timer, link_retry_cb, RECONNECT_MS, 0);
}

struct supervisor *link_new(struct vm *vm, pid_t pid, int pidfd, bool is_child,
			    struct error *e)
{
	struct supervisor *s = calloc(1, sizeof(*s));

	if (!s || uv_poll_init(vm->manager->loop, &s->pidfd_poll, pidfd) < 0) {
		free(s);
		fd_close(pidfd);
		error_set(e, -ENOMEM, "out of memory");
		return NULL;
	}
	uv_timer_init(vm->manager->loop, &s->retry);
	s->open_handles = 2;
	s->vm = vm;
	s->pid = pid;
	s->pidfd = pidfd;
	s->is_child = is_child;
	s->nvram_fd = -1;
	s->pidfd_poll.data = s;
	s->retry.data = s;
	uv_poll_start(&s->pidfd_poll, UV_READABLE, pidfd_cb);
	return s;
}

static void cannot_reach(struct supervisor *s, int r, link_done_fn done,
			 void *cookie)
{
	struct error e = ERROR_INIT;

	error_set(&e, -EIO, "cannot reach the supervisor of %s: %s",
		  s->vm->config.name, strerror(-r));
	done(s->vm, cookie, NULL, NULL, 0, &e);
}

void link_request(struct supervisor *s, const char *type, json_object *body,
		  const int *fds, size_t n_fds, uint64_t timeout_ms,
		  link_done_fn done, void *cookie)
{
	int r;

	if (!s->holds) {
		link_request_now(s, type, body, fds, n_fds, timeout_ms, done,
				 cookie);
		return;
	}
	r = link_hold_request(s, type, body, fds, n_fds, timeout_ms, done,
			      cookie);
	if (r < 0) {
		json_object_put(body);
		cannot_reach(s, r, done, cookie);
	}
}

void link_request_now(struct supervisor *s, const char *type, json_object *body,
		      const int *fds, size_t n_fds, uint64_t timeout_ms,
		      link_done_fn done, void *cookie)
{
	json_object *message = body ? body : json_object_new_object();
	struct link_request *rq = calloc(1, sizeof(*rq));
	int r = rq ? -ENOTCONN : -ENOMEM;

	if (rq && s->channel) {
		rq->id = ++s->last_id;
		json_object_object_add(message, "type",
				       json_object_new_string(type));
		json_object_object_add(message, "id",
				       json_object_new_int64(rq->id));
		r = channel_send(s->channel, TAKE_PTR(message), fds, n_fds);
	}
	json_object_put(message);
	if (r < 0) {
		free(rq);
		cannot_reach(s, r, done, cookie);
		return;
	}
	rq->link = s;
	rq->done = done;
	rq->cookie = cookie;
	rq->next = s->requests;
	s->requests = rq;
	uv_timer_init(s->vm->manager->loop, &rq->timer);
	uv_timer_start(&rq->timer, request_timeout_cb, timeout_ms, 0);
}

void link_notify(struct supervisor *s, const char *type, json_object *body)
{
	json_object *message = body ? body : json_object_new_object();

	json_object_object_add(message, "type", json_object_new_string(type));
	/* Undeliverable means the channel is ending, which has its own path. */
	if (!s->channel || channel_send(s->channel, message, NULL, 0) < 0)
		log_vm(LOG_LEVEL_DEBUG, s->vm->config.name,
		       "\"%s\" could not be sent", type);
}

void link_kill(struct supervisor *s)
{
	if (pidfd_send_signal(s->pidfd, SIGKILL, NULL, 0) < 0 && errno != ESRCH)
		log_vm(LOG_LEVEL_ERROR, s->vm->config.name,
		       "cannot kill process %d: %m", (int)s->pid);
}

void link_abandon(struct supervisor *s)
{
	struct error e = ERROR_INIT;

	error_set(&e, -ECANCELED, "armvmd is stopping");
	requests_fail(s, &e);
	s->vm->supervisor = NULL;
	uv_poll_stop(&s->pidfd_poll);
	link_free(s);
}
