/*
 * Inside api/ only: HTTP methods and paths to methods of the table and their
 * parameters, as pure functions.
 *
 * Thread: no state.
 */
#ifndef API_HTTP_ROUTE_H
#define API_HTTP_ROUTE_H

#include "api/api.h"

#define HTTP_PARAMS_MAX 4

enum http_verb {
	HTTP_GET,
	HTTP_POST,
	HTTP_PUT,
	HTTP_PATCH,
	HTTP_DELETE,
	HTTP_OTHER, /* none that a route has */
};

/* What a path is, beside the routes of the table. */
enum http_target {
	HTTP_TARGET_METHOD,
	HTTP_TARGET_RPC,
	HTTP_TARGET_HEALTH,
	HTTP_TARGET_OPENAPI,
};

struct http_match {
	enum http_target target;
	enum api_method_id method;
	/* The {params} of the path, borrowed from the route and the path. */
	struct {
		const char *name;
		size_t name_size;
		const char *value;
		size_t value_size;
	} params[HTTP_PARAMS_MAX];
	size_t n_params;
	const char *body; /* the parameter the body is, or NULL */
};

const char *http_verb_name(enum http_verb verb);

/*
 * 0, or ERROR_NOT_FOUND (404) when no route has this path, or -ENOSYS with
 * *ret_allow filled with what the path allows, as "GET, POST" (405).
 */
int http_route_match(enum http_verb verb, const char *path,
		     struct http_match *ret, char *ret_allow, size_t size,
		     struct error *e) must_check;

/*
 * The parameters of a call: path, query (texts, converted by the method's
 * field table) and body (an object, or by the route one parameter; NULL if
 * there is none). -EINVAL: one is given twice, or is no number where it must
 * be one. *ret is owned by the caller.
 */
int http_route_params(const struct http_match *match, json_object *query,
		      json_object *body, json_object **ret,
		      struct error *e) must_check;

/* Whether the method takes a parameter of that name. */
bool http_route_takes(const struct http_match *match, const char *param);

/* The OpenAPI 3.0 document of the table; owned by the caller. */
json_object *api_openapi(void);

/* One route in parts: returns its verb; *ret_path and its size, *ret_body as
 * in http_match. */
enum http_verb http_route_read(const char *route, const char **ret_path,
			       size_t *ret_size, const char **ret_body);

#endif
