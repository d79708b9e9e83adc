#include "api/http.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "api/http_server.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"

#define ACCEPT_BURST	16
#define ACCEPT_PAUSE_MS 200
#define CLOSING_TURNS	4

struct listener {
	struct http_server *server;
	struct lws_vhost *vhost;
	uv_poll_t poll;
	int fd;
	bool tls;
};

struct http_server {
	struct api_server *api;
	struct lws_context *context;
	struct listener listeners[2]; /* Unix, TCP */
	uv_timer_t retry;
	uv_idle_t closing;
	unsigned closing_turns;
	uv_prepare_t before_poll;
	uv_check_t after_poll;
	bool polling;  /* the loop looks at descriptors */
	unsigned refs; /* handles of libuv, connections */
	struct http_client *clients;
	unsigned n_strangers;
};

struct api_server *http_api(const struct http_server *s)
{
	return s->api;
}

bool http_read_ahead(const struct http_client *c)
{
	return c->reused && !c->server->polling;
}

static void on_before_poll(uv_prepare_t *prepare)
{
	((struct http_server *)prepare->data)->polling = true;
}

static void on_after_poll(uv_check_t *check)
{
	((struct http_server *)check->data)->polling = false;
}

static void client_free(struct http_client *c)
{
	http_request_done(&c->request);
	buf_done(&c->out);
	free(c);
}

void http_client_unref(struct http_client *c)
{
	if (--c->refs == 0)
		client_free(c);
}

void http_wake(struct http_client *c)
{
	if (c->wsi)
		lws_callback_on_writable(c->wsi);
}

void http_abort(struct http_client *c)
{
	if (c->wsi)
		lws_set_timeout(c->wsi, PENDING_TIMEOUT_HTTP_CONTENT,
				LWS_TO_KILL_ASYNC);
}

static void server_unref(struct http_server *s)
{
	if (--s->refs == 0)
		free(s);
}

/* Its connection is gone. */
static void client_gone(struct http_client *c)
{
	http_console_end(c);
	c->wsi = NULL;
	c->caller.gone = true;
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
	/* The API may have gone first. */
	if (c->caller.server)
		server_client_gone(c->caller.server);
	c->server->n_strangers -= c->stranger;
	server_unref(c->server);
	http_client_unref(c);
}

static int on_http(struct lws *wsi, enum lws_callback_reasons reason,
		   void *user, void *in, size_t size)
{
	struct http_client *c;

	/* libwebsockets takes 0 for "accept", whatever OpenSSL found; `size`
	 * is what it found. There is no connection yet. */
	if (reason == LWS_CALLBACK_OPENSSL_PERFORM_CLIENT_CERT_VERIFICATION)
		return size == 0;
	/* Not one we accepted: a stream of HTTP/2, which is not offered. */
	c = lws_get_opaque_user_data(wsi);
	if (!c)
		return reason == LWS_CALLBACK_HTTP ||
				       reason ==
					       LWS_CALLBACK_HTTP_CONFIRM_UPGRADE
			       ? -1
			       : 0;
	switch (reason) {
	case LWS_CALLBACK_HTTP:
		return http_request_begin(c, in);
	case LWS_CALLBACK_HTTP_BODY:
		return http_request_body(c, in, size);
	case LWS_CALLBACK_HTTP_BODY_COMPLETION:
		return http_request_end(c);
	case LWS_CALLBACK_HTTP_WRITEABLE:
		return http_reply_write(c);
	case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
		return http_confirm_upgrade(c, in);
	case LWS_CALLBACK_ESTABLISHED:
		http_console_begin(c);
		return 0;
	case LWS_CALLBACK_RECEIVE:
		return http_console_receive(c, in, size);
	case LWS_CALLBACK_SERVER_WRITEABLE:
		return http_console_write(c);
	case LWS_CALLBACK_WSI_DESTROY:
		lws_set_opaque_user_data(wsi, NULL);
		client_gone(c);
		return 0;
	default:
		return 0;
	}
}

static const struct lws_protocols protocols[] = {
	{.name = "armvm", .callback = on_http, .rx_buffer_size = KIB(4)},
	{0},
};

static struct http_client *client_new(struct http_server *s)
{
	struct http_client *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->server = s;
	c->refs = 1;
	c->caller.server = s->api;
	c->caller.who = &c->who;
	c->next = s->clients;
	c->link = &s->clients;
	if (c->next)
		c->next->link = &c->next;
	s->clients = c;
	server_client_came(s->api);
	s->refs++;
	return c;
}

