#include "cli/stats.h"

/* A VM that was started anew begins from 0 again. */
static void since(uint64_t *now, uint64_t before)
{
	*now = *now >= before ? *now - before : *now;
}

static void op_since(struct io_op_stats *now, const struct io_op_stats *before)
{
	since(&now->requests, before->requests);
	since(&now->errors, before->errors);
	since(&now->bytes, before->bytes);
	since(&now->total_ns, before->total_ns);
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		since(&now->latency.counts[i], before->latency.counts[i]);
}

static void flow_since(struct io_flow_stats *now,
		       const struct io_flow_stats *before)
{
	since(&now->frames, before->frames);
	since(&now->bytes, before->bytes);
	since(&now->dropped, before->dropped);
	since(&now->total_ns, before->total_ns);
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		since(&now->latency.counts[i], before->latency.counts[i]);
}

static void vcpu_since(struct vm_stats_vcpu *now,
		       const struct vm_stats_vcpu *before)
{
	since(&now->cpu_ns, before->cpu_ns);
	since(&now->exits, before->exits);
	since(&now->kvm_exits, before->kvm_exits);
	since(&now->hvc, before->hvc);
	since(&now->wfi, before->wfi);
	since(&now->wfe, before->wfe);
	since(&now->mmio_user, before->mmio_user);
	since(&now->mmio_kernel, before->mmio_kernel);
	since(&now->signals, before->signals);
}

static void disk_since(struct vm_stats_disk *now, const struct vm_stats *before)
{
	for (size_t i = 0; i < before->n_disks; i++) {
		const struct vm_stats_disk *d = &before->disks[i];

		if (!streq(d->id, now->id))
			continue;
		op_since(&now->read, &d->read);
		op_since(&now->write, &d->write);
		op_since(&now->flush, &d->flush);
		op_since(&now->discard, &d->discard);
	}
}

static void nic_since(struct vm_stats_nic *now, const struct vm_stats *before)
{
	for (size_t i = 0; i < before->n_nics; i++) {
		if (!streq(before->nics[i].id, now->id))
			continue;
		flow_since(&now->rx, &before->nics[i].rx);
		flow_since(&now->tx, &before->nics[i].tx);
	}
}

static void mmio_since(struct vm_stats_mmio *now, const struct vm_stats *before)
{
	for (size_t i = 0; i < before->n_mmio; i++) {
		if (!streq(before->mmio[i].device, now->device))
			continue;
		since(&now->reads, before->mmio[i].reads);
		since(&now->writes, before->mmio[i].writes);
	}
}

void stats_since(struct vm_stats *now, const struct vm_stats *before)
{
	since(&now->cpu_ns, before->cpu_ns);
	since(&now->loop_ns, before->loop_ns);
	since(&now->unanswered, before->unanswered);
	since(&now->late_writes, before->late_writes);
	since(&now->exits.mmio, before->exits.mmio);
	since(&now->exits.system_event, before->exits.system_event);
	since(&now->exits.undecoded, before->exits.undecoded);
	since(&now->exits.interrupted, before->exits.interrupted);
	for (size_t i = 0; i < MIN(now->n_vcpus, before->n_vcpus); i++)
		vcpu_since(&now->vcpus[i], &before->vcpus[i]);
	for (size_t i = 0; i < now->n_disks; i++)
		disk_since(&now->disks[i], before);
	for (size_t i = 0; i < now->n_nics; i++)
		nic_since(&now->nics[i], before);
	for (size_t i = 0; i < now->n_mmio; i++)
		mmio_since(&now->mmio[i], before);
}
