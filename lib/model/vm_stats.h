/*
 * What a running VM has done so far: counters that only grow while it runs, so
 * that two answers and their times make rates. As the supervisor tells them
 * and the API shows them:
 *
 *   { "time_ns", "cpu_ns", "loop_ns",
 *     "vcpus": [{ "cpu_ns", "exits", "kvm_exits", "hvc", "wfi", "wfe",
 *                 "mmio_user", "mmio_kernel", "signals" }],
 *     "exits": { "mmio", "system_event", "undecoded", "interrupted" },
 *     "unanswered", "late_writes",
 *     "mmio": [{ "device", "reads", "writes" }],
 *     "disks": [{ "id", "in_flight", "read": OP, "write": OP, "flush": OP,
 *                 "discard": OP }],
 *     "nics": [{ "id", "tap", "kernel", "rx": FLOW, "tx": FLOW }],
 *     "balloon": { "driver", "target", "actual", "reported", "guest_ns",
 *                  "free", "total", "available", "caches", "swap_in",
 *                  "swap_out", "major_faults", "minor_faults" } }
 *   OP: { "requests", "errors", "bytes", "total_ns", "latency": [number...] }
 *   FLOW: { "frames", "bytes", "dropped", "total_ns", "latency" }
 *
 * What is 0 or unknown may be missing. "latency" is a histogram of
 * lib/base/io_stats.h.
 *
 * Ownership: by vm_stats_done(), or json_release() on vm_stats_fields.
 */
#ifndef LIB_MODEL_VM_STATS_H
#define LIB_MODEL_VM_STATS_H

#include "lib/base/io_stats.h"
#include "lib/base/json.h"

/* Devices a VM may have of each kind, at the same time. */
#define VM_STATS_DEVICES_MAX 128
#define VM_STATS_MMIO_MAX    64
#define VM_STATS_NAME_MAX    32

struct vm_stats_vcpu {
	uint64_t cpu_ns; /* of its thread, guest and host */
	uint64_t exits;	 /* to user space */
	/* As KVM counts; 0 where the kernel does not say. */
	uint64_t kvm_exits, hvc, wfi, wfe, mmio_user, mmio_kernel, signals;
};

/* By what ended KVM_RUN, of all vCPUs. */
struct vm_stats_exits {
	uint64_t mmio;	       /* an access to a device */
	uint64_t system_event; /* PSCI: off, reset */
	uint64_t undecoded;    /* an access KVM cannot describe */
	uint64_t interrupted;  /* we asked it to leave */
};

/* Accesses that came to a device, by its name. */
struct vm_stats_mmio {
	char *device;
	uint64_t reads, writes;
};

struct vm_stats_disk {
	char *id;
	uint64_t in_flight; /* requests, now */
	struct io_op_stats read, write, flush;
	struct io_op_stats discard; /* and write-zeroes */
};

struct vm_stats_nic {
	char *id;
	/* NULL, or the tap whose frames the kernel moves: its counters, which
	 * are the host's to read, are the NIC's. */
	char *tap;
	bool kernel; /* vhost moves its frames, whose times nobody takes */
	struct io_flow_stats rx, tx; /* as the guest sees it */
};

struct vm_stats_balloon {
	bool driver;		 /* the guest has one */
	uint64_t target, actual; /* bytes left to the guest */
	uint64_t reported;	 /* bytes given back by reporting */
	/* What the guest said, and when (as time_ns; 0: never). */
	uint64_t guest_ns;
	uint64_t free, total, available, caches;
	uint64_t swap_in, swap_out, major_faults, minor_faults;
};

struct vm_stats {
	uint64_t time_ns; /* CLOCK_MONOTONIC of the host, when it was counted */
	uint64_t cpu_ns;  /* of the whole supervisor, vCPUs included */
	uint64_t loop_ns; /* of its thread for devices and control */
	struct vm_stats_vcpu *vcpus;
	size_t n_vcpus;
	struct vm_stats_exits exits;
	uint64_t unanswered;  /* accesses to where there is nothing */
	uint64_t late_writes; /* to devices, brought by the next exit */
	struct vm_stats_mmio *mmio;
	size_t n_mmio;
	struct vm_stats_disk *disks;
	size_t n_disks;
	struct vm_stats_nic *nics;
	size_t n_nics;
	struct vm_stats_balloon balloon;
};

/* Not required: any of them. Bounds are those above. */
extern const struct json_field vm_stats_fields[];

void vm_stats_done(struct vm_stats *s);

/* What a list of many VMs needs of each: sums over vCPUs, disks and NICs. */
struct vm_stats_totals {
	uint64_t time_ns, cpu_ns, exits;
	uint64_t disk_read, disk_written, disk_requests; /* bytes, bytes, - */
	uint64_t net_received, net_sent; /* bytes, as the guest sees it */
};
extern const struct json_field vm_stats_totals_fields[];
void vm_stats_sum(const struct vm_stats *s, struct vm_stats_totals *ret);

/* Room for one more element, zeroed; `name` is copied. NULL: no memory, or as
 * many as may be. */
struct vm_stats_mmio *vm_stats_add_mmio(struct vm_stats *s, const char *name);
struct vm_stats_disk *vm_stats_add_disk(struct vm_stats *s, const char *id);
struct vm_stats_nic *vm_stats_add_nic(struct vm_stats *s, const char *id);

/*
 * For messages of bounded size. vCPUs, disks and NICs are numbered in this
 * order. Makes *ret a view of `s` (borrowing: not to be released) with those
 * from number `from` on that fit one message; the return value is the number
 * to go on from, or 0 when these were the last.
 */
size_t vm_stats_part(const struct vm_stats *s, size_t from,
		     struct vm_stats *ret);
/* Append such a part, whose elements are taken; all else stays as it was in
 * `s`. -EINVAL when that makes more than there may be, -ENOMEM. */
int vm_stats_join(struct vm_stats *s, struct vm_stats *part) must_check;

#endif