/* Whom the kernel knows; over TLS that waits for the handshake. */
static void identify_local(struct http_client *c, int fd)
{
	struct api_peer peer = {.fd = fd};

	server_identify(c->server->api, &peer, &c->who);
	c->identified = true;
	c->stranger = c->who.role == API_ROLE_NONE;
	c->server->n_strangers += c->stranger;
}

/* Consumes fd. */
static void adopt(struct listener *l, int fd)
{
	static const int yes = 1;
	struct http_client *c = client_new(l->server);
	lws_adopt_desc_t how = {
		.vh = l->vhost,
		.type = LWS_ADOPT_SOCKET | LWS_ADOPT_HTTP |
			(l->tls ? LWS_ADOPT_ALLOW_SSL : 0),
		.fd.sockfd = fd,
		.opaque = c,
	};

	if (!c) {
		fd_close(fd);
		return;
	}
	if (l->tls) {
		setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof(yes));
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	} else {
		identify_local(c, fd);
	}
	if (l->server->n_strangers > SERVER_STRANGERS_MAX) {
		fd_close(fd);
		client_gone(c);
		return;
	}
	/* Kept meanwhile: what fails in there ends in WSI_DESTROY. */
	c->refs++;
	c->wsi = lws_adopt_descriptor_vhost_via_info(&how);
	http_client_unref(c);
}

static void on_listen(uv_poll_t *poll, int status, int events);

static void listen_all(struct http_server *s)
{
	bool full = server_full(s->api);

	for (size_t i = 0; i < ARRAY_SIZE(s->listeners); i++)
		if (s->listeners[i].fd >= 0)
			uv_poll_start(&s->listeners[i].poll,
				      full ? 0 : UV_READABLE, on_listen);
}

static void on_retry(uv_timer_t *timer)
{
	listen_all(timer->data);
}

static void on_listen(uv_poll_t *poll, int status, int events)
{
	struct listener *l = poll->data;
	struct http_server *s = l->server;

	for (int i = 0; i < ACCEPT_BURST; i++) {
		int fd = !server_full(s->api)
				 ? accept4(l->fd, NULL, NULL,
					   SOCK_CLOEXEC | SOCK_NONBLOCK)
				 : -1;

		if (fd >= 0) {
			adopt(l, fd);
			continue;
		}
		/* Full, or out of descriptors: look again later, as the
		 * listener would wake us at once. */
		if (server_full(s->api) || (errno != EAGAIN && errno != EINTR &&
					    errno != ECONNABORTED)) {
			uv_poll_stop(&l->poll);
			uv_timer_start(&s->retry, on_retry, ACCEPT_PAUSE_MS, 0);
		}
		return;
	}
}

/* What libwebsockets has to say is for who looks for trouble in it. */
static void on_lws_log(int level, const char *line)
{
	log_debug("libwebsockets: %.*s", (int)strcspn(line, "\n"), line);
}

static int context_new(struct http_server *s, uv_loop_t *loop, struct error *e)
{
	void *loops[] = {loop};
	struct lws_context_creation_info info = {
		.port = CONTEXT_PORT_NO_LISTEN_SERVER,
		.options = LWS_SERVER_OPTION_LIBUV |
			   LWS_SERVER_OPTION_EXPLICIT_VHOSTS |
			   LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT,
		.foreign_loops = loops,
		.gid = (gid_t)-1,
		.uid = (uid_t)-1,
		.timeout_secs = HTTP_TIMEOUT_S,
	};

	lws_set_log_level(LLL_ERR | LLL_WARN, on_lws_log);
	s->context = lws_create_context(&info);
	if (!s->context)
		return error_set(e, -EIO,
				 "libwebsockets could not start (is "
				 "libwebsockets-evlib-uv installed?)");
	return 0;
}

static int vhost_new(struct http_server *s, struct listener *l,
		     const struct api_http_params *p, struct error *e)
{
	struct lws_context_creation_info info = {
		.port = CONTEXT_PORT_NO_LISTEN_SERVER,
		.vhost_name = l->tls ? "tls" : "unix",
		.protocols = protocols,
		.keepalive_timeout = HTTP_KEEPALIVE_S,
		.alpn = "http/1.1",
	};

	if (l->tls) {
		info.options =
			LWS_SERVER_OPTION_REQUIRE_VALID_OPENSSL_CLIENT_CERT |
			LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS;
		info.ssl_cert_filepath = p->tls_cert;
		info.ssl_private_key_filepath = p->tls_key;
		info.ssl_ca_filepath = p->tls_client_ca;
		/* No client needs less (RFC 8996). */
		info.ssl_options_set = 0;
		info.tls1_3_plus_cipher_list = NULL;
	}
	l->vhost = lws_create_vhost(s->context, &info);
	if (!l->vhost)
		return error_set(e, -EINVAL,
				 "cannot serve TLS with certificate %s, key "
				 "%s and client CA %s: one of them cannot be "
				 "read or does not fit",
				 p->tls_cert, p->tls_key, p->tls_client_ca);
	return 0;
}

