#include "cli/top.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "cli/terminal.h"
#include "lib/base/fd.h"
#include "lib/base/parse.h"

#define INTERVAL_MS  2000
#define FIRST_MS     1000  /* the first rates are there sooner */
#define PAGE_LIMIT   10000 /* which is all, almost everywhere */
#define SCREEN_ENTER "\033[?1049h\033[?25l"
#define SCREEN_LEAVE "\033[?25h\033[?1049l"
#define SCREEN_HOME  "\033[H"
#define LINE_END     "\033[K\r\n"
#define SCREEN_REST  "\033[J"
#define INTERRUPT    0x03 /* Ctrl-C, in raw mode */

struct top {
	struct cli *cli;
	json_object *labels; /* NULL: all */
	struct top_list list, before;
	struct top_view view;
	struct terminal terminal;
	int resize_fd;
	bool quit;
};

/* All that are active; one call has 10,000 of them. */
static int ask(struct top *t, struct top_list *ret, struct error *e)
{
	_cleanup_free_ char *cursor = NULL;
	bool more = true;
	int r = 0;

	while (r == 0 && more) {
		_cleanup_json_ json_object *page = NULL;
		json_object *params = json_object_new_object(), *vms;

		json_object_object_add(params, "limit",
				       json_object_new_int(PAGE_LIMIT));
		json_object_object_add(params, "totals",
				       json_object_new_boolean(true));
		if (t->labels)
			json_object_object_add(params, "labels",
					       json_object_get(t->labels));
		if (cursor)
			json_object_object_add(params, "cursor",
					       json_object_new_string(cursor));
		r = cli_call(t->cli, "stats.list", params, &page, NULL, e);
		vms = field_get(page, "vms");
		for (size_t i = 0; r == 0 && i < field_count(vms); i++)
			r = top_list_add(ret, json_object_array_get_idx(vms, i),
					 e);
		free(cursor);
		cursor = strdup(field_text(page, "cursor"));
		more = cursor && *cursor;
	}
	return r;
}

static int sample(struct top *t, struct error *e)
{
	struct top_list now = {0};
	int r = ask(t, &now, e);

	if (r < 0) {
		top_list_done(&now);
		return r;
	}
	top_list_done(&t->before);
	t->before = t->list;
	t->list = now;
	top_list_rate(&t->list, &t->before);
	top_list_sort(&t->list, t->view.order, t->view.reverse);
	return 0;
}

static int print_json(const struct top *t, struct error *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < t->list.n; i++) {
		_cleanup_json_ json_object *o = top_vm_to_json(&t->list.vms[i]);

		r = output_object(OUTPUT_JSONL, o, e);
	}
	return r;
}

static int print_table(const struct top *t, struct error *e)
{
	_cleanup_buf_ struct buf out = {0};

	if (top_draw(&t->list, &t->view, &out) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	fwrite(out.data, 1, out.size, stdout);
	return output_flush(e);
}

static int run_batch(struct top *t, uint64_t times, struct error *e)
{
	uint64_t wait_ms = MIN(t->view.interval_ms, FIRST_MS);
	int r = sample(t, e);

	for (uint64_t i = 0; r == 0 && (times == 0 || i < times); i++) {
		usleep((useconds_t)wait_ms * 1000);
		wait_ms = t->view.interval_ms;
		r = sample(t, e);
		if (r == 0 && i > 0 && t->cli->format == OUTPUT_TABLE)
			putchar('\n');
		if (r == 0)
			r = t->cli->format == OUTPUT_TABLE ? print_table(t, e)
							   : print_json(t, e);
	}
	return r;
}

static void look_at_size(struct top *t)
{
	struct winsize w = {0};

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) < 0 || w.ws_row == 0) {
		w.ws_row = 24;
		w.ws_col = 80;
	}
	t->view.rows = w.ws_row;
	t->view.columns = w.ws_col;
}

