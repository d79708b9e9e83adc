/* Transactions of xen_store.h. */
#include <stdarg.h>
#include <stdio.h>

#include "vmm-xen/xen_store.h"
#include "vmm-xen/xen_store_internal.h"
#include "vmm-xen/xs_calls.h"

/* Others change what we read or write all the time while domains come and go,
 * but no transaction of ours loses that often. */
#define TRIES_MAX 100

enum change_kind { CHANGE_DIR, CHANGE_WRITE, CHANGE_REMOVE };

struct xen_change {
	enum change_kind kind;
	enum xen_access access;
	uint32_t domid;
	char path[XEN_PATH_MAX];
	char *value; /* of CHANGE_WRITE, owned */
};

static struct xen_change *change_add(struct xen_changes *c,
				     enum change_kind kind)
{
	struct xen_change *list = c->list;

	if (c->err < 0)
		return NULL;
	if (c->n == c->allocated) {
		size_t allocated = c->allocated ? 2 * c->allocated : 64;

		list = reallocarray(c->list, allocated, sizeof(*list));
		if (!list) {
			c->err = -ENOMEM;
			return NULL;
		}
		c->list = list;
		c->allocated = allocated;
	}
	list[c->n] = (struct xen_change){.kind = kind};
	return &list[c->n++];
}

static void set_path(struct xen_changes *c, struct xen_change *change,
		     const char *dir, const char *name)
{
	int n = snprintf(change->path, sizeof(change->path), "%s%s%s", dir,
			 *name ? "/" : "", name);

	if ((size_t)n >= sizeof(change->path))
		c->err = -ENAMETOOLONG;
}

void xen_changes_dir(struct xen_changes *c, enum xen_access access,
		     uint32_t domid, const char *path)
{
	struct xen_change *change = change_add(c, CHANGE_DIR);

	if (!change)
		return;
	change->access = access;
	change->domid = domid;
	set_path(c, change, path, "");
}

void xen_changes_write(struct xen_changes *c, const char *dir, const char *name,
		       const char *fmt, ...)
{
	struct xen_change *change = change_add(c, CHANGE_WRITE);
	va_list ap;

	if (!change)
		return;
	set_path(c, change, dir, name);
	va_start(ap, fmt);
	if (vasprintf(&change->value, fmt, ap) < 0) {
		change->value = NULL;
		c->err = -ENOMEM;
	}
	va_end(ap);
}

void xen_changes_remove(struct xen_changes *c, const char *path)
{
	struct xen_change *change = change_add(c, CHANGE_REMOVE);

	if (change)
		set_path(c, change, path, "");
}

void xen_changes_done(struct xen_changes *c)
{
	for (size_t i = 0; i < c->n; i++)
		free(c->list[i].value);
	free(c->list);
	*c = (struct xen_changes){0};
}

static bool set_access(struct xs_handle *xs, xs_transaction_t t,
		       const struct xen_change *change)
{
	bool guest = change->access == XEN_ACCESS_GUEST;
	struct xs_permissions perms[] = {
		{.id = guest ? change->domid : 0, .perms = XS_PERM_NONE},
		{.id = guest ? 0 : change->domid, .perms = XS_PERM_READ},
	};

	return xs_api.set_permissions(xs, t, change->path, perms,
				      change->access == XEN_ACCESS_HOST ? 1
									: 2);
}

static bool change_make(struct xs_handle *xs, xs_transaction_t t,
			const struct xen_change *change)
{
	switch (change->kind) {
	case CHANGE_DIR:
		return xs_api.mkdir(xs, t, change->path) &&
		       set_access(xs, t, change);
	case CHANGE_WRITE:
		return xs_api.write(xs, t, change->path, change->value,
				    (unsigned)strlen(change->value));
	case CHANGE_REMOVE:
		return xs_api.rm(xs, t, change->path) || errno == ENOENT;
	}
	return false;
}

/* -EAGAIN: somebody else was faster. `*ret_path` is what it was about. */
static int attempt(struct xen_changes *c, struct xs_handle *xs,
		   const char **ret_path)
{
	xs_transaction_t t = xs_api.transaction_start(xs);

	*ret_path = "transaction";
	if (t == XBT_NULL)
		return -errno;
	for (size_t i = 0; i < c->n; i++) {
		if (!change_make(xs, t, &c->list[i])) {
			int err = -errno;

			*ret_path = c->list[i].path;
			(void)xs_api.transaction_end(xs, t, true);
			return err;
		}
	}
	return xs_api.transaction_end(xs, t, false) ? 0 : -errno;
}

int xen_changes_commit(struct xen_changes *c, struct xen_store *s,
		       struct error *e)
{
	const char *path = "change";
	int r = c->err;

	if (r == 0) {
		int tries = 0;

		do
			r = attempt(c, xen_store_handle(s), &path);
		while (r == -EAGAIN && ++tries < TRIES_MAX);
	}
	if (r < 0)
		error_set(e, r == -EAGAIN ? -EBUSY : r,
			  "cannot write xenstore's %s: %s", path, strerror(-r));
	xen_changes_done(c);
	return r == -EAGAIN ? -EBUSY : r;
}
