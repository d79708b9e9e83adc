/*
 * A bank of NOR flash the way ArmVirt firmware expects it: two 16-bit Intel
 * StrataFlash (P30) chips side by side as one 32-bit device, each command
 * given to both halves (0x00ff00ff). Common Flash Interface with command set
 * 0x0001; erase blocks of 2 x 128 KiB; write buffers of 2 x 32 halfwords.
 *
 * The bank is `bank_size` of addresses over `content_size` bytes of memory;
 * past the content it reads as erased and refuses to be programmed.
 *
 * Reading. The owner maps the content into the guest as a read-only memory
 * slot: reads cost nothing, every write arrives here. Unmapping for each
 * command would cost far more than the command, so while the chips show
 * something else than their array the few words a driver looks at are
 * *patched* in the content itself:
 *   status: the first word of the bank, of the addressed block, and the
 *           addressed word;
 *   id:     the first three words of the addressed block.
 * Only for a CFI query, and for all of these in a read-only bank (whose
 * content may not even be writable here), the owner is asked to unmap; reads
 * then arrive at this device, which answers for every address in every mode.
 *
 * Invariants:
 *  1. Whenever commit() is called, and whenever the chips show their array,
 *     the content holds no patched word.
 *  2. Content only changes by a program or erase command, programming only
 *     clears bits, and a read-only bank never changes.
 *  3. Every changed byte is in a range given to commit() at the first return
 *     to the array that invariant 4 does not hold back.
 *  4. Rewriting a block is one step: from its erase (begun with the array
 *     shown and all that was programmed committed) until the chips go back to
 *     their array with something programmed since, commit() is not called. So
 *     every image that commit() sees is from before a rewrite or from after
 *     its end, in the order in which the guest made them.
 *  5. What was programmed is never held back: commit() is called before the
 *     write that goes back to the array returns. Only erased blocks wait, for
 *     the next programming anywhere or for cfi_flash_sync().
 *  6. A guest turned off or reset in the middle of a rewrite finds that block
 *     as it was before: what it had begun is undone.
 *  7. A guest costs one copy of a block and one range, whatever it does, and
 *     each of its writes at most the work of erasing a block.
 *  8. Writes are delayed only while they cannot change what a driver reads in
 *     between.
 *
 * Why 4: to set a bit, ArmVirt's driver reads a block of 256 KiB into memory,
 * erases it and programs it anew, with no fault tolerant write around it, and
 * does so in most SetVariable calls. The variables are in the guest's memory
 * alone meanwhile: an image from that time would have lost them all. The
 * driver (EDK2 2022.11 and later) goes back to the array after the erase and
 * after the last word. Older ones do so after each 128 bytes, too; to them
 * this is a flash like any other, with invariant 5 before 4.
 *
 * Why erased blocks may wait: they hold nothing that could be lost. The fault
 * tolerant write of a full store erases the spare, working or variable block
 * only when what is durable without that erase is what it recovers from, and
 * erases the spare block last, when its content counts no more.
 *
 * Why no time limit on 4: a machine that is paused or starved right after the
 * erase would have the erased block stored, the very image to avoid.
 *
 * Delayed writes. A buffer of 128 bytes takes 35 writes, of which a driver
 * waits for none but the last. Once one was programmed exactly as ArmVirt's
 * driver does it (whole, in order, confirmed at the start of the bank, where it
 * also reads the status), the owner may keep writes to most words of the
 * content back and bring them, in order, before the next access that is not
 * kept back. What is never kept back: the first three words of each block,
 * where this driver gives all its other commands, and the word of the CFI
 * query, with which every other driver begins; that ends it until the next
 * reset. Between setup and count the driver reads the status at the first word
 * of the piece, too early; so that word shows "ready" beforehand, while the
 * chips show their id or status. One that was missed costs as many repetitions
 * as the owner keeps back, and no error.
 *
 * Thread: every function with the device lock held.
 */
#ifndef VMM_KVM_DEVICES_CFI_FLASH_H
#define VMM_KVM_DEVICES_CFI_FLASH_H

#include "lib/snapshot/state.h"
#include "vmm-kvm/devices/bus.h"

#define CFI_FLASH_BLOCK_BYTES KIB(256)

struct cfi_flash;

struct cfi_flash_params {
	const char *name; /* borrowed; for diagnosis */
	/* Borrowed, aligned to 4; never written when read-only. The guest may
	 * see it at any time, the owner between commits as patched. */
	void *content;
	uint64_t content_size; /* multiple of 4, at most bank_size */
	uint64_t bank_size;    /* power of two, one block to 4 GiB */
	bool readonly;
	/* Map or unmap the content; starts as mapped. NULL: never mapped. */
	void (*set_mapped)(void *cookie, bool mapped);
	/* Bytes [offset, offset+size) changed and the guest went back to
	 * reading. The owner holds the vCPU until they are durable. */
	void (*commit)(void *cookie, uint64_t offset, uint64_t size);
	/* Writes inside [offset, offset+size) may be kept back, or are to come
	 * at once again. NULL: they always do. */
	void (*delay)(void *cookie, uint64_t offset, uint64_t size, bool on);
	void *cookie;
};

/* -EINVAL when sizes or alignment are not as said above. */
int cfi_flash_new(const struct cfi_flash_params *params,
		  struct cfi_flash **ret) must_check;
/* Restores patched words but commits nothing: cfi_flash_sync() first. */
struct cfi_flash *cfi_flash_free(struct cfi_flash *f);
DEFINE_CLEANUP(cfi_flash_free, struct cfi_flash *)

/* Borrowed; the owner sets base and adds it to a bus. */
struct mmio_region *cfi_flash_region(struct cfi_flash *f);

/* Back to showing the array, dropping a half-given command and a half-done
 * rewrite, and commit what changed: only for a guest that was turned off or is
 * being reset. */
void cfi_flash_sync(struct cfi_flash *f);
/*
 * For a snapshot, taken of the content and of this: while the flash is held its
 * content holds no patched word; the guest must not run then. Loading comes
 * after the content.
 */
void cfi_flash_hold(struct cfi_flash *f, bool held);
void cfi_flash_save(const struct cfi_flash *f, struct state_out *out);
/* -EBADMSG: a state that cannot be; nothing changed. */
int cfi_flash_load(struct cfi_flash *f, struct state_in *in,
		   struct error *e) must_check;

/* cfi_flash_sync() and a clear status register. */
void cfi_flash_reset(struct cfi_flash *f);

#endif
