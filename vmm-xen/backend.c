#include "vmm-xen/backend.h"

#include <fcntl.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "vmm-xen/backend_internal.h"
#include "vmm-xen/kernel_file.h"

static void tell(struct vmm *v, enum vmm_event_kind kind, const char *detail)
{
	v->events->event(v->cookie, kind, detail);
}

static void on_console_failed(void *cookie, const char *why)
{
	tell(cookie, VMM_EVENT_DEVICE_FAILED, why);
}

/* What a call has caused is told from the loop, never from inside it. */
static void on_soon(uv_timer_t *timer)
{
	struct vmm *v = timer->data;

	if (v->starting) {
		v->starting = false;
		/* One that was paused has not run meanwhile. */
		if (!v->adopted || !v->paused)
			tell(v, VMM_EVENT_RUNNING, "");
		if (v->paused)
			tell(v, VMM_EVENT_PAUSED, "");
	}
	if (v->was_reset) {
		v->was_reset = false;
		tell(v, VMM_EVENT_RESET, "");
	}
}

static void handle_closed_cb(uv_handle_t *handle)
{
	struct vmm *v = handle->data;

	if (--v->handles == 0)
		free(v);
}

static void xen_release(struct vmm *v)
{
	uv_timer_t *timers[] = {&v->soon, &v->end, &v->balloon, &v->look};

	console_free(v->console);
	console_free(v->vuart);
	xen_bus_free(v->bus);
	domain_leave(&v->domain);
	session_close(v->session);
	fd_close(v->kernel_fd);
	fd_close(v->initrd_fd);
	v->handles = ARRAY_SIZE(timers);
	for (size_t i = 0; i < ARRAY_SIZE(timers); i++)
		uv_close((uv_handle_t *)timers[i], handle_closed_cb);
}

static int new_consoles(struct vmm *v, const struct vmm_params *p,
			struct error *e)
{
	struct console_params c = {
		.loop = p->loop,
		.failed = on_console_failed,
		.cookie = v,
	};
	int r = 0;

	if (v->config->console != VM_CONSOLE_VIRTIO) {
		c.kind = CONSOLE_VUART;
		c.chardev = p->console;
		r = console_new(&c, &v->vuart, e);
	}
	if (r == 0 && v->config->console != VM_CONSOLE_PL011) {
		c.kind = CONSOLE_PV;
		c.chardev = p->virtio_console;
		r = console_new(&c, &v->console, e);
	}
	return r;
}

/* What of it the host can do, the hypervisor says itself. */
static int check_params(const struct vmm_params *p, struct error *e)
{
	if (p->snapshot_fd >= 0)
		return error_set(e, -EOPNOTSUPP,
				 "Xen on ARM cannot restore a machine");
	if (p->kernel_fd < 0)
		return error_set(e, -EINVAL,
				 "no descriptor came for the "
				 "kernel");
	if (p->config->initrd && p->initrd_fd < 0)
		return error_set(e, -EINVAL,
				 "no descriptor came for the "
				 "initrd");
	return xen_check(p->config, e);
}

static int adopt(struct vmm *v, struct error *e)
{
	libxl_dominfo info;
	int r = domain_adopt(&v->domain, v->session, v->config, e);

	if (r < 0)
		return r;
	r = xen_bus_adopt(v->bus, v->domain.domid, e);
	if (r < 0)
		return r;
	r = domain_info(&v->domain, &info, e);
	if (r == 0) {
		v->paused = info.paused;
		v->balloon_driver = info.current_memkb <
				    v->config->memory_bytes / 1024;
	}
	libxl_dominfo_dispose(&info);
	return r;
}

static int make(struct vmm *v, const struct vmm_params *p, struct error *e)
{
	bool aarch64 = v->config->arch == VM_ARCH_AARCH64;
	struct domain_boot boot;
	int r = kernel_file_open(p->kernel_fd, aarch64, &v->kernel_fd, e);

	if (r == 0 && !p->adopt)
		r = kernel_file_check_room(v->kernel_fd, p->initrd_fd,
					   v->config, e);
	if (r == 0 && p->initrd_fd >= 0) {
		v->initrd_fd = fcntl(p->initrd_fd, F_DUPFD_CLOEXEC, 3);
		if (v->initrd_fd < 0)
			r = error_set(e, -errno, "initrd: %m");
	}
	if (r == 0)
		r = session_open(p->loop, v->config->name,
				 &vmm_xen_session_events, v, &v->session, e);
	if (p->adopt && (r == -ENODEV || r == -ETIMEDOUT))
		r = domain_reap(v->config, r, e);
	if (r == 0)
		r = new_consoles(v, p, e);
	if (r == 0)
		r = vmm_xen_new_devices(v, p, e);
	boot = (struct domain_boot){v->kernel_fd, v->initrd_fd};
	if (r == 0)
		r = p->adopt ? adopt(v, e) : vmm_xen_build(v, &boot, e);
	if (r == 0)
		vmm_xen_open_consoles(v);
	return r;
}

static int xen_create(const struct vmm_params *p, struct vmm **ret,
		      struct error *e)
{
	struct vmm_params consumed = *p;
	uv_timer_t *timers[4];
	struct vmm *v = NULL;
	int r = check_params(p, e);

