#include <fcntl.h>
#include <stdio.h>

#include "lib/base/fd.h"
#include "vmm-xen/backend.h"
#include "vmm-xen/backend_internal.h"

/* MAX_VIRT_CPUS and what two RAM banks hold of a guest's memory: Xen,
 * xen/arch/arm/include/asm/config.h and xen/include/public/arch-arm.h. */
#define VCPUS_MAX  128
#define MEMORY_MAX GIB(3 + 1016)

static bool file_has(const char *path, const char *text)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	char bytes[16384];
	size_t have = 0;
	ssize_t n;

	if (fd < 0)
		return false;
	while (have < sizeof(bytes) - 1 &&
	       (n = read(fd, bytes + have, sizeof(bytes) - 1 - have)) > 0)
		have += (size_t)n;
	bytes[have] = '\0';
	return strstr(bytes, text);
}

/* What a person can do something about, before libxl says it its way. */
static int check_here(struct error *e)
{
	_cleanup_close_ int fd = -1;

	if (!file_has("/sys/hypervisor/type", "xen"))
		return error_set(e, -ENODEV,
				 "this host does not run under Xen");
	fd = open("/dev/xen/privcmd", O_RDWR | O_CLOEXEC);
	if (fd >= 0)
		return 0;
	if (errno == EACCES || errno == EPERM)
		return error_set(e, -EACCES,
				 "no privileges to control Xen "
				 "(/dev/xen/privcmd: %m); armvmd has to be "
				 "started by root");
	return error_set(e, -ENODEV,
			 "this host runs under Xen, but not as a control "
			 "domain (/dev/xen/privcmd: %m)");
}

static int check_version(const libxl_version_info *v, struct error *e)
{
	char have[32];

	snprintf(have, sizeof(have), "%d.%d", v->xen_version_major,
		 v->xen_version_minor);
	if (streq(have, ARMVM_XEN_VERSION))
		return 0;
	return error_set(e, -ENODEV,
			 "this host runs Xen %s, and this armvmd is built for "
			 "Xen " ARMVM_XEN_VERSION,
			 have);
}

int vmm_xen_ask(struct session *s, struct xen_caps *ret, struct error *e)
{
	const libxl_version_info *v = xl.version(s->ctx);
	libxl_physinfo info;
	uint64_t page;
	int rc, r;

	if (!v)
		return session_error(s, ERROR_FAIL, e, "say its version");
	r = check_version(v, e);
	if (r < 0)
		return r;
	libxl_physinfo_init(&info);
	rc = xl.physinfo(s->ctx, &info);
	page = (uint64_t)v->pagesize;
	ret->memory = info.total_pages * page;
	ret->available = info.free_pages * page;
	libxl_physinfo_dispose(&info);
	if (rc) {
		session_error(s, rc, e, "be controlled from this domain");
		return error_prefix(e, -EACCES, "this is no control domain");
	}
	if (asprintf(&ret->version, "%d.%d%s", v->xen_version_major,
		     v->xen_version_minor,
		     v->xen_version_extra ? v->xen_version_extra : "") < 0) {
		ret->version = NULL;
		return error_set(e, -ENOMEM, "out of memory");
	}
	ret->aarch32 = v->capabilities && strstr(v->capabilities, "armv7l");
	return 0;
}

int vmm_xen_probe(struct xen_caps *ret, struct error *e)
{
	_cleanup_(session_closep) struct session *s = NULL;
	int r = check_here(e);

	if (r == 0)
		r = session_open(NULL, NULL, NULL, NULL, &s, e);
	if (r == 0)
		r = vmm_xen_ask(s, ret, e);
	if (r < 0)
		return r;
	ret->vcpus_max = VCPUS_MAX;
	ret->memory_max = MIN(ret->memory, MEMORY_MAX);
	/* Xen shows its control domain the kind the machine has, and has no
	 * other for guests. */
	ret->gic_v3 = file_has("/proc/interrupts", "GICv3");
	ret->gic_v2 = !ret->gic_v3;
	return 0;
}
