#include "supervisor/console_log.h"

#include <stdio.h>
#include <unistd.h>

#include "lib/base/fd.h"

struct console_log {
	struct console_log_params params;
	unsigned current; /* which part is written */
	bool open;	  /* it has its header */
	uint64_t from;	  /* of the current part */
	uint64_t size;	  /* of it, the header not counted */
	uint64_t boot;
	uint64_t tokens, tokens_ms; /* bytes that may be written, and when */
	uint64_t missing;	    /* bytes left out since the last written */
	bool failing;
	uint64_t retry_ms;
};

static uint64_t part_room(const struct console_log *l)
{
	uint64_t most = l->params.part_bytes - CONSOLE_LOG_HEADER;

	return l->size < most ? most - l->size : 0;
}

static int write_header(const struct console_log *l, unsigned part,
			uint64_t from)
{
	const struct console_log_part header = {.from = from, .boot = l->boot};

	return console_log_part_write(l->params.fds[part], &header);
}

/* The current part, if it has none yet; else the other, emptied. */
static int next_part(struct console_log *l)
{
	unsigned part = l->open ? !l->current : l->current;
	uint64_t from = l->from + l->size;
	int r = ftruncate(l->params.fds[part], 0) < 0 ? -errno : 0;

	if (r == 0)
		r = write_header(l, part, from);
	if (r < 0)
		return r;
	l->current = part;
	l->from = from;
	l->size = 0;
	l->open = true;
	return 0;
}

/* Also what was written of a write that failed counts. */
static int write_bytes(struct console_log *l, const char *data, size_t size)
{
	while (size > 0) {
		ssize_t n;
		int r;

		if (!l->open || part_room(l) == 0) {
			r = next_part(l);
			if (r < 0)
				return r;
		}
		n = pwrite(l->params.fds[l->current], data,
			   MIN(size, part_room(l)),
			   (off_t)(CONSOLE_LOG_HEADER + l->size));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		l->size += (uint64_t)n;
		data += n;
		size -= (size_t)n;
	}
	return 0;
}

static int write_missing(struct console_log *l)
{
	char text[96];
	int n;

	if (l->missing == 0)
		return 0;
	n = snprintf(text, sizeof(text),
		     "\n[armvmd: %llu bytes of output are missing here]\n",
		     (unsigned long long)l->missing);
	return write_bytes(l, text, (size_t)n);
}

static void tell_failure(struct console_log *l, int err)
{
	char text[160];

	if (l->failing)
		return;
	snprintf(text, sizeof(text),
		 "the console log cannot be written: %s; what is printed now "
		 "is missing in it",
		 strerror(err));
	l->failing = true;
	l->params.event(l->params.cookie, text);
}

static void tell_success(struct console_log *l, uint64_t missing)
{
	char text[96];

	if (!l->failing)
		return;
	snprintf(text, sizeof(text),
		 "the console log is written again; %llu bytes are missing",
		 (unsigned long long)missing);
	l->failing = false;
	l->params.event(l->params.cookie, text);
}

/* How much of `size` may be written now. */
static size_t take_tokens(struct console_log *l, size_t size)
{
	uint64_t now = l->params.now_ms(l->params.cookie);
	uint64_t ms = now - l->tokens_ms;

	/* After a long silence without the product, which could overflow. */
	if (ms > 1000 * (CONSOLE_LOG_BURST / CONSOLE_LOG_RATE))
		l->tokens = CONSOLE_LOG_BURST;
	else
		l->tokens = MIN(CONSOLE_LOG_BURST,
				l->tokens + ms * CONSOLE_LOG_RATE / 1000);
	l->tokens_ms = now;
	/* In pieces worth a line that says what is missing before them. */
	if (l->missing > 0 && l->tokens < MIN(size, KIB(16)))
		return 0;
	size = MIN(size, l->tokens);
	l->tokens -= size;
	return size;
}

