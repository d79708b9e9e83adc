#include "daemon/metrics_vm.h"

#include <inttypes.h>

#define NS_PER_S 1e9

void metrics_head(FILE *out, const char *name, const char *type,
		  const char *help)
{
	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* One sample of every VM: `value` makes it. */
struct scalar {
	const char *name, *type, *help;
	double (*value)(const struct vm_stats_row *row);
};

static double cpu(const struct vm_stats_row *row)
{
	return (double)row->stats.cpu_ns / NS_PER_S;
}

static double loop_cpu(const struct vm_stats_row *row)
{
	return (double)row->stats.loop_ns / NS_PER_S;
}

static double resident(const struct vm_stats_row *row)
{
	return (double)row->resident;
}

static double unanswered(const struct vm_stats_row *row)
{
	return (double)row->stats.unanswered;
}

static double late_writes(const struct vm_stats_row *row)
{
	return (double)row->stats.late_writes;
}

static double balloon_target(const struct vm_stats_row *row)
{
	return (double)row->stats.balloon.target;
}

static double balloon_actual(const struct vm_stats_row *row)
{
	return (double)row->stats.balloon.actual;
}

static double reported(const struct vm_stats_row *row)
{
	return (double)row->stats.balloon.reported;
}

static const struct scalar scalars[] = {
	{"armvmd_vm_cpu_seconds_total", "counter",
	 "CPU time of the VM's process, vCPUs included.", cpu},
	{"armvmd_vm_loop_seconds_total", "counter",
	 "CPU time of the VM's thread for devices.", loop_cpu},
	{"armvmd_vm_resident_bytes", "gauge",
	 "Resident memory of the VM's process, guest included.", resident},
	{"armvmd_vm_unanswered_total", "counter",
	 "Accesses of the guest to where there is nothing.", unanswered},
	{"armvmd_vm_late_writes_total", "counter",
	 "Writes to devices that took no exit of their own.", late_writes},
	{"armvmd_vm_balloon_target_bytes", "gauge",
	 "Memory the guest is asked to make do with.", balloon_target},
	{"armvmd_vm_balloon_actual_bytes", "gauge",
	 "Memory the guest makes do with.", balloon_actual},
	{"armvmd_vm_reported_bytes_total", "counter",
	 "Memory given back by free page reporting.", reported},
};

#define EACH_VM(row)                                                       \
	for (const struct vm_stats_row *row = rows; row < rows + n; row++) \
		if (row->answered)

static void write_scalars(FILE *out, const struct vm_stats_row *rows, size_t n)
{
	for (size_t i = 0; i < ARRAY_SIZE(scalars); i++) {
		const struct scalar *s = &scalars[i];

		metrics_head(out, s->name, s->type, s->help);
		EACH_VM(row)
		fprintf(out, "%s{name=\"%s\"} %.17g\n", s->name, row->name,
			s->value(row));
	}
}

static void write_vcpus(FILE *out, const struct vm_stats_row *rows, size_t n)
{
	metrics_head(out, "armvmd_vm_vcpu_seconds_total", "counter",
		     "CPU time of a vCPU.");
	EACH_VM(row)
	for (size_t i = 0; i < row->stats.n_vcpus; i++)
		fprintf(out,
			"armvmd_vm_vcpu_seconds_total{name=\"%s\","
			"vcpu=\"%zu\"} %.9f\n",
			row->name, i,
			(double)row->stats.vcpus[i].cpu_ns / NS_PER_S);
}

static void write_exit(FILE *out, const char *vm, const char *kind,
		       uint64_t count)
{
	fprintf(out,
		"armvmd_vm_exits_total{name=\"%s\",kind=\"%s\"} %" PRIu64 "\n",
		vm, kind, count);
}

static void write_kvm_exits(FILE *out, const struct vm_stats_row *row)
{
	struct vm_stats_vcpu sum = {0};

	for (size_t i = 0; i < row->stats.n_vcpus; i++) {
		sum.kvm_exits += row->stats.vcpus[i].kvm_exits;
		sum.hvc += row->stats.vcpus[i].hvc;
		sum.wfi += row->stats.vcpus[i].wfi;
		sum.wfe += row->stats.vcpus[i].wfe;
		sum.mmio_kernel += row->stats.vcpus[i].mmio_kernel;
	}
	write_exit(out, row->name, "kvm", sum.kvm_exits);
	write_exit(out, row->name, "kvm_hvc", sum.hvc);
	write_exit(out, row->name, "kvm_wfi", sum.wfi);
	write_exit(out, row->name, "kvm_wfe", sum.wfe);
	write_exit(out, row->name, "kvm_mmio", sum.mmio_kernel);
}

static void write_exits(FILE *out, const struct vm_stats_row *rows, size_t n)
{
	metrics_head(out, "armvmd_vm_exits_total", "counter",
		     "Exits of the guest to user space; those KVM handled "
		     "itself begin with kvm.");
	EACH_VM(row)
	{
		const struct vm_stats_exits *e = &row->stats.exits;

		write_exit(out, row->name, "mmio", e->mmio);
		write_exit(out, row->name, "system_event", e->system_event);
		write_exit(out, row->name, "undecoded", e->undecoded);
		write_exit(out, row->name, "interrupted", e->interrupted);
		write_kvm_exits(out, row);
	}
	metrics_head(out, "armvmd_vm_mmio_total", "counter",
		     "Accesses of the guest to a device that left KVM.");
	EACH_VM(row)
	for (size_t i = 0; i < row->stats.n_mmio; i++) {
		const struct vm_stats_mmio *m = &row->stats.mmio[i];

		fprintf(out,
			"armvmd_vm_mmio_total{name=\"%s\",device=\"%s\","
			"op=\"read\"} %" PRIu64 "\n",
			row->name, m->device, m->reads);
		fprintf(out,
			"armvmd_vm_mmio_total{name=\"%s\",device=\"%s\","
			"op=\"write\"} %" PRIu64 "\n",
			row->name, m->device, m->writes);
	}
}

static const struct {
	const char *name;
	size_t offset;
} ops[] = {
	{"read", offsetof(struct vm_stats_disk, read)},
	{"write", offsetof(struct vm_stats_disk, write)},
	{"flush", offsetof(struct vm_stats_disk, flush)},
	{"discard", offsetof(struct vm_stats_disk, discard)},
};

/* A disk's labels, as the beginning of a sample. */
static void disk_sample(FILE *out, const char *series, const char *vm,
			const char *disk, const char *op)
{
	fprintf(out, "armvmd_vm_disk_%s{name=\"%s\",disk=\"%s\",op=\"%s\"",
		series, vm, disk, op);
}

static void write_requests(FILE *out, const char *vm, const char *disk,
			   const char *op, const struct io_op_stats *s)
{
	disk_sample(out, "requests_total", vm, disk, op);
	fprintf(out, "} %" PRIu64 "\n", s->requests);
}

static void write_errors(FILE *out, const char *vm, const char *disk,
			 const char *op, const struct io_op_stats *s)
{
	disk_sample(out, "errors_total", vm, disk, op);
	fprintf(out, "} %" PRIu64 "\n", s->errors);
}

static void write_bytes(FILE *out, const char *vm, const char *disk,
			const char *op, const struct io_op_stats *s)
{
	disk_sample(out, "bytes_total", vm, disk, op);
	fprintf(out, "} %" PRIu64 "\n", s->bytes);
}

/* `sample` is what stands before "latency_seconds", of disk_sample()'s kind. */
static void write_histogram(FILE *out,
			    void (*sample)(FILE *out, const char *series,
					   const char *vm, const char *device,
					   const char *which),
			    const char *const names[3],
			    const struct histogram *h, uint64_t total_ns)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i + 1 < HISTOGRAM_BUCKETS; i++) {
		sum += h->counts[i];
		sample(out, "latency_seconds_bucket", names[0], names[1],
		       names[2]);
		fprintf(out, ",le=\"%g\"} %" PRIu64 "\n",
			(double)histogram_bound_us(i) / 1e6, sum);
	}
	sum += h->counts[HISTOGRAM_BUCKETS - 1];
	sample(out, "latency_seconds_bucket", names[0], names[1], names[2]);
	fprintf(out, ",le=\"+Inf\"} %" PRIu64 "\n", sum);
	sample(out, "latency_seconds_sum", names[0], names[1], names[2]);
	fprintf(out, "} %.9f\n", (double)total_ns / NS_PER_S);
	sample(out, "latency_seconds_count", names[0], names[1], names[2]);
	fprintf(out, "} %" PRIu64 "\n", sum);
}

