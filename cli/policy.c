/*
 * The options for labels, autostart and policies.
 */
#include "cli/cli.h"

#include "lib/base/parse.h"

const char *const cli_yes_no[] = {"yes", "no", NULL};
const char *const cli_crash_policies[] = {"stop", "restart", "preserve", NULL};

/* "K=V" into the labels; "K=" takes one away. */
static int set_label(json_object *config, const char *value, struct error *e)
{
	json_object *labels = field_get(config, "labels");
	const char *equals = strchr(value, '=');
	_cleanup_free_ char *key = NULL;

	if (!equals || equals == value)
		return error_set(e, -EINVAL, "--label \"%s\" is not KEY=VALUE",
				 value);
	key = strndup(value, (size_t)(equals - value));
	if (!key)
		return error_set(e, -ENOMEM, "out of memory");
	if (!json_object_is_type(labels, json_type_object)) {
		labels = json_object_new_object();
		json_object_object_add(config, "labels", labels);
	}
	if (equals[1])
		json_object_object_add(labels, key,
				       json_object_new_string(equals + 1));
	else
		json_object_object_del(labels, key);
	return 0;
}

/* The options whose names and values are not the definition's own. */
int cli_policy_apply(json_object *config, const char *name, const char *value,
		     bool *ret_done, struct error *e)
{
	uint64_t number;
	int r = 0;

	*ret_done = true;
	if (streq(name, "label"))
		return set_label(config, value, e);
	if (streq(name, "autostart") || streq(name, "transient")) {
		json_object_object_add(
			config, name,
			json_object_new_boolean(!streq(value, "no")));
	} else if (streq(name, "cpu-weight")) {
		r = parse_u64(value, "--cpu-weight", 1, 10000, &number, e);
		if (r == 0)
			json_object_object_add(config, "cpu_weight",
					       json_object_new_uint64(number));
	} else if (streq(name, "autostart-order")) {
		r = parse_u64(value, "--autostart-order", 0, 1000, &number, e);
		if (r == 0)
			json_object_object_add(config, "autostart_order",
					       json_object_new_uint64(number));
	} else if (streq(name, "autostart-delay")) {
		r = parse_duration(value, "--autostart-delay", &number, e);
		if (r == 0)
			json_object_object_add(config, "autostart_delay_ms",
					       json_object_new_uint64(number));
	} else if (streq(name, "on-crash") || streq(name, "on-reboot")) {
		json_object_object_add(config,
				       streq(name, "on-crash") ? "on_crash"
							       : "on_reboot",
				       json_object_new_string(value));
	} else {
		*ret_done = false;
	}
	return r;
}
