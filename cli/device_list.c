/* `disk list` and `nic list`. */
#include "cli/cli.h"

static const char *id(json_object *d, char *buf, size_t size)
{
	return field_text(d, "id");
}

static const char *state(json_object *d, char *buf, size_t size)
{
	return field_text(d, "state");
}

static const char *slot(json_object *d, char *buf, size_t size)
{
	return field_text(d, "slot");
}

static const char *address(json_object *d, char *buf, size_t size)
{
	const char *text = field_text(d, "address");

	return *text ? text : "-";
}

static const char *serial(json_object *d, char *buf, size_t size)
{
	return field_text(d, "serial");
}

static const char *path(json_object *d, char *buf, size_t size)
{
	return field_text(d, "path");
}

static const char *mac(json_object *d, char *buf, size_t size)
{
	return field_text(d, "mac");
}

static const char *connection(json_object *d, char *buf, size_t size)
{
	const char *tap = field_text(d, "tap");

	if (json_object_get_boolean(field_get(d, "user")))
		return "user";
	snprintf(buf, size, "%s%s", *tap ? "tap " : "bridge ",
		 *tap ? tap : field_text(d, "bridge"));
	return buf;
}

static const char *cable(json_object *d, char *buf, size_t size)
{
	return field_get(d, "link") ? field_text(d, "link") : "up";
}

static const char *kept(json_object *d, char *buf, size_t size)
{
	return json_object_get_boolean(field_get(d, "persistent")) ? "yes"
								   : "no";
}

static const struct output_column disk_columns[] = {
	{"ID", id},	      {"STATE", state},	  {"SLOT", slot, .right = true},
	{"ADDRESS", address}, {"SERIAL", serial}, {"PERSISTENT", kept},
	{"PATH", path},
};

static const struct output_column nic_columns[] = {
	{"ID", id},
	{"STATE", state},
	{"SLOT", slot, .right = true},
	{"ADDRESS", address},
	{"MAC", mac},
	{"LINK", cable},
	{"PERSISTENT", kept},
	{"CONNECTION", connection},
};

static int disk_list(struct cli *cli, const struct cli_args *args,
		     struct error *e)
{
	_cleanup_json_ json_object *result = NULL;
	int r = cli_call(cli, "disk.list", cli_name_params(args->operands[0]),
			 &result, NULL, e);

	return r < 0 ? r
		     : output_rows(cli->format, field_get(result, "disks"),
				   result, disk_columns,
				   ARRAY_SIZE(disk_columns), e);
}

static int nic_list(struct cli *cli, const struct cli_args *args,
		    struct error *e)
{
	_cleanup_json_ json_object *result = NULL;
	int r = cli_call(cli, "nic.list", cli_name_params(args->operands[0]),
			 &result, NULL, e);

	return r < 0 ? r
		     : output_rows(cli->format, field_get(result, "nics"),
				   result, nic_columns, ARRAY_SIZE(nic_columns),
				   e);
}

const struct cli_command cli_command_disk_list = {
	.name = "disk list",
	.operands = "NAME",
	.min_operands = 1,
	.max_operands = 1,
	.complete = COMPLETE_VM,
	.summary = "List a VM's disks and how the guest has them",
	.detail = "States: defined (not in a running guest), offered, "
		  "acknowledged (the slot has power),\nactive (a driver uses "
		  "it), releasing; fixed ones cannot be removed live.",
	.examples = "  armvmctl disk list web\n",
	.run = disk_list,
};

const struct cli_command cli_command_nic_list = {
	.name = "nic list",
	.operands = "NAME",
	.min_operands = 1,
	.max_operands = 1,
	.complete = COMPLETE_VM,
	.summary = "List a VM's network cards and how the guest has them",
	.detail = "The states are those of disk list.",
	.examples = "  armvmctl nic list web\n",
	.run = nic_list,
};
