/* A machine in a snapshot, but for what its board knows (board_state.c). */
#include "vmm-kvm/kvm_gic_state.h"
#include "vmm-kvm/kvm_vcpu_state.h"
#include "vmm-kvm/machine.h"

static struct kvm_gic_cpus cpus_of(const struct machine *m)
{
	return (struct kvm_gic_cpus){m->affinities, m->n_vcpus};
}

/* Which one it is about, where there are several. */
static int of_vcpu(int r, unsigned i, struct error *e)
{
	return r ? error_prefix(e, r, "vCPU %u", i) : 0;
}

int machine_save_gic(struct machine *m, struct state_out *out, struct error *e)
{
	const struct kvm_gic_cpus cpus = cpus_of(m);

	return kvm_gic_save(&m->gic, &cpus, out, e);
}

int machine_load_gic(struct machine *m, struct state_in *in, struct error *e)
{
	const struct kvm_gic_cpus cpus = cpus_of(m);

	return kvm_gic_load(&m->gic, &cpus, in, e);
}

int machine_save_cpus(struct machine *m, struct state_out *out, struct error *e)
{
	int r = 0;

	for (unsigned i = 0; !r && i < m->n_vcpus; i++)
		r = kvm_vcpu_settle(m->vcpus[i], e);
	for (unsigned i = 0; !r && i < m->n_vcpus; i++)
		r = of_vcpu(kvm_vcpu_save(m->vcpus[i], out, e), i, e);
	return r;
}

int machine_load_cpus(struct machine *m, struct state_in *in, struct error *e)
{
	int r = 0;

	for (unsigned i = 0; !r && i < m->n_vcpus; i++)
		r = of_vcpu(kvm_vcpu_load(m->vcpus[i], in, e), i, e);
	return r;
}
