/*
 * The definition of a VM as a user writes it: hypervisor-neutral, JSON in and
 * out through field tables, validated field by field.
 *
 *   { "name": "web", "memory": "2GiB", "vcpus": 2,
 *     "disks": [ { "path": "/srv/web.raw", "serial": "root" } ],
 *     "nics":  [ { "tap": "tap0" } ] }
 *
 * Ownership: the structure owns its strings and arrays; release with
 * vm_config_done(). A zeroed structure is a valid empty one.
 */
#ifndef LIB_MODEL_VM_CONFIG_H
#define LIB_MODEL_VM_CONFIG_H

#include "lib/base/json.h"
#include "lib/base/parse.h"
#include "lib/model/vm_config_shared.h"

#define VM_NAME_MAX	      64
#define VM_DISKS_MAX	      32
#define VM_QUEUES_MAX	      8 /* of a disk */
#define VM_NICS_MAX	      16
#define VM_NIC_QUEUES_MAX     8	    /* pairs of queues of a NIC */
#define VM_NIC_FORWARDS_MAX   16    /* ports of the host that lead to it */
#define VM_NIC_MTU_MIN	      68    /* RFC 791 */
#define VM_NIC_MTU_MAX	      65521 /* what a tap of Linux takes */
#define VM_NIC_USER_MTU	      65520 /* passt's own */
#define VM_VCPUS_MAX	      512
#define VM_GICV2_VCPUS_MAX    8 /* CPU interfaces (ARM IHI 0048B, 2.1) */
#define VM_LABELS_MAX	      32
#define VM_LABEL_MAX	      128      /* bytes of a key, and of a value */
#define VM_MEMORY_MIN	      MIB(128) /* what the stock firmware needs to start */
#define VM_MEMORY_MAX	      GIB(128 * 1024) /* what 48 address bits leave */
#define VM_MEMORY_MAX_AARCH32 GIB(3)
#define VM_MEMORY_STEP	      MIB(1)
#define VM_CMDLINE_MAX	      2047 /* COMMAND_LINE_SIZE of Linux on ARM */
/* Of a disk or NIC; what virtio-blk has room for as a serial (VIRTIO 1.2,
 * 5.2.6), so that an id can serve as one. */
#define VM_DEVICE_ID_MAX 20
/* Slots a device can be plugged into: enough for all of a definition and the
 * greatest max_hotplug. */
#define VM_HOTPLUG_MAX	   32
#define VM_HOTPLUG_DEFAULT 8
#define VM_SLOTS_MAX	   (VM_DISKS_MAX + VM_NICS_MAX + VM_HOTPLUG_MAX)

enum vm_hypervisor {
	VM_HYPERVISOR_AUTO,
	VM_HYPERVISOR_KVM,
	VM_HYPERVISOR_XEN,
	VM_HYPERVISOR_NULL
};
extern const char *const vm_hypervisor_names[]; /* ends with NULL */

/* What follows a crash or panic of the guest, and a reset it asked for. */
enum vm_on_crash {
	VM_ON_CRASH_STOP,
	VM_ON_CRASH_RESTART,
	VM_ON_CRASH_PRESERVE, /* a panicked guest is paused, to be looked at */
};
enum vm_on_reboot {
	VM_ON_REBOOT_RESTART,
	VM_ON_REBOOT_STOP,
	VM_ON_REBOOT_PRESERVE,
};
enum vm_arch { VM_ARCH_AARCH64, VM_ARCH_AARCH32 };
enum vm_gic { VM_GIC_AUTO, VM_GIC_V2, VM_GIC_V3 };
enum vm_memory_backing {
	VM_MEMORY_ANONYMOUS,
	VM_MEMORY_HUGEPAGES,
	VM_MEMORY_MEMFD
};
enum vm_feature { VM_FEATURE_AUTO, VM_FEATURE_ON, VM_FEATURE_OFF };

/* How what is built in is reached; each an enum vm_device_bus. */
struct vm_buses {
	int rng, console, balloon, vsock;
};

