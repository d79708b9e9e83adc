/*
 * Every call the device layer makes into libxenstore, as one table: the
 * product's is xs_calls.c, and a unit test has another in its place, which
 * keeps the tree in memory and fails the call it likes. As in xenstore.h:
 * false or NULL, and errno.
 *
 * Thread: the loop thread.
 */
#ifndef VMM_XEN_XS_CALLS_H
#define VMM_XEN_XS_CALLS_H

#include <stdbool.h>
#include <xenstore.h>
#include <xenstore_lib.h>

struct xs_calls {
	/* Where xenstored listens, and the kernel's device for where it is in
	 * another domain; NULL: there is no such thing. */
	const char *(*socket_path)(void);
	const char *(*device_path)(void);
	struct xs_handle *(*open)(unsigned long flags);
	void (*close)(struct xs_handle *xs);
	/* Readable when a watch has fired, or the connection is lost. */
	int (*fileno)(struct xs_handle *xs);
	void *(*read)(struct xs_handle *xs, xs_transaction_t t,
		      const char *path, unsigned *ret_size);
	bool (*write)(struct xs_handle *xs, xs_transaction_t t,
		      const char *path, const void *data, unsigned size);
	bool (*mkdir)(struct xs_handle *xs, xs_transaction_t t,
		      const char *path);
	bool (*rm)(struct xs_handle *xs, xs_transaction_t t, const char *path);
	char **(*directory)(struct xs_handle *xs, xs_transaction_t t,
			    const char *path, unsigned *ret_n);
	bool (*set_permissions)(struct xs_handle *xs, xs_transaction_t t,
				const char *path, struct xs_permissions *perms,
				unsigned n);
	xs_transaction_t (*transaction_start)(struct xs_handle *xs);
	bool (*transaction_end)(struct xs_handle *xs, xs_transaction_t t,
				bool abort);
	bool (*watch)(struct xs_handle *xs, const char *path,
		      const char *token);
	bool (*unwatch)(struct xs_handle *xs, const char *path,
			const char *token);
	/* EAGAIN: none; anything else: the connection is lost. */
	char **(*check_watch)(struct xs_handle *xs);
};

extern const struct xs_calls xs_api;

#endif
