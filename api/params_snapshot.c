#include "api/params.h"

#define PATH_MAX_BYTES 4096

#define PATH_FIELD(type, text)                                                 \
	{                                                                      \
		.name = "path", .kind = JSON_STRING,                           \
		.offset = offsetof(struct type, path), .flags = JSON_REQUIRED, \
		.min = 1, .max = PATH_MAX_BYTES, .doc = text,                  \
	}
#define FLAG(type, member, text)                                      \
	{                                                             \
		.name = #member, .kind = JSON_BOOL,                   \
		.offset = offsetof(struct type, member), .doc = text, \
	}

const struct json_field snapshot_save_params[] = {
	VM_NAME_FIELD(api_snapshot_save_params),
	PATH_FIELD(api_snapshot_save_params,
		   "The file to make: an absolute path on this host."),
	FLAG(api_snapshot_save_params, stop,
	     "Stop the VM once the file is on the disk; else it runs on."),
	FLAG(api_snapshot_save_params, freeze,
	     "Have the guest's agent write out and freeze its file systems "
	     "first; they are thawed afterwards, and after a restore."),
	FLAG(api_snapshot_save_params, compress,
	     "Pack the memory (zstd): less disk, more time."),
	FLAG(api_snapshot_save_params, overwrite,
	     "Replace a file of that name, when the new one is whole."),
	JSON_END,
};

const struct json_field snapshot_restore_params[] = {
	PATH_FIELD(api_snapshot_restore_params,
		   "The file: an absolute path on this host."),
	{
		.name = "new_name",
		.kind = JSON_STRING,
		.offset = offsetof(struct api_snapshot_restore_params,
				   new_name),
		.max = VM_NAME_MAX,
		.check = vm_name_check,
		.doc = "Another name for the VM; its uuid stays.",
	},
	FLAG(api_snapshot_restore_params, paused,
	     "Leave it paused; vm.resume lets it go on."),
	FLAG(api_snapshot_restore_params, changed_disks,
	     "Restore although a disk was written to since; for a disk that "
	     "was put back as it was. Its file systems are damaged otherwise."),
	JSON_END,
};

const struct json_field snapshot_show_params[] = {
	PATH_FIELD(api_snapshot_show_params,
		   "The file: an absolute path on this host."),
	JSON_END,
};
