/* Names of VMs by their beginning. */
#include "cli/cli.h"

/* Two show that there is more than one; a few more help to choose. */
#define CANDIDATES 5

/*
 * What stands before all names that begin so: the last character less by one,
 * and then the greatest there is.
 */
static char *cursor_before(const char *prefix)
{
	size_t n = strlen(prefix);
	char *text = NULL;

	if (n == 0 || asprintf(&text, "%s~", prefix) < 0)
		return NULL;
	text[n - 1]--;
	return text;
}

int cli_names(struct cli *cli, const char *prefix, int limit,
	      json_object **ret_result, struct error *e)
{
	_cleanup_free_ char *cursor = cursor_before(prefix);
	json_object *params = json_object_new_object();

	json_object_object_add(params, "fields",
			       json_object_new_string("name,state"));
	json_object_object_add(params, "limit", json_object_new_int(limit));
	if (cursor)
		json_object_object_add(params, "cursor",
				       json_object_new_string(cursor));
	return cli_call(cli, "vm.list", params, ret_result, NULL, e);
}

int cli_name_resolve(struct cli *cli, const char *prefix, char **ret,
		     struct error *e)
{
	_cleanup_json_ json_object *result = NULL;
	char list[ERROR_MESSAGE_MAX / 2] = "";
	const char *found = NULL;
	json_object *vms;
	size_t n = 0;

	if (cli_names(cli, prefix, CANDIDATES, &result, NULL) < 0)
		return -ENOENT;
	vms = field_get(result, "vms");
	for (size_t i = 0; i < field_count(vms); i++) {
		const char *name = field_text(json_object_array_get_idx(vms, i),
					      "name");

		if (streq(name, prefix))
			return -ENOENT; /* it was not the name that is wrong */
		if (strncmp(name, prefix, strlen(prefix)) != 0)
			continue;
		snprintf(list + strlen(list), sizeof(list) - strlen(list),
			 "%s%s", n++ ? ", " : "", name);
		found = name;
	}
	if (n > 1)
		return error_set(e, -ENOENT,
				 "no VM named \"%s\"; several begin so: %s%s",
				 prefix, list, n == CANDIDATES ? ", ..." : "");
	if (n == 0)
		return -ENOENT;
	*ret = strdup(found);
	return *ret ? 0 : -ENOENT;
}
