/*
 * xenstored has ended while the guest runs, and cannot come back: what was in
 * it is gone. The guest does not need it, its rings to dom0's kernel work on,
 * and so does its console. So it is left running, looked after by what the
 * hypervisor itself says, and whatever takes xenstored is refused.
 */
#include "vmm-xen/backend_internal.h"

/* Nothing tells of the guest's end any more. */
#define LOOK_MS 1000

const char *vmm_xen_lost_why(const struct vmm *v)
{
	if (!v->lost)
		return "";
	if (session_has_store(v->session))
		return "Xen's libraries lost track: the guest runs on, and can "
		       "only be paused, resumed and stopped";
	return "xenstored has ended: the guest runs on, and can only be "
	       "paused, resumed and stopped; the host has to be restarted";
}

int vmm_xen_check_store(const struct vmm *v, struct error *e)
{
	if (!v->lost && session_has_store(v->session))
		return 0;
	return error_set(e, -ENODEV,
			 "xenstored, which this takes, has ended; the guest "
			 "can only be paused, resumed and stopped, and the "
			 "host has to be restarted");
}

static void look(struct vmm *v)
{
	libxl_dominfo info;
	int rc;

	libxl_dominfo_init(&info);
	rc = xl.info(v->session->ctx, &info, v->domain.domid);
	if (rc == ERROR_DOMAIN_NOTFOUND || (rc == 0 && info.dying))
		vmm_xen_gone(v);
	else if (rc == 0 && info.shutdown)
		vmm_xen_ended(v, info.shutdown_reason);
	libxl_dominfo_dispose(&info);
	session_calm(v->session);
}

static void on_look(uv_timer_t *timer)
{
	struct vmm *v = timer->data;

	if (!v->lost_told) {
		v->lost_told = true;
		uv_timer_stop(&v->balloon);
		xen_bus_lose(v->bus);
		v->events->event(v->cookie, VMM_EVENT_DEGRADED,
				 vmm_xen_lost_why(v));
	}
	if (v->domain.exists && !v->ended && !v->gone)
		look(v);
}

void vmm_xen_lost(struct vmm *v)
{
	if (v->lost)
		return;
	v->lost = true;
	uv_timer_start(&v->look, on_look, 0, LOOK_MS);
}
