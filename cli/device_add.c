/* `disk add` and `nic add`. */
#include "cli/cli.h"

static int add(struct cli *cli, const struct cli_args *args, const char *method,
	       const char *key, json_object *device, struct error *e)
{
	json_object *params = cli_name_params(args->operands[0]);
	uint64_t timeout_ms;
	int r;

	json_object_object_add(params, key, device);
	r = cli_device_options(args, params, &timeout_ms, e);
	if (r < 0) {
		json_object_put(params);
		return r;
	}
	return cli_device_call(cli, method, params, timeout_ms, e);
}

static void set_text(json_object *device, const struct cli_args *args,
		     const char *key)
{
	const char *value = cli_option(args, key);

	if (value)
		json_object_object_add(device, key,
				       json_object_new_string(value));
}

static int disk_add(struct cli *cli, const struct cli_args *args,
		    struct error *e)
{
	json_object *disk = json_object_new_object();
	int r = cli_set_path(disk, "path", args->operands[1], e);

	if (r < 0) {
		json_object_put(disk);
		return r;
	}
	set_text(disk, args, "serial");
	set_text(disk, args, "id");
	/* UX: what a user named a disk by is what removes it. */
	if (!cli_option(args, "id") && cli_option(args, "serial"))
		json_object_object_add(
			disk, "id",
			json_object_new_string(cli_option(args, "serial")));
	if (cli_option(args, "on-error"))
		json_object_object_add(
			disk, "on_error",
			json_object_new_string(cli_option(args, "on-error")));
	if (cli_option(args, "readonly"))
		json_object_object_add(disk, "readonly",
				       json_object_new_boolean(true));
	return add(cli, args, "disk.add", "disk", disk, e);
}

static int nic_add(struct cli *cli, const struct cli_args *args,
		   struct error *e)
{
	json_object *nic = json_object_new_object();
	int r = cli_parse_nic(args->operands[1], nic, e);

	if (r < 0) {
		json_object_put(nic);
		return r;
	}
	set_text(nic, args, "id");
	return add(cli, args, "nic.add", "nic", nic, e);
}

#define COMMON_OPTIONS                                                    \
	{"timeout", "TIME", "how long the guest may take (default 10s)"}, \
		{"live", NULL, "only until the VM stops"},                \
		{"persistent", NULL,                                      \
		 "also in the definition, for the next start (default)"}, \
	{                                                                 \
		NULL                                                      \
	}

static const struct cli_option disk_options[] = {
	{"serial", "TEXT", "what the guest sees as the serial; also the id"},
	{"id", "ID", "what armvmctl calls it (default diskN)"},
	{"readonly", NULL, "the guest cannot write to it"},
	{"on-error", "POLICY",
	 "enospc (default), report or pause: see armvmctl(1)"},
	COMMON_OPTIONS,
};

static const struct cli_option nic_options[] = {
	{"id", "ID", "what armvmctl calls it (default nicN)"},
	COMMON_OPTIONS,
};

const struct cli_command cli_command_disk_add = {
	.name = "disk add",
	.operands = "NAME PATH",
	.min_operands = 2,
	.max_operands = 2,
	.complete = COMPLETE_VM,
	.complete_second = COMPLETE_FILE,
	.summary = "Add a disk to a VM, also while it runs",
	.detail = "It is done when a driver of the guest uses the disk. A "
		  "guest that does not take it in time\n(no hotplug driver, "
		  "still in its firmware) leaves everything as it was.",
	.examples = "  armvmctl disk add web data.raw --serial data1\n"
		    "  armvmctl disk add web /dev/vg0/db --readonly --live\n",
	.options = disk_options,
	.run = disk_add,
};

const struct cli_command cli_command_nic_add = {
	.name = "nic add",
	.operands = "NAME tap=IF|bridge=IF|user",
	.min_operands = 2,
	.max_operands = 2,
	.complete = COMPLETE_VM,
	.summary = "Add a network card to a VM, also while it runs",
	.detail = "After the interface also ,mac=MAC ,id=ID ,queues=N ,mtu=N "
		  ",link=down ,vhost=on|off and ,on_error=pause;\nwith user "
		  "(through passt) "
		  "also ,forward=[udp:][ADDRESS:]PORT[:GUEST-PORT].",
	.examples = "  armvmctl nic add web bridge=br0\n"
		    "  armvmctl nic add web tap=tap3,mac=52:54:00:00:00:03\n"
		    "  armvmctl nic add web user,forward=8080:80\n",
	.options = nic_options,
	.run = nic_add,
};
