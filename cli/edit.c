#include "cli/cli.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/fd.h"

#define TEXT_MAX MIB(1)

struct edit {
	char path[64]; /* of the text being edited */
	char *before;  /* as it was offered */
	json_object *revision;
	const char *name;
};

static int write_text(struct edit *ed, json_object *config, struct error *e)
{
	const char *dir = getenv("TMPDIR");
	_cleanup_close_ int fd = -1;
	int r;

	if (!dir || strlen(dir) > 32)
		dir = "/tmp";
	snprintf(ed->path, sizeof(ed->path), "%s/armvmctl-XXXXXX.json", dir);
	fd = mkostemps(ed->path, 5, O_CLOEXEC);
	if (fd < 0)
		return error_set(e, -errno, "cannot make %s: %s", ed->path,
				 strerror(errno));
	if (asprintf(&ed->before, "%s\n",
		     json_object_to_json_string_ext(
			     config,
			     JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
				     JSON_C_TO_STRING_NOSLASHESCAPE)) < 0)
		ed->before = NULL;
	if (!ed->before)
		return error_set(e, -ENOMEM, "out of memory");
	r = fd_write_full(fd, ed->before, strlen(ed->before));
	return r < 0 ? error_set(e, r, "cannot write %s: %s", ed->path,
				 strerror(-r))
		     : 0;
}

/* By the shell: EDITOR may hold arguments ("code --wait"). */
static int run_editor(const struct edit *ed, struct error *e)
{
	const char *editor = getenv("VISUAL");
	_cleanup_free_ char *script = NULL;
	pid_t pid;
	int status;

	if (!editor || !*editor)
		editor = getenv("EDITOR");
	if (!editor || !*editor)
		editor = "vi";
	if (asprintf(&script, "exec %s \"$1\"", editor) < 0) {
		script = NULL;
		return error_set(e, -ENOMEM, "out of memory");
	}
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", script, "sh", ed->path,
		      (char *)NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return error_set(e, -errno, "cannot run %s: %s", editor,
				 strerror(errno));
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return error_set_code(e, ERROR_CANCELLED,
				      "\"%s\" failed; nothing was changed",
				      editor);
	return 0;
}

static int read_text(const struct edit *ed, char **ret, struct error *e)
{
	_cleanup_close_ int fd = open(ed->path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	char *text;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_set(e, -errno, "cannot read %s: %s", ed->path,
				 strerror(errno));
	if ((uint64_t)st.st_size > TEXT_MAX)
		return error_set(e, -EINVAL, "%s is larger than 1 MiB",
				 ed->path);
	text = calloc(1, (size_t)st.st_size + 1);
	if (!text)
		return error_set(e, -ENOMEM, "out of memory");
	if (st.st_size > 0 && read(fd, text, (size_t)st.st_size) < 0) {
		free(text);
		return error_set(e, -errno, "cannot read %s: %s", ed->path,
				 strerror(errno));
	}
	*ret = text;
	return 0;
}

/* *ret_vm stays NULL when the text was left as it was. */
static int take(struct cli *cli, const struct edit *ed, json_object **ret_vm,
		struct error *e)
{
	_cleanup_json_ json_object *config = NULL;
	_cleanup_free_ char *text = NULL;
	json_object *params;
	int r = read_text(ed, &text, e);

	if (r < 0 || streq(text, ed->before))
		return r;
	r = json_parse(text, strlen(text), &config, e);
	if (r == 0 && !json_object_is_type(config, json_type_object))
		r = error_set(e, -EINVAL, "a definition is a JSON object");
	if (r == 0)
		r = cli_definition_paths(config, e);
	if (r < 0)
		return r;
	params = cli_name_params(ed->name);
	json_object_object_add(params, "revision",
			       json_object_get(ed->revision));
	json_object_object_add(params, "config", TAKE_PTR(config));
	return cli_call(cli, "vm.update", params, ret_vm, NULL, e);
}

static bool edit_again(const struct error *e)
{
	char answer[16] = "";

	if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO) ||
	    e->code == ERROR_NO_DAEMON || e->code == ERROR_CONFLICT)
		return false;
	output_line(stderr, "armvmctl: %s", e->message);
	fputs("Edit again? [Y/n] ", stderr);
	return fgets(answer, sizeof(answer), stdin) && answer[0] != 'n' &&
	       answer[0] != 'N';
}

static int edit(struct cli *cli, struct edit *ed, json_object **ret_vm,
		struct error *e)
{
	int r;

	for (;;) {
		r = run_editor(ed, e);
		if (r == 0)
			r = take(cli, ed, ret_vm, e);
		if (r == 0)
			break;
		if (edit_again(e))
			continue;
		return error_prefix(e, r, "what you wrote is in %s", ed->path);
	}
	unlink(ed->path);
	return 0;
}

static int run(struct cli *cli, const struct cli_args *args, struct error *e)
{
	_cleanup_json_ json_object *vm = NULL, *changed = NULL;
	struct edit ed = {.name = args->operands[0]};
	int r = cli_call(cli, "vm.get", cli_name_params(ed.name), &vm, NULL, e);

	if (r < 0)
		return r;
	ed.revision = field_get(vm, "revision");
	r = write_text(&ed, field_get(vm, "config"), e);
	if (r == 0)
		r = edit(cli, &ed, &changed, e);
	free(ed.before);
	if (r < 0)
		return r;
	if (cli->format != OUTPUT_TABLE)
		return output_object(cli->format, changed ? changed : vm, e);
	if (changed)
		output_line(stdout, "%s: revision %s", ed.name,
			    field_text(changed, "revision"));
	else
		output_line(stdout, "%s: not changed", ed.name);
	return output_flush(e);
}

const struct cli_command cli_command_edit = {
	.name = "edit",
	.operands = "NAME",
	.min_operands = 1,
	.max_operands = 1,
	.complete = COMPLETE_VM,
	.summary = "Edit a VM's definition with $EDITOR",
	.detail = "What was written is judged before it is taken; when it is "
		  "refused, it can be edited again. Somebody else's change in "
		  "the meantime is not overwritten.",
	.examples = "  armvmctl edit web\n"
		    "  EDITOR=nano armvmctl edit web\n",
	.run = run,
};
