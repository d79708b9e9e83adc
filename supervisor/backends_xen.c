/*
 * armvm-supervisor-xen: guests on Xen. What its libraries do by themselves has
 * to be left to it; whoever controls /dev/xen/privcmd controls the machine, so
 * the sandbox is there for what a mistake could do, not for a guest, which
 * sees no more of this process than xenstore and a terminal.
 */
#include <linux/capability.h>
#include <seccomp.h>

#include "supervisor/backends.h"
#include "vmm-xen/backend.h"

static int probe(int fd, json_object **ret, struct error *e)
{
	struct xen_caps caps = {0};
	int r = vmm_xen_probe(&caps, e);

	if (r == 0) {
		*ret = json_encode(xen_caps_fields, &caps);
		r = *ret ? 0 : error_set(e, -ENOMEM, "out of memory");
	}
	json_release(xen_caps_fields, &caps);
	return r;
}

static const char *const paths[] = {
	/* hypercalls, event channels, foreign memory, grants; the terminals of
	 * xenconsoled; loop devices, which come and go there; libxl's random
	 * numbers */
	"/dev",
	/* what dom0's kernel says of the devices it serves */
	"/sys",
	/* xenstored's socket; libxl's list of domids used recently */
	"/run/xenstored",
	"/run/xen",
	"/var/run/xenstored",
	"/var/run/xen",
	/* libxl: each domain's configuration, and locks */
	"/var/lib/xen",
	NULL,
};

/* Network interfaces of guests are made ports of bridges. */
#define CAPABILITIES (UINT64_C(1) << CAP_NET_ADMIN)

static const int calls[] = {
	/* libxl and libxenstore open what they work with by themselves */
	SCMP_SYS(openat),
	SCMP_SYS(faccessat),
	SCMP_SYS(readlinkat),
	SCMP_SYS(socket),
	SCMP_SYS(connect),
	SCMP_SYS(getdents64),
	/* domains' configurations and locks in /var/lib/xen and /run/xen */
	SCMP_SYS(flock),
	SCMP_SYS(fcntl),
	SCMP_SYS(fchmod),
	SCMP_SYS(renameat),
	SCMP_SYS(unlinkat),
	SCMP_SYS(umask),
	/* a process that waits for a domain to give all its memory back */
	SCMP_SYS(clone),
	SCMP_SYS(wait4),
	SCMP_SYS(kill),
	SCMP_SYS(setsid),
	SCMP_SYS(setpgid),
	/* until a domain's devices are gone */
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(newfstatat),
	/* loop devices; ports of bridges; terminals of xenconsoled; TCGETS,
	   TCSETS and /dev/xen's own */
	SCMP_SYS(ioctl),
	SCMP_SYS(mlock),
	SCMP_SYS(munlock),
};

static const struct sandbox_needs needs = {
	.paths = paths,
	.capabilities = CAPABILITIES,
	.network = true,
	.calls = calls,
	.n_calls = ARRAY_SIZE(calls),
};

const struct backend supervisor_backends[] = {
	{.hypervisor = VM_HYPERVISOR_XEN,
	 .ops = &vmm_xen_ops,
	 .probe = probe,
	 .outlives = true,
	 .needs = &needs},
	{.ops = NULL},
};
