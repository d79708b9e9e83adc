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

/* `fd` is borrowed; *ret is owned by the caller. -EBADMSG: no kernel. */
int kernel_file_open(int fd, bool aarch64, int *ret,
		     struct error *e) must_check;

#endif
