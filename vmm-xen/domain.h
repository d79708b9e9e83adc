/*
 * One domain: made from a definition, or found running by its uuid, which
 * every supervisor of the VM gives it. A domain belongs to the hypervisor, not
 * to this process: it ends by domain_destroy() alone.
 *
 * Thread: the loop thread.
 */
#ifndef VMM_XEN_DOMAIN_H
#define VMM_XEN_DOMAIN_H

#include "lib/model/vm_config.h"
#include "vmm-xen/session.h"

struct domain {
	struct session *session; /* borrowed */
	bool exists;
	uint32_t domid; /* then */
	libxl_evgen_domain_death *death;
};

/* What a guest is started from; borrowed. initrd_fd -1: none. */
struct domain_boot {
	int kernel_fd, initrd_fd;
};

/*
 * A new domain, built and paused, without devices but its consoles; its end is
 * told to the session's events from here on. On failure nothing is left.
 */
int domain_create(struct domain *d, struct session *session,
		  const struct vm_config *config,
		  const struct domain_boot *boot, struct error *e) must_check;

/* The one that is there. -ENOENT: there is none of that uuid. */
int domain_adopt(struct domain *d, struct session *session,
		 const struct vm_config *config, struct error *e) must_check;

/* It is gone then, with all that libxl made for it; nothing happens when there
 * is none. On failure it may be there still. */
int domain_destroy(struct domain *d, struct error *e) must_check;

/*
 * The same by the hypervisor alone, without xenstored. dom0's kernel asks
 * xenstored before it lets go of its end of a device, and would wait for the
 * answer without end, and so would whoever told it to (Linux,
 * xenbus_dev_remove(), read_reply()). So those ends stay, and what they hold
 * (loop device, vif, a few pages of the domain's) until the host is restarted;
 * they are made harmless, and named in the log.
 */
int domain_kill(struct domain *d, struct error *e) must_check;
/*
 * Without a session, as there is no xenstored (`why` is -ENODEV): end the
 * domain of that uuid, for nobody can look after it any more. When xenstored
 * only does not answer now (-ETIMEDOUT) one that is there is left alone, and
 * `why` comes back, with `e` as it was. -ENOENT: there is none, or none any
 * more.
 */
int domain_reap(const struct vm_config *config, int why,
		struct error *e) must_check;

/* Forget it without touching it. */
void domain_leave(struct domain *d);

/* Owned by the caller (libxl_dominfo_dispose()), also on failure. */
int domain_info(struct domain *d, libxl_dominfo *ret,
		struct error *e) must_check;

/* The node below the domain's path; owned by the caller, NULL: none. */
char *domain_read(struct domain *d, const char *node);
int domain_write(struct domain *d, const char *node, const char *text,
		 struct error *e) must_check;

#endif