static void write_latency(FILE *out, const char *vm, const char *disk,
			  const char *op, const struct io_op_stats *s)
{
	const char *const names[] = {vm, disk, op};

	write_histogram(out, disk_sample, names, &s->latency, s->total_ns);
}

static const struct {
	const char *name, *type, *help;
	void (*write)(FILE *out, const char *vm, const char *disk,
		      const char *op, const struct io_op_stats *s);
} disk_series[] = {
	{"armvmd_vm_disk_requests_total", "counter", "Requests that ended.",
	 write_requests},
	{"armvmd_vm_disk_errors_total", "counter", "Those that failed.",
	 write_errors},
	{"armvmd_vm_disk_bytes_total", "counter", "Bytes moved.", write_bytes},
	{"armvmd_vm_disk_latency_seconds", "histogram",
	 "How long requests took in the host.", write_latency},
};

static void write_disks(FILE *out, const struct vm_stats_row *rows, size_t n)
{
	for (size_t i = 0; i < ARRAY_SIZE(disk_series); i++) {
		metrics_head(out, disk_series[i].name, disk_series[i].type,
			     disk_series[i].help);
		EACH_VM(row)
		for (size_t d = 0; d < row->stats.n_disks; d++)
			for (size_t k = 0; k < ARRAY_SIZE(ops); k++) {
				const struct vm_stats_disk *disk =
					&row->stats.disks[d];

				disk_series[i].write(
					out, row->name, disk->id, ops[k].name,
					(const void *)((const char *)disk +
						       ops[k].offset));
			}
	}
}

