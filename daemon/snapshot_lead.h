/*
 * The daemon's part of a snapshot file (lib/snapshot/snapshot.h): what the VM
 * is, when and on what it was saved, and its variable store. A file to be
 * restored is whatever somebody made it: all of this is judged when it is read.
 *
 * Thread: no state but the structures'.
 */
#ifndef DAEMON_SNAPSHOT_LEAD_H
#define DAEMON_SNAPSHOT_LEAD_H

#include "lib/base/json.h"
#include "lib/model/host_caps.h"
#include "lib/snapshot/snapshot.h"
#include "lib/uefi/varstore.h"

/* A disk as it was: by these its content then is told from another's. */
struct snapshot_disk {
	char *id, *path;
	uint64_t size;	      /* bytes */
	uint64_t modified_ns; /* Unix time; 0: it cannot tell, a device */
	bool readonly;
};

struct snapshot_meta {
	char *version;	  /* of the armvmd that saved it */
	char *hypervisor; /* "kvm" or "null" */
	char *machine, *kernel;
	bool paused, frozen; /* the guest; its file systems */
	bool compressed;
	bool abi_known;
	struct guest_abi abi;
	struct snapshot_disk *disks; /* of what ran */
	size_t n_disks;
	/* {disks, nics} as it ran; NULL: those of the definition. */
	json_object *devices;
};

struct snapshot_lead {
	struct snapshot_header header;
	struct snapshot_meta meta;
	json_object *definition;
	uint8_t *image; /* of the flash, VARSTORE_SIZE bytes */
	struct uefi_vars vars;
};

void snapshot_lead_done(struct snapshot_lead *l);
#define _cleanup_snapshot_lead_ _cleanup_(snapshot_lead_done)

/* The bytes of it, appended. */
int snapshot_lead_put(const struct snapshot_lead *l, struct buf *out,
		      struct error *e) must_check;
/* `fd` is borrowed. */
int snapshot_lead_read(int fd, struct snapshot_lead *ret,
		       struct error *e) must_check;
/* META as JSON; owned by the caller. */
json_object *snapshot_meta_json(const struct snapshot_meta *meta);

/* snapshot_vars.c: the payload of VARIABLES. */
int snapshot_vars_put(const uint8_t *image, const struct uefi_vars *vars,
		      struct buf *out, struct error *e) must_check;
int snapshot_vars_get(const void *data, size_t size, uint8_t **ret_image,
		      struct uefi_vars *ret_vars, struct error *e) must_check;

#endif
