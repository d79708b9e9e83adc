/* The Prometheus text format, version 0.0.4. */
#include <sys/resource.h>

#include "daemon/rpc.h"
#include "daemon/vm.h"

static void head(FILE *out, const char *name, const char *type,
		 const char *help)
{
	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* Those at rest are rows of the store, only counted. */
static void write_states(const struct manager *m, FILE *out)
{
	unsigned counts[VM_STATE_COUNT] = {0};
	struct error e = ERROR_INIT;
	int64_t defined;

	if (store_vm_count(m->store, &defined, &e) == 0) {
		head(out, "armvmd_vms_defined", "gauge", "VMs there are.");
		fprintf(out, "armvmd_vms_defined %lld\n", (long long)defined);
	}
	for (const struct vm *vm = m->vms; vm; vm = vm->next)
		counts[vm->state]++;
	head(out, "armvmd_vms_active", "gauge", "Active VMs by state.");
	for (int i = 0; i < VM_STATE_COUNT; i++)
		if (vm_state_active((enum vm_state)i))
			fprintf(out, "armvmd_vms_active{state=\"%s\"} %u\n",
				vm_state_name((enum vm_state)i), counts[i]);
}

static void write_vms(const struct manager *m, FILE *out)
{
	head(out, "armvmd_vm_memory_bytes", "gauge",
	     "Memory of the definition, of active VMs.");
	for (const struct vm *vm = m->vms; vm; vm = vm->next)
		if (vm_state_active(vm->state))
			fprintf(out,
				"armvmd_vm_memory_bytes{name=\"%s\"} %llu\n",
				vm->config.name,
				(unsigned long long)vm->config.memory_bytes);
	head(out, "armvmd_vm_vcpus", "gauge",
	     "Virtual CPUs of the definition, of active VMs.");
	for (const struct vm *vm = m->vms; vm; vm = vm->next)
		if (vm_state_active(vm->state))
			fprintf(out, "armvmd_vm_vcpus{name=\"%s\"} %u\n",
				vm->config.name, vm->config.vcpus);
}

static double seconds(const struct timeval *t)
{
	return (double)t->tv_sec + (double)t->tv_usec / 1e6;
}

/* Names are letters, digits and "._-" (vm_name_check()): nothing to escape. */
void rpc_metrics(void *cookie, const struct api_identity *who, FILE *out)
{
	const struct manager *m = cookie;
	struct rusage usage = {0};

	getrusage(RUSAGE_SELF, &usage);
	head(out, "armvmd_build_info", "gauge", "Always 1.");
	fputs("armvmd_build_info{version=\"" ARMVM_VERSION "\"} 1\n", out);
	head(out, "armvmd_cpu_seconds_total", "counter",
	     "CPU time of the daemon itself.");
	fprintf(out, "armvmd_cpu_seconds_total %.6f\n",
		seconds(&usage.ru_utime) + seconds(&usage.ru_stime));
	write_states(m, out);
	write_vms(m, out);
}
