/*
 * The backend seam: what a supervisor asks of a hypervisor, and what it is
 * told. Three implementers keep it honest: vmm-kvm, vmm-xen and the null
 * backend. The contract never says PCI, GIC, xenstore or domid.
 *
 * Life: create → start → (pause ⇄ resume | reset | shutdown)* → destroy.
 * Operations the guest takes part in only begin here; their end is an event.
 * Devices come and go while the machine is running or paused; what is attached
 * then stays through resets, like everything it was created with.
 *
 * A machine that is paused can be saved: all of it goes to a stream, as
 * lib/snapshot/snapshot.h has it from MACHINE on. create() makes one of what
 * was saved; it is then like any that was not started yet, but its guest goes
 * on where it stood.
 *
 * On some hypervisors a machine outlives the supervisor that made it, unless
 * that destroyed it; another one's create() can adopt it.
 *
 * Thread: every operation and every event on the loop thread given to create.
 * After destroy() returns no event comes any more.
 *
 * Ownership: create() consumes every descriptor in `vmm_params`, also when it
 * fails; config is borrowed for the life of the vmm.
 */
#ifndef LIB_VMM_VMM_H
#define LIB_VMM_VMM_H

#include <uv.h>

#include "lib/base/fd.h"
#include "lib/model/vm_config.h"
#include "lib/model/vm_device.h"
#include "lib/model/vm_state.h"
#include "lib/model/vm_stats.h"

struct vmm;

/* Why a machine came to rest, or what it wants. */
enum vmm_event_kind {
	VMM_EVENT_RUNNING, /* the first guest instruction is about to run */
	VMM_EVENT_PAUSED,
	VMM_EVENT_RESUMED,
	VMM_EVENT_POWEROFF, /* the guest turned itself off: now at rest */
	VMM_EVENT_RESET,    /* the guest rebooted; the machine goes on */
	VMM_EVENT_PANIC,    /* the guest reported a crash */
	VMM_EVENT_WATCHDOG, /* the guest let its watchdog expire */
	VMM_EVENT_BALLOON,  /* the guest gave or took what was asked */
	VMM_EVENT_IO_ERROR, /* of a disk; the guest was told */
	VMM_EVENT_IO_HELD,  /* of a disk; held until resume, so: pause */
	/* A device is out of order until its driver resets it, because of what
	 * is behind it on the host; `detail` names both. */
	VMM_EVENT_DEVICE_FAILED,
	/* The guest runs on, but not all can be done with it any more; `detail`
	 * says what has ended on the host, and what can be done. It also comes
	 * with later states then. */
	VMM_EVENT_DEGRADED,
	VMM_EVENT_FATAL, /* the backend cannot go on: now at rest */
};

/* A disk or network interface that has a slot. */
struct vmm_device_status {
	enum vm_device_kind kind;
	enum vm_device_state state;
	uint32_t slot;
	char id[VM_DEVICE_ID_MAX + 1];
	/* Where the guest sees it ("0000:04:00.0"), and by which driver
	 * ("virtio-blk"); "" while nobody knows. */
	char address[VM_DEVICE_ADDRESS_MAX];
	char driver[VM_DEVICE_ADDRESS_MAX];
};

struct vmm_events {
	/* `detail` is a sentence or "", valid during the call. */
	void (*event)(void *cookie, enum vmm_event_kind kind,
		      const char *detail);
	/*
	 * The guest finished an update of its variable store: bytes
	 * [offset, offset+size) of the nvram memory. The guest is held until
	 * the owner calls ops->nvram_committed(). At most one at a time.
	 */
	void (*nvram_commit)(void *cookie, uint64_t offset, uint64_t size);
	/*
	 * A step of an attach or detach under way, each once and in order;
	 * "active" ends an attach, "released" a detach. `status` is borrowed.
	 */
	void (*device)(void *cookie, const struct vmm_device_status *status);
	/* An attach ended before its deadline, and the device is gone again; or
	 * one the machine was made with will never work. `why` is a sentence.
	 */
	void (*device_failed)(void *cookie,
			      const struct vmm_device_status *status,
			      const char *why);
	/* The server of config->filesystems[index] ended, or spoke nonsense:
	 * ops->set_filesystem() gives it another. */
	void (*filesystem_lost)(void *cookie, size_t index, const char *why);
	/* The host's end of a network interface is gone for good, and so is the
	 * guest's link; `detail` is a sentence. Once for each. */
	void (*nic_failed)(void *cookie, const char *id, const char *detail);
};

