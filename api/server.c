#include "api/connection.h"
#include "api/http_server.h"

#include <sys/resource.h>
#include <sys/socket.h>

#include "lib/base/fd.h"

/* How long accepting rests after the process ran out of descriptors. */
#define ACCEPT_PAUSE_MS 200
#define ACCEPT_BURST	16
#define CLIENTS_MAX	32768

/* An answer or notification that waits for its changes to be durable. */
struct held {
	struct held *next;
	struct api_call *call; /* NULL: a notification */
	json_object *result;
	int fd;
	bool failed, note;
	struct error error; /* when it failed */
};

struct api_server {
	struct api_handlers handlers;
	uv_loop_t *loop;
	int listen_fd;
	uv_poll_t poll;
	uv_timer_t retry;
	unsigned open_handles;
	struct http_server *http;
	struct api_connection *connections;
	unsigned n_clients, max_clients; /* of both kinds */
	struct held *held, **held_tail;
	bool releasing;
	unsigned n_strangers; /* who may do nothing */
	struct outer *outers;
	struct parked *parked;
};

static void on_listen(uv_poll_t *poll, int status, int events);

const struct api_handlers *server_handlers(const struct api_server *s)
{
	return &s->handlers;
}

struct outer **server_outers(struct api_server *s)
{
	return &s->outers;
}

struct parked **server_parked(struct api_server *s)
{
	return &s->parked;
}

uv_loop_t *server_loop(const struct api_server *s)
{
	return s->loop;
}

static void server_listen(struct api_server *s)
{
	uv_poll_start(&s->poll, server_full(s) ? 0 : UV_READABLE, on_listen);
}

bool server_full(const struct api_server *s)
{
	return s->n_clients >= s->max_clients;
}

void server_client_came(struct api_server *s)
{
	s->n_clients++;
}

void server_client_gone(struct api_server *s)
{
	bool was_full = server_full(s);

	s->n_clients--;
	if (was_full)
		server_listen(s);
}

void server_connection_closed(struct api_server *s, struct api_connection *c)
{
	s->n_clients--;
	s->n_strangers -= c->who.role == API_ROLE_NONE;
	server_listen(s);
}

void server_identify(const struct api_server *s, const struct api_peer *peer,
		     struct api_identity *ret)
{
	*ret = (struct api_identity){.role = API_ROLE_NONE};
	if (s->handlers.identify)
		s->handlers.identify(s->handlers.cookie, peer, ret);
	else
		ret->role = API_ROLE_ADMIN;
}

bool server_may_see(const struct api_server *s, const struct api_identity *who,
		    json_object *event)
{
	return who->role >= api_methods[API_EVENT_SUBSCRIBE].role &&
	       (!who->labels ||
		(s->handlers.may_see &&
		 s->handlers.may_see(s->handlers.cookie, who, event)));
}

static void on_retry(uv_timer_t *timer)
{
	server_listen(timer->data);
}

/* Returns whether another client may be waiting. */
static bool server_accept(struct api_server *s)
{
	int fd = accept4(s->listen_fd, NULL, NULL,
			 SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0 &&
	    (errno == EAGAIN || errno == ECONNABORTED || errno == EINTR))
		return errno != EAGAIN;
	/* EMFILE, ENFILE, ENOBUFS, ENOMEM: the client stays in the backlog and
	 * would wake us again at once. */
	if (fd < 0) {
		uv_poll_stop(&s->poll);
		uv_timer_start(&s->retry, on_retry, ACCEPT_PAUSE_MS, 0);
		return false;
	}
	if (connection_new(s, s->loop, fd, &s->connections) == 0) {
		s->n_clients++;
		s->n_strangers += s->connections->who.role == API_ROLE_NONE;
		if (s->n_strangers > SERVER_STRANGERS_MAX)
			connection_close(s->connections);
	}
	if (!server_full(s))
		return true;
	server_listen(s);
	return false;
}

static void on_listen(uv_poll_t *poll, int status, int events)
{
	struct api_server *s = poll->data;

	for (int i = 0; i < ACCEPT_BURST; i++)
		if (!server_accept(s))
			break;
}

/* Clients may use three quarters of the descriptors: the rest is for running
 * VMs. */
static unsigned clients_max(void)
{
	struct rlimit limit = {.rlim_cur = 1024};

	getrlimit(RLIMIT_NOFILE, &limit);
	return (unsigned)MAX(MIN(limit.rlim_cur / 4 * 3, CLIENTS_MAX), 8);
}

