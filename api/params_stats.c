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
		.max = 1000,
		.doc = "VMs a page; default 100, at most 1000.",
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
