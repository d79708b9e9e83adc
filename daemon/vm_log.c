#include "daemon/vm_log.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "daemon/conf.h"
#include "daemon/vm_files.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"

static const char *const names[CONSOLE_LOG_PARTS] = {VM_LOG_NAME(0),
						     VM_LOG_NAME(1)};

uint64_t vm_log_part_bytes(const struct vm *vm)
{
	return vm->manager->conf->console_log_bytes / CONSOLE_LOG_PARTS;
}

void vm_log_open(struct vm *vm, struct resources *res)
{
	struct error e = ERROR_INIT;
	int fds[CONSOLE_LOG_PARTS] = {-1, -1};
	int r = 0;

	if (vm_log_part_bytes(vm) == 0)
		return;
	for (unsigned i = 0; i < CONSOLE_LOG_PARTS && r == 0; i++)
		r = vm_files_open(vm, names[i], 0640, &fds[i], &e);
	if (r < 0) {
		log_vm(LOG_LEVEL_WARNING, vm->config.name,
		       "its console is not logged: %s", e.message);
		fd_close_many(fds, CONSOLE_LOG_PARTS);
		return;
	}
	resources_add(res, "console-log:", "0", fds[0]);
	resources_add(res, "console-log:", "1", fds[1]);
}

/* What can be read now: the parts that follow each other, in their order. */
struct log {
	int fds[CONSOLE_LOG_PARTS];
	struct console_log_part parts[CONSOLE_LOG_PARTS];
	unsigned n;
	uint64_t start, end, boot;
};

static int part_open(struct vm *vm, unsigned part, int *ret_fd, struct error *e)
{
	_cleanup_free_ char *dir = manager_vm_dir(vm->manager, vm->config.uuid);
	_cleanup_free_ char *path = NULL;

	if (!dir || asprintf(&path, "%s/%s", dir, names[part]) < 0) {
		path = NULL;
		return error_set(e, -ENOMEM, "out of memory");
	}
	*ret_fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (*ret_fd < 0 && errno != ENOENT)
		return error_set(e, -errno, "cannot open %s: %m", path);
	return 0;
}

static void parts_close(struct log *l)
{
	fd_close_many(l->fds, CONSOLE_LOG_PARTS);
}

static void swap_parts(struct log *l)
{
	struct console_log_part part = l->parts[0];
	int fd = l->fds[0];

	l->parts[0] = l->parts[1];
	l->parts[1] = part;
	l->fds[0] = l->fds[1];
	l->fds[1] = fd;
}

/* Keep those that are parts, the older one first, and only if the newer one
 * follows it. */
static void order(struct log *l)
{
	struct console_log_part *p = l->parts;

	if (l->n == CONSOLE_LOG_PARTS && p[0].from > p[1].from)
		swap_parts(l);
	if (l->n == CONSOLE_LOG_PARTS && p[0].from + p[0].size != p[1].from) {
		swap_parts(l);
		l->n = 1;
	}
	if (l->n == 0)
		return;
	l->start = p[0].from;
	l->end = p[l->n - 1].from + p[l->n - 1].size;
	l->boot = MIN(MAX(p[l->n - 1].boot, l->start), l->end);
}

static int parts_open(struct vm *vm, struct log *ret, struct error *e)
{
	struct log l = {.fds = {-1, -1}};
	int fd, r = 0;

	for (unsigned i = 0; i < CONSOLE_LOG_PARTS && r == 0; i++) {
		fd = -1;
		r = part_open(vm, i, &fd, e);
		if (fd < 0)
			continue;
		if (console_log_part_read(fd, &l.parts[l.n]) == 0)
			l.fds[l.n++] = fd;
		else
			fd_close(fd);
	}
	if (r < 0) {
		parts_close(&l);
		return r;
	}
	order(&l);
	*ret = l;
	return 0;
}

/*
 * Up to `size` bytes at `at`; how many there were. The supervisor may be
 * emptying a part: what was read counts if the part is still the same.
 */
static size_t parts_read(const struct log *l, uint64_t at, char *data,
			 size_t size)
{
	size_t done = 0;

	for (unsigned i = 0; i < l->n && done < size; i++) {
		const struct console_log_part *p = &l->parts[i];
		struct console_log_part now;
		uint64_t end = p->from + p->size;
		ssize_t n;

		if (at < p->from || at >= end)
			continue;
		n = pread(l->fds[i], data + done, MIN(size - done, end - at),
			  (off_t)(CONSOLE_LOG_HEADER + at - p->from));
		if (n <= 0 || console_log_part_read(l->fds[i], &now) < 0 ||
		    now.from != p->from)
			break;
		done += (size_t)n;
		at += (uint64_t)n;
	}
	return done;
}

/* Where the last `lines` lines begin, looking back no further than `start`. A
 * last line without its end is one. */
static uint64_t find_lines(const struct log *l, uint64_t start, uint32_t lines)
{
	_cleanup_free_ char *data = malloc(VM_LOG_PAGE);
	uint64_t at = l->end;
	bool first = true;

	while (data && at > start) {
		size_t size = (size_t)MIN(at - start, VM_LOG_PAGE);

		if (parts_read(l, at - size, data, size) != size)
			break;
		for (size_t i = size; i > 0; i--) {
			bool end = data[i - 1] == '\n';

			if (end && !first && lines-- == 1)
				return at - size + i;
			first = false;
		}
		at -= size;
	}
	return at;
}

static uint64_t find_start(const struct log *l, const struct vm_log_query *q)
{
	uint64_t start = q->since_boot ? l->boot : l->start;

	if (q->position > 0)
		return MIN(MAX((uint64_t)q->position, l->start), l->end);
	return q->lines > 0 ? find_lines(l, start, q->lines) : start;
}

int vm_log_read(struct vm *vm, const struct vm_log_query *q,
		struct vm_log_page *ret, struct error *e)
{
	_cleanup_(parts_close) struct log l = {.fds = {-1, -1}};
	struct vm_log_page page = {0};
	int r = parts_open(vm, &l, e);

	if (r < 0)
		return r;
	page.data = malloc(VM_LOG_PAGE);
	if (!page.data)
		return error_set(e, -ENOMEM, "out of memory");
	page.from = find_start(&l, q);
	page.end = l.end;
	if (q->position > 0 && (uint64_t)q->position < page.from)
		page.lost = page.from - (uint64_t)q->position;
	page.next = page.from +
		    parts_read(&l, page.from, page.data, VM_LOG_PAGE);
	*ret = page;
	return 0;
}
