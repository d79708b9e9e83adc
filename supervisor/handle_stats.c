/* What the VM did so far. */
#include <time.h>

#include "supervisor/handlers_internal.h"

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t = {0};

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Counted anew for each part: what does not fit one message is only a VM with
 * very many devices. */
int handle_stats(struct supervisor *s, const struct request *q,
		 struct reply *reply, struct error *e)
{
	struct vm_stats stats = {0}, part;
	json_object *encoded = NULL;
	size_t next;
	int r;

	if (!s->vmm)
		return error_set_code(e, ERROR_STATE, "VM %s is not running",
				      s->name);
	r = s->ops->stats(s->vmm, &stats, e);
	if (r == 0) {
		stats.time_ns = clock_ns(CLOCK_MONOTONIC);
		stats.cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
		stats.loop_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
		next = vm_stats_part(&stats, q->from, &part);
		encoded = json_encode(vm_stats_fields, &part);
		r = encoded ? 0 : error_set(e, -ENOMEM, "out of memory");
	}
	if (r == 0) {
		json_object_object_add(reply->object, "stats", encoded);
		json_object_object_add(reply->object, "next",
				       json_object_new_uint64(next));
	}
	vm_stats_done(&stats);
	return r;
}
