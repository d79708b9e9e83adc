/*
 * Any line as a JSON-RPC message: every element is judged, its parameters are
 * decoded by the table of its method, and every reply is JSON.
 *
 * Input: the line.
 */
#include "api/api.h"
#include "api/jsonrpc.h"
#include "tests/fuzz/fuzz_input.h"

/* `reply` is consumed. */
static void check_reply(json_object *reply)
{
	_cleanup_json_ json_object *owned = reply, *again = NULL;
	const char *text = json_text(owned);

	fuzz_check(json_parse(text, strlen(text), &again, NULL) == 0);
	fuzz_check(json_object_equal(owned, again));
}

static int decode(const struct jsonrpc_request *request, struct error *e)
{
	enum api_method_id id = api_method_by_name(request->method, e);
	_cleanup_json_ json_object *params = NULL;
	const struct json_field *fields;
	void *out;
	int r;

	if (id == API_METHOD_COUNT)
		return -e->err;
	fields = api_methods[id].params;
	r = jsonrpc_params(request, fields, &params, e);
	if (r < 0)
		return r;
	out = calloc(1, api_methods[id].params_size);
	fuzz_check(out);
	r = json_decode(params, fields, out, "", e);
	if (r == 0)
		check_reply(json_encode(fields, out));
	json_release(fields, out);
	free(out);
	return r;
}

static void one(json_object *value)
{
	struct error e = ERROR_INIT;
	struct jsonrpc_request request;
	int r = jsonrpc_request_read(value, &request, &e);

	if (r == 0)
		r = decode(&request, &e);
	if (r < 0)
		fuzz_check(e.err == -r && e.message[0]);
	check_reply(r < 0 ? jsonrpc_error(request.id, &e)
			  : jsonrpc_result(request.id, NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_json_ json_object *message = NULL;

	if (json_parse((const char *)data, size, &message, NULL) < 0)
		return 0;
	if (!json_object_is_type(message, json_type_array)) {
		one(message);
		return 0;
	}
	for (size_t i = 0; i < json_object_array_length(message); i++)
		one(json_object_array_get_idx(message, i));
	return 0;
}
