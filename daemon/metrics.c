/* The Prometheus text format, version 0.0.4. Names are letters, digits and
 * "._-" (vm_name_check()): nothing to escape. */
#include <sys/resource.h>

#include "daemon/metrics_vm.h"
#include "daemon/rpc.h"
#include "daemon/vm.h"

/* Those at rest are rows of the store, only counted. */
static void write_states(const struct manager *m,
			 const struct api_identity *who, FILE *out)
{
	unsigned counts[VM_STATE_COUNT] = {0};
	struct error e = ERROR_INIT;
	int64_t defined;

	if (!who->labels && store_vm_count(m->store, &defined, &e) == 0) {
		metrics_head(out, "armvmd_vms_defined", "gauge",
			     "VMs there are.");
		fprintf(out, "armvmd_vms_defined %lld\n", (long long)defined);
	}
	for (const struct vm *vm = m->vms; vm; vm = vm->next)
		counts[vm->state] += access_covers(who, vm->config.labels);
	metrics_head(out, "armvmd_vms_active", "gauge", "Active VMs by state.");
	for (int i = 0; i < VM_STATE_COUNT; i++)
		if (vm_state_active((enum vm_state)i))
			fprintf(out, "armvmd_vms_active{state=\"%s\"} %u\n",
				vm_state_name((enum vm_state)i), counts[i]);
}

static bool shown(const struct vm *vm, const struct api_identity *who)
{
	return vm_state_active(vm->state) &&
	       access_covers(who, vm->config.labels);
}

static void write_vms(const struct manager *m, const struct api_identity *who,
		      FILE *out)
{
	metrics_head(out, "armvmd_vm_memory_bytes", "gauge",
		     "Memory of the definition, of active VMs.");
	for (const struct vm *vm = m->vms; vm; vm = vm->next)
		if (shown(vm, who))
			fprintf(out,
				"armvmd_vm_memory_bytes{name=\"%s\"} %llu\n",
				vm->config.name,
				(unsigned long long)vm->config.memory_bytes);
	metrics_head(out, "armvmd_vm_vcpus", "gauge",
		     "Virtual CPUs of the definition, of active VMs.");
	for (const struct vm *vm = m->vms; vm; vm = vm->next)
		if (shown(vm, who))
			fprintf(out, "armvmd_vm_vcpus{name=\"%s\"} %u\n",
				vm->config.name, vm->config.vcpus);
}

static double seconds(const struct timeval *t)
{
	return (double)t->tv_sec + (double)t->tv_usec / 1e6;
}

static void write_all(const struct manager *m, const struct api_identity *who,
		      const struct vm_stats_row *rows, size_t n_rows, FILE *out)
{
	struct rusage usage = {0};

	getrusage(RUSAGE_SELF, &usage);
	metrics_head(out, "armvmd_build_info", "gauge", "Always 1.");
	fputs("armvmd_build_info{version=\"" ARMVM_VERSION "\"} 1\n", out);
	metrics_head(out, "armvmd_cpu_seconds_total", "counter",
		     "CPU time of the daemon itself.");
	fprintf(out, "armvmd_cpu_seconds_total %.6f\n",
		seconds(&usage.ru_utime) + seconds(&usage.ru_stime));
	write_states(m, who, out);
	write_vms(m, who, out);
	metrics_write_vms(out, rows, n_rows);
}

struct metrics_op {
	struct manager *manager;
	struct api_call *call;
};

static void stats_cb(void *cookie, struct vm_stats_row *rows, size_t n_rows,
		     bool more)
{
	_cleanup_free_ struct metrics_op *op = cookie;
	_cleanup_free_ char *text = NULL;
	json_object *result;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (out) {
		write_all(op->manager, api_call_who(op->call), rows, n_rows,
			  out);
		fclose(out);
	}
	result = json_object_new_object();
	json_object_object_add(result, "text",
			       json_object_new_string(text ? text : ""));
	api_call_reply(op->call, result, -1);
}

void rpc_host_metrics(void *cookie, struct api_call *c)
{
	const struct vm_stats_filter all = {.who = api_call_who(c)};
	struct metrics_op *op = malloc(sizeof(*op));
	struct error e = ERROR_INIT;
	int r = -ENOMEM;

	if (op) {
		*op = (struct metrics_op){cookie, c};
		r = vm_stats_list(cookie, &all, stats_cb, op, &e);
	} else {
		error_set(&e, r, "out of memory");
	}
	if (r < 0) {
		free(op);
		api_call_fail(c, &e);
	}
}
