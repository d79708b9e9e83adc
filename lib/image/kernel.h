/*
 * Kernels for direct boot: which file is one, and its bytes unpacked.
 *
 * Accepted: the arm64 "Image" (Linux, Documentation/arm64/booting.rst), plain,
 * packed with gzip or zstd as distributions ship it, or inside the EFI
 * wrapper that newer ones put around it (drivers/firmware/efi/libstub/
 * zboot-header.S); the 32-bit "zImage" (Documentation/arm/booting.rst), which
 * unpacks itself.
 *
 * Thread: no state.
 */
#ifndef LIB_IMAGE_KERNEL_H
#define LIB_IMAGE_KERNEL_H

#include "lib/image/unpack.h"

struct kernel_info {
	bool aarch64; /* an Image; else a zImage */
	/* Where its bytes are in the file. */
	uint64_t offset, length;
	enum unpack_format format;
	/* Image: to be loaded this far above a multiple of 2 MiB; less than
	 * that. */
	uint64_t text_offset;
	/* Image: what it needs from there on, more than the file has. zImage:
	 * its own size. At most KERNEL_SIZE_MAX. */
	uint64_t memory_size;
};

#define KERNEL_SIZE_MAX GIB(1)

/*
 * Judge a file by its first bytes, unpacked. `aarch64` says what the VM can
 * run. -EBADMSG with a sentence naming `path`, what it is and what is
 * accepted. `fd` is borrowed.
 */
int kernel_inspect(int fd, const char *path, bool aarch64,
		   struct kernel_info *ret, struct error *e) must_check;

/*
 * Unpack it into `to`; -ENOSPC when it has more than `room` bytes. The
 * messages do not name the file.
 */
int kernel_load(int fd, const struct kernel_info *k, void *to, size_t room,
		struct error *e) must_check;

#endif
