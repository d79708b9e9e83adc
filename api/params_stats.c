#include "api/params.h"

const struct json_field stats_list_params[] = {
	{
		.name = "cursor",
		.kind = JSON_STRING,
		.offset = offsetof(struct api_stats_list_params, cursor),
		.max = VM_NAME_MAX,
		.doc = "As the page before gave it.",
	},
	{
		.name = "limit",
		.kind = JSON_U32,
		.offset = offsetof(struct api_stats_list_params, limit),
		.min = 1,
		.max = 10000,
		.doc = "VMs a page; default 100, at most 1000, or with "
		       "\"totals\" 10000.",
	},
	{
		.name = "totals",
		.kind = JSON_BOOL,
		.offset = offsetof(struct api_stats_list_params, totals),
		.doc = "Of each VM sums instead of \"stats\": time_ns, cpu_ns, "
		       "exits, disk_read, disk_written, disk_requests, "
		       "net_received, net_sent.",
	},
	{
		.name = "labels",
		.kind = JSON_ANY,
		.offset = offsetof(struct api_stats_list_params, labels),
		.doc = "Only those with all of these labels: an object of "
		       "strings.",
	},
	JSON_END,
};
