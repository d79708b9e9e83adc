#include "supervisor/agent_info.h"

struct info_op {
	struct agent *agent;
	json_object *info;
	agent_info_fn *done;
	void *cookie;
};

/* What the guest says in plain text: letters a name or an address has. */
static json_object *judge_text(json_object *value)
{
	const char *text;
	size_t n;

	if (!json_object_is_type(value, json_type_string))
		return json_object_new_string("");
	text = json_object_get_string(value);
	n = (size_t)json_object_get_string_len(value);
	for (size_t i = 0; i < n; i++)
		if (text[i] <= ' ' || text[i] > '~')
			n = 0;
	return json_object_new_string_len(text, (int)MIN(n, GUEST_TEXT_MAX));
}

static void copy_text(json_object *to, const char *key, json_object *from,
		      const char *from_key)
{
	json_object *value = NULL;

	if (json_object_is_type(from, json_type_object))
		json_object_object_get_ex(from, from_key, &value);
	json_object_object_add(to, key, judge_text(value));
}

static json_object *member(json_object *from, const char *key)
{
	json_object *value = NULL;

	if (json_object_is_type(from, json_type_object))
		json_object_object_get_ex(from, key, &value);
	return value;
}

/* The elements to look at of what ought to be an array. */
static size_t count(json_object *list, size_t most)
{
	if (!json_object_is_type(list, json_type_array))
		return 0;
	return MIN(json_object_array_length(list), most);
}

static json_object *judge_addresses(json_object *list)
{
	json_object *result = json_object_new_array();

	for (size_t i = 0; i < count(list, GUEST_ADDRESSES_MAX); i++) {
		json_object *from = json_object_array_get_idx(list, i);
		json_object *to = json_object_new_object();
		int64_t prefix = json_object_get_int64(member(from, "prefix"));

		copy_text(to, "address", from, "ip-address");
		json_object_object_add(
			to, "prefix",
			json_object_new_int64(MIN(MAX(prefix, 0), 128)));
		json_object_array_add(result, to);
	}
	return result;
}

static json_object *judge_interfaces(json_object *list)
{
	json_object *result = json_object_new_array();

	for (size_t i = 0; i < count(list, GUEST_INTERFACES_MAX); i++) {
		json_object *from = json_object_array_get_idx(list, i);
		json_object *to = json_object_new_object();

		copy_text(to, "name", from, "name");
		copy_text(to, "mac", from, "hardware-address");
		json_object_object_add(
			to, "addresses",
			judge_addresses(member(from, "ip-addresses")));
		json_object_array_add(result, to);
	}
	return result;
}

static void finish(struct info_op *op)
{
	op->done(op->cookie, op->info);
	free(op);
}

static void on_interfaces(void *cookie, json_object *result,
			  const struct error *e)
{
	struct info_op *op = cookie;

	json_object_object_add(op->info, "interfaces",
			       judge_interfaces(result));
	finish(op);
}

static void on_hostname(void *cookie, json_object *result,
			const struct error *e)
{
	struct info_op *op = cookie;

	copy_text(op->info, "hostname", result, "host-name");
	agent_request(op->agent, "guest-network-get-interfaces", NULL,
		      AGENT_INFO_MS, on_interfaces, op);
}

/* The first answer tells whether there is somebody; of the rest an agent may
 * know less than all. */
static void on_info(void *cookie, json_object *result, const struct error *e)
{
	struct info_op *op = cookie;

	json_object_object_add(op->info, "agent", json_object_new_boolean(!e));
	if (e) {
		json_object_object_add(op->info, "reason",
				       json_object_new_string(e->message));
		finish(op);
		return;
	}
	copy_text(op->info, "version", result, "version");
	agent_request(op->agent, "guest-get-host-name", NULL, AGENT_INFO_MS,
		      on_hostname, op);
}

void agent_info(struct agent *a, agent_info_fn *done, void *cookie)
{
	struct info_op *op = calloc(1, sizeof(*op));
	json_object *info = json_object_new_object();

	if (!op) {
		json_object_object_add(info, "agent",
				       json_object_new_boolean(false));
		done(cookie, info);
		return;
	}
	op->agent = a;
	op->info = info;
	op->done = done;
	op->cookie = cookie;
	agent_request(a, "guest-info", NULL, AGENT_INFO_MS, on_info, op);
}