	if (r == 0) {
		v = calloc(1, sizeof(*v));
		r = v ? 0 : error_set(e, -ENOMEM, "out of memory");
	}
	if (r < 0) {
		vmm_params_close(&consumed);
		return r;
	}
	v->config = p->config;
	v->events = p->events;
	v->cookie = p->cookie;
	v->loop = p->loop;
	v->kernel_fd = v->initrd_fd = -1;
	v->paused = p->paused;
	v->adopted = p->adopt;
	timers[0] = &v->soon;
	timers[1] = &v->end;
	timers[2] = &v->balloon;
	timers[3] = &v->look;
	for (size_t i = 0; i < ARRAY_SIZE(timers); i++) {
		uv_timer_init(p->loop, timers[i]);
		timers[i]->data = v;
	}
	r = make(v, p, e);
	vmm_params_close(&consumed);
	if (r < 0)
		xen_release(v);
	else
		*ret = v;
	return r;
}

static int xen_start(struct vmm *v, struct error *e)
{
	int rc = 0, r = v->adopted ? 0 : vmm_xen_check_store(v, e);

	if (r < 0)
		return r;
	if (!v->adopted && !v->paused)
		rc = xl.unpause(v->session->ctx, v->domain.domid);
	if (rc)
		return session_error(v->session, rc, e, "start the domain");
	v->starting = true;
	uv_timer_start(&v->soon, on_soon, 0, 0);
	return 0;
}

static int xen_pause(struct vmm *v, struct error *e)
{
	int rc = xl.pause(v->session->ctx, v->domain.domid);

	if (rc)
		return session_error(v->session, rc, e, "pause the domain");
	v->paused = true;
	tell(v, VMM_EVENT_PAUSED, vmm_xen_lost_why(v));
	return 0;
}

static int xen_resume(struct vmm *v, struct error *e)
{
	int rc;

	if (v->ended)
		return error_set(e, -EPROTO,
				 "the guest has crashed and cannot go on; stop "
				 "it");
	/* libxl would look into xenstore for a device model. */
	if (v->lost)
		rc = xl.raw_unpause(v->domain.domid) < 0 ? ERROR_FAIL : 0;
	else
		rc = xl.unpause(v->session->ctx, v->domain.domid);
	if (rc)
		return session_error(v->session, rc, e, "resume the domain");
	v->paused = false;
	tell(v, VMM_EVENT_RESUMED, vmm_xen_lost_why(v));
	return 0;
}

/* xen/include/public/io/xs_wire.h has no word on it; Linux,
 * drivers/xen/manage.c, reads and clears it. */
static int control(struct vmm *v, const char *what, struct error *e)
{
	int r = vmm_xen_check_store(v, e);

	return r < 0 ? r
		     : domain_write(&v->domain, "control/shutdown", what, e);
}

static int xen_shutdown(struct vmm *v, struct error *e)
{
	return control(v, "poweroff", e);
}

static int xen_reboot(struct vmm *v, struct error *e)
{
	return control(v, "reboot", e);
}

static bool xen_button_heard(struct vmm *v)
{
	_cleanup_free_ char *text = domain_read(&v->domain,
						"control/feature-poweroff");

	return text && streq(text, "1");
}

static int xen_reset(struct vmm *v, struct error *e)
{
	struct error why = ERROR_INIT;
	int r = vmm_xen_check_store(v, e);

	if (r < 0)
		return r;
	r = vmm_xen_remake(v, &why);
	if (r < 0) {
		/* There is nothing left to go on with. */
		tell(v, VMM_EVENT_FATAL, why.message);
		if (e)
			*e = why;
		return r;
	}
	v->was_reset = true;
	uv_timer_start(&v->soon, on_soon, 0, 0);
	return 0;
}

/* There is no variable store. */
static void xen_nvram_committed(struct vmm *v)
{
}

static int xen_set_filesystem(struct vmm *v, size_t index, int fd,
			      struct error *e)
{
	fd_close(fd);
	return error_set(e, -EOPNOTSUPP, "Xen on ARM has no virtio devices");
}

static int xen_save(struct vmm *v, const struct vmm_save *params,
		    struct error *e)
{
	fd_close(params->fd);
	return error_set(e, -EOPNOTSUPP,
			 "Xen on ARM can neither save nor restore a domain");
}

static bool xen_save_progress(struct vmm *v, uint64_t *ret_done,
			      uint64_t *ret_total)
{
	return false;
}

static void xen_destroy(struct vmm *v)
{
	struct error e = ERROR_INIT;

	if (!v)
		return;
	vmm_xen_close_consoles(v);
	if (vmm_xen_unbuild(v, &e) < 0)
		log_vm(LOG_LEVEL_ERROR, v->config->name,
		       "domain %u is left behind: %s", v->domain.domid,
		       e.message);
	xen_release(v);
}

const struct vmm_ops vmm_xen_ops = {
	.name = "xen",
	.makes_nics = true,
	.create = xen_create,
	.start = xen_start,
	.pause = xen_pause,
	.resume = xen_resume,
	.shutdown = xen_shutdown,
	.reboot = xen_reboot,
	.button_heard = xen_button_heard,
	.reset = xen_reset,
	.resize = vmm_xen_resize,
	.set_balloon = vmm_xen_set_balloon,
	.nvram_committed = xen_nvram_committed,
	.stats = vmm_xen_stats,
	.attach = vmm_xen_attach,
	.detach = vmm_xen_detach,
	.give_up = vmm_xen_give_up,
	.set_filesystem = xen_set_filesystem,
	.set_link = vmm_xen_set_link,
	.device_status = vmm_xen_device_status,
	.keep_devices = vmm_xen_keep_devices,
	.save = xen_save,
	.save_progress = xen_save_progress,
	.destroy = xen_destroy,
};