struct vmm_disk {
	int fd; /* opened read-write, or read-only if the config says so */
};

/* A descriptor for each pair of queues (lib/host/netdev.h); then, when the
 * kernel is to serve them, as many of /dev/vhost-net. */
struct vmm_nic {
	struct fd_list fds;
};

/* What is attached while the machine runs. */
struct vmm_device {
	enum vm_device_kind kind;
	const struct disk_config *disk; /* of kind VM_DEVICE_DISK */
	const struct nic_config *nic;	/* of kind VM_DEVICE_NIC */
	int fd;				/* of a disk: as in vmm_disk */
	struct vmm_nic nic_host;	/* of a network interface */
};

/* For a device that is not taken after all. */
static inline void vmm_device_close(const struct vmm_device *device)
{
	struct fd_list fds = device->nic_host.fds;

	fd_close(device->fd);
	fd_list_done(&fds);
}

struct vmm_params {
	const struct vm_config *config;
	uv_loop_t *loop;
	const struct vmm_events *events;
	void *cookie;
	int hypervisor_fd; /* /dev/kvm; -1 for others */
	int firmware_fd;   /* read-only regular file; -1 for none */
	int kernel_fd;	   /* likewise; started instead of a firmware */
	int initrd_fd;	   /* likewise; -1 for none */
	int nvram_fd;	   /* memfd of nvram_size bytes, read-write, shared */
	uint64_t nvram_size;
	/* config->n_filesystems vhost-user sockets */
	int filesystems[VM_FILESYSTEMS_MAX];
	int vsock_fd; /* /dev/vhost-vsock with config->vsock.cid; if that */
	struct vmm_disk disks[VM_DISKS_MAX]; /* config->n_disks of them */
	struct vmm_nic nics[VM_NICS_MAX];    /* config->n_nics of them */
	/* A whole snapshot, read-only: the machine is that one, which has this
	 * definition; -1: a new one. Read during create(). */
	int snapshot_fd;
	/* Start it paused. */
	bool paused;
	/* The machine is there already, with this definition: take it over,
	 * and let start() only tell how it is. -EOPNOTSUPP where a machine
	 * ends with its supervisor; -ENOENT when there is none (any more). */
	bool adopt;
	/* Borrowed. The first is never NULL; the others are what the
	 * definition asks for, and the port of the guest's agent. */
	struct chardev *console, *virtio_console, *agent;
};

/* Every descriptor that the definition has a use for; each is -1 then. */
static inline void vmm_params_close(struct vmm_params *p)
{
	p->hypervisor_fd = fd_close(p->hypervisor_fd);
	p->firmware_fd = fd_close(p->firmware_fd);
	p->kernel_fd = fd_close(p->kernel_fd);
	p->initrd_fd = fd_close(p->initrd_fd);
	p->nvram_fd = fd_close(p->nvram_fd);
	p->snapshot_fd = fd_close(p->snapshot_fd);
	if (p->config->vsock.cid)
		p->vsock_fd = fd_close(p->vsock_fd);
	for (size_t i = 0; i < p->config->n_filesystems; i++)
		p->filesystems[i] = fd_close(p->filesystems[i]);
	for (size_t i = 0; i < p->config->n_disks; i++)
		p->disks[i].fd = fd_close(p->disks[i].fd);
	for (size_t i = 0; i < p->config->n_nics; i++)
		fd_list_done(&p->nics[i].fds);
}

struct vmm_save {
	int fd; /* a blocking stream; consumed, also on failure */
	bool compress;
	/* Once, from the loop: all was written, or why not. The machine is
	 * paused as it was. Not after destroy(). */
	void (*done)(void *cookie, const struct error *e);
	void *cookie;
};

