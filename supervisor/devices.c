#include <stdio.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/wire/messages.h"
#include "supervisor/devices.h"
#include "supervisor/supervisor.h"

/* Of a detach that an earlier supervisor began. */
#define ADOPTED_TIMEOUT_MS 20000

struct device {
	struct device *next;
	struct supervisor *s;
	enum vm_device_kind kind;
	char id[VM_DEVICE_ID_MAX + 1];
	json_object *config;
	bool attaching; /* what the timer is the deadline of, if it runs */
	uint64_t timeout_ms;
	uv_timer_t timer; /* its closing frees the device */
};

/* A disk or a network interface, decoded. */
struct parts {
	struct disk_config disk;
	struct nic_config nic;
};

static const struct json_field *fields_of(enum vm_device_kind kind)
{
	return kind == VM_DEVICE_DISK ? vm_disk_fields : vm_nic_fields;
}

static void *part_of(struct parts *p, enum vm_device_kind kind)
{
	return kind == VM_DEVICE_DISK ? (void *)&p->disk : (void *)&p->nic;
}

static struct device *device_find(struct supervisor *s, const char *id)
{
	struct device *d = s->devices;

	while (d && !streq(d->id, id))
		d = d->next;
	return d;
}

bool devices_pause_on_error(const struct supervisor *s, const char *id)
{
	json_object *policy = NULL;
	const struct device *d;

	for (d = s->devices; d; d = d->next)
		if (d->kind == VM_DEVICE_NIC && streq(d->id, id))
			json_object_object_get_ex(d->config, "on_error",
						  &policy);
	return policy && streq(json_object_get_string(policy), "pause");
}

static void on_closed(uv_handle_t *handle)
{
	struct device *d = handle->data;

	json_object_put(d->config);
	free(d);
}

static void device_forget(struct device *d)
{
	struct device **at = &d->s->devices;

	while (*at != d)
		at = &(*at)->next;
	*at = d->next;
	uv_close((uv_handle_t *)&d->timer, on_closed);
}

/* `config` is consumed, also on failure. */
static int device_add(struct supervisor *s, enum vm_device_kind kind,
		      const char *id, json_object *config, struct device **ret,
		      struct error *e)
{
	struct device *d = calloc(1, sizeof(*d)), **tail = &s->devices;

	if (!d) {
		json_object_put(config);
		return error_set(e, -ENOMEM, "out of memory");
	}
	d->s = s;
	d->kind = kind;
	d->config = config;
	snprintf(d->id, sizeof(d->id), "%s", id);
	uv_timer_init(&s->loop, &d->timer);
	d->timer.data = d;
	while (*tail)
		tail = &(*tail)->next;
	*tail = d;
	if (ret)
		*ret = d;
	return 0;
}

int devices_init(struct supervisor *s, struct error *e)
{
	const struct vm_config *c = &s->config;
	int r = 0;

	for (size_t i = 0; i < c->n_disks && r == 0; i++)
		r = device_add(s, VM_DEVICE_DISK, c->disks[i].id,
			       json_encode(vm_disk_fields, &c->disks[i]), NULL,
			       e);
	for (size_t i = 0; i < c->n_nics && r == 0; i++)
		r = device_add(s, VM_DEVICE_NIC, c->nics[i].id,
			       json_encode(vm_nic_fields, &c->nics[i]), NULL,
			       e);
	return r;
}

void devices_done(struct supervisor *s)
{
	while (s->devices)
		device_forget(s->devices);
}

static void add_text(json_object *o, const char *key, const char *text)
{
	json_object_object_add(o, key, json_object_new_string(text));
}

static void describe(json_object *o, const struct vmm_device_status *status)
{
	add_text(o, "kind", vm_device_kind_name(status->kind));
	add_text(o, "id", status->id);
	add_text(o, "state", vm_device_state_name(status->state));
	json_object_object_add(o, "slot", json_object_new_int64(status->slot));
	add_text(o, "address", status->address);
	add_text(o, "driver", status->driver);
}

static void status_of(const struct device *d, struct vmm_device_status *ret)
{
	struct supervisor *s = d->s;

	if (s->vmm && s->ops->device_status(s->vmm, d->id, ret) == 0)
		return;
	*ret = (struct vmm_device_status){
		.kind = d->kind,
		.state = VM_DEVICE_FIXED,
	};
	snprintf(ret->id, sizeof(ret->id), "%s", d->id);
}

