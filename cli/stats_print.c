#include "cli/stats.h"

#include <inttypes.h>

#include "lib/base/parse.h"

#define BAR_MAX	 40
#define NS_PER_S 1e9

/* "1234", or per second "617/s" when it is of a stretch of time. */
struct amount {
	char text[24];
};

static struct amount count(uint64_t n, double seconds)
{
	struct amount a;

	if (seconds > 0)
		snprintf(a.text, sizeof(a.text), "%.0f/s", (double)n / seconds);
	else
		snprintf(a.text, sizeof(a.text), "%" PRIu64, n);
	return a;
}

static struct amount bytes(uint64_t n, double seconds)
{
	struct amount a;
	char size[16];
	double per = seconds > 0 ? seconds : 1;

	snprintf(a.text, sizeof(a.text), "%s%s",
		 format_size((uint64_t)((double)n / per), size, sizeof(size)),
		 seconds > 0 ? "/s" : "");
	return a;
}

/* Of a thread: seconds, or how much of one CPU. */
static struct amount cpu(uint64_t ns, double seconds)
{
	struct amount a;

	if (seconds > 0)
		snprintf(a.text, sizeof(a.text), "%.1f%%",
			 (double)ns / NS_PER_S / seconds * 100);
	else
		snprintf(a.text, sizeof(a.text), "%.2f s",
			 (double)ns / NS_PER_S);
	return a;
}

static struct amount micros(uint64_t us)
{
	struct amount a;

	if (us == UINT64_MAX)
		snprintf(a.text, sizeof(a.text), "longer");
	else if (us < 1024)
		snprintf(a.text, sizeof(a.text), "%" PRIu64 " µs", us);
	else if (us < 1024 * 1024)
		snprintf(a.text, sizeof(a.text), "%" PRIu64 " ms", us / 1024);
	else
		snprintf(a.text, sizeof(a.text), "%" PRIu64 " s",
			 us / (1024 * 1024));
	return a;
}

static void print_memory(json_object *vm, const struct vm_stats *s)
{
	const struct vm_stats_balloon *b = &s->balloon;
	char defined[16], resident[16], left[16], unused[16], available[16];

	output_line(
		stdout, "%-10s %s defined, %s resident%s%s", "Memory",
		format_size(field_u64(vm, "memory"), defined, sizeof(defined)),
		format_size(field_u64(vm, "resident"), resident,
			    sizeof(resident)),
		b->driver ? ", left by the balloon: " : "",
		b->driver ? format_size(b->actual, left, sizeof(left)) : "");
	if (b->guest_ns)
		output_line(
			stdout, "%-10s %s free, %s available, of %s",
			"In guest",
			format_size(b->free, unused, sizeof(unused)),
			format_size(b->available, available, sizeof(available)),
			format_size(b->total, left, sizeof(left)));
}

static void print_cpu(const struct vm_stats *s, double seconds)
{
	output_line(stdout, "%-10s %s, of it for devices %s", "CPU",
		    cpu(s->cpu_ns, seconds).text,
		    cpu(s->loop_ns, seconds).text);
	output_line(stdout, "%-10s mmio %s, interrupted %s, others %s", "Exits",
		    count(s->exits.mmio, seconds).text,
		    count(s->exits.interrupted, seconds).text,
		    count(s->exits.system_event + s->exits.undecoded, seconds)
			    .text);
	output_line(stdout, "\n%-10s %10s %12s %12s %12s %12s %12s", "VCPU",
		    "CPU", "EXITS", "IN KVM", "HVC", "WFI", "MMIO IN KVM");
	for (size_t i = 0; i < s->n_vcpus; i++) {
		const struct vm_stats_vcpu *v = &s->vcpus[i];

		output_line(stdout, "%-10zu %10s %12s %12s %12s %12s %12s", i,
			    cpu(v->cpu_ns, seconds).text,
			    count(v->exits, seconds).text,
			    count(v->kvm_exits, seconds).text,
			    count(v->hvc, seconds).text,
			    count(v->wfi, seconds).text,
			    count(v->mmio_kernel, seconds).text);
	}
}

static void print_mmio(const struct vm_stats *s, double seconds)
{
	if (s->n_mmio == 0)
		return;
	output_line(stdout, "\n%-20s %12s %12s", "ACCESSES TO", "READS",
		    "WRITES");
	for (size_t i = 0; i < s->n_mmio; i++)
		if (s->mmio[i].reads + s->mmio[i].writes > 0)
			output_line(stdout, "%-20s %12s %12s",
				    s->mmio[i].device,
				    count(s->mmio[i].reads, seconds).text,
				    count(s->mmio[i].writes, seconds).text);
	if (s->late_writes > 0)
		output_line(stdout, "%-20s %12s %12s", "(without an exit)", "",
			    count(s->late_writes, seconds).text);
	if (s->unanswered > 0)
		output_line(stdout, "%-20s %12s", "(nothing there)",
			    count(s->unanswered, seconds).text);
}

