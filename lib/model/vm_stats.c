#include "lib/model/vm_stats.h"

#include "lib/model/vm_config.h"

/* What one message holds, and what an element takes of it: a number has up to
 * 20 digits, a disk four histograms of them, a NIC two. */
#define PART_COST_MAX 128
#define VCPU_COST     1
#define DISK_COST     12
#define NIC_COST      6

#define OP(member)	offsetof(struct io_op_stats, member)
#define FLOW(member)	offsetof(struct io_flow_stats, member)
#define VCPU(member)	offsetof(struct vm_stats_vcpu, member)
#define EXITS(member)	offsetof(struct vm_stats_exits, member)
#define MMIO(member)	offsetof(struct vm_stats_mmio, member)
#define DISK(member)	offsetof(struct vm_stats_disk, member)
#define NIC(member)	offsetof(struct vm_stats_nic, member)
#define BALLOON(member) offsetof(struct vm_stats_balloon, member)
#define STATS(member)	offsetof(struct vm_stats, member)

#define NUMBER(name, at)                            \
	{                                           \
		name, JSON_U64, at, JSON_OMIT_EMPTY \
	}
#define PART(name, at, fields)                                        \
	{                                                             \
		name, JSON_OBJECT, at, JSON_OMIT_EMPTY, .sub = fields \
	}

static const struct json_field op_fields[] = {
	NUMBER("requests", OP(requests)),
	NUMBER("errors", OP(errors)),
	NUMBER("bytes", OP(bytes)),
	NUMBER("total_ns", OP(total_ns)),
	{"latency", JSON_U64S, OP(latency.counts), JSON_OMIT_EMPTY,
	 .max = HISTOGRAM_BUCKETS},
	JSON_END,
};

static const struct json_field flow_fields[] = {
	NUMBER("frames", FLOW(frames)),
	NUMBER("bytes", FLOW(bytes)),
	NUMBER("dropped", FLOW(dropped)),
	NUMBER("total_ns", FLOW(total_ns)),
	{"latency", JSON_U64S, FLOW(latency.counts), JSON_OMIT_EMPTY,
	 .max = HISTOGRAM_BUCKETS},
	JSON_END,
};

static const struct json_field vcpu_fields[] = {
	{"cpu_ns", JSON_U64, VCPU(cpu_ns)},
	{"exits", JSON_U64, VCPU(exits)},
	NUMBER("kvm_exits", VCPU(kvm_exits)),
	NUMBER("hvc", VCPU(hvc)),
	NUMBER("wfi", VCPU(wfi)),
	NUMBER("wfe", VCPU(wfe)),
	NUMBER("mmio_user", VCPU(mmio_user)),
	NUMBER("mmio_kernel", VCPU(mmio_kernel)),
	NUMBER("signals", VCPU(signals)),
	JSON_END,
};

static const struct json_field exits_fields[] = {
	{"mmio", JSON_U64, EXITS(mmio)},
	{"system_event", JSON_U64, EXITS(system_event)},
	{"undecoded", JSON_U64, EXITS(undecoded)},
	{"interrupted", JSON_U64, EXITS(interrupted)},
	JSON_END,
};

/* Letters, digits and " ()._-": it stands in tables and labels. */
static const char *device_check(const char *name)
{
	for (const char *p = name; *p; p++)
		if (!((*p | 0x20) >= 'a' && (*p | 0x20) <= 'z') &&
		    !(*p >= '0' && *p <= '9') && !strchr(" ()._-", *p))
			return "a device's name";
	return NULL;
}

static const struct json_field mmio_fields[] = {
	{"device", JSON_STRING, MMIO(device), JSON_REQUIRED, .min = 1,
	 .max = VM_STATS_NAME_MAX, .check = device_check},
	NUMBER("reads", MMIO(reads)),
	NUMBER("writes", MMIO(writes)),
	JSON_END,
};

