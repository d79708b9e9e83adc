/*
 * The KVM backend of lib/vmm/vmm.h: a virtual machine monitor of our own.
 *
 * It opens nothing: everything comes as a descriptor in `vmm_params`. After
 * create() it needs no system calls but memory mapping, ioctl on descriptors
 * it has, futexes, threads, event loop and I/O.
 */
#ifndef VMM_KVM_BACKEND_H
#define VMM_KVM_BACKEND_H

#include "lib/model/host_caps.h"
#include "lib/vmm/vmm.h"

extern const struct vmm_ops vmm_kvm_ops;

/* What KVM on this host can do for a guest; kvm_fd is borrowed. */
int vmm_kvm_probe(int kvm_fd, struct host_caps *ret,
		  struct error *e) must_check;

#endif