static void tell(struct supervisor *s, const struct vmm_device_status *status,
		 const char *detail)
{
	json_object *message = supervisor_message(WIRE_DEVICE);

	log_vm(LOG_LEVEL_INFO, s->name, "%s \"%s\" %s%s%s",
	       vm_device_kind_name(status->kind), status->id,
	       vm_device_state_name(status->state), *detail ? ": " : "",
	       detail);
	describe(message, status);
	add_text(message, "detail", detail);
	supervisor_tell(s, message);
}

void devices_event(struct supervisor *s, const struct vmm_device_status *status)
{
	struct device *d = device_find(s, status->id);

	if (!d)
		return;
	if (status->state == VM_DEVICE_ACTIVE) {
		uv_timer_stop(&d->timer);
		d->attaching = false;
	} else if (status->state == VM_DEVICE_RELEASED) {
		device_forget(d);
	}
	tell(s, status, "");
}

void devices_failed(struct supervisor *s,
		    const struct vmm_device_status *status, const char *why)
{
	struct device *d = device_find(s, status->id);
	struct vmm_device_status failed = *status;

	if (!d)
		return;
	if (d->attaching)
		device_forget(d);
	failed.state = VM_DEVICE_FAILED;
	tell(s, &failed, why);
}

static void on_deadline(uv_timer_t *timer)
{
	struct device *d = timer->data;
	struct supervisor *s = d->s;
	struct vmm_device_status status;
	struct error why = ERROR_INIT;

	if (!s->vmm)
		return;
	status_of(d, &status);
	s->ops->give_up(s->vmm, d->id, &why);
	if (!why.err)
		return;
	status.state = VM_DEVICE_FAILED;
	if (d->attaching)
		device_forget(d);
	tell(s, &status, why.message);
}

static int check_timeout(const struct device_request *q, struct error *e)
{
	if (q->timeout_ms < 1 || q->timeout_ms > VM_DEVICE_TIMEOUT_MAX_MS)
		return error_set(e, -EINVAL,
				 "timeout_ms is %llu; 1 to %d are accepted",
				 (unsigned long long)q->timeout_ms,
				 VM_DEVICE_TIMEOUT_MAX_MS);
	return 0;
}

static void wait_for_guest(struct device *d, bool attaching,
			   uint64_t timeout_ms)
{
	d->attaching = attaching;
	d->timeout_ms = timeout_ms;
	uv_timer_start(&d->timer, on_deadline, timeout_ms, 0);
}

static int add_live(struct supervisor *s, json_object *entry, struct error *e)
{
	json_object *kind_name = NULL, *config = NULL, *id = NULL;
	enum vm_device_kind kind;

	json_object_object_get_ex(entry, "kind", &kind_name);
	json_object_object_get_ex(entry, "config", &config);
	json_object_object_get_ex(config, "id", &id);
	if (!id || !kind_name ||
	    vm_device_kind_by_name(json_object_get_string(kind_name), &kind) <
		    0 ||
	    json_object_get_string_len(id) > VM_DEVICE_ID_MAX)
		return error_set(e, -EINVAL,
				 "live must be devices with kind and id");
	if (device_find(s, json_object_get_string(id)))
		return 0;
	return device_add(s, kind, json_object_get_string(id),
			  json_object_get(config), NULL, e);
}

static bool is_known(void *cookie, const char *id)
{
	return device_find(cookie, id);
}

/* A detach under way has a deadline again. */
static void meet(struct device *d)
{
	struct vmm_device_status status;

	if (d->s->ops->device_status(d->s->vmm, d->id, &status) < 0)
		device_forget(d);
	else if (status.state == VM_DEVICE_RELEASING)
		wait_for_guest(d, false, ADOPTED_TIMEOUT_MS);
}

int devices_adopt(struct supervisor *s, json_object *live, struct error *e)
{
	size_t n = json_object_is_type(live, json_type_array)
			   ? json_object_array_length(live)
			   : 0;
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = add_live(s, json_object_array_get_idx(live, i), e);
	if (r < 0)
		return r;
	for (struct device *d = s->devices, *next; d; d = next) {
		next = d->next;
		meet(d);
	}
	s->ops->keep_devices(s->vmm, is_known, s);
	return 0;
}

/* A disk has one descriptor; of a network interface the backend judges. */
static int check_fds(const struct vmm_device *device, const struct fd_list *fds,
		     struct error *e)
{
	if (fds->n == 1 || device->kind != VM_DEVICE_DISK)
		return 0;
	return error_set(e, -EINVAL,
			 "a disk has one descriptor; %zu came with it", fds->n);
}