/* What of the CPU a guest gets to see; each an enum vm_feature. */
struct vm_features {
	int pmu, sve, pauth, mte, steal_time;
};

/* What follows when the guest lets its watchdog expire. */
enum vm_on_watchdog {
	VM_ON_WATCHDOG_RESET,
	VM_ON_WATCHDOG_PAUSE,
	VM_ON_WATCHDOG_STOP,
	VM_ON_WATCHDOG_IGNORE
};

/* What the guest has as its console. */
enum vm_console {
	VM_CONSOLE_PL011,
	VM_CONSOLE_VIRTIO,
	VM_CONSOLE_BOTH /* pl011 is the one named to the guest */
};

/* How the queues of virtio devices lie in memory, if the driver can do it. */
enum vm_ring { VM_RING_SPLIT, VM_RING_PACKED };

/* How a virtio device is reached. */
enum vm_device_bus { VM_DEVICE_BUS_PCIE, VM_DEVICE_BUS_MMIO };

/* What follows when the host fails to read or write. */
enum vm_on_error {
	VM_ON_ERROR_NO_SPACE, /* pause the VM if it has no space left */
	VM_ON_ERROR_REPORT,   /* an I/O error for the guest */
	VM_ON_ERROR_PAUSE,    /* pause the VM; what failed is tried again */
};

struct disk_config {
	char *id;     /* unique in the VM; default disk0, disk1, ... */
	char *path;   /* absolute; regular file (raw) or block device */
	char *serial; /* up to VM_DEVICE_ID_MAX bytes, default the id */
	bool readonly;
	int bus;	 /* enum vm_device_bus */
	uint32_t queues; /* 0: see vm_disk_queues() */
	int on_error;	 /* enum vm_on_error */
	uint32_t slot;	 /* 1 to VM_SLOTS_MAX, unique in the VM; 0 on MMIO */
};

/* Whether the cable of a NIC is in. */
enum vm_link { VM_LINK_UP, VM_LINK_DOWN };
/* Whether the kernel serves a NIC's rings. */
enum vm_vhost { VM_VHOST_AUTO, VM_VHOST_ON, VM_VHOST_OFF };
/* What follows when a NIC's host end is gone for good. */
enum vm_nic_on_error {
	VM_NIC_ON_ERROR_REPORT, /* the guest's link is down */
	VM_NIC_ON_ERROR_PAUSE,	/* that, and the VM is paused */
};
enum vm_protocol { VM_PROTOCOL_TCP, VM_PROTOCOL_UDP };

/* A port of the host that leads to one of the guest. */
struct forward_config {
	int protocol;	     /* enum vm_protocol */
	char *address;	     /* of the host, numeric; NULL: any */
	uint32_t host_port;  /* 1 to 65535 */
	uint32_t guest_port; /* 0: the same */
};

struct nic_config {
	char *id;	 /* unique in the VM; default nic0, nic1, ... */
	char *tap;	 /* existing or to be made tap interface; or NULL */
	char *bridge;	 /* bridge a fresh tap joins; or NULL */
	bool user;	 /* neither: through passt, as the host's processes */
	char *mac;	 /* default: derived from the VM's uuid and the id;
			  * lower case */
	int bus;	 /* enum vm_device_bus */
	uint32_t slot;	 /* as a disk's */
	uint32_t queues; /* pairs of them; 0: one */
	uint32_t mtu;	 /* 0: the guest's own choice */
	int link;	 /* enum vm_link */
	int vhost;	 /* enum vm_vhost */
	int on_error;	 /* enum vm_nic_on_error */
	struct forward_config *forwards; /* only with `user` */
	size_t n_forwards;
};

