/*
 * A kernel as libxl reads it, which knows fewer ways of packing one than we
 * do: the file itself when nothing is around the kernel, else a copy of what
 * is inside, in memory.
 *
 * Thread: no state.
 */
#ifndef VMM_XEN_KERNEL_FILE_H
#define VMM_XEN_KERNEL_FILE_H

#include <stdbool.h>

#include "lib/base/error.h"
#include "lib/model/vm_config.h"

/* `fd` is borrowed; *ret is owned by the caller. -EBADMSG: no kernel. */
int kernel_file_open(int fd, bool aarch64, int *ret,
		     struct error *e) must_check;

/*
 * Whether libxl finds room for both in the guest's memory; `initrd_fd` -1:
 * there is none. -EINVAL says what they need.
 */
int kernel_file_check_room(int fd, int initrd_fd, const struct vm_config *c,
			   struct error *e) must_check;

#endif
