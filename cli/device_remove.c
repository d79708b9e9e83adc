/* `disk remove` and `nic remove`. */
#include "cli/cli.h"

static int remove_device(struct cli *cli, const struct cli_args *args,
			 const char *method, struct error *e)
{
	json_object *params = cli_name_params(args->operands[0]);
	uint64_t timeout_ms;
	int r;

	json_object_object_add(params, "id",
			       json_object_new_string(args->operands[1]));
	r = cli_device_options(args, params, &timeout_ms, e);
	if (r < 0) {
		json_object_put(params);
		return r;
	}
	return cli_device_call(cli, method, params, timeout_ms, e);
}

static int disk_remove(struct cli *cli, const struct cli_args *args,
		       struct error *e)
{
	return remove_device(cli, args, "disk.remove", e);
}

static int nic_remove(struct cli *cli, const struct cli_args *args,
		      struct error *e)
{
	return remove_device(cli, args, "nic.remove", e);
}

static const struct cli_option options[] = {
	{"timeout", "TIME", "how long the guest may take (default 20s)"},
	{"force", NULL, "take it away without asking the guest"},
	{"live", NULL, "only until the VM stops"},
	{"persistent", NULL, "also from the definition (default)"},
	{NULL},
};

const struct cli_command cli_command_disk_remove = {
	.name = "disk remove",
	.operands = "NAME ID",
	.min_operands = 2,
	.max_operands = 2,
	.complete = COMPLETE_VM,
	.complete_second = COMPLETE_DISK,
	.summary = "Remove a disk from a VM, also while it runs",
	.detail = "A running guest is asked to release it; Linux takes 6 s. "
		  "It lets go even of a mounted disk:\nunmount it first. With "
		  "--force the guest is not asked and loses what it has not "
		  "written.",
	.examples = "  armvmctl disk remove web data1\n"
		    "  armvmctl disk remove web data1 --timeout 60s\n",
	.options = options,
	.run = disk_remove,
};

const struct cli_command cli_command_nic_remove = {
	.name = "nic remove",
	.operands = "NAME ID",
	.min_operands = 2,
	.max_operands = 2,
	.complete = COMPLETE_VM,
	.complete_second = COMPLETE_NIC,
	.summary = "Remove a network card from a VM, also while it runs",
	.detail = "A running guest is asked to release it; Linux takes 6 s.",
	.examples = "  armvmctl nic remove web nic1\n"
		    "  armvmctl nic remove web nic1 --force\n",
	.options = options,
	.run = nic_remove,
};
