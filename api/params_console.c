#include "api/params.h"

static const char *const consoles[] = {"default", "pl011", "virtio", NULL};

#define CONSOLE_DEVICE_FIELD(type)                                             \
	{                                                                      \
		.name = "device", .kind = JSON_ENUM,                           \
		.offset = offsetof(struct type, device), .names = consoles,    \
		.doc = "Which console; default: virtio if the definition has " \
		       "that alone, else pl011.",                              \
	}

static const char *const console_wants[] = {"write", "read", "take-over", NULL};

const struct json_field console_params[] = {
	VM_NAME_FIELD(api_console_params),
	CONSOLE_DEVICE_FIELD(api_console_params),
	{
		.name = "want",
		.kind = JSON_ENUM,
		.offset = offsetof(struct api_console_params, want),
		.names = console_wants,
		.doc = "write (the default): type, unless somebody else does; "
		       "take-over: type in their place.",
	},
	JSON_END,
};

const struct json_field console_take_params[] = {
	VM_NAME_FIELD(api_console_take_params),
	CONSOLE_DEVICE_FIELD(api_console_take_params),
	{
		.name = "session",
		.kind = JSON_I64,
		.offset = offsetof(struct api_console_take_params, session),
		.flags = JSON_REQUIRED,
		.min = 1,
		.max = INT64_MAX,
		.doc = "As vm.console gave it; the caller's own.",
	},
	JSON_END,
};

static const char *const log_sinces[] = {"all", "boot", NULL};

const struct json_field log_params[] = {
	VM_NAME_FIELD(api_log_params),
	{
		.name = "position",
		.kind = JSON_I64,
		.offset = offsetof(struct api_log_params, position),
		.min = 0,
		.max = INT64_MAX,
		.doc = "Go on here: `next` of the page before. Unless it is 0 "
		       "(the default) the next two do not count.",
	},
	{
		.name = "since",
		.kind = JSON_ENUM,
		.offset = offsetof(struct api_log_params, since),
		.names = log_sinces,
		.doc = "Everything (the default), or since the last start or "
		       "reset.",
	},
	{
		.name = "lines",
		.kind = JSON_U32,
		.offset = offsetof(struct api_log_params, lines),
		.max = 1000000,
		.doc = "Only so many last lines of it; 0 (the default): all.",
	},
	JSON_END,
};
