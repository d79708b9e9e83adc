/* What a domain has and did: its memory, and the balloon in it; its CPUs. */
#include <stdio.h>

#include "vmm-xen/backend_internal.h"

/* While a balloon is on its way. A guest without the driver never gets there,
 * and is not waited for without end. */
#define BALLOON_POLL_MS 250
#define BALLOON_WAIT_MS 120000
/* Linux rounds, and libxl leaves it some slack. */
#define BALLOON_CLOSE_KB 1024

static void on_balloon(uv_timer_t *timer)
{
	struct vmm *v = timer->data;
	char text[64], size[16];
	libxl_dominfo info;
	uint64_t far_kb;
	bool there;

	there = domain_info(&v->domain, &info, NULL) == 0;
	far_kb = info.current_memkb > v->balloon_target / 1024
			 ? info.current_memkb - v->balloon_target / 1024
			 : v->balloon_target / 1024 - info.current_memkb;
	if (there && far_kb <= BALLOON_CLOSE_KB) {
		v->balloon_driver = true;
		uv_timer_stop(timer);
		snprintf(text, sizeof(text), "the guest has %s left",
			 format_size(info.current_memkb * 1024, size,
				     sizeof(size)));
		v->events->event(v->cookie, VMM_EVENT_BALLOON, text);
	} else if (uv_now(v->loop) - v->balloon_since_ms > BALLOON_WAIT_MS) {
		uv_timer_stop(timer);
	}
	libxl_dominfo_dispose(&info);
}

int vmm_xen_set_balloon(struct vmm *v, uint64_t bytes, struct error *e)
{
	int rc, r = vmm_xen_check_store(v, e);

	if (r < 0)
		return r;
	if (bytes > v->config->memory_bytes)
		return error_set(e, -EINVAL,
				 "target: more than the VM was given");
	rc = xl.set_memory_target(v->session->ctx, v->domain.domid,
				  (int64_t)(bytes / 1024));
	if (rc)
		return session_error(v->session, rc, e,
				     "set the memory target");
	v->balloon_target = bytes;
	v->balloon_since_ms = uv_now(v->loop);
	uv_timer_start(&v->balloon, on_balloon, BALLOON_POLL_MS,
		       BALLOON_POLL_MS);
	return 0;
}

static int stats_vcpus(struct vmm *v, struct vm_stats *ret, struct error *e)
{
	libxl_vcpuinfo *list;
	int n = 0;

	list = xl.vcpus(v->session->ctx, v->domain.domid, &n);
	if (!list)
		return session_error(v->session, ERROR_FAIL, e,
				     "say what the domain's CPUs did");
	ret->vcpus = calloc((size_t)n, sizeof(*ret->vcpus));
	for (int i = 0; ret->vcpus && i < n; i++)
		ret->vcpus[i].cpu_ns = list[i].vcpu_time;
	ret->n_vcpus = ret->vcpus ? (size_t)n : 0;
	libxl_vcpuinfo_list_free(list, n);
	return ret->vcpus ? 0 : error_set(e, -ENOMEM, "out of memory");
}

int vmm_xen_stats(struct vmm *v, struct vm_stats *ret, struct error *e)
{
	libxl_dominfo info;
	int r = domain_info(&v->domain, &info, e);

	if (r == 0) {
		ret->balloon.driver = v->balloon_driver;
		ret->balloon.actual = info.current_memkb * 1024;
		ret->balloon.target = v->balloon_target
					      ? v->balloon_target
					      : v->config->memory_bytes;
		r = stats_vcpus(v, ret, e);
	}
	libxl_dominfo_dispose(&info);
	return r == 0 ? xen_bus_stats(v->bus, ret, e) : r;
}
