/* Disks and network interfaces of a running guest. */
#include "supervisor/devices.h"
#include "supervisor/handlers_internal.h"

int handle_attach(struct supervisor *s, const struct request *q,
		  struct reply *reply, struct error *e)
{
	struct device_request request = {
		.kind = q->kind,
		.config = q->config,
		.timeout_ms = q->timeout_ms,
	};
	uint32_t slot;
	int r = handlers_check_request(s, VM_REQUEST_HOTPLUG, e);

	if (r == 0 && q->n_fds < 1 &&
	    !(s->ops->makes_nics && streq(q->kind, "nic")))
		r = error_set(
			e, -EINVAL,
			"attach needs descriptors: of the disk, or of the "
			"network interface's queues");
	if (r < 0)
		return r;
	for (size_t i = 0; i < q->n_fds; i++)
		request.fds.fds[request.fds.n++] = TAKE_FD(q->fds[i]);
	r = devices_attach(s, &request, &slot, e);
	if (r == 0)
		json_object_object_add(reply->object, "slot",
				       json_object_new_int64(slot));
	return r;
}

int handle_link(struct supervisor *s, const struct request *q,
		struct reply *reply, struct error *e)
{
	int r = handlers_check_request(s, VM_REQUEST_HOTPLUG, e);

	return r < 0 ? r : devices_set_link(s, q->device, q->up, e);
}

int handle_detach(struct supervisor *s, const struct request *q,
		  struct reply *reply, struct error *e)
{
	const struct device_request request = {
		.kind = q->kind,
		.id = q->device,
		.force = q->force,
		.timeout_ms = q->timeout_ms,
	};
	int r = handlers_check_request(s, VM_REQUEST_HOTPLUG, e);

	return r < 0 ? r : devices_detach(s, &request, e);
}

int handle_devices(struct supervisor *s, const struct request *q,
		   struct reply *reply, struct error *e)
{
	json_object_object_add(reply->object, "devices", devices_list(s));
	return 0;
}

int handle_resize(struct supervisor *s, const struct request *q,
		  struct reply *reply, struct error *e)
{
	int r = handlers_check_request(s, VM_REQUEST_HOTPLUG, e);

	return r < 0 ? r : s->ops->resize(s->vmm, q->device, e);
}
