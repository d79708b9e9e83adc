#include "api/http.h"
#include "api/http_server.h"

/* Over TLS the peer is known once it has sent a request. */
static int identify(struct http_client *c, struct error *e)
{
	char subject[sizeof(c->who.name)];
	struct api_peer peer = {.fd = -1, .subject = subject};

	if (c->identified)
		return 0;
	if (http_tls_subject(c->wsi, subject, sizeof(subject)) < 0)
		return error_set(e, -EACCES,
				 "the client's certificate has no usable "
				 "subject");
	server_identify(http_api(c->server), &peer, &c->who);
	c->identified = true;
	return 0;
}

int http_may(struct http_client *c, struct error *e)
{
	const struct http_match *m = &c->request.match;
	enum api_role need = m->target == HTTP_TARGET_METHOD
				     ? api_methods[m->method].role
			     : m->target == HTTP_TARGET_HEALTH ||
					     m->target == HTTP_TARGET_RPC
				     ? API_ROLE_NONE
				     : API_ROLE_VIEWER;
	int r = identify(c, e);

	return r < 0 ? r : api_identity_check(&c->who, need, e);
}

/*
 * A console's handshake: what the request names is judged while it can still
 * be answered in HTTP. lws takes 0 for yes and a positive number for
 * "answered".
 */
int http_confirm_upgrade(struct http_client *c, const char *protocol)
{
	struct error e = ERROR_INIT;
	char path[HTTP_PATH_MAX];
	int r;

	if (strcasecmp(protocol, "websocket") != 0)
		return -1;
	if (lws_hdr_copy(c->wsi, path, sizeof(path), WSI_TOKEN_GET_URI) <= 0)
		return -1;
	r = http_request_read(c, path, &e);
	if (r == 0 && (c->request.match.target != HTTP_TARGET_METHOD ||
		       !api_methods[c->request.match.method].returns_fd))
		r = error_set(&e, -EINVAL, "%s is not a WebSocket", path);
	if (r == 0)
		r = http_may(c, &e);
	if (r == 0)
		return 0;
	if (lws_return_http_status(c->wsi, (unsigned)error_code_http(e.code),
				   e.message) < 0)
		return -1;
	return 1;
}
