/*
 * The arguments of calls: from what the bus carries to JSON.
 */
#include "daemon/dbus_value.h"

#include <math.h>

#define OPTIONS_SIGNATURE "a{sv}"

struct reader {
	sd_bus_message *m;
	unsigned values, depth;
	struct error *e;
};

static int read_value(struct reader *r, json_object **ret);

static int bad_message(struct error *e, int r)
{
	return r == -ENOMEM ? error_set(e, -ENOMEM, "out of memory")
			    : error_set(e, -EINVAL,
					"the message cannot be "
					"read");
}

/* Numbers have the size that sd_bus_message_read_basic(3) says. */
static int read_basic(struct reader *r, char type, json_object **ret)
{
	union {
		uint8_t y;
		int b, h;
		int16_t n;
		uint16_t q;
		int32_t i;
		uint32_t u;
		int64_t x;
		uint64_t t;
		double d;
		const char *s;
	} v;
	int n = sd_bus_message_read_basic(r->m, type, &v);

	if (n <= 0)
		return bad_message(r->e, n);
	if (type == 'd' && !isfinite(v.d))
		return error_set(r->e, -EINVAL, "a number is not finite");
	switch (type) {
	case 'y':
		*ret = json_object_new_int(v.y);
		break;
	case 'b':
		*ret = json_object_new_boolean(v.b);
		break;
	case 'n':
		*ret = json_object_new_int(v.n);
		break;
	case 'q':
		*ret = json_object_new_int(v.q);
		break;
	case 'i':
		*ret = json_object_new_int(v.i);
		break;
	case 'u':
		*ret = json_object_new_int64(v.u);
		break;
	case 'x':
		*ret = json_object_new_int64(v.x);
		break;
	case 't':
		*ret = json_object_new_uint64(v.t);
		break;
	case 'd':
		*ret = json_object_new_double(v.d);
		break;
	case 's':
	case 'o':
	case 'g':
		*ret = json_object_new_string(v.s);
		break;
	default:
		return error_set(r->e, -EINVAL,
				 "a value of type \"%c\" is not taken", type);
	}
	return *ret ? 0 : error_set(r->e, -ENOMEM, "out of memory");
}

/* One entry of a dictionary, whose key must be text. */
static int read_entry(struct reader *r, json_object *object)
{
	const char *key = NULL, *contents = NULL;
	json_object *value = NULL;
	char type;
	int n = sd_bus_message_peek_type(r->m, &type, &contents);

	if (n > 0 && contents[0] != 's')
		return error_set(r->e, -EINVAL,
				 "the keys of a dictionary are text");
	if (n > 0)
		n = sd_bus_message_enter_container(r->m, 'e', contents);
	if (n > 0)
		n = sd_bus_message_read_basic(r->m, 's', &key);
	if (n <= 0)
		return bad_message(r->e, n);
	n = read_value(r, &value);
	if (n < 0)
		return n;
	if (json_object_object_get_ex(object, key, NULL)) {
		json_object_put(value);
		return error_set(r->e, -EINVAL, "\"%.64s\" is given twice",
				 key);
	}
	json_object_object_add(object, key, value);
	n = sd_bus_message_exit_container(r->m);
	return n < 0 ? bad_message(r->e, n) : 0;
}

/* Arrays and structures, and dictionaries, which are arrays of entries. */
static int read_list(struct reader *r, char type, const char *contents,
		     json_object **ret)
{
	bool dictionary = type == 'a' && contents[0] == '{';
	_cleanup_json_ json_object *list = dictionary ? json_object_new_object()
						      : json_object_new_array();
	int n = sd_bus_message_enter_container(r->m, type, contents);

	if (n <= 0)
		return bad_message(r->e, n);
	while ((n = sd_bus_message_at_end(r->m, 0)) == 0) {
		json_object *value = NULL;

		n = dictionary ? read_entry(r, list) : read_value(r, &value);
		if (n < 0)
			return n;
		if (!dictionary)
			json_object_array_add(list, value);
	}
	if (n >= 0)
		n = sd_bus_message_exit_container(r->m);
	if (n < 0)
		return bad_message(r->e, n);
	*ret = TAKE_PTR(list);
	return 0;
}

static int read_variant(struct reader *r, const char *contents,
			json_object **ret)
{
	int n = sd_bus_message_enter_container(r->m, 'v', contents);

	if (n <= 0)
		return bad_message(r->e, n);
	n = read_value(r, ret);
	if (n < 0)
		return n;
	n = sd_bus_message_exit_container(r->m);
	if (n < 0) {
		json_object_put(*ret);
		*ret = NULL;
		return bad_message(r->e, n);
	}
	return 0;
}

static int read_value(struct reader *r, json_object **ret)
{
	const char *contents = NULL;
	char type;
	int n = sd_bus_message_peek_type(r->m, &type, &contents);

	*ret = NULL;
	if (n <= 0)
		return bad_message(r->e, n);
	if (++r->values > DBUS_VALUES_MAX || r->depth >= JSON_DEPTH_MAX)
		return error_set(r->e, -EINVAL,
				 "a message holds at most %d values, at most "
				 "%d deep",
				 DBUS_VALUES_MAX, JSON_DEPTH_MAX);
	r->depth++;
	if (type == 'v')
		n = read_variant(r, contents, ret);
	else if (type == 'a' || type == 'r')
		n = read_list(r, type, contents, ret);
	else
		n = read_basic(r, type, ret);
	r->depth--;
	return n;
}

