/*
 * What `armvmctl top` shows: rates of all running VMs, from two answers of
 * stats.list each (top_data.c), and how they are drawn (top_draw.c).
 */
#ifndef CLI_TOP_H
#define CLI_TOP_H

#include "cli/cli.h"
#include "lib/base/buf.h"
#include "lib/model/vm_stats.h"

struct top_vm {
	char uuid[40], name[72], state[16];
	uint32_t vcpus;
	uint64_t memory, resident; /* bytes */
	bool counted;		   /* it said what it did */
	struct vm_stats_totals now;
	bool rated; /* the rates below are known, per second */
	double cpu; /* CPUs: 1.0 is one whole */
	double exits, disk_read, disk_written, disk_requests;
	double net_received, net_sent;
};

/* Column a list is sorted by. */
enum top_order {
	TOP_BY_CPU,
	TOP_BY_MEMORY,
	TOP_BY_DISK,
	TOP_BY_NET,
	TOP_BY_EXITS,
	TOP_BY_NAME,
	TOP_ORDERS
};
extern const char *const top_order_names[]; /* ends with NULL */

/* All VMs of one moment. */
struct top_list {
	struct top_vm *vms;
	size_t n, allocated;
};

void top_list_done(struct top_list *l);
/* One VM as stats.list has it, behind the others. -ENOMEM, -EINVAL. */
int top_list_add(struct top_list *l, json_object *vm,
		 struct error *e) must_check;
/* Fills in the rates since `before`, whose order changes. */
void top_list_rate(struct top_list *l, struct top_list *before);
/* Greatest first, names from A on; or the other way round. */
void top_list_sort(struct top_list *l, enum top_order order, bool reverse);
/* For programs. Owned by the caller. */
json_object *top_vm_to_json(const struct top_vm *vm);

struct top_view {
	unsigned rows, columns; /* of the screen; 0: no end */
	size_t first;		/* VM at the top */
	enum top_order order;
	bool reverse, help;
	uint64_t interval_ms;
};

/* Lines of the table behind the line of sums, without any control characters;
 * each ends with a newline. -ENOMEM. */
int top_draw(const struct top_list *l, const struct top_view *v,
	     struct buf *out) must_check;
/* How many VMs fit. */
size_t top_page(const struct top_view *v);

#endif