/* In one write, over what is there: nothing flickers. */
static int draw(struct top *t, struct error *e)
{
	_cleanup_buf_ struct buf lines = {0}, out = {0};
	size_t page = top_page(&t->view), at = 0;
	int r;

	t->view.first = MIN(t->view.first,
			    t->list.n > page ? t->list.n - page : 0);
	r = top_draw(&t->list, &t->view, &lines);
	if (r == 0)
		r = buf_printf(&out, "%s", SCREEN_HOME);
	while (r == 0 && at < lines.size) {
		size_t n = strcspn(lines.data + at, "\n");
		bool last = at + n + 1 >= lines.size;

		r = buf_append(&out, lines.data + at, n);
		if (r == 0)
			r = buf_printf(&out, "%s", last ? "\033[K" : LINE_END);
		at += n + 1;
	}
	if (r == 0)
		r = buf_printf(&out, "%s", SCREEN_REST);
	if (r < 0)
		return error_set(e, -ENOMEM, "out of memory");
	r = fd_write_full(STDOUT_FILENO, out.data, out.size);
	return r < 0 ? error_set(e, -EIO, "the terminal is gone") : 0;
}

static void order_by(struct top *t, enum top_order order)
{
	t->view.reverse = t->view.order == order && !t->view.reverse;
	t->view.order = order;
	t->view.first = 0;
	top_list_sort(&t->list, order, t->view.reverse);
}

static void scroll(struct top *t, size_t lines, bool up)
{
	size_t first = t->view.first;

	t->view.first = !up ? first + lines : first > lines ? first - lines : 0;
}

/* Behind "ESC [" or "ESC O": arrows, page up and down, home. How long it is. */
static size_t take_sequence(struct top *t, const char *key)
{
	size_t n = strspn(key, "0123456789;");
	char end = key[n];

	if (end == 'A' || end == 'B')
		scroll(t, 1, end == 'A');
	else if (end == '~' && (*key == '5' || *key == '6'))
		scroll(t, top_page(&t->view), *key == '5');
	else if (end == 'H' || (end == '~' && *key == '1'))
		t->view.first = 0;
	return n + (end != '\0');
}

static bool take_key(struct top *t, char key)
{
	static const char orders[] = {
		[TOP_BY_CPU] = 'c', [TOP_BY_MEMORY] = 'm', [TOP_BY_DISK] = 'd',
		[TOP_BY_NET] = 'n', [TOP_BY_EXITS] = 'e',  [TOP_BY_NAME] = 'a',
	};

	for (int i = 0; i < TOP_ORDERS; i++)
		if (key == orders[i])
			order_by(t, (enum top_order)i);
	if (key == 'r')
		order_by(t, t->view.order);
	else if (key == 'h' || key == '?')
		t->view.help = !t->view.help;
	else if (key == 'q' || key == INTERRUPT)
		t->quit = true;
	return key == ' ';
}

/* Whether a new sample is wanted. */
static bool take_keys(struct top *t)
{
	char keys[64];
	ssize_t n = read(STDIN_FILENO, keys, sizeof(keys) - 1);
	bool now = false;

	if (n <= 0) {
		t->quit = n == 0 || errno != EINTR;
		return false;
	}
	keys[n] = '\0';
	for (char *key = keys; *key;) {
		if (key[0] == '\033' && (key[1] == '[' || key[1] == 'O'))
			key += 2 + take_sequence(t, key + 2);
		else
			now |= take_key(t, *key++);
	}
	return now;
}

/* Until the next sample is due; whether it is. */
static bool wait_for_keys(struct top *t, int64_t due_ms)
{
	struct pollfd p[] = {
		{.fd = STDIN_FILENO, .events = POLLIN},
		{.fd = t->terminal.signal_fd, .events = POLLIN},
		{.fd = t->resize_fd, .events = POLLIN},
	};
	struct signalfd_siginfo info;
	int64_t left = due_ms - cli_now_ms();

	if (left <= 0 || poll(p, ARRAY_SIZE(p), (int)left) <= 0)
		return left <= 0 || cli_now_ms() >= due_ms;
	if (p[1].revents) {
		(void)!write(STDOUT_FILENO, SCREEN_LEAVE, strlen(SCREEN_LEAVE));
		terminal_die(&t->terminal);
	}
	if (p[2].revents && read(t->resize_fd, &info, sizeof(info)) > 0)
		look_at_size(t);
	return p[0].revents ? take_keys(t) : false;
}

