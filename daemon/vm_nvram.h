/*
 * The daemon's side of the variable store: the image a supervisor shares is
 * made from the store at start, and what the guest commits goes back into it
 * before the guest hears of it.
 */
#ifndef DAEMON_VM_NVRAM_H
#define DAEMON_VM_NVRAM_H

#include "daemon/vm.h"
#include "lib/uefi/varstore.h"

/* A sealed memfd of VARSTORE_SIZE bytes with this VM's store in it (replayed
 * spill included), formatted and empty for a VM that never ran. */
int vm_nvram_open(struct vm *vm, int *ret_fd, struct error *e) must_check;

/* Is `fd`, which came from a supervisor, such a memfd? */
bool vm_nvram_fd_valid(int fd);

/* Copy the shared image, judge it, store blocks and decoded rows. */
int vm_nvram_commit(struct vm *vm, int fd, uint64_t offset, uint64_t size,
		    struct error *e) must_check;

/* Apply what a supervisor spilled while no daemon was there, and truncate. */
int vm_nvram_replay(struct vm *vm, struct error *e) must_check;

/* The spill file, made when missing; owned by the caller. */
int vm_nvram_spill_open(struct vm *vm, int *ret_fd, struct error *e) must_check;

/* All that is stored: the image (VARSTORE_SIZE bytes) and the rows. */
int vm_nvram_image(struct vm *vm, uint8_t *image, struct uefi_vars *ret_vars,
		   struct error *e) must_check;
/* Store another instead; `vars` are those of an image that has none itself. */
int vm_nvram_replace(struct vm *vm, const uint8_t *image,
		     const struct uefi_vars *vars, struct error *e) must_check;

#endif
