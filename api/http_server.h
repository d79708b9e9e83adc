/*
 * Inside api/ only: the HTTP side of the server as api/server.c sees it, which
 * knows nothing of libwebsockets.
 *
 * Thread: the loop thread.
 */
#ifndef API_HTTP_SERVER_H
#define API_HTTP_SERVER_H

#include "api/api.h"

/* Anyone may connect to the Unix sockets and be told that they may do nothing;
 * so many at a time, that they keep nobody else out. */
#define SERVER_STRANGERS_MAX 16

struct http_server;

/* Consumes the descriptors of `p`, also on failure. */
int http_server_new(struct api_server *api, uv_loop_t *loop,
		    const struct api_http_params *p, struct http_server **ret,
		    struct error *e) must_check;
/* Ends all connections; the loop must still run. NULL is fine. */
struct http_server *http_server_free(struct http_server *s);
/* To every event stream that may see it; borrowed. NULL is fine. */
void http_server_notify(struct http_server *s, json_object *event);

/* api/server.c */
void server_identify(const struct api_server *s, const struct api_peer *peer,
		     struct api_identity *ret);
bool server_may_see(const struct api_server *s, const struct api_identity *who,
		    json_object *event);
/* Clients of both kinds are counted together, as they share what descriptors
 * the process may have; nobody is accepted while it is full. */
bool server_full(const struct api_server *s);
void server_client_came(struct api_server *s);
void server_client_gone(struct api_server *s);
uv_loop_t *server_loop(const struct api_server *s);

#endif