struct vm_config {
	char *name;
	char *uuid; /* default: random, at definition; lower case */
	char *description;
	int hypervisor; /* enum vm_hypervisor */
	int arch;	/* enum vm_arch */
	int gic;	/* enum vm_gic */
	int console;	/* enum vm_console */
	int ring;	/* enum vm_ring */
	struct vm_buses buses;
	struct vm_features features;
	uint32_t vcpus;
	uint32_t cpu_weight; /* 1 to 10000; 0: systemd's own default */
	char *host_cpus;     /* as lib/base/cpu_list.h; NULL: any */
	uint64_t memory_bytes;
	int memory_backing; /* enum vm_memory_backing */
	bool free_page_reporting;
	int on_watchdog; /* enum vm_on_watchdog */
	char *firmware;	 /* path; default: the distribution's for arch */
	/* Direct boot: paths, no firmware then; initrd and cmdline only with a
	 * kernel. */
	char *kernel, *initrd;
	char *cmdline;
	struct disk_config *disks;
	size_t n_disks;
	struct nic_config *nics;
	size_t n_nics;
	struct vsock_config vsock;
	struct filesystem_config *filesystems;
	size_t n_filesystems;
	json_object *labels; /* an object of strings; NULL: none */
	bool transient;	     /* the definition ends with the first run */
	bool autostart;	     /* by the daemon, after the host was started */
	uint32_t autostart_order;    /* lower ones first */
	uint32_t autostart_delay_ms; /* to wait after it was started */
	int on_crash;		     /* enum vm_on_crash */
	int on_reboot;		     /* enum vm_on_reboot */
	uint32_t max_hotplug;	     /* free slots a start provides for more */
};

extern const struct json_field vm_config_fields[];
/* Of one struct disk_config, and one struct nic_config. */
extern const struct json_field vm_disk_fields[], vm_nic_fields[];

/*
 * Defaults, decode, validate: bounds, MACs well-formed, no two disks or NICs
 * with the same id, path, serial, tap or MAC; ids, serials, MACs and uuid are
 * filled in, so that the result encodes to a definition that decodes to the
 * same. -EINVAL names field, value and what is accepted; *ret, which is owned
 * by the caller, is then untouched.
 */
int vm_config_from_json(json_object *object, struct vm_config *ret,
			struct error *e) must_check;
/* Whether a field of a definition can change while the VM runs. */
bool vm_config_field_is_live(const char *field);

/* May `b` replace `a` while the VM runs? Whatever the guest could notice is
 * the same in both; NULL if so, else the field that differs. */
const char *vm_config_live_difference(const struct vm_config *a,
				      const struct vm_config *b);

/* Owned by the caller; NULL when out of memory. */
json_object *vm_config_to_json(const struct vm_config *c);
void vm_config_done(struct vm_config *c);
#define _cleanup_vm_config_ _cleanup_(vm_config_done)

/* NULL or what is accepted: letters, digits, '.', '_', '-'; first a letter
 * or digit; at most VM_NAME_MAX; not of the form of a uuid. */
const char *vm_name_check(const char *name);
/* The same for the id of a disk or network interface. */
const char *vm_device_id_check(const char *id);

/* In a structure just decoded: fill in what was left out, and judge what the
 * field tables cannot. Part of vm_config_from_json(). */
int vm_config_complete(struct vm_config *c, struct error *e) must_check;

/* Part of the above: one NIC by itself; its MAC is made lower case. */
int vm_config_check_nic(struct nic_config *nic, size_t i,
			struct error *e) must_check;
/* Part of the above: slots for those that have none. */
int vm_config_complete_slots(struct vm_config *c, struct error *e) must_check;
/* How many slots the machine has: all in use and max_hotplug free ones. */
unsigned vm_config_slots(const struct vm_config *c);
/* Request queues a disk has: as it says, else one per vCPU, up to
 * VM_QUEUES_MAX; on MMIO, where all share an interrupt, one. */
unsigned vm_disk_queues(const struct vm_config *c,
			const struct disk_config *disk);
/* Pairs of queues a NIC has, and the MTU its guest is told (0: none). */
unsigned vm_nic_queues(const struct nic_config *nic);
uint32_t vm_nic_mtu(const struct nic_config *nic);
bool vm_config_slot_used(const struct vm_config *c, uint32_t slot);
/* The highest one in use; 0: none. */
unsigned vm_config_slots_used(const struct vm_config *c);

#endif
