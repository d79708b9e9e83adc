/* vm.stats and stats.list. */
#include "daemon/rpc.h"
#include "daemon/vm_stats.h"

#define LIMIT_DEFAULT 100
#define LIMIT_WHOLE   1000

static void one_cb(void *cookie, struct vm_stats_row *rows, size_t n_rows,
		   bool more)
{
	struct error e = ERROR_INIT;

	if (n_rows != 1)
		error_set(&e, -ENOMEM, "out of memory");
	else if (!rows[0].answered)
		e = rows[0].error;
	if (e.err)
		api_call_fail(cookie, &e);
	else
		api_call_reply(cookie, vm_stats_to_json(&rows[0], false), -1);
}

void rpc_vm_stats(void *cookie, struct api_call *c)
{
	struct vm *vm = rpc_vm_of_call(cookie, c, VM_REQUEST_STATS);
	struct error e = ERROR_INIT;

	if (vm && vm_stats_of(vm, one_cb, c, &e) < 0)
		api_call_fail(c, &e);
}

static void list_cb(void *cookie, struct vm_stats_row *rows, size_t n_rows,
		    bool more)
{
	const struct api_stats_list_params *p = api_call_params(cookie);
	json_object *result = json_object_new_object();
	json_object *list = json_object_new_array();

	for (size_t i = 0; i < n_rows; i++)
		json_object_array_add(list,
				      vm_stats_to_json(&rows[i], p->totals));
	json_object_object_add(result, "vms", list);
	if (more && n_rows > 0)
		json_object_object_add(
			result, "cursor",
			json_object_new_string(rows[n_rows - 1].name));
	api_call_reply(cookie, result, -1);
}

void rpc_stats_list(void *cookie, struct api_call *c)
{
	const struct api_stats_list_params *p = api_call_params(c);
	const struct vm_stats_filter filter = {
		.who = api_call_who(c),
		.labels = p->labels,
		.after = p->cursor,
		.limit = p->limit ? p->limit : LIMIT_DEFAULT,
	};
	struct error e = ERROR_INIT;
	int r = 0;

	if (p->labels && !json_object_is_type(p->labels, json_type_object))
		r = error_set(&e, -EINVAL,
			      "labels: is not an object of strings");
	/* An answer is to fit what a connection may have waiting. */
	if (r == 0 && !p->totals && p->limit > LIMIT_WHOLE)
		r = error_set(&e, -EINVAL,
			      "limit: %u is more than %d, which is the most "
			      "without \"totals\"",
			      p->limit, LIMIT_WHOLE);
	if (r == 0)
		r = vm_stats_list(cookie, &filter, list_cb, c, &e);
	if (r < 0)
		api_call_fail(c, &e);
}
