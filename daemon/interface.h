/*
 * What the kernel says of a network interface, asked by netlink: the ioctls
 * that take a name start modprobe for each that does not exist, and wait for
 * it.
 *
 * Thread: any.
 */
#ifndef DAEMON_INTERFACE_H
#define DAEMON_INTERFACE_H

#include <stddef.h>
#include <sys/types.h>

#include "lib/base/util.h"

/* As much as the kernel says of one. */
#define INTERFACE_ANSWER_MAX KIB(32)

/* rtnetlink(7)'s RTM_NEWLINK message, of which `size` bytes are kept: its
 * length. -ENODEV: there is no interface of that name. `answer` is aligned for
 * a struct nlmsghdr. */
ssize_t interface_ask(const char *name, void *answer, size_t size) must_check;
/* Its number; 0: there is none of that name. */
int interface_index(const char *name);

#endif
