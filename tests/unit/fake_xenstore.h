/*
 * A xenstore in memory, in place of vmm-xen/xs_calls.c. It fails the call that
 * is asked to. One at a time: the table has no cookie.
 */
#ifndef TESTS_UNIT_FAKE_XENSTORE_H
#define TESTS_UNIT_FAKE_XENSTORE_H

#include <stdarg.h>
#include <stdio.h>
#include <sys/eventfd.h>

#include "lib/base/fd.h"
#include "vmm-xen/xs_calls.h"

#define FAKE_NODES   512
#define FAKE_WATCHES 64
#define FAKE_EVENTS  256

struct fake_node {
	char path[160];
	char value[64];
	unsigned size;
};

struct fake_tree {
	struct fake_node nodes[FAKE_NODES];
	size_t n;
};

struct fake_watch {
	char path[160], token[24];
};

struct fake_store {
	struct fake_tree tree,
		before; /* the latter: at the transaction's start */
	struct fake_watch watches[FAKE_WATCHES];
	size_t n_watches;
	struct fake_watch events[FAKE_EVENTS];
	size_t n_events;
	int fd;
	bool in_transaction, lost;
	unsigned calls, fail_at; /* 0: none; else the call that fails */
	int fail_errno;
	unsigned conflicts; /* transactions that will be in others' way */
	/* Where xenstored listens, and its device; "": nowhere. */
	char socket_path[96], device_path[96];
};

static struct fake_store fake;

static inline bool fake_fails(void)
{
	if (++fake.calls != fake.fail_at)
		return false;
	errno = fake.fail_errno;
	return true;
}

static inline struct fake_node *fake_find(const char *path)
{
	for (size_t i = 0; i < fake.tree.n; i++)
		if (strcmp(fake.tree.nodes[i].path, path) == 0)
			return &fake.tree.nodes[i];
	return NULL;
}

static inline bool fake_below(const char *path, const char *top)
{
	size_t n = strlen(top);

	return strncmp(path, top, n) == 0 &&
	       (path[n] == '\0' || path[n] == '/');
}

static inline void fake_signal(void)
{
	uint64_t one = 1;

	if (write(fake.fd, &one, sizeof(one)) != sizeof(one))
		abort();
}

static inline void fake_fire(const struct fake_watch *w)
{
	if (fake.n_events < FAKE_EVENTS)
		fake.events[fake.n_events++] = *w;
	fake_signal();
}

/* Watches above a node that changed, and below one that went. */
static inline void fake_changed(const char *path, bool with_below)
{
	if (fake.in_transaction)
		return;
	for (size_t i = 0; i < fake.n_watches; i++)
		if (fake_below(path, fake.watches[i].path) ||
		    (with_below && fake_below(fake.watches[i].path, path)))
			fake_fire(&fake.watches[i]);
}

static inline struct fake_node *fake_make(const char *path)
{
	struct fake_node *node = fake_find(path);
	char parent[160];
	char *slash;

	if (node)
		return node;
	snprintf(parent, sizeof(parent), "%s", path);
	slash = strrchr(parent, '/');
	if (slash && slash != parent) {
		*slash = '\0';
		fake_make(parent);
	}
	if (fake.tree.n == FAKE_NODES)
		abort();
	node = &fake.tree.nodes[fake.tree.n++];
	*node = (struct fake_node){.size = 0};
	snprintf(node->path, sizeof(node->path), "%s", path);
	return node;
}

/* What a guest or dom0's kernel writes, past the table. */
static inline void fake_put(const char *path, const void *value, size_t size)
{
	struct fake_node *node = fake_make(path);

	if (size >= sizeof(node->value))
		size = sizeof(node->value) - 1;
	memcpy(node->value, value, size);
	node->value[size] = '\0';
	node->size = (unsigned)size;
	fake_changed(path, false);
}

static inline bool fake_take(const char *path)
{
	size_t kept = 0, n = fake.tree.n;

	for (size_t i = 0; i < n; i++)
		if (!fake_below(fake.tree.nodes[i].path, path))
			fake.tree.nodes[kept++] = fake.tree.nodes[i];
	fake.tree.n = kept;
	if (kept == n)
		return false;
	fake_changed(path, true);
	return true;
}

static inline const char *fake_get(const char *path)
{
	const struct fake_node *node = fake_find(path);

	return node ? node->value : NULL;
}

/* ---- the table of libxenstore -------------------------------------------- */

static inline const char *fake_socket_path(void)
{
	return *fake.socket_path ? fake.socket_path : NULL;
}

static inline const char *fake_device_path(void)
{
	return *fake.device_path ? fake.device_path : NULL;
}

static inline struct xs_handle *fake_open(unsigned long flags)
{
	return fake_fails() ? NULL : (struct xs_handle *)&fake;
}

static inline void fake_close(struct xs_handle *xs)
{
}

static inline int fake_fileno(struct xs_handle *xs)
{
	return fake.fd;
}

