/*
 * The scripts of each shell: they hand the words typed to `armvmctl completion
 * words`, which knows the commands (cli/complete.c), and offer what it says.
 * `make lint` compares cli/armvmctl.{bash,zsh,fish} with what this prints.
 */
#include "cli/complete.h"

#include <unistd.h>

#include "lib/base/fd.h"

#define WORDS_MAX      256
#define WORDS_SIZE_MAX KIB(64)

const char *const cli_shells[] = {"bash", "zsh", "fish", NULL};

static const char bash[] =
	"# bash completion of armvmctl, made by: armvmctl completion bash\n"
	"# shellcheck shell=bash\n"
	"_armvmctl()\n"
	"{\n"
	"\tlocal cur=${COMP_WORDS[COMP_CWORD]} line\n"
	"\n"
	"\tCOMPREPLY=()\n"
	"\twhile IFS= read -r line; do\n"
	"\t\tif [[ $line == :files ]]; then\n"
	"\t\t\tcompopt -o filenames\n"
	"\t\t\tmapfile -t COMPREPLY < <(compgen -f -- \"${cur#=}\")\n"
	"\t\t\treturn\n"
	"\t\tfi\n"
	"\t\tCOMPREPLY+=(\"${line%%$'\\t'*}\")\n"
	"\tdone < <(printf '%s\\n' \"${COMP_WORDS[@]:1:COMP_CWORD}\" |\n"
	"\t\tarmvmctl completion words 2>/dev/null)\n"
	"}\n"
	"\n"
	"complete -F _armvmctl armvmctl\n";

static const char zsh[] =
	"#compdef armvmctl\n"
	"# zsh completion of armvmctl, made by: armvmctl completion zsh\n"
	"_armvmctl() {\n"
	"\tlocal line\n"
	"\tlocal -a lines found\n"
	"\n"
	"\tlines=(\"${(@f)$(printf '%s\\n' "
	"\"${(@Q)words[2,CURRENT-1]}\" \"${(Q)PREFIX}\" |\n"
	"\t\tarmvmctl completion words 2>/dev/null)}\")\n"
	"\tif [[ $lines[1] == :files ]]; then\n"
	"\t\tcompset -P '--*='\n"
	"\t\t_files\n"
	"\t\treturn\n"
	"\tfi\n"
	"\tfor line in $lines; do\n"
	"\t\tfound+=(\"${${line%%$'\\t'*}//:/\\\\:}:${line#*$'\\t'}\")\n"
	"\tdone\n"
	"\t_describe -t armvmctl armvmctl found\n"
	"}\n"
	"\n"
	"# Loaded by its name, or sourced.\n"
	"if [[ $funcstack[1] == _armvmctl ]]; then\n"
	"\t_armvmctl \"$@\"\n"
	"else\n"
	"\tcompdef _armvmctl armvmctl\n"
	"fi\n";

static const char fish[] =
	"# fish completion of armvmctl, made by: armvmctl completion fish\n"
	"function __armvmctl_words\n"
	"    set -l words (commandline -opc)\n"
	"    set -e words[1]\n"
	"    set -l current (commandline -ct)\n"
	"    set -l lines (printf '%s\\n' $words \"$current\" |\n"
	"        armvmctl completion words 2>/dev/null)\n"
	"    if test \"$lines[1]\" = :files\n"
	"        __fish_complete_path \"$current\"\n"
	"    else if set -q lines[1]\n"
	"        printf '%s\\n' $lines\n"
	"    end\n"
	"end\n"
	"\n"
	"complete -c armvmctl -f -a '(__armvmctl_words)'\n";

void cli_completion(FILE *out, const char *shell)
{
	fputs(streq(shell, "zsh")    ? zsh
	      : streq(shell, "fish") ? fish
				     : bash,
	      out);
}

/* Lines of standard input; the last one may be empty. Borrows `text`. */
static size_t split(char *text, char **words)
{
	size_t n = 0;

	for (char *next; n < WORDS_MAX && text; text = next) {
		next = strchr(text, '\n');
		if (next)
			*next++ = '\0';
		if (!next && !*text)
			break; /* behind the last newline */
		words[n++] = text;
	}
	return n;
}

static int read_words(struct buf *text, struct error *e)
{
	char chunk[4096];
	ssize_t n;

	while ((n = read(STDIN_FILENO, chunk, sizeof(chunk))) > 0)
		if (text->size > WORDS_SIZE_MAX ||
		    buf_append(text, chunk, (size_t)n) < 0)
			return error_set(e, -EINVAL, "too many words");
	return n < 0 ? error_set(e, -errno, "standard input: %s",
				 strerror(errno))
		     : 0;
}

static int complete(struct cli *cli, struct error *e)
{
	_cleanup_buf_ struct buf text = {0}, out = {0};
	char *words[WORDS_MAX];
	size_t n;
	int r = read_words(&text, e);

	if (r < 0)
		return r;
	n = text.data ? split(text.data, words) : 0;
	if (cli_complete(cli, words, n, &out) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	if (out.size > 0)
		fwrite(out.data, 1, out.size, stdout);
	cli->client = api_client_close(cli->client);
	cli->socket = NULL; /* may be one of the words */
	return output_flush(e);
}

static int run(struct cli *cli, const struct cli_args *args, struct error *e)
{
	const char *shell = args->operands[0];

	if (streq(shell, "words"))
		return complete(cli, e);
	for (const char *const *s = cli_shells; *s; s++)
		if (streq(*s, shell)) {
			cli_completion(stdout, shell);
			return output_flush(e);
		}
	return error_set(e, -EINVAL,
			 "no completion for \"%s\", only for bash, zsh and "
			 "fish",
			 shell);
}

const struct cli_command cli_command_completion = {
	.name = "completion",
	.operands = "SHELL",
	.min_operands = 1,
	.max_operands = 1,
	.values = cli_shells,
	.summary = "Print a completion script for bash, zsh or fish",
	.detail = "The scripts ask with SHELL words what may stand next: words "
		  "typed so far on standard\ninput, one a line, the last one "
		  "unfinished.",
	.examples = "  source <(armvmctl completion bash)\n"
		    "  armvmctl completion zsh >~/.zfunc/_armvmctl\n"
		    "  armvmctl completion fish "
		    ">~/.config/fish/completions/armvmctl.fish\n",
	.run = run,
};
