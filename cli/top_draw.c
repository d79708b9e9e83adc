#include <stdio.h>

#include "cli/top.h"
#include "lib/base/parse.h"

#define NAME_MIN   8
#define NAME_MOST  32
#define HEAD_LINES 3 /* sums, an empty one, headings */
#define LINE_BYTES 512
/* With short names, what changes all the time fits 80 columns. */
#define LINE_REST "%8s %8s %8s %8s %8s %8s %7s"
#define LINE_HEAD "%-*s %-7s %6s " LINE_REST " %5s %8s"
#define LINE_VM	  "%-*.*s %-7.7s %6s " LINE_REST " %5u %8s"

static const char *const help[] = {
	"c cpu   m memory   d disk   n net   e exits   a name   r other way "
	"round",
	"arrows, page up and down, home   space: now   h or ?: this   q: leave",
	NULL,
};

struct text {
	char text[24];
};

/* "-" while nothing is known. */
static struct text percent(const struct top_vm *vm)
{
	struct text t = {"-"};

	if (vm->rated)
		snprintf(t.text, sizeof(t.text), "%.1f", vm->cpu * 100);
	return t;
}

static struct text number(const struct top_vm *vm, double value)
{
	struct text t = {"-"};

	if (vm->rated)
		snprintf(t.text, sizeof(t.text), "%.0f", value);
	return t;
}

static struct text size(uint64_t bytes)
{
	struct text t;

	format_size(bytes, t.text, sizeof(t.text));
	return t;
}

static struct text size_rate(const struct top_vm *vm, double value)
{
	struct text t = {"-"};

	if (vm->rated)
		format_size((uint64_t)value, t.text, sizeof(t.text));
	return t;
}

/* Append a line, cut at the screen's edge. Names may be UTF-8, so that is at
 * the beginning of a character; each counts as one wide. */
static int add_line(const struct top_view *v, struct buf *out, char *line)
{
	unsigned width = 0;
	size_t end = 0;

	while (line[end] && (v->columns == 0 || width <= v->columns)) {
		width += ((unsigned char)line[end] & 0xc0) != 0x80;
		if (v->columns > 0 && width > v->columns)
			break;
		end++;
	}
	while (end > 0 && line[end - 1] == ' ')
		end--;
	line[end] = '\0';
	return buf_printf(out, "%s\n", line);
}

static int draw_sums(const struct top_list *l, const struct top_view *v,
		     struct buf *out)
{
	char line[LINE_BYTES];
	double cpu = 0, read = 0, written = 0, received = 0, sent = 0;
	uint64_t resident = 0;

	for (size_t i = 0; i < l->n; i++) {
		const struct top_vm *vm = &l->vms[i];

		cpu += vm->cpu;
		resident += vm->resident;
		read += vm->disk_read;
		written += vm->disk_written;
		received += vm->net_received;
		sent += vm->net_sent;
	}
	snprintf(line, sizeof(line),
		 "%zu VM%s   CPU %.0f %%   memory %s   disk %s/s read, %s/s "
		 "written   net %s/s in, %s/s out",
		 l->n, l->n == 1 ? "" : "s", cpu * 100, size(resident).text,
		 size((uint64_t)read).text, size((uint64_t)written).text,
		 size((uint64_t)received).text, size((uint64_t)sent).text);
	return add_line(v, out, line);
}

static const char *mark(const struct top_view *v, enum top_order order)
{
	return v->order != order ? "" : v->reverse ? "^" : "*";
}

static int draw_headings(const struct top_view *v, int name, struct buf *out)
{
	char line[LINE_BYTES], heads[TOP_ORDERS][16];
	static const char *const titles[] = {
		[TOP_BY_CPU] = "CPU%",	    [TOP_BY_MEMORY] = "MEM",
		[TOP_BY_DISK] = "READ/s",   [TOP_BY_NET] = "IN/s",
		[TOP_BY_EXITS] = "EXITS/s", [TOP_BY_NAME] = "NAME",
	};

	for (int i = 0; i < TOP_ORDERS; i++)
		snprintf(heads[i], sizeof(heads[i]), "%s%s",
			 mark(v, (enum top_order)i), titles[i]);
	snprintf(line, sizeof(line), LINE_HEAD, name, heads[TOP_BY_NAME],
		 "STATE", heads[TOP_BY_CPU], heads[TOP_BY_MEMORY],
		 heads[TOP_BY_DISK], "WRITE/s", heads[TOP_BY_NET], "OUT/s",
		 heads[TOP_BY_EXITS], "IO/s", "VCPUS", "DEFINED");
	return add_line(v, out, line);
}

static int draw_vm(const struct top_vm *vm, const struct top_view *v, int name,
		   struct buf *out)
{
	char line[LINE_BYTES];

	snprintf(line, sizeof(line), LINE_VM, name, name, vm->name, vm->state,
		 percent(vm).text, size(vm->resident).text,
		 size_rate(vm, vm->disk_read).text,
		 size_rate(vm, vm->disk_written).text,
		 size_rate(vm, vm->net_received).text,
		 size_rate(vm, vm->net_sent).text, number(vm, vm->exits).text,
		 number(vm, vm->disk_requests).text, vm->vcpus,
		 size(vm->memory).text);
	return add_line(v, out, line);
}

static size_t help_lines(const struct top_view *v)
{
	return v->help ? ARRAY_SIZE(help) - 1 : 0;
}

size_t top_page(const struct top_view *v)
{
	size_t taken = HEAD_LINES + help_lines(v);

	if (v->rows == 0)
		return SIZE_MAX;
	return v->rows > taken ? v->rows - taken : 1;
}

static int name_width(const struct top_list *l, size_t first, size_t end)
{
	size_t width = NAME_MIN;

	for (size_t i = first; i < end; i++)
		width = MAX(width, strlen(l->vms[i].name));
	return (int)MIN(width, (size_t)NAME_MOST);
}

int top_draw(const struct top_list *l, const struct top_view *v,
	     struct buf *out)
{
	size_t first = MIN(v->first, l->n);
	size_t end = first + MIN(top_page(v), l->n - first);
	int name = name_width(l, first, end);
	int r = draw_sums(l, v, out);
	char line[LINE_BYTES];

	for (size_t i = 0; r == 0 && i < help_lines(v); i++) {
		snprintf(line, sizeof(line), "%s", help[i]);
		r = add_line(v, out, line);
	}
	if (r == 0)
		r = buf_append(out, "\n", 1);
	if (r == 0)
		r = draw_headings(v, name, out);
	for (size_t i = first; r == 0 && i < end; i++)
		r = draw_vm(&l->vms[i], v, name, out);
	return r;
}
