/*
 * Two running VMs with one MAC address take each other's frames: the second
 * one is refused, when it starts and when such a NIC is added to it.
 *
 * Thread: the loop thread.
 */
#ifndef DAEMON_NIC_MAC_H
#define DAEMON_NIC_MAC_H

#include "daemon/vm.h"

/*
 * -EBUSY when another VM that is active has a NIC with this one's address: by
 * its definition, attached live, or being attached; or when `vm` itself has one
 * live.
 */
int nic_mac_check(const struct vm *vm, const struct nic_config *nic,
		  struct error *e) must_check;

#endif