struct vmm_ops {
	const char *name; /* "kvm", "xen", "null" */
	/* The host's end of a network interface is made here, from its
	 * definition: no descriptors come for it. */
	bool makes_nics;
	int (*create)(const struct vmm_params *params, struct vmm **ret,
		      struct error *e);
	int (*start)(struct vmm *v, struct error *e);
	int (*pause)(struct vmm *v, struct error *e);
	int (*resume)(struct vmm *v, struct error *e);
	int (*shutdown)(struct vmm *v, struct error *e); /* power button */
	/* A driver in the guest watches the power button. */
	bool (*button_heard)(struct vmm *v);
	int (*reset)(struct vmm *v, struct error *e);
	/* Ask the guest to start over, which it does as VMM_EVENT_RESET. NULL:
	 * nothing of the machine can ask that. */
	int (*reboot)(struct vmm *v, struct error *e);
	/*
	 * A disk's file or device was resized: look at it and tell the guest.
	 * -ENOENT when there is no such disk.
	 */
	int (*resize)(struct vmm *v, const char *id, struct error *e);
	/* Memory the guest shall make do with, up to what it was defined with.
	 * Only begins; reaching it is an event. */
	int (*set_balloon)(struct vmm *v, uint64_t bytes, struct error *e);
	void (*nvram_committed)(struct vmm *v);
	/*
	 * What the machine did so far, into *ret, which is zeroed and owned by
	 * the caller, also on failure; times are the caller's. What the guest
	 * has to be asked for is as it last said. -ENOMEM.
	 */
	int (*stats)(struct vmm *v, struct vm_stats *ret, struct error *e);
	/*
	 * Offer a device to the guest. The descriptor is consumed, also on
	 * failure; the configuration is borrowed during the call. -ENOSPC when
	 * no slot is free. The slot the configuration names is taken when it is
	 * free, else the lowest one; *ret_slot is it.
	 */
	int (*attach)(struct vmm *v, const struct vmm_device *device,
		      uint32_t *ret_slot, struct error *e);
	/*
	 * Ask the guest to let go of a device, or, with `force`, take it away
	 * without asking, within seconds, whatever is under way with it.
	 * -ENOENT, -EBUSY (an operation is under way; not with `force`).
	 */
	int (*detach)(struct vmm *v, const char *id, bool force,
		      struct error *e);
	/*
	 * End an operation the guest has not followed: an attached device is
	 * gone again, one to be detached stays. `why` gets a sentence with the
	 * likely reason. Nothing happens when no operation is under way; one
	 * with `force` just ends now.
	 */
	void (*give_up)(struct vmm *v, const char *id, struct error *why);
	/* Another server for a folder: a vhost-user socket, consumed also on
	 * failure. The guest has it after its driver has reset the device. */
	int (*set_filesystem)(struct vmm *v, size_t index, int fd,
			      struct error *e);
	/* Plug a network interface's cable in or out. -ENOENT. */
	int (*set_link)(struct vmm *v, const char *id, bool up,
			struct error *e);
	/* How a device is now. -ENOENT when it has no slot. */
	int (*device_status)(struct vmm *v, const char *id,
			     struct vmm_device_status *ret);
	/* Of a machine that was adopted: take devices away that are not known,
	 * without a word. NULL where machines are not adopted. */
	void (*keep_devices)(struct vmm *v,
			     bool (*known)(void *cookie, const char *id),
			     void *cookie);
	/*
	 * Write down a machine that is paused. Only begins; nothing else may be
	 * asked of it until done(), but destroy(). Ends early, with an error,
	 * when the other end of the stream closes. -EOPNOTSUPP names the device
	 * that cannot be part of it, -EBUSY what is under way.
	 */
	int (*save)(struct vmm *v, const struct vmm_save *params,
		    struct error *e);
	/* How far that is: bytes of memory looked at, of how many. False: none
	 * is under way. */
	bool (*save_progress)(struct vmm *v, uint64_t *ret_done,
			      uint64_t *ret_total);
	/* Ends the guest at once if it runs; NULL is fine. */
	void (*destroy)(struct vmm *v);
};

#endif