static int loop(struct top *t, uint64_t times, struct error *e)
{
	uint64_t wait_ms = MIN(t->view.interval_ms, FIRST_MS);
	uint64_t drawn = 0;
	int r = sample(t, e);

	while (r == 0 && !t->quit) {
		int64_t due = cli_now_ms() + (int64_t)wait_ms;

		r = draw(t, e);
		while (r == 0 && !t->quit && !wait_for_keys(t, due))
			r = draw(t, e);
		if (times > 0 && drawn++ == times)
			break;
		wait_ms = t->view.interval_ms;
		if (r == 0 && !t->quit)
			r = sample(t, e);
	}
	return r;
}

static int run_screen(struct top *t, uint64_t times, struct error *e)
{
	sigset_t resize;
	int r = terminal_open(&t->terminal, e);

	if (r < 0)
		return r;
	sigemptyset(&resize);
	sigaddset(&resize, SIGWINCH);
	sigprocmask(SIG_BLOCK, &resize, NULL);
	t->resize_fd = signalfd(-1, &resize, SFD_CLOEXEC | SFD_NONBLOCK);
	look_at_size(t);
	(void)!write(STDOUT_FILENO, SCREEN_ENTER, strlen(SCREEN_ENTER));
	r = loop(t, times, e);
	(void)!write(STDOUT_FILENO, SCREEN_LEAVE, strlen(SCREEN_LEAVE));
	t->resize_fd = fd_close(t->resize_fd);
	terminal_close(&t->terminal);
	return r;
}

static enum top_order order_named(const char *name)
{
	int i = 0;

	while (name && i < TOP_ORDERS && !streq(top_order_names[i], name))
		i++;
	return name ? (enum top_order)i : TOP_BY_CPU;
}

static int read_options(const struct cli_args *args, struct top *t,
			uint64_t *ret_times, struct error *e)
{
	const char *interval = cli_option(args, "interval");
	const char *count = cli_option(args, "count");
	int r = 0;

	t->view.order = order_named(cli_option(args, "sort"));
	t->view.interval_ms = INTERVAL_MS;
	if (interval)
		r = parse_duration(interval, "--interval", &t->view.interval_ms,
				   e);
	if (r == 0 &&
	    (t->view.interval_ms < 100 || t->view.interval_ms > 3600 * 1000))
		r = error_set(e, -EINVAL,
			      "--interval \"%s\": from 100ms to 1h is possible",
			      interval);
	if (r == 0 && count)
		r = parse_u64(count, "--count", 1, UINT32_MAX, ret_times, e);
	return r == 0 ? cli_labels(args, &t->labels, e) : r;
}

static int run(struct cli *cli, const struct cli_args *args, struct error *e)
{
	struct top t = {.cli = cli, .resize_fd = -1};
	bool batch = cli_option(args, "batch") || cli->format != OUTPUT_TABLE ||
		     !isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO);
	uint64_t times = 0;
	int r = read_options(args, &t, &times, e);

	if (r == 0)
		r = batch ? run_batch(&t, times, e) : run_screen(&t, times, e);
	top_list_done(&t.list);
	top_list_done(&t.before);
	json_object_put(t.labels);
	return r;
}

static const struct cli_option options[] = {
	{"sort", "COLUMN", "cpu (default), memory, disk, net, exits or name",
	 .values = top_order_names},
	{"interval", "TIME", "how often (default: 2s)", .letter = 'd'},
	{"batch", NULL, "one table after the other, for files", .letter = 'b'},
	{"count", "N", "end after N tables", .letter = 'n'},
	{"label", "KEY=VALUE", "only VMs with this label", .repeatable = true},
	{NULL},
};

const struct cli_command cli_command_top = {
	.name = "top",
	.operands = "",
	.summary = "Watch CPU, memory, disks and network of all running VMs",
	.detail =
		"Figures are per second. On a terminal: c, m, d, n, e and a "
		"sort by CPU, memory, disk,\nnetwork, exits and name, r the "
		"other way round; arrows scroll, h shows all keys, q leaves.\n"
		"When standard output is no terminal, or with --output json: "
		"as with --batch, and JSON is\none object a line for each "
		"VM.",
	.examples = "  armvmctl top\n"
		    "  armvmctl top --sort net --interval 5s\n"
		    "  armvmctl top -b -n 1\n"
		    "  armvmctl top --label role=web --output jsonl -n 10\n",
	.options = options,
	.run = run,
};