static int attach_part(struct supervisor *s, struct vmm_device *device,
		       struct parts *parts, const struct device_request *q,
		       struct fd_list *fds, uint32_t *ret_slot, struct error *e)
{
	const char *id = device->kind == VM_DEVICE_DISK ? parts->disk.id
							: parts->nic.id;
	struct device *d;
	int r;

	if (!id || device_find(s, id))
		return id ? error_set(e, -EEXIST,
				      "%s has a device \"%s\" already", s->name,
				      id)
			  : error_set(e, -EINVAL, "config has no id");
	r = check_fds(device, fds, e);
	if (r == 0)
		r = device_add(s, device->kind, id, json_object_get(q->config),
			       &d, e);
	if (r < 0)
		return r;
	/* Before the backend, which may tell of "active" at once. */
	wait_for_guest(d, true, q->timeout_ms);
	device->disk = &parts->disk;
	device->nic = &parts->nic;
	if (device->kind == VM_DEVICE_DISK)
		device->fd = fd_list_take(fds).fds[0];
	else
		device->nic_host.fds = fd_list_take(fds);
	r = s->ops->attach(s->vmm, device, ret_slot, e);
	if (r < 0)
		device_forget(d);
	return r;
}

int devices_attach(struct supervisor *s, const struct device_request *q,
		   uint32_t *ret_slot, struct error *e)
{
	_cleanup_fds_ struct fd_list fds = q->fds;
	struct vmm_device device = {.fd = -1};
	struct parts parts = {0};
	int r = check_timeout(q, e);

	if (r == 0 && vm_device_kind_by_name(q->kind, &device.kind) < 0)
		r = error_set(e, -EINVAL,
			      "kind \"%.20s\" is not accepted: disk and nic "
			      "are",
			      q->kind);
	if (r == 0) {
		r = json_decode(q->config, fields_of(device.kind),
				part_of(&parts, device.kind), "config", e);
		if (r == 0)
			r = attach_part(s, &device, &parts, q, &fds, ret_slot,
					e);
		json_release(fields_of(device.kind),
			     part_of(&parts, device.kind));
	}
	return r;
}

int devices_detach(struct supervisor *s, const struct device_request *q,
		   struct error *e)
{
	struct device *d = device_find(s, q->id);
	bool was_waiting;
	int r = check_timeout(q, e);

	if (r == 0 && (!d || !streq(vm_device_kind_name(d->kind), q->kind)))
		r = error_set(e, -ENOENT,
			      "%s has no %.20s \"%.64s\"; see: armvmctl %.20s "
			      "list %s",
			      s->name, q->kind, q->id, q->kind, s->name);
	if (r < 0)
		return r;
	was_waiting = uv_is_active((uv_handle_t *)&d->timer);
	if (!was_waiting)
		wait_for_guest(d, false, q->timeout_ms);
	r = s->ops->detach(s->vmm, d->id, q->force, e);
	/* On success `d` may be gone by now. */
	if (r < 0 && !was_waiting)
		uv_timer_stop(&d->timer);
	return r == -ENOENT
		       ? error_set(e, -EOPNOTSUPP,
				   "\"%s\" is built into the machine: it can "
				   "only be removed while %s is stopped",
				   d->id, s->name)
		       : r;
}

/* Its own definition follows, so that who lists it sees how it is. */
int devices_set_link(struct supervisor *s, const char *id, bool up,
		     struct error *e)
{
	struct device *d = device_find(s, id);
	int r;

	if (!d || d->kind != VM_DEVICE_NIC)
		return error_set(e, -ENOENT,
				 "%s has no nic \"%.64s\"; see: armvmctl nic "
				 "list %s",
				 s->name, id, s->name);
	r = s->ops->set_link(s->vmm, id, up, e);
	if (r < 0)
		return r;
	if (up)
		json_object_object_del(d->config, "link");
	else
		json_object_object_add(d->config, "link",
				       json_object_new_string("down"));
	log_vm(LOG_LEVEL_INFO, s->name, "nic \"%s\": link %s", id,
	       up ? "up" : "down");
	return 0;
}

json_object *devices_list(struct supervisor *s)
{
	json_object *list = json_object_new_array();

	for (struct device *d = s->devices; d; d = d->next) {
		json_object *o = json_object_new_object();
		struct vmm_device_status status;

		status_of(d, &status);
		describe(o, &status);
		json_object_object_add(o, "config", json_object_get(d->config));
		json_object_array_add(list, o);
	}
	return list;
}