int api_server_new(uv_loop_t *loop, int listen_fd,
		   const struct api_handlers *handlers, struct api_server **ret,
		   struct error *e)
{
	struct api_server *s = calloc(1, sizeof(*s));
	int r = s ? fd_set_nonblock(listen_fd) : -ENOMEM;

	if (r == 0)
		r = uv_poll_init(loop, &s->poll, listen_fd);
	if (r < 0) {
		fd_close(listen_fd);
		free(s);
		return error_set(e, r, "the API socket cannot be served: %s",
				 strerror(-r));
	}
	uv_timer_init(loop, &s->retry);
	s->poll.data = s->retry.data = s;
	s->open_handles = 2;
	s->handlers = *handlers;
	s->held_tail = &s->held;
	s->loop = loop;
	s->listen_fd = listen_fd;
	s->max_clients = clients_max();
	server_listen(s);
	*ret = s;
	return 0;
}

int api_server_http(struct api_server *s, const struct api_http_params *p,
		    struct error *e)
{
	return http_server_new(s, s->loop, p, &s->http, e);
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct api_server *s = handle->data;

	if (--s->open_handles == 0)
		free(s);
}

struct api_server *api_server_free(struct api_server *s)
{
	struct api_connection *c, *next;

	if (!s)
		return NULL;
	parked_end(s);
	api_server_release(s, NULL);
	s->http = http_server_free(s->http);
	outers_end(s->outers);
	for (c = s->connections; c; c = next) {
		next = c->next;
		c->caller.server = NULL;
		connection_close(c);
	}
	uv_close((uv_handle_t *)&s->poll, on_handle_closed);
	uv_close((uv_handle_t *)&s->retry, on_handle_closed);
	fd_close(s->listen_fd);
	return NULL;
}

static bool handlers_hold(const struct api_server *s)
{
	return s->handlers.held && s->handlers.held(s->handlers.cookie);
}

bool server_held(const struct api_server *s)
{
	/* What was held earlier goes first. */
	return s->held || s->releasing || handlers_hold(s);
}

void server_hold(struct api_server *s, struct api_call *call,
		 json_object *result, int fd, const struct error *e)
{
	struct held *h = calloc(1, sizeof(*h));
	struct error why = ERROR_INIT;

	if (!h) {
		error_set(&why, -ENOMEM, "out of memory");
		if (call)
			call_release(call, result, fd, &why);
		else
			json_object_put(result);
		return;
	}
	*h = (struct held){.call = call, .result = result, .fd = fd};
	if (e) {
		h->failed = true;
		h->error = *e;
	}
	*s->held_tail = h;
	s->held_tail = &h->next;
}

static void notify(struct api_server *s, json_object *event)
{
	json_object *message = jsonrpc_call(-1, "event",
					    json_object_get(event));
	struct api_connection *c, *next;

	for (c = s->connections; message && c; c = next) {
		next = c->next;
		if (server_may_see(s, &c->who, event))
			connection_notify(c, message);
	}
	json_object_put(message);
	http_server_notify(s->http, event);
	if (s->handlers.event)
		s->handlers.event(s->handlers.cookie, event);
}

static void release_one(struct api_server *s, struct held *h,
			const struct error *why)
{
	if (h->call) {
		call_release(h->call, h->result, h->fd,
			     h->failed ? &h->error : why);
	} else {
		if (!why && h->note)
			s->handlers.note(s->handlers.cookie, h->result);
		else if (!why)
			notify(s, h->result);
		json_object_put(h->result);
	}
	free(h);
}

/*
 * Answering may run a client's next request. What that answers waits behind
 * the rest (a subscription must not be told twice of an event that is next in
 * line), and for its own changes, if it made any.
 */
void api_server_release(struct api_server *s, const struct error *why)
{
	s->releasing = true;
	do {
		struct held *h = s->held, *next;

		s->held = NULL;
		s->held_tail = &s->held;
		for (; h; h = next) {
			next = h->next;
			release_one(s, h, why);
		}
		why = NULL;
	} while (s->held && !handlers_hold(s));
	s->releasing = false;
}

void api_server_notify(struct api_server *s, json_object *event)
{
	if (server_held(s))
		server_hold(s, NULL, json_object_get(event), -1, NULL);
	else
		notify(s, event);
}

void api_server_note(struct api_server *s, json_object *note)
{
	struct held *h;

	if (!s->handlers.note)
		return;
	if (!server_held(s)) {
		s->handlers.note(s->handlers.cookie, note);
		return;
	}
	h = calloc(1, sizeof(*h));
	if (!h)
		return;
	*h = (struct held){
		.result = json_object_get(note), .fd = -1, .note = true};
	*s->held_tail = h;
	s->held_tail = &h->next;
}
