/*
 * virtio console device with several ports: VIRTIO 1.2, 5.3. Port 0 may be a
 * console (hvc0 in Linux), the others have names (/dev/virtio-ports/NAME) and
 * lead to a program in the guest. Each port's other end is a chardev.
 *
 * A port without a chardev is not announced. A driver without MULTIPORT only
 * has port 0.
 */
#ifndef VMM_KVM_DEVICES_VIRTIO_CONSOLE_H
#define VMM_KVM_DEVICES_VIRTIO_CONSOLE_H

#include "lib/host/chardev.h"
#include "vmm-kvm/devices/virtio.h"

/* Two queues each, and two for control. */
#define VIRTIO_CONSOLE_PORTS 2

struct virtio_console_port {
	struct chardev *chardev; /* borrowed; NULL: no such port */
	const char *name;	 /* borrowed; NULL: a console (port 0 only) */
};

/* *ret is for a transport's _new. Loop thread, before the guest runs. */
int virtio_console_new(
	const struct virtio_console_port ports[VIRTIO_CONSOLE_PORTS],
	struct virtio_dev **ret, struct error *e) must_check;

#endif