static void nic_sample(FILE *out, const char *series, const char *vm,
		       const char *nic, const char *direction)
{
	fprintf(out, "armvmd_vm_nic_%s{name=\"%s\",nic=\"%s\",direction=\"%s\"",
		series, vm, nic, direction);
}

static void write_flow(FILE *out, const char *series, const char *vm,
		       const char *nic, uint64_t rx, uint64_t tx)
{
	nic_sample(out, series, vm, nic, "rx");
	fprintf(out, "} %" PRIu64 "\n", rx);
	nic_sample(out, series, vm, nic, "tx");
	fprintf(out, "} %" PRIu64 "\n", tx);
}

static void write_times(FILE *out, const char *vm, const char *nic,
			const char *direction, const struct io_flow_stats *f)
{
	const char *const names[] = {vm, nic, direction};

	write_histogram(out, nic_sample, names, &f->latency, f->total_ns);
}

#define EACH_NIC(row, nic)                                     \
	EACH_VM(row)                                           \
	for (const struct vm_stats_nic *nic = row->stats.nics; \
	     nic < row->stats.nics + row->stats.n_nics; nic++)

static void write_nics(FILE *out, const struct vm_stats_row *rows, size_t n)
{
	metrics_head(out, "armvmd_vm_nic_frames_total", "counter",
		     "Frames moved; rx is to the guest.");
	EACH_NIC(row, nic)
	write_flow(out, "frames_total", row->name, nic->id, nic->rx.frames,
		   nic->tx.frames);
	metrics_head(out, "armvmd_vm_nic_bytes_total", "counter",
		     "Their bytes.");
	EACH_NIC(row, nic)
	write_flow(out, "bytes_total", row->name, nic->id, nic->rx.bytes,
		   nic->tx.bytes);
	metrics_head(out, "armvmd_vm_nic_dropped_total", "counter",
		     "Frames lost at the NIC.");
	EACH_NIC(row, nic)
	write_flow(out, "dropped_total", row->name, nic->id, nic->rx.dropped,
		   nic->tx.dropped);
	metrics_head(out, "armvmd_vm_nic_latency_seconds", "histogram",
		     "How long frames took in the host; not of those that "
		     "vhost moves.");
	EACH_NIC(row, nic)
	if (!nic->kernel) {
		write_times(out, row->name, nic->id, "rx", &nic->rx);
		write_times(out, row->name, nic->id, "tx", &nic->tx);
	}
}

void metrics_write_vms(FILE *out, const struct vm_stats_row *rows, size_t n)
{
	write_scalars(out, rows, n);
	write_vcpus(out, rows, n);
	write_exits(out, rows, n);
	write_disks(out, rows, n);
	write_nics(out, rows, n);
}
