/* What the files of xen_bus share: the device, and what the kinds of devices
 * differ in. */
#ifndef VMM_XEN_XEN_BUS_INTERNAL_H
#define VMM_XEN_XEN_BUS_INTERNAL_H

#include <net/if.h>
#include <sys/stat.h>

#include "vmm-xen/xen_bus.h"
#include "vmm-xen/xen_host.h"
#include "vmm-xen/xen_store.h"

/* Of the hotplug scripts libxl runs when it removes a device, and netback asks
 * for: nothing is left for one to do. */
#define XEN_SCRIPT "/bin/true"

/* xen/io/xenbus.h; 0: none, or nonsense. */
enum xenbus_state {
	XENBUS_UNKNOWN,
	XENBUS_INITIALISING,
	XENBUS_INIT_WAIT,
	XENBUS_INITIALISED,
	XENBUS_CONNECTED,
	XENBUS_CLOSING,
	XENBUS_CLOSED,
	XENBUS_RECONFIGURING,
	XENBUS_RECONFIGURED
};

enum xen_device_op {
	XEN_OP_NONE,
	XEN_OP_ATTACH,
	XEN_OP_DETACH,
	XEN_OP_REMOVE, /* nodes are being taken away, guest or no guest */
};

struct xen_device;

struct xen_device_class {
	const char *name; /* in xenstore: "vbd" */
	const char *driver;
	/* The number in xenstore of the device in a slot. */
	uint32_t (*number)(uint32_t slot);
	/* What makes the device what it is: into the backend's and libxl's
	 * folder, and into the guest's. */
	void (*backend_nodes)(const struct xen_device *d, struct xen_changes *c,
			      const char *dir);
	void (*guest_nodes)(const struct xen_device *d, struct xen_changes *c,
			    const char *dir);
	/* The backend is there: what dom0 has to do before it can connect.
	 * -EAGAIN: not yet; else why the device cannot be. Once it was 0, not
	 * again in this domain. */
	int (*backend_ready)(struct xen_device *d, struct error *e);
	/* From the nodes of a device that is there. */
	int (*adopt)(struct xen_device *d, const char *dir, struct error *e);
	int (*stats)(const struct xen_device *d, struct vm_stats *ret);
	void (*host_done)(struct xen_device *d);
};

struct xen_device {
	struct xen_device *next;
	struct xen_bus *bus;
	const struct xen_device_class *class;
	enum vm_device_kind kind;
	char id[VM_DEVICE_ID_MAX + 1];
	uint32_t slot;
	enum xen_device_op op;
	enum vm_device_state told; /* of an attach under way: so far */
	enum xenbus_state backend, frontend;
	bool nonsense; /* the guest wrote something else than a state */
	bool ready;    /* backend_ready() was 0 */
	bool nodes;    /* are there */
	/* Of a removal: tell nobody; wait no longer; why, if it is for an
	 * attach that failed. */
	bool quiet, hurry;
	char why[ERROR_MESSAGE_MAX];
	struct xen_watch *backend_watch, *frontend_watch;
	/* Of a disk. loop_fd is -1 for a block device, device_fd that then. */
	int loop_fd, device_fd;
	dev_t dev;
	bool readonly;
	/* The file a loop device is over: its number alone may be another's
	 * after the supervisor that had it open ended. */
	dev_t file_dev;
	ino_t file_ino;
	bool lost; /* when it was adopted: it is another's, or nobody's */
	/* Of a network interface. */
	char bridge[IFNAMSIZ], mac[18];
	uint32_t mtu;
	bool link_up;
};

struct xen_bus {
	uv_loop_t *loop;
	struct xen_store *store;
	const struct xen_bus_events *events;
	void *cookie;
	bool connected, lost;
	uint32_t domid;
	struct xen_device *devices;
	/* Asks dom0's kernel for what xenstore does not tell. */
	uv_timer_t poll;
};

extern const struct xen_device_class xen_block_class, xen_net_class;

/* Judge and take what a device is made of; `device`'s descriptors are taken
 * where they are needed and stay the caller's else. */
int xen_block_init(struct xen_device *d, const struct vmm_device *device,
		   struct error *e) must_check;
int xen_net_init(struct xen_device *d, const struct vmm_device *device,
		 struct error *e) must_check;

/* -EBUSY: another domain has the same disk, and one of the two may write. */
int xen_block_check_free(struct xen_bus *bus, const struct stat *st,
			 bool readonly, struct error *e) must_check;

/* "vif3.0", of the domain that is connected. */
void xen_net_name(const struct xen_device *d, char buf[IFNAMSIZ]);

/* xen_device.c: nodes and names. */
struct xen_paths {
	char frontend[XEN_PATH_MAX], backend[XEN_PATH_MAX], libxl[XEN_PATH_MAX];
	char error[XEN_PATH_MAX];
	char kernel[48]; /* dom0's name of the backend: "vbd-1-51712" */
};
void xen_device_paths(const struct xen_device *d, struct xen_paths *ret);
/* NULL: no memory. In no list yet. */
struct xen_device *xen_device_new(struct xen_bus *bus, enum vm_device_kind kind,
				  const char *id);
void xen_bus_append(struct xen_bus *bus, struct xen_device *d);
/* NULL: none, or only one that is on its way out and of which nobody is to
 * hear any more. */
struct xen_device *xen_device_find(struct xen_bus *bus, const char *id);
/* Nodes and, with the domain, watches. */
void xen_device_nodes(const struct xen_device *d, struct xen_changes *c);
void xen_device_remove_nodes(const struct xen_device *d, struct xen_changes *c);
int xen_device_watch(struct xen_device *d, struct error *e) must_check;
void xen_device_unwatch(struct xen_device *d);
/* Out of the list, host part and memory. */
void xen_device_free(struct xen_device *d);
/* A frontend's or backend's state as text; what is none is unknown. */
enum xenbus_state xenbus_state_parse(const char *text);

/* xen_hotplug.c: steps. */
/* Take it away, guest or no guest, whatever is in the way. */
void xen_device_remove(struct xen_device *d);
/* See where both ends are, and go on from there. */
void xen_device_look(struct xen_device *d);
/* The timer of the bus: until nothing is asked for any more. */
void xen_bus_poll(struct xen_bus *bus);

#endif
