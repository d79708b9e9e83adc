/* Saving, restoring and looking at snapshots. */
#include "cli/cli.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "lib/base/parse.h"

static void add_flag(json_object *params, const struct cli_args *args,
		     const char *option, const char *key)
{
	if (cli_option(args, option))
		json_object_object_add(params, key,
				       json_object_new_boolean(true));
}

static int add_timeout(json_object *params, const struct cli_args *args,
		       struct error *e)
{
	const char *timeout = cli_option(args, "timeout");
	uint64_t ms;
	int r;

	if (!timeout)
		return 0;
	r = parse_duration(timeout, "--timeout", &ms, e);
	if (r == 0)
		json_object_object_add(params, "deadline_ms",
				       json_object_new_uint64(ms));
	return r;
}

static int run_save(struct cli *cli, const struct cli_args *args,
		    struct error *e)
{
	_cleanup_json_ json_object *result = NULL;
	const char *name = args->operands[0];
	json_object *params = cli_name_params(name);
	char what[160], size[16];
	int r = cli_set_path(params, "path", args->operands[1], e);

	add_flag(params, args, "stop", "stop");
	add_flag(params, args, "freeze", "freeze");
	add_flag(params, args, "compress", "compress");
	add_flag(params, args, "overwrite", "overwrite");
	if (r == 0)
		r = add_timeout(params, args, e);
	if (r < 0) {
		json_object_put(params);
		return r;
	}
	snprintf(what, sizeof(what), "%s: saving", name);
	r = cli_call_long(cli, args, "snapshot.save", params, what, &result, e);
	if (r < 0 || !result)
		return r;
	if (cli->format != OUTPUT_TABLE)
		return output_object(cli->format, result, e);
	output_line(stdout, "%s: saved to %s (%s)%s",
		    field_text(result, "name"), field_text(result, "path"),
		    format_size(field_u64(result, "bytes"), size, sizeof(size)),
		    cli_option(args, "stop") ? ", and stopped" : "");
	return output_flush(e);
}

static const struct cli_option save_options[] = {
	{"stop", NULL, "stop the VM once the file is on the disk"},
	{"freeze", NULL,
	 "have the guest's agent freeze its file systems first"},
	{"compress", NULL, "pack the memory: less disk, more time"},
	{"overwrite", NULL, "replace FILE when the new one is whole"},
	{"timeout", "TIME", "give up after this, as 30s or 2m"},
	CLI_LONG_OPTIONS,
	{NULL},
};

const struct cli_command cli_command_snapshot_save = {
	.name = "snapshot save",
	.operands = "NAME FILE",
	.min_operands = 2,
	.max_operands = 2,
	.complete = COMPLETE_VM,
	.summary = "Save a running VM to a file",
	.detail = "Memory, CPUs, devices, definition and UEFI variables. The "
		  "guest stands still meanwhile and\ngoes on then, also when "
		  "saving fails; with --stop it ends. Its disks are not in the "
		  "file and must\nbe as they were when it is restored: so "
		  "--stop, or pause it, save it, copy its disks, resume it.",
	.examples = "  armvmctl snapshot save web /srv/web.snapshot --stop\n"
		    "  armvmctl snapshot save web /srv/web.snapshot --freeze "
		    "--compress\n",
	.options = save_options,
	.run = run_save,
};

static int run_restore(struct cli *cli, const struct cli_args *args,
		       struct error *e)
{
	_cleanup_json_ json_object *vm = NULL;
	json_object *params = json_object_new_object();
	const char *name = cli_option(args, "name");
	int64_t began = cli_now_ms();
	int r = cli_set_path(params, "path", args->operands[0], e);

	if (name)
		json_object_object_add(params, "new_name",
				       json_object_new_string(name));
	add_flag(params, args, "paused", "paused");
	add_flag(params, args, "changed-disks", "changed_disks");
	if (r == 0)
		r = add_timeout(params, args, e);
	if (r < 0) {
		json_object_put(params);
		return r;
	}
	r = cli_call_long(cli, args, "snapshot.restore", params, "restoring",
			  &vm, e);
	if (r < 0 || !vm)
		return r;
	if (cli->format != OUTPUT_TABLE)
		return output_object(cli->format, vm, e);
	output_line(stdout, "%s: %s after %.1f s", field_text(vm, "name"),
		    field_text(vm, "state"),
		    (double)(cli_now_ms() - began) / 1000);
	return output_flush(e);
}

