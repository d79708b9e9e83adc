#include "api/params.h"

#define JOB_ID_FIELD(type)                                                   \
	{                                                                    \
		.name = "id", .kind = JSON_I64,                              \
		.offset = offsetof(struct type, id), .flags = JSON_REQUIRED, \
		.min = 1, .max = INT64_MAX, .doc = "The job's number.",      \
	}

const struct json_field job_params[] = {
	JOB_ID_FIELD(api_job_params),
	JSON_END,
};

const struct json_field job_wait_params[] = {
	JOB_ID_FIELD(api_job_params),
	{
		.name = "timeout_ms",
		.kind = JSON_U64,
		.offset = offsetof(struct api_job_params, timeout_ms),
		.doc = "Milliseconds to wait; 0 (the default): until it ends.",
	},
	JSON_END,
};

const struct json_field job_list_params[] = {
	{
		.name = "before",
		.kind = JSON_I64,
		.offset = offsetof(struct api_job_list_params, before),
		.min = 1,
		.max = INT64_MAX,
		.doc = "Only older ones: the last id of the page before.",
	},
	{
		.name = "limit",
		.kind = JSON_U32,
		.offset = offsetof(struct api_job_list_params, limit),
		.min = 1,
		.max = 1000,
		.doc = "Jobs a page; default 100.",
	},
	{
		.name = "running",
		.kind = JSON_BOOL,
		.offset = offsetof(struct api_job_list_params, running),
		.doc = "Only those that have not ended.",
	},
	JSON_END,
};