static const struct json_field disk_fields[] = {
	{"id", JSON_STRING, DISK(id), JSON_REQUIRED,
	 .check = vm_device_id_check},
	{"in_flight", JSON_U64, DISK(in_flight)},
	PART("read", DISK(read), op_fields),
	PART("write", DISK(write), op_fields),
	PART("flush", DISK(flush), op_fields),
	PART("discard", DISK(discard), op_fields),
	JSON_END,
};

static const struct json_field nic_fields[] = {
	{"id", JSON_STRING, NIC(id), JSON_REQUIRED,
	 .check = vm_device_id_check},
	{"tap", JSON_STRING, NIC(tap), JSON_OMIT_EMPTY,
	 .max = VM_STATS_NAME_MAX, .check = device_check},
	{"kernel", JSON_BOOL, NIC(kernel), JSON_OMIT_EMPTY},
	PART("rx", NIC(rx), flow_fields),
	PART("tx", NIC(tx), flow_fields),
	JSON_END,
};

static const struct json_field balloon_fields[] = {
	{"driver", JSON_BOOL, BALLOON(driver)},
	NUMBER("target", BALLOON(target)),
	NUMBER("actual", BALLOON(actual)),
	NUMBER("reported", BALLOON(reported)),
	NUMBER("guest_ns", BALLOON(guest_ns)),
	NUMBER("free", BALLOON(free)),
	NUMBER("total", BALLOON(total)),
	NUMBER("available", BALLOON(available)),
	NUMBER("caches", BALLOON(caches)),
	NUMBER("swap_in", BALLOON(swap_in)),
	NUMBER("swap_out", BALLOON(swap_out)),
	NUMBER("major_faults", BALLOON(major_faults)),
	NUMBER("minor_faults", BALLOON(minor_faults)),
	JSON_END,
};

#define LIST(text, member, count, most, fields)                            \
	{                                                                  \
		.name = text, .kind = JSON_ARRAY, .offset = STATS(member), \
		.max = most, .sub = fields,                                \
		.element_size = sizeof(*((struct vm_stats *)0)->member),   \
		.count_offset = STATS(count),                              \
	}

const struct json_field vm_stats_fields[] = {
	{"time_ns", JSON_U64, STATS(time_ns)},
	{"cpu_ns", JSON_U64, STATS(cpu_ns)},
	{"loop_ns", JSON_U64, STATS(loop_ns)},
	LIST("vcpus", vcpus, n_vcpus, VM_VCPUS_MAX, vcpu_fields),
	{"exits", JSON_OBJECT, STATS(exits), .sub = exits_fields},
	{"unanswered", JSON_U64, STATS(unanswered)},
	{"late_writes", JSON_U64, STATS(late_writes)},
	LIST("mmio", mmio, n_mmio, VM_STATS_MMIO_MAX, mmio_fields),
	LIST("disks", disks, n_disks, VM_STATS_DEVICES_MAX, disk_fields),
	LIST("nics", nics, n_nics, VM_STATS_DEVICES_MAX, nic_fields),
	{"balloon", JSON_OBJECT, STATS(balloon), .sub = balloon_fields},
	JSON_END,
};

void vm_stats_done(struct vm_stats *s)
{
	json_release(vm_stats_fields, s);
}

/* One element more, at the end, zeroed. */
static void *grow(void *list, size_t *count, size_t max, size_t size)
{
	void **elements = list, *grown;

	if (*count >= max)
		return NULL;
	grown = reallocarray(*elements, *count + 1, size);
	if (!grown)
		return NULL;
	*elements = grown;
	return memset((char *)grown + (*count)++ * size, 0, size);
}

/* The first member of each is its name; without memory for it the element is
 * taken off again. */
static void *name_last(void *element, size_t *count, const char *name)
{
	char **at = element;

	if (!at)
		return NULL;
	*at = strdup(name);
	if (!*at)
		(*count)--;
	return *at ? element : NULL;
}

