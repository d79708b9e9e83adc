/*
 * JSON-RPC 2.0 (https://www.jsonrpc.org/specification) as pure functions over
 * JSON values: judging requests, and making replies. No transport, no table of
 * methods.
 *
 * Thread: no state.
 */
#ifndef API_JSONRPC_H
#define API_JSONRPC_H

#include "lib/base/json.h"

/* Everything is borrowed from the parsed message. */
struct jsonrpc_request {
	bool notification; /* no id: nobody wants an answer (section 4.1) */
	json_object *id;   /* string, number, or NULL for null */
	const char *method;
	json_object *params; /* object, array or NULL */
};

/*
 * Judge one element of a message (section 4). On -EBADRQC `ret` is still good
 * for the reply: its id is the request's if that could be told, else null.
 */
int jsonrpc_request_read(json_object *value, struct jsonrpc_request *ret,
			 struct error *e) must_check;

/*
 * Parameters by name, whatever way they were given (section 4.2): an array is
 * matched with the fields in their order, nothing is an empty object. A new
 * reference in *ret. -EINVAL: more values than fields.
 */
int jsonrpc_params(const struct jsonrpc_request *request,
		   const struct json_field *fields, json_object **ret,
		   struct error *e) must_check;

/*
 * Reply objects (section 5); `result` is consumed, `id` is not. NULL only
 * without memory. The error object is { code, message, data: { code } }, the
 * last being the name from lib/base/error.h.
 */
json_object *jsonrpc_result(json_object *id, json_object *result);
json_object *jsonrpc_error(json_object *id, const struct error *why);

/* A request, or a notification when id < 0; `params` is consumed. */
json_object *jsonrpc_call(int64_t id, const char *method, json_object *params);

/* The error of a reply back into `e`; returns its -errno. */
int jsonrpc_error_read(json_object *error_object, struct error *e);

#endif
