#include "lib/model/vm_stats.h"

#define TOTAL(field, text)                                         \
	{                                                          \
		.name = #field, .kind = JSON_U64,                  \
		.offset = offsetof(struct vm_stats_totals, field), \
		.max = UINT64_MAX, .doc = text                     \
	}

const struct json_field vm_stats_totals_fields[] = {
	TOTAL(time_ns, "When it was counted (CLOCK_MONOTONIC)."),
	TOTAL(cpu_ns, "CPU time of the whole VM."),
	TOTAL(exits, "Exits of all vCPUs, the kernel's own among them."),
	TOTAL(disk_read, "Bytes read from all disks."),
	TOTAL(disk_written, "Bytes written to them."),
	TOTAL(disk_requests, "Their requests, of each kind."),
	TOTAL(net_received, "Bytes the guest received, by all NICs."),
	TOTAL(net_sent, "Bytes it sent."),
	JSON_END,
};

void vm_stats_sum(const struct vm_stats *s, struct vm_stats_totals *ret)
{
	*ret = (struct vm_stats_totals){.time_ns = s->time_ns,
					.cpu_ns = s->cpu_ns};
	for (size_t i = 0; i < s->n_vcpus; i++)
		ret->exits += MAX(s->vcpus[i].exits, s->vcpus[i].kvm_exits);
	for (size_t i = 0; i < s->n_disks; i++) {
		const struct vm_stats_disk *d = &s->disks[i];

		ret->disk_read += d->read.bytes;
		ret->disk_written += d->write.bytes;
		ret->disk_requests += d->read.requests + d->write.requests +
				      d->flush.requests + d->discard.requests;
	}
	for (size_t i = 0; i < s->n_nics; i++) {
		ret->net_received += s->nics[i].rx.bytes;
		ret->net_sent += s->nics[i].tx.bytes;
	}
}
