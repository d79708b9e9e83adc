/*
 * A connection to xenstore on a loop: nodes read with bounds, changes made all
 * or none, watches told.
 *
 * What stands below a guest's own path was written by the guest: any bytes of
 * any length, changed at any time. So values are copied once, into a buffer of
 * the caller's, and are then text without control characters or an error.
 *
 * Calls wait for xenstored's answer, which takes well below a millisecond.
 *
 * Thread: the loop thread.
 */
#ifndef VMM_XEN_XEN_STORE_H
#define VMM_XEN_XEN_STORE_H

#include <uv.h>

#include "lib/base/error.h"

/* XENSTORE_ABS_PATH_MAX is 3072; ours are short. */
#define XEN_PATH_MAX 192
/* Nothing this layer reads is longer. */
#define XEN_VALUE_MAX 256

struct xen_store;
struct xen_watch;

struct xen_store_events {
	/* Once: nothing can be read or changed any more, no watch fires. */
	void (*lost)(void *cookie);
	void *cookie;
};

/* -ENODEV: there is no xenstored to talk to. */
int xen_store_open(uv_loop_t *loop, const struct xen_store_events *events,
		   struct xen_store **ret, struct error *e) must_check;
/* All watches must be gone. NULL is fine; memory goes at the loop's next
 * turns. */
struct xen_store *xen_store_free(struct xen_store *s);

/*
 * The value of a node, terminated, into buf. -ENOENT: no such node; -EBADMSG:
 * it is longer than buf, or not printable ASCII; else what failed.
 */
int xen_store_read(struct xen_store *s, const char *path, char *buf,
		   size_t size) must_check;
/* Names of a node's children (each at most XEN_PATH_MAX); *ret is for free(),
 * and holds the names. No such node: none. */
int xen_store_list(struct xen_store *s, const char *path, char ***ret,
		   size_t *ret_n, struct error *e) must_check;

/*
 * `fired` comes once soon after, and then whenever something was changed at or
 * below `path`; once for several changes at the same time.
 */
int xen_store_watch(struct xen_store *s, const char *path,
		    void (*fired)(void *cookie), void *cookie,
		    struct xen_watch **ret, struct error *e) must_check;
/* Also from within `fired`. NULL is fine. */
struct xen_watch *xen_watch_free(struct xen_watch *w);

/*
 * Changes to be made together. Zeroed is none; what goes wrong while they are
 * put down (no memory, a path too long) is told by the commit.
 */
struct xen_changes {
	struct xen_change *list;
	size_t n, allocated;
	int err;
};

/* Who may see a node and what is made below it: dom0 alone, dom0's and a
 * domain may read it, or a domain's own and dom0 may read it. */
enum xen_access { XEN_ACCESS_HOST, XEN_ACCESS_SHOWN, XEN_ACCESS_GUEST };

void xen_changes_dir(struct xen_changes *c, enum xen_access access,
		     uint32_t domid, const char *path);
void xen_changes_write(struct xen_changes *c, const char *dir, const char *name,
		       const char *fmt, ...) printf_like(4, 5);
/* With all below; that there is none is fine. */
void xen_changes_remove(struct xen_changes *c, const char *path);
/* Commit in order, in one transaction, tried again while others are in its
 * way. Empties `c`, also on failure, when nothing was changed. */
int xen_changes_commit(struct xen_changes *c, struct xen_store *s,
		       struct error *e);
void xen_changes_done(struct xen_changes *c);

#endif
