/* xen_host.calm of xen_host.h. */
#ifndef VMM_XEN_XEN_HOST_LEFT_H
#define VMM_XEN_XEN_HOST_LEFT_H

#include <stddef.h>
#include <stdint.h>

void xen_host_calm(uint32_t domid, char *left, size_t size);

#endif
