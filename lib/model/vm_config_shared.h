/*
 * What a VM shares with its host beyond disks and networks: sockets and
 * folders. Part of struct vm_config.
 */
#ifndef LIB_MODEL_VM_CONFIG_SHARED_H
#define LIB_MODEL_VM_CONFIG_SHARED_H

#include "lib/base/json.h"

/* Context ids of vsock: 0 to 2 are everyone's, the host's among them, and the
 * last is "any" (Linux, vm_sockets.h). */
#define VM_VSOCK_CID_MIN 3
#define VM_VSOCK_CID_MAX (UINT32_MAX - 1)
#define VM_VSOCK_AUTO	 UINT32_MAX

#define VM_FILESYSTEMS_MAX 8
#define VM_FS_TAG_MAX	   36 /* VIRTIO 1.2, 5.11.4 */
#define VM_FS_QUEUES_MAX   7

struct vsock_config {
	/* The guest's; 0: it has no vsock. VM_VSOCK_AUTO in a definition that
	 * is not stored yet. Unique on the host. */
	uint32_t cid;
};

/* A folder of the host (virtio-fs). */
struct filesystem_config {
	char *tag;  /* what the guest mounts; unique in the VM */
	char *path; /* absolute; or NULL */
	/* Instead of a path: of a server somebody else has started. */
	char *socket;
	bool readonly;	 /* with a path */
	uint32_t queues; /* of requests; 0: one */
	int bus;	 /* enum vm_device_bus */
};

extern const struct json_field vm_vsock_fields[], vm_filesystem_fields[];

struct vm_config;

/* Part of vm_config_complete(). */
int vm_config_complete_shared(struct vm_config *c, struct error *e) must_check;

#endif