static int listener_new(struct http_server *s, struct listener *l,
			uv_loop_t *loop, const struct api_http_params *p,
			struct error *e)
{
	int r = vhost_new(s, l, p, e);

	if (r < 0)
		return r;
	r = fd_set_nonblock(l->fd);
	if (r == 0)
		r = uv_poll_init(loop, &l->poll, l->fd);
	if (r < 0)
		return error_set(e, r, "the HTTP socket cannot be served: %s",
				 strerror(-r));
	l->poll.data = l;
	s->refs++;
	return 0;
}

int http_server_new(struct api_server *api, uv_loop_t *loop,
		    const struct api_http_params *p, struct http_server **ret,
		    struct error *e)
{
	struct http_server *s = calloc(1, sizeof(*s));
	int r;

	if (!s) {
		fd_close(p->unix_fd);
		fd_close(p->tcp_fd);
		return error_set(e, -ENOMEM, "out of memory");
	}
	s->api = api;
	s->listeners[0] = (struct listener){.server = s, .fd = p->unix_fd};
	s->listeners[1] = (struct listener){
		.server = s, .fd = p->tcp_fd, .tls = true};
	uv_timer_init(loop, &s->retry);
	uv_idle_init(loop, &s->closing);
	uv_prepare_init(loop, &s->before_poll);
	uv_check_init(loop, &s->after_poll);
	s->retry.data = s->closing.data = s;
	s->before_poll.data = s->after_poll.data = s;
	uv_prepare_start(&s->before_poll, on_before_poll);
	uv_check_start(&s->after_poll, on_after_poll);
	/* They only accompany what keeps the loop running. */
	uv_unref((uv_handle_t *)&s->before_poll);
	uv_unref((uv_handle_t *)&s->after_poll);
	s->refs = 4;
	r = context_new(s, loop, e);
	for (size_t i = 0; i < ARRAY_SIZE(s->listeners) && r == 0; i++)
		if (s->listeners[i].fd >= 0)
			r = listener_new(s, &s->listeners[i], loop, p, e);
	if (r < 0) {
		http_server_free(s);
		return r;
	}
	listen_all(s);
	*ret = s;
	return 0;
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct http_server *s = container_of(handle, struct http_server, retry);

	if (handle->type == UV_POLL)
		s = ((struct listener *)handle->data)->server;
	server_unref(s);
}

static void on_own_closed(uv_handle_t *handle)
{
	server_unref(handle->data);
}

/*
 * lws_context_destroy() on a loop that is not its own begins to close its
 * handles and wants to be called again when they are closed: connections in
 * the first turn of the loop, timers in the second.
 */
static void on_closing(uv_idle_t *idle)
{
	struct http_server *s = idle->data;

	if (++s->closing_turns < CLOSING_TURNS)
		return;
	lws_context_destroy(s->context);
	uv_close((uv_handle_t *)idle, on_own_closed);
	uv_close((uv_handle_t *)&s->before_poll, on_own_closed);
	uv_close((uv_handle_t *)&s->after_poll, on_own_closed);
}

struct http_server *http_server_free(struct http_server *s)
{
	if (!s)
		return NULL;
	/* Its connections go later, when the loop has closed their handles. */
	for (struct http_client *c = s->clients; c; c = c->next) {
		http_console_end(c);
		c->caller.server = NULL;
		c->caller.gone = true;
	}
	lws_context_destroy(s->context);
	uv_idle_start(&s->closing, on_closing);
	for (size_t i = 0; i < ARRAY_SIZE(s->listeners); i++) {
		struct listener *l = &s->listeners[i];

		if (l->poll.data)
			uv_close((uv_handle_t *)&l->poll, on_handle_closed);
		l->fd = fd_close(l->fd);
	}
	uv_close((uv_handle_t *)&s->retry, on_handle_closed);
	return NULL;
}

void http_server_notify(struct http_server *s, json_object *event)
{
	struct http_client *c, *next;

	for (c = s ? s->clients : NULL; c; c = next) {
		next = c->next;
		http_events_notify(c, event);
	}
}
