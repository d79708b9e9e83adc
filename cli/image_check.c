#include "cli/cli.h"

#include <fcntl.h>

#include "lib/base/fd.h"
#include "lib/image/image.h"

static json_object *finding_object(const struct image_finding *f)
{
	json_object *o = json_object_new_object();

	json_object_object_add(o, "clause", json_object_new_string(f->clause));
	json_object_object_add(
		o, "verdict",
		json_object_new_string(image_verdict_name(f->verdict)));
	json_object_object_add(o, "text", json_object_new_string(f->text));
	return o;
}

static json_object *report_object(const char *path,
				  const struct image_report *report)
{
	json_object *o = json_object_new_object();
	json_object *list = json_object_new_array();

	for (size_t i = 0; i < report->count; i++)
		json_object_array_add(list,
				      finding_object(&report->findings[i]));
	json_object_object_add(o, "path", json_object_new_string(path));
	json_object_object_add(
		o, "bootable_aarch64",
		json_object_new_boolean(report->bootable_aarch64));
	json_object_object_add(
		o, "bootable_aarch32",
		json_object_new_boolean(report->bootable_aarch32));
	json_object_object_add(o, "findings", list);
	return o;
}

static const char *clause(json_object *finding, char *buf, size_t size)
{
	return field_text(finding, "clause");
}

static const char *verdict(json_object *finding, char *buf, size_t size)
{
	return field_text(finding, "verdict");
}

static const char *text(json_object *finding, char *buf, size_t size)
{
	return field_text(finding, "text");
}

static const struct output_column columns[] = {
	{"CLAUSE", clause},
	{"VERDICT", verdict},
	{"FINDING", text},
};

static int verdict_of(const struct image_report *report, const char *path,
		      struct error *e)
{
	for (size_t i = 0; i < report->count; i++)
		if (report->findings[i].verdict == IMAGE_FAIL)
			return error_set_code(e, ERROR_BAD_IMAGE,
					      "%s does not conform: %s fails",
					      path, report->findings[i].clause);
	return 0;
}

static int run(struct cli *cli, const struct cli_args *args, struct error *e)
{
	_cleanup_json_ json_object *object = NULL;
	const char *path = args->operands[0];
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct image_report report = {0};
	int r;

	if (fd < 0)
		return error_set(e, -errno, "%s cannot be opened: %s", path,
				 strerror(errno));
	r = image_check(fd, path, &report, e);
	if (r < 0)
		return r;
	object = report_object(path, &report);
	r = output_rows(cli->format, field_get(object, "findings"), object,
			columns, ARRAY_SIZE(columns), e);
	if (r == 0 && cli->format == OUTPUT_TABLE)
		printf("Boots AArch64: %s, AArch32: %s\n",
		       report.bootable_aarch64 ? "yes" : "no",
		       report.bootable_aarch32 ? "yes" : "no");
	fflush(stdout);
	return r < 0 ? r : verdict_of(&report, path, e);
}

const struct cli_command cli_command_image_check = {
	.name = "image check",
	.operands = "PATH",
	.min_operands = 1,
	.max_operands = 1,
	.complete = COMPLETE_FILE,
	.summary = "Judge a disk image by the ARM VM System Specification",
	.detail = "Needs no armvmd. Exit status 14 when a clause fails.",
	.examples = "  armvmctl image check debian.raw\n"
		    "  armvmctl image check debian.raw --output json\n",
	.run = run,
};