struct vm_stats_mmio *vm_stats_add_mmio(struct vm_stats *s, const char *name)
{
	void *element = grow(&s->mmio, &s->n_mmio, VM_STATS_MMIO_MAX,
			     sizeof(*s->mmio));

	_Static_assert(offsetof(struct vm_stats_mmio, device) == 0, "first");
	return name_last(element, &s->n_mmio, name);
}

struct vm_stats_disk *vm_stats_add_disk(struct vm_stats *s, const char *id)
{
	void *element = grow(&s->disks, &s->n_disks, VM_STATS_DEVICES_MAX,
			     sizeof(*s->disks));

	_Static_assert(offsetof(struct vm_stats_disk, id) == 0, "first");
	return name_last(element, &s->n_disks, id);
}

struct vm_stats_nic *vm_stats_add_nic(struct vm_stats *s, const char *id)
{
	void *element = grow(&s->nics, &s->n_nics, VM_STATS_DEVICES_MAX,
			     sizeof(*s->nics));

	_Static_assert(offsetof(struct vm_stats_nic, id) == 0, "first");
	return name_last(element, &s->n_nics, id);
}

/* How many of `count` elements from number `from` of all on are in the part;
 * *at counts them, *first is the index of the first. */
static size_t take(size_t *at, size_t *first, size_t base, size_t count,
		   unsigned cost, unsigned *room)
{
	size_t n;

	*first = 0;
	if (*at < base || *at >= base + count)
		return 0;
	*first = *at - base;
	n = MIN(count - *first, *room / cost);
	*at += n;
	*room -= (unsigned)n * cost;
	/* Nothing smaller overtakes what did not fit. */
	if (*first + n < count)
		*room = 0;
	return n;
}

size_t vm_stats_part(const struct vm_stats *s, size_t from,
		     struct vm_stats *ret)
{
	size_t total = s->n_vcpus + s->n_disks + s->n_nics, at = from, first;
	unsigned room = PART_COST_MAX;

	*ret = *s;
	ret->n_vcpus = take(&at, &first, 0, s->n_vcpus, VCPU_COST, &room);
	ret->vcpus = ret->n_vcpus ? s->vcpus + first : NULL;
	ret->n_disks = take(&at, &first, s->n_vcpus, s->n_disks, DISK_COST,
			    &room);
	ret->disks = ret->n_disks ? s->disks + first : NULL;
	ret->n_nics = take(&at, &first, s->n_vcpus + s->n_disks, s->n_nics,
			   NIC_COST, &room);
	ret->nics = ret->n_nics ? s->nics + first : NULL;
	return at < total ? at : 0;
}

static int join(void *list, size_t *count, void *more, size_t *n_more,
		size_t max, size_t size)
{
	void **to = list, **from = more, *grown;

	if (*n_more == 0)
		return 0;
	if (*n_more > max || *count > max - *n_more)
		return -EINVAL;
	grown = reallocarray(*to, *count + *n_more, size);
	if (!grown)
		return -ENOMEM;
	memcpy((char *)grown + *count * size, *from, *n_more * size);
	*to = grown;
	*count += *n_more;
	/* Only the elements moved; the block they came in goes. */
	free(TAKE_PTR(*from));
	*n_more = 0;
	return 0;
}

int vm_stats_join(struct vm_stats *s, struct vm_stats *part)
{
	int r = join(&s->vcpus, &s->n_vcpus, &part->vcpus, &part->n_vcpus,
		     VM_VCPUS_MAX, sizeof(*s->vcpus));

	if (r == 0)
		r = join(&s->disks, &s->n_disks, &part->disks, &part->n_disks,
			 VM_STATS_DEVICES_MAX, sizeof(*s->disks));
	if (r == 0)
		r = join(&s->nics, &s->n_nics, &part->nics, &part->n_nics,
			 VM_STATS_DEVICES_MAX, sizeof(*s->nics));
	return r;
}
