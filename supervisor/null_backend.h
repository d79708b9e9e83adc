/*
 * The backend without a hypervisor: it makes the whole control plane testable
 * on any machine. Its "guest" is a line editor on the console that echoes what
 * is typed and obeys:
 *
 *   nvram OFFSET HEX   write bytes into the variable store and commit them;
 *                      prints "committed" once they are durable
 *   note TEXT          what a snapshot remembers
 *   weight MIB MS      how much memory a snapshot has, and how long each MiB
 *                      takes
 *   flood LINES        print so many lines of 64 bytes
 *   hotplug on, hotplug off   whether it follows attaches and detaches
 *   lose ID            the host's end of that NIC is gone
 *   poweroff, reboot, panic, degraded, fatal   the event of that name
 *
 * The power button makes it print a line and power off a moment later.
 */
#ifndef SUPERVISOR_NULL_BACKEND_H
#define SUPERVISOR_NULL_BACKEND_H

#include "lib/vmm/vmm.h"

extern const struct vmm_ops null_vmm_ops;

#endif
