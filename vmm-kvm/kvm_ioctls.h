/*
 * The KVM requests this backend makes, for the sandbox of whoever runs it.
 */
#ifndef VMM_KVM_KVM_IOCTLS_H
#define VMM_KVM_KVM_IOCTLS_H

#include <stddef.h>

/* A constant array of *ret_n ioctl numbers. */
const unsigned long *vmm_kvm_ioctls(size_t *ret_n);

#endif
