#include "api/params.h"
#include "lib/model/vm_device.h"

/* The text of fields that disk.add and nic.add share. */
#define DEVICE_ADD_PARAMS(key, fields)                                   \
	VM_NAME_FIELD(api_device_add_params),                            \
		{                                                        \
			.name = key,                                     \
			.kind = JSON_ANY,                                \
			.offset = offsetof(struct api_device_add_params, \
					   device),                      \
			.flags = JSON_REQUIRED,                          \
			.sub = fields,                                   \
			.doc = "As in a definition.",                    \
		},                                                       \
		{                                                        \
			.name = "timeout_ms",                            \
			.kind = JSON_U64,                                \
			.offset = offsetof(struct api_device_add_params, \
					   timeout_ms),                  \
			.max = VM_DEVICE_TIMEOUT_MAX_MS,                 \
			.doc = "Milliseconds the guest has to take it; " \
			       "default 10000.",                         \
		},                                                       \
		{                                                        \
			.name = "live",                                  \
			.kind = JSON_BOOL,                               \
			.offset = offsetof(struct api_device_add_params, \
					   live),                        \
			.doc = "Only until the VM stops: leave the "     \
			       "definition alone.",                      \
		},                                                       \
		JSON_END,

const struct json_field disk_add_params[] = {
	DEVICE_ADD_PARAMS("disk", vm_disk_fields)};
const struct json_field nic_add_params[] = {
	DEVICE_ADD_PARAMS("nic", vm_nic_fields)};

#define DEVICE_ID_FIELD(type)                                                \
	{                                                                    \
		.name = "id", .kind = JSON_STRING,                           \
		.offset = offsetof(struct type, id), .flags = JSON_REQUIRED, \
		.min = 1, .max = VM_DEVICE_ID_MAX,                           \
		.doc = "Of the disk or nic.",                                \
	}

const struct json_field device_params[] = {
	VM_NAME_FIELD(api_device_params),
	DEVICE_ID_FIELD(api_device_params),
	JSON_END,
};

const struct json_field device_remove_params[] = {
	VM_NAME_FIELD(api_device_remove_params),
	DEVICE_ID_FIELD(api_device_remove_params),
	{
		.name = "timeout_ms",
		.kind = JSON_U64,
		.offset = offsetof(struct api_device_remove_params, timeout_ms),
		.max = VM_DEVICE_TIMEOUT_MAX_MS,
		.doc = "Milliseconds the guest has to release it; default "
		       "20000 (Linux waits for 5 s first).",
	},
	{
		.name = "live",
		.kind = JSON_BOOL,
		.offset = offsetof(struct api_device_remove_params, live),
		.doc = "Only until the VM stops: leave the definition alone.",
	},
	{
		.name = "force",
		.kind = JSON_BOOL,
		.offset = offsetof(struct api_device_remove_params, force),
		.doc = "Take it away without asking the guest.",
	},
	JSON_END,
};

const struct json_field disk_resize_params[] = {
	VM_NAME_FIELD(api_disk_resize_params),
	{
		.name = "id",
		.kind = JSON_STRING,
		.offset = offsetof(struct api_disk_resize_params, id),
		.flags = JSON_REQUIRED,
		.min = 1,
		.max = VM_DEVICE_ID_MAX,
		.doc = "Of the disk; it is in the definition.",
	},
	{
		.name = "size",
		.kind = JSON_SIZE,
		.offset = offsetof(struct api_disk_resize_params, size_bytes),
		.min = 512,
		.max = INT64_MAX,
		.doc = "What its image is to have; a multiple of 512 bytes.",
	},
	{
		.name = "rescan",
		.kind = JSON_BOOL,
		.offset = offsetof(struct api_disk_resize_params, rescan),
		.doc = "Take the size its image or block device now has.",
	},
	{
		.name = "force",
		.kind = JSON_BOOL,
		.offset = offsetof(struct api_disk_resize_params, force),
		.doc = "Also make it smaller: what is behind is lost.",
	},
	JSON_END,
};

static const char *const links[] = {"up", "down", NULL};

const struct json_field nic_set_params[] = {
	VM_NAME_FIELD(api_nic_set_params),
	{
		.name = "id",
		.kind = JSON_STRING,
		.offset = offsetof(struct api_nic_set_params, id),
		.flags = JSON_REQUIRED,
		.min = 1,
		.max = VM_DEVICE_ID_MAX,
		.doc = "Of the nic.",
	},
	{
		.name = "link",
		.kind = JSON_ENUM,
		.offset = offsetof(struct api_nic_set_params, link),
		.flags = JSON_REQUIRED,
		.names = links,
		.doc = "Whether its cable is in.",
	},
	{
		.name = "live",
		.kind = JSON_BOOL,
		.offset = offsetof(struct api_nic_set_params, live),
		.doc = "Only until the VM stops: leave the definition alone.",
	},
	JSON_END,
};
