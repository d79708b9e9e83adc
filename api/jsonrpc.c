#include "api/jsonrpc.h"

static bool id_valid(json_object *id)
{
	switch (json_object_get_type(id)) {
	case json_type_null:
	case json_type_string:
	case json_type_int:
	case json_type_double:
		return true;
	default:
		return false;
	}
}

static bool text_is(json_object *value, const char *text)
{
	return json_object_is_type(value, json_type_string) &&
	       streq(json_object_get_string(value), text);
}

/* A string without a NUL inside, which C would cut short. */
static const char *plain_text(json_object *value)
{
	const char *text;

	if (!json_object_is_type(value, json_type_string))
		return NULL;
	text = json_object_get_string(value);
	return strlen(text) == (size_t)json_object_get_string_len(value) ? text
									 : NULL;
}

static int bad_request(struct error *e, const char *what)
{
	return error_set_code(e, ERROR_BAD_REQUEST,
			      "not a JSON-RPC 2.0 request: %s", what);
}

int jsonrpc_request_read(json_object *value, struct jsonrpc_request *ret,
			 struct error *e)
{
	json_object *version = NULL, *method = NULL, *id = NULL, *params = NULL;

	*ret = (struct jsonrpc_request){0};
	if (!json_object_is_type(value, json_type_object))
		return bad_request(e, "it must be an object");
	ret->notification = !json_object_object_get_ex(value, "id", &id);
	if (!id_valid(id))
		return bad_request(e, "\"id\" must be a string, a number or "
				      "null");
	ret->id = id;
	json_object_object_get_ex(value, "jsonrpc", &version);
	if (!text_is(version, "2.0"))
		return bad_request(e, "\"jsonrpc\" must be \"2.0\"");
	json_object_object_get_ex(value, "method", &method);
	ret->method = plain_text(method);
	if (!ret->method)
		return bad_request(e, "\"method\" must be a string");
	if (json_object_object_get_ex(value, "params", &params) &&
	    !json_object_is_type(params, json_type_object) &&
	    !json_object_is_type(params, json_type_array))
		return bad_request(e, "\"params\" must be an object or an "
				      "array");
	ret->params = params;
	return 0;
}

int jsonrpc_params(const struct jsonrpc_request *request,
		   const struct json_field *fields, json_object **ret,
		   struct error *e)
{
	_cleanup_json_ json_object *object = NULL;
	size_t count, n_fields = 0;

	if (json_object_is_type(request->params, json_type_object)) {
		*ret = json_object_get(request->params);
		return 0;
	}
	while (fields[n_fields].name)
		n_fields++;
	count = request->params ? json_object_array_length(request->params) : 0;
	if (count > n_fields)
		return error_set(e, -EINVAL,
				 "%s takes at most %zu parameters, not %zu",
				 request->method, n_fields, count);
	object = json_object_new_object();
	if (!object)
		return error_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < count; i++) {
		json_object *v = json_object_array_get_idx(request->params, i);

		json_object_object_add(object, fields[i].name,
				       json_object_get(v));
	}
	*ret = TAKE_PTR(object);
	return 0;
}

static json_object *envelope(void)
{
	json_object *o = json_object_new_object();

	if (o)
		json_object_object_add(o, "jsonrpc",
				       json_object_new_string("2.0"));
	return o;
}

json_object *jsonrpc_result(json_object *id, json_object *result)
{
	json_object *o = envelope();

	if (!o) {
		json_object_put(result);
		return NULL;
	}
	json_object_object_add(o, "result", result);
	json_object_object_add(o, "id", json_object_get(id));
	return o;
}

/* Bytes of the UTF-8 character at p, 0 if it is none (RFC 3629). */
static size_t utf8_length(const unsigned char *p)
{
	size_t n = p[0] < 0x80	 ? 1
		   : p[0] < 0xc2 ? 0
		   : p[0] < 0xe0 ? 2
		   : p[0] < 0xf0 ? 3
		   : p[0] < 0xf5 ? 4
				 : 0;

	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] >= 0xa0) ||
	    (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] >= 0x90))
		return 0;
	return n;
}

/* A message may quote a file name of any bytes, or have been cut within a
 * character; JSON is UTF-8 (RFC 8259, section 8.1). */
static json_object *message_object(const struct error *why)
{
	char text[ERROR_MESSAGE_MAX];

	memcpy(text, why->message, sizeof(text));
	for (char *p = text; *p;) {
		size_t n = utf8_length((unsigned char *)p);

		if (n == 0)
			*p = '?';
		p += MAX(n, 1);
	}
	return json_object_new_string(text);
}

/* The specification's own words for what is wrong with a request as such
 * (section 5.1); ours then stand in data.detail. NULL: ours are the message. */
static const char *standard_message(enum error_code code)
{
	switch (code) {
	case ERROR_PARSE:
		return "Parse error";
	case ERROR_BAD_REQUEST:
		return "Invalid Request";
	case ERROR_NO_METHOD:
		return "Method not found";
	default:
		return NULL;
	}
}

json_object *jsonrpc_error(json_object *id, const struct error *why)
{
	const char *standard = standard_message(why->code);
	json_object *o = envelope(), *error, *data;

	if (!o)
		return NULL;
	error = json_object_new_object();
	data = json_object_new_object();
	json_object_object_add(
		data, "code",
		json_object_new_string(error_code_name(why->code)));
	json_object_object_add(error, "code",
			       json_object_new_int(error_code_rpc(why->code)));
	json_object_object_add(error, "message",
			       standard ? json_object_new_string(standard)
					: message_object(why));
	if (standard)
		json_object_object_add(data, "detail", message_object(why));
	json_object_object_add(error, "data", data);
	json_object_object_add(o, "error", error);
	json_object_object_add(o, "id", json_object_get(id));
	return o;
}

json_object *jsonrpc_call(int64_t id, const char *method, json_object *params)
{
	json_object *o = envelope();

	if (!o) {
		json_object_put(params);
		return NULL;
	}
	json_object_object_add(o, "method", json_object_new_string(method));
	if (params)
		json_object_object_add(o, "params", params);
	if (id >= 0)
		json_object_object_add(o, "id", json_object_new_int64(id));
	return o;
}

int jsonrpc_error_read(json_object *error_object, struct error *e)
{
	json_object *rpc = NULL, *message = NULL, *data = NULL, *name = NULL,
		    *detail = NULL;
	enum error_code code;
	const char *text;

	json_object_object_get_ex(error_object, "code", &rpc);
	json_object_object_get_ex(error_object, "message", &message);
	json_object_object_get_ex(error_object, "data", &data);
	if (json_object_is_type(data, json_type_object)) {
		json_object_object_get_ex(data, "code", &name);
		json_object_object_get_ex(data, "detail", &detail);
	}
	code = name ? error_code_by_name(json_object_get_string(name))
		    : error_code_by_rpc(json_object_get_int(rpc));
	if (detail)
		message = detail;
	text = message ? json_object_get_string(message) : NULL;
	return error_set_code(e, code, "%s", text ? text : "no reason given");
}
