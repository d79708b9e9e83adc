/*
 * One attach or detach under way on a running VM, from the request to the
 * supervisor to its end, when the call is answered. At most one per device;
 * vm->device_ops lists them.
 *
 * Thread: the loop thread.
 */
#ifndef DAEMON_DEVICE_OP_H
#define DAEMON_DEVICE_OP_H

#include "daemon/nic_host.h"
#include "daemon/vm_devices.h"

struct device_op {
	struct device_op *next;
	struct vm *vm;
	struct api_call *call;
	enum vm_device_kind kind;
	char id[VM_DEVICE_ID_MAX + 1];
	bool add, live;
	uint64_t timeout_ms;
	json_object *config; /* of an add: complete; owned */
	json_object *last;   /* the last "device" message */
	/* Of an add: what is sent with the request, once passt serves. */
	json_object *body;
	struct nic_host host;
	uv_timer_t timer; /* its closing frees the op */
};

/* -EBUSY when one is under way on that device; with `force` that one fails. */
int device_op_new(struct vm *vm, enum vm_device_kind kind, const char *id,
		  bool force, struct api_call *call, struct device_op **ret,
		  struct error *e) must_check;
/* Send "attach" or "detach", with the descriptors in op->host; the op ends by
 * itself. `body` is consumed. */
void device_op_request(struct device_op *op, const char *type,
		       json_object *body);
/* A step nobody but us knows of. */
void device_op_event(struct device_op *op, enum vm_device_state state,
		     const char *detail);

/* A member of a message, "" when it is missing; borrowed. */
const char *device_text(json_object *message, const char *key);

#endif
