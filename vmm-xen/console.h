/*
 * A console of a domain, through xenconsoled: it serves the ring a guest's
 * paravirtual console or its vpl011 writes to, and offers a terminal, whose
 * name it writes into xenstore. It goes on doing so while no supervisor is
 * there, and keeps what the guest prints meanwhile.
 *
 * Thread: the loop thread.
 */
#ifndef VMM_XEN_CONSOLE_H
#define VMM_XEN_CONSOLE_H

#include "lib/host/chardev.h"
#include "vmm-xen/domain.h"

struct console;

enum console_kind { CONSOLE_PV, CONSOLE_VUART };

struct console_params {
	uv_loop_t *loop;
	enum console_kind kind;
	struct chardev *chardev; /* borrowed */
	/* No terminal came, or not again: a sentence. Once. */
	void (*failed)(void *cookie, const char *why);
	void *cookie;
};

int console_new(const struct console_params *params, struct console **ret,
		struct error *e) must_check;

/* The domain (borrowed) whose console it is now; its terminal is waited for.
 * What the one before printed has been read. */
void console_open(struct console *c, struct domain *d);
/* Read what is there now; the domain is about to go. */
void console_close(struct console *c);

/* Memory goes at the loop's next turns; NULL is fine. */
struct console *console_free(struct console *c);

#endif
