/* Disks and network interfaces of a machine on Xen: xen_bus.h, as the seam
 * wants it. */
#include <fcntl.h>

#include "lib/base/log.h"
#include "vmm-xen/backend_internal.h"

static void on_device(void *cookie, const struct vmm_device_status *status,
		      const char *detail)
{
	struct vmm *v = cookie;

	if (status->state == VM_DEVICE_FAILED)
		v->events->device_failed(v->cookie, status, detail);
	else
		v->events->device(v->cookie, status);
}

static void on_lost(void *cookie)
{
	vmm_xen_lost(cookie);
}

static const struct xen_bus_events bus_events = {
	.device = on_device,
	.lost = on_lost,
};

/* The descriptor of `p` is taken, whatever comes of it. */
static int add_disk(struct vmm *v, const struct vmm_params *p, size_t i,
		    struct error *e)
{
	const struct vmm_device device = {
		.kind = VM_DEVICE_DISK,
		.disk = &p->config->disks[i],
		.fd = fcntl(p->disks[i].fd, F_DUPFD_CLOEXEC, 3),
	};
	uint32_t slot;

	return xen_bus_add(v->bus, &device, &slot, e);
}

static int add_nic(struct vmm *v, const struct vmm_params *p, size_t i,
		   struct error *e)
{
	const struct vmm_device device = {
		.kind = VM_DEVICE_NIC,
		.nic = &p->config->nics[i],
		.fd = -1,
	};
	uint32_t slot;

	return xen_bus_add(v->bus, &device, &slot, e);
}

int vmm_xen_new_devices(struct vmm *v, const struct vmm_params *p,
			struct error *e)
{
	int r = xen_bus_new(v->loop, &bus_events, v, &v->bus, e);

	/* Those of a domain that is there are found with it. */
	if (r < 0 || p->adopt)
		return r;
	for (size_t i = 0; i < p->config->n_disks && r == 0; i++)
		r = add_disk(v, p, i, e);
	for (size_t i = 0; i < p->config->n_nics && r == 0; i++)
		r = add_nic(v, p, i, e);
	return r;
}

int vmm_xen_build(struct vmm *v, const struct domain_boot *boot,
		  struct error *e)
{
	int r = domain_create(&v->domain, v->session, v->config, boot, e);

	if (r < 0)
		return r;
	r = xen_bus_connect(v->bus, v->domain.domid, e);
	if (r < 0 && domain_destroy(&v->domain, NULL) < 0)
		log_vm(LOG_LEVEL_ERROR, v->config->name,
		       "domain %u is left behind", v->domain.domid);
	return r;
}

int vmm_xen_unbuild(struct vmm *v, struct error *e)
{
	/* Its last moments are not to be spent on disks that vanish. */
	if (v->domain.exists && xl.pause(v->session->ctx, v->domain.domid))
		session_calm(v->session);
	if (!session_has_store(v->session))
		return domain_kill(&v->domain, e);
	xen_bus_disconnect(v->bus);
	return domain_destroy(&v->domain, e);
}

int vmm_xen_attach(struct vmm *v, const struct vmm_device *device,
		   uint32_t *ret_slot, struct error *e)
{
	int r = vmm_xen_check_store(v, e);

	if (r < 0) {
		vmm_device_close(device);
		return r;
	}
	return xen_bus_add(v->bus, device, ret_slot, e);
}

int vmm_xen_detach(struct vmm *v, const char *id, bool force, struct error *e)
{
	int r = vmm_xen_check_store(v, e);

	return r < 0 ? r : xen_bus_detach(v->bus, id, force, e);
}

void vmm_xen_give_up(struct vmm *v, const char *id, struct error *why)
{
	xen_bus_give_up(v->bus, id, why);
}

int vmm_xen_set_link(struct vmm *v, const char *id, bool up, struct error *e)
{
	int r = vmm_xen_check_store(v, e);

	return r < 0 ? r : xen_bus_set_link(v->bus, id, up, e);
}

int vmm_xen_resize(struct vmm *v, const char *id, struct error *e)
{
	return xen_bus_resize(v->bus, id, e);
}

int vmm_xen_device_status(struct vmm *v, const char *id,
			  struct vmm_device_status *ret)
{
	return xen_bus_device_status(v->bus, id, ret);
}

void vmm_xen_keep_devices(struct vmm *v,
			  bool (*known)(void *cookie, const char *id),
			  void *cookie)
{
	xen_bus_keep(v->bus, known, cookie);
}
