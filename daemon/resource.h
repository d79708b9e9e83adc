/*
 * Everything a supervisor must have opened for it: disks, taps, sockets,
 * firmware or kernel, variable store, spill file, the hypervisor's device. The
 * daemon opens and judges, the supervisor receives.
 */
#ifndef DAEMON_RESOURCE_H
#define DAEMON_RESOURCE_H

#include "daemon/passt.h"
#include "daemon/vm.h"

#define RESOURCE_MAX                              \
	(10 + VM_FILESYSTEMS_MAX + VM_DISKS_MAX + \
	 VM_NICS_MAX * 2 * VM_NIC_QUEUES_MAX)
#define RESOURCE_ROLE_MAX 80

struct resource {
	char role[RESOURCE_ROLE_MAX]; /* as in lib/wire/messages.h */
	int fd;
};

struct resources {
	struct resource list[RESOURCE_MAX];
	size_t count;
	/* Those that were started, and have yet to serve. */
	struct passt *passts[VM_NICS_MAX];
	size_t n_passts;
};

void resources_done(struct resources *r);
#define _cleanup_resources_ _cleanup_(resources_done)

/* All or nothing: on failure nothing stays open, made or locked. `c` is the
 * VM's definition or what of it runs; `hypervisor` is never
 * VM_HYPERVISOR_AUTO. */
int resources_open(struct vm *vm, const struct vm_config *c, int hypervisor,
		   struct resources *ret, struct error *e) must_check;

/*
 * The same for a machine that runs already, whose disks are in use by itself:
 * they are not locked again. What only its next boot needs is left out when it
 * cannot be opened.
 */
int resources_reopen(struct vm *vm, int hypervisor, struct resources *ret,
		     struct error *e) must_check;

/* `fd` is consumed, under the role `role``id`. */
void resources_add(struct resources *r, const char *role, const char *id,
		   int fd);

/* resource_boot.c: adds the firmware, or kernel and initrd, judged. */
int resources_open_boot(const struct vm_config *c, int hypervisor,
			struct resources *res, struct error *e) must_check;

/* The descriptor with that role, or -1; borrowed. */
int resources_find(const struct resources *r, const char *role);

/*
 * What can be judged of a definition before it is stored: disks exist, can be
 * read and booted from, the firmware has a possible size, a hypervisor of
 * that kind is here and can do what is asked of it.
 */
int resources_check(const struct manager *m, const struct vm_config *c,
		    struct error *e) must_check;

/* VM_HYPERVISOR_AUTO to what this host has; -ENODEV says what was looked for.
 */
int resources_hypervisor(const struct manager *m, int wanted, int *ret,
			 struct error *e) must_check;

/* The firmware a definition asks for, or the distribution's. */
const char *resources_firmware_path(const struct vm_config *c);

/* One disk, judged; `use`: also locked, for as long as the descriptor or a copy
 * of it is open. */
int resources_disk_open(const struct disk_config *d, bool use, int *ret,
			struct error *e) must_check;

#endif