static inline void *fake_read(struct xs_handle *xs, xs_transaction_t t,
			      const char *path, unsigned *ret_size)
{
	const struct fake_node *node;
	char *copy;

	if (fake_fails())
		return NULL;
	node = fake_find(path);
	if (!node) {
		errno = ENOENT;
		return NULL;
	}
	copy = calloc(1, node->size + 1);
	memcpy(copy, node->value, node->size);
	*ret_size = node->size;
	return copy;
}

static inline bool fake_write(struct xs_handle *xs, xs_transaction_t t,
			      const char *path, const void *data, unsigned size)
{
	if (fake_fails())
		return false;
	fake_put(path, data, size);
	return true;
}

static inline bool fake_mkdir(struct xs_handle *xs, xs_transaction_t t,
			      const char *path)
{
	if (fake_fails())
		return false;
	fake_make(path);
	return true;
}

static inline bool fake_rm(struct xs_handle *xs, xs_transaction_t t,
			   const char *path)
{
	if (fake_fails())
		return false;
	if (fake_take(path))
		return true;
	errno = ENOENT;
	return false;
}

/* One block, as libxenstore has it: pointers, then names. */
static inline char **fake_directory(struct xs_handle *xs, xs_transaction_t t,
				    const char *path, unsigned *ret_n)
{
	size_t n = strlen(path), found = 0;
	char **list, *at;

	if (fake_fails())
		return NULL;
	if (!fake_find(path)) {
		errno = ENOENT;
		return NULL;
	}
	list = calloc(1, FAKE_NODES * (sizeof(*list) + 160));
	at = (char *)(list + FAKE_NODES);
	for (size_t i = 0; i < fake.tree.n; i++) {
		const char *name = fake.tree.nodes[i].path + n + 1;

		if (!fake_below(fake.tree.nodes[i].path, path) ||
		    !fake.tree.nodes[i].path[n] || strchr(name, '/'))
			continue;
		list[found++] = at;
		at = stpcpy(at, name) + 1;
	}
	*ret_n = (unsigned)found;
	return list;
}

static inline bool fake_permissions(struct xs_handle *xs, xs_transaction_t t,
				    const char *path,
				    struct xs_permissions *perms, unsigned n)
{
	return !fake_fails();
}

static inline xs_transaction_t fake_start(struct xs_handle *xs)
{
	if (fake_fails())
		return XBT_NULL;
	fake.before = fake.tree;
	fake.in_transaction = true;
	return 1;
}

static inline bool fake_end(struct xs_handle *xs, xs_transaction_t t,
			    bool aborted)
{
	bool failed = !aborted && fake_fails();

	if (!aborted && !failed && fake.conflicts > 0) {
		fake.conflicts--;
		failed = true;
		errno = EAGAIN;
	}
	fake.in_transaction = false;
	if (aborted || failed) {
		fake.tree = fake.before;
		return aborted;
	}
	for (size_t i = 0; i < fake.n_watches; i++)
		fake_fire(&fake.watches[i]);
	return true;
}

static inline bool fake_add_watch(struct xs_handle *xs, const char *path,
				  const char *token)
{
	struct fake_watch *w;

	if (fake_fails() || fake.n_watches == FAKE_WATCHES)
		return false;
	w = &fake.watches[fake.n_watches++];
	snprintf(w->path, sizeof(w->path), "%s", path);
	snprintf(w->token, sizeof(w->token), "%s", token);
	fake_fire(w);
	return true;
}

static inline bool fake_drop_watch(struct xs_handle *xs, const char *path,
				   const char *token)
{
	for (size_t i = 0; i < fake.n_watches; i++) {
		if (strcmp(fake.watches[i].token, token) != 0)
			continue;
		fake.watches[i] = fake.watches[--fake.n_watches];
		return true;
	}
	return false;
}

static inline char **fake_check(struct xs_handle *xs)
{
	uint64_t count;
	char **event, *text;

	if (fake.lost) {
		errno = EINVAL;
		return NULL;
	}
	if (fake.n_events == 0) {
		if (read(fake.fd, &count, sizeof(count)) < 0)
			errno = EAGAIN;
		errno = EAGAIN;
		return NULL;
	}
	event = calloc(1, 2 * sizeof(*event) + sizeof(struct fake_watch));
	text = (char *)(event + 2);
	event[XS_WATCH_PATH] = strcpy(text, fake.events[0].path);
	event[XS_WATCH_TOKEN] = strcpy(text + 160, fake.events[0].token);
	memmove(fake.events, fake.events + 1,
		--fake.n_events * sizeof(fake.events[0]));
	return event;
}

const struct xs_calls xs_api = {
	.socket_path = fake_socket_path,
	.device_path = fake_device_path,
	.open = fake_open,
	.close = fake_close,
	.fileno = fake_fileno,
	.read = fake_read,
	.write = fake_write,
	.mkdir = fake_mkdir,
	.rm = fake_rm,
	.directory = fake_directory,
	.set_permissions = fake_permissions,
	.transaction_start = fake_start,
	.transaction_end = fake_end,
	.watch = fake_add_watch,
	.unwatch = fake_drop_watch,
	.check_watch = fake_check,
};

static inline void fake_begin(void)
{
	memset(&fake, 0, sizeof(fake));
	fake.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

#endif