static void on_output(void *cookie, const uint8_t *data, size_t size)
{
	struct console_log *l = cookie;
	uint64_t now = l->params.now_ms(l->params.cookie), end;
	uint64_t missing = l->missing;
	size_t n;
	int r;

	if (l->failing && now < l->retry_ms) {
		l->missing += size;
		return;
	}
	n = take_tokens(l, size);
	r = n > 0 ? write_missing(l) : 0;
	if (n > 0 && r == 0)
		l->missing = 0;
	end = l->from + l->size;
	if (r == 0)
		r = write_bytes(l, (const char *)data, n);
	/* After a failure in the middle, the rest is what is missing. */
	l->missing += size - (r < 0 ? l->from + l->size - end : n);
	if (r < 0) {
		l->retry_ms = now + CONSOLE_LOG_RETRY_MS;
		tell_failure(l, -r);
	} else if (n > 0) {
		tell_success(l, missing);
	}
}

static void on_skipped(void *cookie, uint64_t size)
{
	struct console_log *l = cookie;

	l->missing += size;
}

static void on_opened(void *cookie, bool open)
{
}

static const struct chardev_peer peer = {
	.output = on_output,
	.opened = on_opened,
	.skipped = on_skipped,
};

/* Go on behind the newer part. */
static void find_end(struct console_log *l)
{
	struct console_log_part part;

	for (unsigned i = 0; i < CONSOLE_LOG_PARTS; i++) {
		if (console_log_part_read(l->params.fds[i], &part) < 0)
			continue;
		if (l->open && part.from < l->from)
			continue;
		l->open = true;
		l->current = i;
		l->from = part.from;
		l->size = part.size;
		l->boot = part.boot;
	}
}

/* The last of what a part holds, up to `most` bytes. */
static void show_part(struct console_log *l, unsigned part, uint64_t size,
		      uint64_t most)
{
	uint64_t at = size > most ? size - most : 0;
	char bytes[4096];

	while (at < size) {
		size_t n = MIN(sizeof(bytes), size - at);

		if (fd_pread_full(l->params.fds[part], bytes, n,
				  (off_t)(CONSOLE_LOG_HEADER + at)) < 0)
			return;
		chardev_write(l->params.console, (uint8_t *)bytes, n);
		at += n;
	}
}

static void show_again(struct console_log *l)
{
	const uint64_t most = CHARDEV_SCROLLBACK_BYTES;
	struct console_log_part older;

	if (!l->open)
		return;
	if (l->size < most &&
	    console_log_part_read(l->params.fds[!l->current], &older) == 0 &&
	    older.from + older.size == l->from)
		show_part(l, !l->current, older.size, most - l->size);
	show_part(l, l->current, l->size, most);
}

int console_log_new(const struct console_log_params *params,
		    struct console_log **ret, struct error *e)
{
	struct console_log *l = calloc(1, sizeof(*l));
	uint64_t size = params->part_bytes;

	if (!l || size < CONSOLE_LOG_PART_MIN || size > CONSOLE_LOG_PART_MAX) {
		for (unsigned i = 0; i < CONSOLE_LOG_PARTS; i++)
			fd_close(params->fds[i]);
		if (!l)
			return error_set(e, -ENOMEM, "out of memory");
		free(l);
		return error_set(e, -EINVAL,
				 "a console log of %llu bytes a part is not "
				 "accepted: %llu to %llu are",
				 (unsigned long long)size,
				 (unsigned long long)CONSOLE_LOG_PART_MIN,
				 (unsigned long long)CONSOLE_LOG_PART_MAX);
	}
	l->params = *params;
	l->tokens = CONSOLE_LOG_BURST;
	l->tokens_ms = params->now_ms(params->cookie);
	find_end(l);
	if (params->goes_on)
		show_again(l);
	else
		console_log_boot(l);
	chardev_set_peer(params->console, &peer, l);
	*ret = l;
	return 0;
}

void console_log_boot(struct console_log *l)
{
	int r = 0;

	chardev_serve_peer(l->params.console);
	l->boot = l->from + l->size;
	if (l->open)
		r = write_header(l, l->current, l->from);
	if (r < 0)
		tell_failure(l, -r);
}

struct console_log *console_log_free(struct console_log *l)
{
	if (!l)
		return NULL;
	chardev_serve_peer(l->params.console);
	chardev_set_peer(l->params.console, NULL, NULL);
	/* Whether it works or not: this is the last there is to say. */
	(void)!write_missing(l);
	for (unsigned i = 0; i < CONSOLE_LOG_PARTS; i++)
		fd_close(l->params.fds[i]);
	free(l);
	return NULL;
}
