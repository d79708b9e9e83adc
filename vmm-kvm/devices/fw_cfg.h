/*
 * QEMU's firmware configuration device (docs/specs/fw_cfg.rst), memory-mapped
 * with the DMA interface: named read-only files the machine offers to its
 * firmware. Newer ArmVirt firmware will not start without it.
 *
 * Thread: every function with the device lock held.
 */
#ifndef VMM_KVM_DEVICES_FW_CFG_H
#define VMM_KVM_DEVICES_FW_CFG_H

#include "lib/snapshot/state.h"
#include "vmm-kvm/devices/bus.h"
#include "vmm-kvm/devices/guest_mem.h"

/* Data at 0, selector at 8, DMA address at 16: three times 8 bytes. */
#define FW_CFG_SIZE	 0x18
#define FW_CFG_NAME_MAX	 56 /* with the terminator */
#define FW_CFG_FILES_MAX 16

struct fw_cfg;

/* `mem` is borrowed: where DMA goes. */
int fw_cfg_new(const struct guest_mem *mem, struct fw_cfg **ret) must_check;
struct fw_cfg *fw_cfg_free(struct fw_cfg *f);
DEFINE_CLEANUP(fw_cfg_free, struct fw_cfg *)

/* Borrowed; the owner sets base and adds it to a bus. */
struct mmio_region *fw_cfg_region(struct fw_cfg *f);
void fw_cfg_reset(struct fw_cfg *f);

/* For a snapshot. A state that cannot be is refused (-EBADMSG), and nothing
 * changed. */
void fw_cfg_save(const struct fw_cfg *f, struct state_out *out);
int fw_cfg_load(struct fw_cfg *f, struct state_in *in,
		struct error *e) must_check;

/*
 * Offer `size` bytes as a file; name and data are copied. -EINVAL for an empty
 * or too long name, -EEXIST for one in use, -ENOSPC when there are too many,
 * -EFBIG when the size is no 32-bit number.
 */
int fw_cfg_add_file(struct fw_cfg *f, const char *name, const void *data,
		    size_t size) must_check;

#endif
