#include "lib/model/vm_config_internal.h"

static const char *serial_check(const char *serial)
{
	if (vm_is_word(serial) && strlen(serial) <= VM_DEVICE_ID_MAX)
		return NULL;
	return "a serial: up to 20 letters, digits, '.', '_' or '-', first a "
	       "letter or digit";
}

static const char *const on_errors[] = {
	[VM_ON_ERROR_NO_SPACE] = "enospc",
	[VM_ON_ERROR_REPORT] = "report",
	[VM_ON_ERROR_PAUSE] = "pause",
	NULL,
};

#define DISK(member) offsetof(struct disk_config, member)

const struct json_field vm_disk_fields[] = {
	{.name = "id",
	 .kind = JSON_STRING,
	 .offset = DISK(id),
	 .check = vm_device_id_check,
	 .doc = "unique in the VM; default disk0, disk1, ...",
	 .example = "\"data1\""},
	{.name = "path",
	 .kind = JSON_STRING,
	 .offset = DISK(path),
	 .flags = JSON_REQUIRED,
	 .max = PATH_BYTES_MAX,
	 .check = vm_path_check,
	 .doc = "absolute path of a raw image or block device",
	 .example = "\"/srv/vm/web.raw\""},
	{.name = "serial",
	 .kind = JSON_STRING,
	 .offset = DISK(serial),
	 .check = serial_check,
	 .doc = "what the guest sees as the serial; default the id",
	 .example = "\"root\""},
	{.name = "readonly",
	 .kind = JSON_BOOL,
	 .offset = DISK(readonly),
	 .flags = JSON_OMIT_EMPTY,
	 .doc = "the guest cannot write to it"},
	{.name = "bus",
	 .kind = JSON_ENUM,
	 .offset = DISK(bus),
	 .flags = JSON_OMIT_EMPTY,
	 .names = vm_device_buses,
	 .doc = "how the guest reaches it; default pcie"},
	{.name = "queues",
	 .kind = JSON_U32,
	 .offset = DISK(queues),
	 .flags = JSON_OMIT_EMPTY,
	 .min = 1,
	 .max = VM_QUEUES_MAX,
	 .doc = "request queues; default one per vCPU, up to 8, and 1 on mmio"},
	{.name = "on_error",
	 .kind = JSON_ENUM,
	 .offset = DISK(on_error),
	 .flags = JSON_OMIT_EMPTY,
	 .names = on_errors,
	 .doc = "what follows when the host fails to read or write: enospc "
		"(the VM is paused when the host has no space left, else the "
		"guest is told), report (the guest is told) or pause; when a "
		"paused VM is resumed, what failed is tried again; default "
		"enospc"},
	{.name = "slot",
	 .kind = JSON_U32,
	 .offset = DISK(slot),
	 .flags = JSON_OMIT_EMPTY,
	 .min = 1,
	 .max = VM_SLOTS_MAX,
	 .doc = "where it is plugged in; default the lowest one free"},
	JSON_END,
};

unsigned vm_disk_queues(const struct vm_config *c,
			const struct disk_config *disk)
{
	if (disk->queues)
		return disk->queues;
	return disk->bus == VM_DEVICE_BUS_MMIO ? 1
					       : MIN(c->vcpus, VM_QUEUES_MAX);
}