static bool is_structured(const struct json_field *f)
{
	return f->kind == JSON_ANY || f->kind == JSON_OBJECT ||
	       f->kind == JSON_ARRAY;
}

/* A JSON text where the method wants a structure. `value` is consumed. */
static int unpack(const struct json_field *f, json_object *value,
		  json_object **ret, struct error *e)
{
	int r = 0;

	*ret = value;
	if (!is_structured(f) || !json_object_is_type(value, json_type_string))
		return 0;
	*ret = NULL;
	if (json_object_get_string_len(value) > (int)DBUS_TEXT_MAX)
		r = error_set(e, -EINVAL, "%s: is longer than 1 MiB", f->name);
	else if (json_parse(json_object_get_string(value),
			    (size_t)json_object_get_string_len(value), ret,
			    e) < 0)
		r = error_prefix(e, -EINVAL, "%s", f->name);
	json_object_put(value);
	return r;
}

static const struct json_field *field_of(const struct dbus_method *method,
					 const char *name)
{
	const struct json_field *f = api_methods[method->method].params;

	while (f->name && !streq(f->name, name))
		f++;
	return f->name ? f : NULL;
}

static int take_options(struct reader *r, const struct dbus_method *method,
			json_object *params)
{
	_cleanup_json_ json_object *options = NULL;
	json_object *packed;
	int n = read_value(r, &options);

	if (n < 0)
		return n;
	json_object_object_foreach (options, key, value) {
		const struct json_field *f = field_of(method, key);

		if (json_object_object_get_ex(params, key, NULL))
			return error_set(r->e, -EINVAL,
					 "\"%.64s\" is given twice", key);
		packed = json_object_get(value);
		if (f)
			n = unpack(f, packed, &packed, r->e);
		if (n < 0)
			return n;
		json_object_object_add(params, key, packed);
	}
	return 0;
}

static int check_signature(sd_bus_message *m, const struct dbus_method *method,
			   bool *ret_options, struct error *e)
{
	const char *have = sd_bus_message_get_signature(m, 1);
	size_t n = strlen(method->in);

	*ret_options = false;
	if (have && streq(have, method->in))
		return 0;
	*ret_options = true;
	if (have && method->options && strncmp(have, method->in, n) == 0 &&
	    streq(have + n, OPTIONS_SIGNATURE))
		return 0;
	return error_set(
		e, -EINVAL, "%s takes arguments \"%s%s\", not \"%.64s\"",
		method->member, method->in,
		method->options ? OPTIONS_SIGNATURE : "", have ? have : "");
}

int dbus_params_read(sd_bus_message *m, const struct dbus_method *method,
		     const char *vm, json_object **ret, struct error *e)
{
	_cleanup_json_ json_object *params = json_object_new_object();
	const struct json_field *f = api_methods[method->method].params;
	struct reader reader = {.m = m, .e = e};
	json_object *value;
	bool options;
	int r = check_signature(m, method, &options, e);

	if (r == 0 && method->interface == DBUS_VM) {
		json_object_object_add(params, f->name,
				       json_object_new_string(vm));
		f++;
	}
	for (; r == 0 && f->name; f++) {
		if (!(f->flags & JSON_REQUIRED))
			continue;
		r = read_value(&reader, &value);
		if (r == 0)
			r = unpack(f, value, &value, e);
		if (r == 0)
			json_object_object_add(params, f->name, value);
	}
	if (r == 0 && options)
		r = take_options(&reader, method, params);
	if (r == 0)
		*ret = TAKE_PTR(params);
	return r;
}

int dbus_call_read(sd_bus_message *m, enum api_method_id *ret_method,
		   json_object **ret, struct error *e)
{
	const char *name, *text;
	json_object *params = NULL;
	int r = sd_bus_message_has_signature(m, "ss")
			? sd_bus_message_read(m, "ss", &name, &text)
			: -EINVAL;

	if (r < 0)
		return error_set(e, -EINVAL,
				 "Call takes a method and its parameters as "
				 "JSON, \"ss\"");
	*ret_method = api_method_by_name(name, e);
	if (*ret_method == API_METHOD_COUNT)
		return -e->err;
	if (api_methods[*ret_method].returns_fd)
		return error_set_code(e, ERROR_NOT_SUPPORTED,
				      "%s answers with a descriptor: use the "
				      "method OpenConsole of the VM",
				      name);
	if (strlen(text) > DBUS_TEXT_MAX)
		return error_set(e, -EINVAL, "params: are longer than 1 MiB");
	r = *text ? json_parse(text, strlen(text), &params, e) : 0;
	if (r < 0)
		return error_prefix(e, r, "params");
	if (*text && !json_object_is_type(params, json_type_object)) {
		json_object_put(params);
		return error_set(e, -EINVAL, "params: is not an object");
	}
	*ret = params ? params : json_object_new_object();
	return 0;
}
