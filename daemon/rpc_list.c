/*
 * vm.list: one page, filtered.
 */
#include "daemon/rpc.h"
#include "daemon/vm.h"

#define LIMIT_DEFAULT 100

struct page {
	struct manager *manager;
	json_object *list;
	int64_t limit;
	unsigned fields;
	bool more;
	char last[VM_NAME_MAX + 1];
};

/* One more than asked for is read, to know whether there is more. */
static int add_row(void *cookie, const struct store_vm_row *row)
{
	struct page *page = cookie;

	if ((int64_t)json_object_array_length(page->list) == page->limit) {
		page->more = true;
		return 1;
	}
	json_object_array_add(page->list,
			      vm_row_to_json(page->manager, row, page->fields));
	strncpy(page->last, row->name, VM_NAME_MAX);
	return 0;
}

static int read_labels(json_object *labels, struct store_label *ret,
		       size_t *ret_n, struct error *e)
{
	size_t n = 0;

	if (!labels)
		return 0;
	if (!json_object_is_type(labels, json_type_object) ||
	    json_object_object_length(labels) > STORE_LIST_LABELS_MAX)
		return error_set(e, -EINVAL,
				 "labels: is not an object of at most %d "
				 "strings",
				 STORE_LIST_LABELS_MAX);
	json_object_object_foreach (labels, key, value) {
		if (!json_object_is_type(value, json_type_string))
			return error_set(e, -EINVAL,
					 "labels.%.140s: is not a string", key);
		ret[n++] = (struct store_label){key,
						json_object_get_string(value)};
	}
	*ret_n = n;
	return 0;
}

static int check_state(const char *state, struct error *e)
{
	enum vm_state unused;

	if (!state || vm_state_by_name(state, &unused) == 0)
		return 0;
	return error_set(e, -EINVAL,
			 "state: \"%s\" is no state; use stopped, starting, "
			 "running, paused, shutting-down, stopping or crashed",
			 state);
}

void rpc_vm_list(void *cookie, struct api_call *c)
{
	const struct api_list_params *p = api_call_params(c);
	struct page page = {.manager = cookie,
			    .fields = VM_FIELDS_ALL,
			    .limit = p->limit ? p->limit : LIMIT_DEFAULT};
	struct store_label labels[STORE_LIST_LABELS_MAX];
	struct store_list list = {.after = p->cursor,
				  .state = p->state,
				  .labels = labels,
				  .limit = page.limit + 1};
	json_object *result;
	struct error e = ERROR_INIT;
	int r = check_state(p->state, &e);

	if (r == 0)
		r = read_labels(p->labels, labels, &list.n_labels, &e);
	if (r == 0 && p->fields)
		r = vm_fields_parse(p->fields, &page.fields, &e);
	page.list = json_object_new_array();
	if (r == 0)
		r = store_vm_list(page.manager->store, &list, add_row, &page,
				  &e);
	if (r < 0) {
		json_object_put(page.list);
		api_call_fail(c, &e);
		return;
	}
	result = json_object_new_object();
	json_object_object_add(result, "vms", page.list);
	if (page.more)
		json_object_object_add(result, "cursor",
				       json_object_new_string(page.last));
	api_call_reply(c, result, -1);
}
