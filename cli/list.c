#include "cli/cli.h"
#include "cli/table.h"

#include "lib/base/parse.h"

#define PAGE	     1000 /* VMs asked for at a time */
#define TABLE_FIELDS "name,state,hypervisor,vcpus,memory,disks,nics,started_ms"

static const char *name(json_object *vm, char *buf, size_t size)
{
	return field_text(vm, "name");
}

static const char *state(json_object *vm, char *buf, size_t size)
{
	return field_text(vm, "state");
}

static const char *hypervisor(json_object *vm, char *buf, size_t size)
{
	return field_text(vm, "hypervisor");
}

static const char *vcpus(json_object *vm, char *buf, size_t size)
{
	return field_text(vm, "vcpus");
}

static const char *memory(json_object *vm, char *buf, size_t size)
{
	return format_size(field_u64(vm, "memory"), buf, size);
}

static const char *disks(json_object *vm, char *buf, size_t size)
{
	return field_text(vm, "disks");
}

static const char *nics(json_object *vm, char *buf, size_t size)
{
	return field_text(vm, "nics");
}

static const struct output_column columns[] = {
	{"NAME", name},	  {"STATE", state},	    {"HYPERVISOR", hypervisor},
	{"VCPUS", vcpus}, {"MEMORY", memory},	    {"DISKS", disks},
	{"NICS", nics},	  {"UPTIME", field_uptime},
};

/* What has come so far: a table keeps its text alone, JSON is kept whole. */
struct listing {
	bool names; /* printed as they come */
	bool as_table;
	struct table table;
	json_object *all;
	size_t count;
};

static int keep(struct listing *l, json_object *vms, struct error *e)
{
	size_t n = field_count(vms);
	int r = output_check_list(vms, e);

	if (r < 0)
		return r;
	l->count += n;
	if (l->as_table)
		return table_add(&l->table, vms) < 0
			       ? error_set(e, -ENOMEM, "out of memory")
			       : 0;
	for (size_t i = 0; i < n; i++) {
		json_object *vm = json_object_array_get_idx(vms, i);

		if (l->names)
			output_line(stdout, "%s", field_text(vm, "name"));
		else
			json_object_array_add(l->all, json_object_get(vm));
	}
	return 0;
}

static int print(const struct cli *cli, const struct listing *l,
		 struct error *e)
{
	if (!l->names && !l->as_table)
		return output_rows(cli->format, l->all, l->all, columns,
				   ARRAY_SIZE(columns), e);
	if (l->as_table)
		table_print(&l->table, stdout);
	return output_flush(e);
}

int cli_labels(const struct cli_args *args, json_object **ret, struct error *e)
{
	_cleanup_json_ json_object *labels = NULL;

	for (size_t i = 0; i < args->n_options; i++) {
		const char *value = args->options[i].value;
		const char *equals = strchr(value, '=');
		_cleanup_free_ char *key = NULL;

		if (!streq(args->options[i].option->name, "label"))
			continue;
		key = equals ? strndup(value, (size_t)(equals - value)) : NULL;
		if (!key || !*key)
			return error_set(e, -EINVAL,
					 "--label \"%s\" is not KEY=VALUE",
					 value);
		if (!labels)
			labels = json_object_new_object();
		json_object_object_add(labels, key,
				       json_object_new_string(equals + 1));
	}
	*ret = TAKE_PTR(labels);
	return 0;
}

static int send_page(struct cli *cli, const struct cli_args *args,
		     json_object *cursor, int64_t *ret_id, struct error *e)
{
	json_object *params = json_object_new_object();
	const char *state = cli_option(args, "state");
	json_object *labels = NULL;
	int r = cli_labels(args, &labels, e);

	if (labels)
		json_object_object_add(params, "labels", labels);
	json_object_object_add(params, "limit", json_object_new_int(PAGE));
	if (cli->format == OUTPUT_TABLE)
		json_object_object_add(
			params, "fields",
			json_object_new_string(cli_option(args, "names")
						       ? "name"
						       : TABLE_FIELDS));
	if (state)
		json_object_object_add(params, "state",
				       json_object_new_string(state));
	if (cursor)
		json_object_object_add(params, "cursor",
				       json_object_get(cursor));
	if (r < 0) {
		json_object_put(params);
		return r;
	}
	return api_client_send(cli->client, "vm.list", params, ret_id, e);
}

/* The next page is asked for before this one is looked at. */
static int add_page(struct cli *cli, const struct cli_args *args,
		    struct listing *l, int64_t *id, struct error *e)
{
	_cleanup_json_ json_object *result = NULL;
	json_object *cursor;
	int r = api_client_wait(cli->client, *id, -1, &result, NULL, e);

	if (r < 0)
		return r;
	cursor = field_get(result, "cursor");
	*id = -1;
	if (cursor)
		r = send_page(cli, args, cursor, id, e);
	return r < 0 ? r : keep(l, field_get(result, "vms"), e);
}

static int add_pages(struct cli *cli, const struct cli_args *args,
		     struct listing *l, struct error *e)
{
	int64_t id = -1;
	int r = cli_connect(cli, e);

	if (r == 0)
		r = send_page(cli, args, NULL, &id, e);
	while (r == 0 && id >= 0)
		r = add_page(cli, args, l, &id, e);
	return r;
}

static int run(struct cli *cli, const struct cli_args *args, struct error *e)
{
	struct listing l = {.names = cli_option(args, "names"),
			    .all = json_object_new_array()};
	int r;

	l.as_table = !l.names && cli->format == OUTPUT_TABLE;
	r = table_init(&l.table, columns, ARRAY_SIZE(columns));
	if (r < 0 || !l.all)
		r = error_set(e, -ENOMEM, "out of memory");
	if (r == 0)
		r = add_pages(cli, args, &l, e);
	if (r == 0)
		r = print(cli, &l, e);
	if (r == 0 && l.as_table && l.count == 0 &&
	    !cli_option(args, "state") && !cli_option(args, "label"))
		fputs("No VM yet; make one with: armvmctl create\n", stderr);
	table_done(&l.table);
	json_object_put(l.all);
	return r;
}

static const char *const states[] = {
	"stopped",	 "starting", "running", "paused",
	"shutting-down", "stopping", "crashed", NULL};

static const struct cli_option options[] = {
	{"names", NULL, "print the names alone, one a line"},
	{"state", "STATE", "only those in this state", .values = states},
	{"label", "KEY=VALUE", "only those with this label",
	 .repeatable = true},
	{NULL},
};

const struct cli_command cli_command_list = {
	.name = "list",
	.operands = "",
	.summary = "List all VMs and how they are",
	.examples = "  armvmctl list\n"
		    "  armvmctl list --output jsonl\n"
		    "  armvmctl list --names\n"
		    "  armvmctl list --state running --label role=db\n",
	.options = options,
	.run = run,
};