/* One line for each bucket between the first and the last that has any. */
static void print_histogram(const struct histogram *h)
{
	unsigned first = 0, last = HISTOGRAM_BUCKETS - 1;
	uint64_t most = 0;

	while (last > first && h->counts[last] == 0)
		last--;
	while (first < last && h->counts[first] == 0)
		first++;
	for (unsigned i = first; i <= last; i++)
		most = MAX(most, h->counts[i]);
	for (unsigned i = first; most > 0 && i <= last; i++) {
		/* What is there at all is seen. */
		unsigned length = (unsigned)((double)h->counts[i] /
					     (double)most * BAR_MAX);
		char bar[3 * BAR_MAX + 1] = "";

		if (h->counts[i] > 0)
			length = MIN(MAX(length, 1u), (unsigned)BAR_MAX);
		for (unsigned k = 0; k < length; k++)
			memcpy(bar + 3 * k, "█", 4);
		output_line(stdout, "  %s %-8s %10" PRIu64 "  %s",
			    i + 1 < HISTOGRAM_BUCKETS ? "<" : " ",
			    micros(histogram_bound_us(i)).text, h->counts[i],
			    bar);
	}
}

static void print_op(const char *disk, const char *name,
		     const struct io_op_stats *op, double seconds)
{
	uint64_t us = op->requests ? op->total_ns / op->requests / 1000 : 0;

	if (op->requests == 0)
		return;
	output_line(stdout, "%-20s %-8s %12s %8s %12s %8" PRIu64 " µs %9s %9s",
		    disk, name, count(op->requests, seconds).text,
		    count(op->errors, seconds).text,
		    bytes(op->bytes, seconds).text, us,
		    micros(histogram_quantile_us(&op->latency, 500)).text,
		    micros(histogram_quantile_us(&op->latency, 990)).text);
	print_histogram(&op->latency);
}

static void print_disks(const struct vm_stats *s, double seconds)
{
	if (s->n_disks == 0)
		return;
	output_line(stdout, "\n%-20s %-8s %12s %8s %12s %11s %9s %9s", "DISK",
		    "", "REQUESTS", "ERRORS", "BYTES", "MEAN", "50% IN",
		    "99% IN");
	for (size_t i = 0; i < s->n_disks; i++) {
		const struct vm_stats_disk *d = &s->disks[i];

		if (d->in_flight > 0)
			output_line(stdout, "%-20s %" PRIu64 " under way",
				    d->id, d->in_flight);
		print_op(d->id, "read", &d->read, seconds);
		print_op(d->id, "write", &d->write, seconds);
		print_op(d->id, "flush", &d->flush, seconds);
		print_op(d->id, "discard", &d->discard, seconds);
	}
}

static void print_flow(const char *nic, const char *name,
		       const struct io_flow_stats *f, double seconds)
{
	uint64_t timed = histogram_total(&f->latency);

	if (timed == 0) {
		output_line(stdout, "%-20s %-8s %12s %8s %12s", nic, name,
			    count(f->frames, seconds).text,
			    count(f->dropped, seconds).text,
			    bytes(f->bytes, seconds).text);
		return;
	}
	output_line(stdout, "%-20s %-8s %12s %8s %12s %8" PRIu64 " µs %9s %9s",
		    nic, name, count(f->frames, seconds).text,
		    count(f->dropped, seconds).text,
		    bytes(f->bytes, seconds).text, f->total_ns / timed / 1000,
		    micros(histogram_quantile_us(&f->latency, 500)).text,
		    micros(histogram_quantile_us(&f->latency, 990)).text);
	print_histogram(&f->latency);
}

static void print_nics(const struct vm_stats *s, double seconds)
{
	if (s->n_nics == 0)
		return;
	output_line(stdout, "\n%-20s %-8s %12s %8s %12s %11s %9s %9s", "NIC",
		    "", "FRAMES", "DROPPED", "BYTES", "MEAN", "50% IN",
		    "99% IN");
	for (size_t i = 0; i < s->n_nics; i++) {
		print_flow(s->nics[i].id, "receive", &s->nics[i].rx, seconds);
		print_flow(s->nics[i].id, "send", &s->nics[i].tx, seconds);
		if (s->nics[i].kernel)
			output_line(stdout,
				    "  moved by the kernel (vhost), which "
				    "takes no times");
	}
}

void stats_print(json_object *vm, const struct vm_stats *s, double seconds)
{
	output_line(stdout, "%-10s %s, %s", "VM", field_text(vm, "name"),
		    field_text(vm, "state"));
	print_memory(vm, s);
	print_cpu(s, seconds);
	print_mmio(s, seconds);
	print_disks(s, seconds);
	print_nics(s, seconds);
}
