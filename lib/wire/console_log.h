/*
 * The log of a VM's console: two files of bounded size, CONSOLE_LOG_PARTS,
 * written in turn. Each begins with a line of CONSOLE_LOG_HEADER bytes,
 *
 *   armvmd console log from 00000000000002097152 boot 00000000000001048576
 *
 * and goes on with what the guest printed, byte for byte. `from` is the
 * position of the first of those bytes in all that was ever logged for this
 * VM, so the parts have an order and a reader can go on where it was; `boot` is
 * where the output of the last start or reset begins. When a part is full the
 * other one is emptied and written.
 *
 * Written by the supervisor, which cannot open, rename or remove a file; read
 * by the daemon, which trusts nothing in it.
 *
 * Thread: any; no state.
 */
#ifndef LIB_WIRE_CONSOLE_LOG_H
#define LIB_WIRE_CONSOLE_LOG_H

#include "lib/base/error.h"

#define CONSOLE_LOG_PARTS  2
#define CONSOLE_LOG_HEADER 72
/* Bytes of one part, its header included. */
#define CONSOLE_LOG_PART_MIN KIB(4)
#define CONSOLE_LOG_PART_MAX MIB(512)

struct console_log_part {
	uint64_t from; /* position of the first byte behind the header */
	uint64_t boot; /* as this part knows it; the newest part is right */
	uint64_t size; /* bytes behind the header, when it was looked at */
};

/*
 * What a part is. -ENODATA when it is empty or no part; another -errno when it
 * cannot be read.
 */
int console_log_part_read(int fd, struct console_log_part *ret) must_check;

/* Write the header over the one there; size is not looked at. -errno. */
int console_log_part_write(int fd,
			   const struct console_log_part *part) must_check;

#endif
