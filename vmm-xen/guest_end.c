/*
 * The guest ended: Xen keeps the domain, which runs no more, and says why.
 * What it printed last may still be on its way through xenconsoled, so a
 * moment passes before anything follows.
 */
#include <stdio.h>

#include "vmm-xen/backend_internal.h"

#define LAST_WORDS_MS 100

void vmm_xen_ended(struct vmm *v, libxl_shutdown_reason reason)
{
	v->ended = true;
	v->reason = reason;
	uv_timer_start(&v->end, vmm_xen_end_cb, LAST_WORDS_MS, 0);
}

void vmm_xen_gone(struct vmm *v)
{
	v->gone = true;
	uv_timer_start(&v->end, vmm_xen_end_cb, 0, 0);
}

static void note_end(struct vmm *v, const libxl_event *event)
{
	if (event->type == LIBXL_EVENT_TYPE_DOMAIN_SHUTDOWN)
		vmm_xen_ended(v, event->u.domain_shutdown.shutdown_reason);
	else if (event->type == LIBXL_EVENT_TYPE_DOMAIN_DEATH)
		vmm_xen_gone(v);
}

static void on_event(void *cookie, libxl_event *event)
{
	struct vmm *v = cookie;

	if (v->domain.exists && event->domid == v->domain.domid)
		note_end(v, event);
	xl.event_free(v->session->ctx, event);
}

static void on_disaster(void *cookie)
{
	vmm_xen_lost(cookie);
}

const struct session_events vmm_xen_session_events = {
	.occurred = on_event,
	.disaster = on_disaster,
};

void vmm_xen_open_consoles(struct vmm *v)
{
	if (v->console)
		console_open(v->console, &v->domain);
	if (v->vuart)
		console_open(v->vuart, &v->domain);
}

void vmm_xen_close_consoles(struct vmm *v)
{
	if (v->console)
		console_close(v->console);
	if (v->vuart)
		console_close(v->vuart);
}

int vmm_xen_remake(struct vmm *v, struct error *e)
{
	const struct domain_boot boot = {v->kernel_fd, v->initrd_fd};
	int rc, r;

	uv_timer_stop(&v->end);
	uv_timer_stop(&v->balloon);
	vmm_xen_close_consoles(v);
	r = vmm_xen_unbuild(v, e);
	if (r < 0)
		return r;
	v->ended = v->gone = v->balloon_driver = false;
	v->balloon_target = 0;
	r = vmm_xen_build(v, &boot, e);
	if (r < 0)
		return r;
	vmm_xen_open_consoles(v);
	if (v->paused)
		return 0;
	rc = xl.unpause(v->session->ctx, v->domain.domid);
	return rc ? session_error(v->session, rc, e, "start the domain") : 0;
}

static void tell(struct vmm *v, enum vmm_event_kind kind, const char *detail)
{
	v->events->event(v->cookie, kind, detail);
}

static void rebooted(struct vmm *v)
{
	struct error e = ERROR_INIT;
	int r = vmm_xen_check_store(v, NULL);

	if (r < 0)
		tell(v, VMM_EVENT_FATAL,
		     "the guest rebooted, which takes a new domain, and for "
		     "that xenstored, which has ended");
	else if (vmm_xen_remake(v, &e) == 0)
		tell(v, VMM_EVENT_RESET, "");
	else
		tell(v, VMM_EVENT_FATAL, e.message);
}

/* A crashed domain can be looked at for as long as it is there. */
static void crashed(struct vmm *v)
{
	if (v->config->on_crash != VM_ON_CRASH_PRESERVE) {
		tell(v, VMM_EVENT_FATAL, "the guest crashed");
		return;
	}
	v->paused = true;
	tell(v, VMM_EVENT_PANIC, "the guest crashed");
	tell(v, VMM_EVENT_PAUSED, "the guest crashed");
}

/* The owner resets, pauses or ends it; ignoring it is not possible here: Xen
 * has ended the domain. */
static void watchdog(struct vmm *v)
{
	tell(v, VMM_EVENT_WATCHDOG, "");
	if (v->config->on_watchdog == VM_ON_WATCHDOG_IGNORE)
		tell(v, VMM_EVENT_FATAL,
		     "the guest let its watchdog expire, upon which Xen ends a "
		     "domain");
}

void vmm_xen_end_cb(uv_timer_t *timer)
{
	struct vmm *v = timer->data;
	char why[128];

	if (v->gone) {
		domain_leave(&v->domain);
		tell(v, VMM_EVENT_FATAL,
		     "its domain was destroyed by somebody else");
		return;
	}
	switch (v->reason) {
	case LIBXL_SHUTDOWN_REASON_POWEROFF:
		tell(v, VMM_EVENT_POWEROFF, "");
		break;
	case LIBXL_SHUTDOWN_REASON_REBOOT:
		rebooted(v);
		break;
	case LIBXL_SHUTDOWN_REASON_CRASH:
		crashed(v);
		break;
	case LIBXL_SHUTDOWN_REASON_WATCHDOG:
		watchdog(v);
		break;
	default:
		snprintf(why, sizeof(why),
			 "the guest asked for \"%s\", which Xen on ARM does "
			 "not do",
			 libxl_shutdown_reason_to_string(v->reason));
		tell(v, VMM_EVENT_FATAL, why);
	}
}
