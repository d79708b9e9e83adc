#include "vmm-xen/xs_calls.h"

static const char *device_path(void)
{
	return "/dev/xen/xenbus";
}

const struct xs_calls xs_api = {
	.socket_path = xs_daemon_socket,
	.device_path = device_path,
	.open = xs_open,
	.close = xs_close,
	.fileno = xs_fileno,
	.read = xs_read,
	.write = xs_write,
	.mkdir = xs_mkdir,
	.rm = xs_rm,
	.directory = xs_directory,
	.set_permissions = xs_set_permissions,
	.transaction_start = xs_transaction_start,
	.transaction_end = xs_transaction_end,
	.watch = xs_watch,
	.unwatch = xs_unwatch,
	.check_watch = xs_check_watch,
};
