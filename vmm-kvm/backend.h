/*
 * The KVM backend of lib/vmm/vmm.h: a virtual machine monitor of our own.
 *
 * It opens nothing: everything comes as a descriptor in `vmm_params`. After
 * create() it needs no system calls but memory mapping, ioctl on descriptors
 * it has, futexes, threads, event loop and I/O.
 */
#ifndef VMM_KVM_BACKEND_H
#define VMM_KVM_BACKEND_H

#include "lib/vmm/vmm.h"

extern const struct vmm_ops vmm_kvm_ops;

#endif
