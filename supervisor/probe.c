#include "supervisor/probe.h"

#include <stdio.h>

#include "lib/base/log.h"
#include "lib/model/host_caps.h"
#if defined(__aarch64__)
#include "vmm-kvm/backend.h"
#endif

static int probe(int kvm_fd, struct host_caps *ret, struct error *e)
{
#if defined(__aarch64__)
	return vmm_kvm_probe(kvm_fd, ret, e);
#else
	return error_set(e, -EOPNOTSUPP,
			 "KVM for ARM guests needs an AArch64 host");
#endif
}

int probe_run(int kvm_fd)
{
	_cleanup_json_ json_object *object = NULL;
	struct host_caps caps = {0};
	struct error e = ERROR_INIT;
	int r = probe(kvm_fd, &caps, &e);

	if (r == 0) {
		object = json_encode(host_caps_fields, &caps);
		if (!object || puts(json_text(object)) < 0 || fflush(stdout))
			r = error_set(&e, -EIO, "the answer cannot be written");
	}
	if (r == 0)
		return 0;
	log_error("%s", e.message);
	return error_code_exit(e.code);
}
