/* What xen_store.c and xen_changes.c share. */
#ifndef VMM_XEN_XEN_STORE_INTERNAL_H
#define VMM_XEN_XEN_STORE_INTERNAL_H

struct xen_store;
struct xs_handle;

struct xs_handle *xen_store_handle(struct xen_store *s);

#endif