static const struct cli_option restore_options[] = {
	{"name", "NAME", "another name for the VM"},
	{"paused", NULL, "leave it paused; resume lets it go on"},
	{"changed-disks", NULL, "its disks were put back as they were"},
	{"timeout", "TIME", "give up after this, as 30s or 2m"},
	CLI_LONG_OPTIONS,
	{NULL},
};

const struct cli_command cli_command_snapshot_restore = {
	.name = "snapshot restore",
	.operands = "FILE",
	.min_operands = 1,
	.max_operands = 1,
	.complete = COMPLETE_FILE,
	.summary = "Let a VM go on from a file",
	.detail = "The VM is defined as it was, also where it was never "
		  "defined; one that is there must not run.\nRefused when this "
		  "host cannot be what the guest was given, or a disk is not "
		  "as it was.",
	.examples = "  armvmctl snapshot restore /srv/web.snapshot\n"
		    "  armvmctl snapshot restore /srv/web.snapshot --name "
		    "web2 --paused\n",
	.options = restore_options,
	.run = run_restore,
};

static void print_time(json_object *result)
{
	time_t t = (time_t)(field_u64(result, "created_ms") / 1000);
	char text[32];
	struct tm tm;

	localtime_r(&t, &tm);
	strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
	output_line(stdout, "%-11s %s", "Saved", text);
}

static void print_needs(json_object *meta)
{
	static const char *const features[] = {"aarch32", "pmu", "sve",
					       "pauth",	  "mte", "steal_time"};
	char text[128];
	size_t at = 0;

	if (!streq(field_text(meta, "abi"), "true"))
		return;
	at = (size_t)snprintf(text, sizeof(text), "gic %s",
			      field_text(meta, "gic"));
	for (size_t i = 0; i < ARRAY_SIZE(features) && at < sizeof(text); i++)
		if (streq(field_text(meta, features[i]), "true"))
			at += (size_t)snprintf(text + at, sizeof(text) - at,
					       ", %s", features[i]);
	output_line(stdout, "%-11s %s", "Needs", text);
}

static void print_disks(json_object *meta)
{
	json_object *disks = field_get(meta, "disks");
	size_t n = disks ? json_object_array_length(disks) : 0;
	char size[16];

	for (size_t i = 0; i < n; i++) {
		json_object *d = json_object_array_get_idx(disks, i);

		output_line(
			stdout, "%-11s %s, %s", i ? "" : "Disks",
			field_text(d, "path"),
			format_size(field_u64(d, "size"), size, sizeof(size)));
	}
}

static int run_show(struct cli *cli, const struct cli_args *args,
		    struct error *e)
{
	_cleanup_json_ json_object *result = NULL;
	json_object *params = json_object_new_object();
	json_object *meta, *definition;
	char size[16];
	int r = cli_set_path(params, "path", args->operands[0], e);

	if (r < 0) {
		json_object_put(params);
		return r;
	}
	r = cli_call(cli, "snapshot.show", params, &result, NULL, e);
	if (r < 0)
		return r;
	if (cli->format != OUTPUT_TABLE)
		return output_object(cli->format, result, e);
	meta = field_get(result, "snapshot");
	definition = field_get(result, "definition");
	output_line(stdout, "%-11s %s (%s)", "VM",
		    field_text(definition, "name"),
		    field_text(definition, "uuid"));
	print_time(result);
	output_line(stdout, "%-11s armvmd %s, %s, %s %s", "By",
		    field_text(meta, "version"), field_text(meta, "hypervisor"),
		    field_text(meta, "machine"), field_text(meta, "kernel"));
	output_line(stdout, "%-11s %s", "Memory",
		    format_size(field_u64(definition, "memory"), size,
				sizeof(size)));
	output_line(stdout, "%-11s %s", "VCPUs",
		    field_text(definition, "vcpus"));
	print_needs(meta);
	print_disks(meta);
	if (field_get(meta, "devices"))
		output_line(stdout, "%-11s %s", "Devices",
			    "others than its definition has, added or removed "
			    "live");
	return output_flush(e);
}

const struct cli_command cli_command_snapshot_show = {
	.name = "snapshot show",
	.operands = "FILE",
	.min_operands = 1,
	.max_operands = 1,
	.complete = COMPLETE_FILE,
	.summary = "Show what a snapshot file holds",
	.detail = "With --output json also the whole definition.",
	.examples = "  armvmctl snapshot show /srv/web.snapshot\n",
	.run = run_show,
};
