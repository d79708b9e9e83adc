/*
 * The headers of a PE/COFF image, as far as UEFI judges them before starting
 * it (UEFI 2.4A, 2.1.1; Microsoft PE/COFF specification).
 */
#ifndef LIB_IMAGE_PE_H
#define LIB_IMAGE_PE_H

#include "lib/base/error.h"

enum {
	PE_MACHINE_AARCH64 = 0xaa64,
	PE_MACHINE_THUMB = 0x01c2, /* what UEFI says for AArch32 */
	PE_MACHINE_ARM = 0x01c0,
	PE_MACHINE_ARMNT = 0x01c4,
	PE_SUBSYSTEM_EFI_APPLICATION = 10,
	PE_MAGIC_32 = 0x10b,
	PE_MAGIC_32_PLUS = 0x20b,
};

struct pe_info {
	uint16_t machine, subsystem, magic;
};

/* Reads exactly `size` bytes at `at`: 0 or -errno. */
typedef int (*pe_reader)(void *cookie, uint64_t at, void *buf, size_t size);

/*
 * -EBADMSG with the reason (a predicate: "is no PE image") when it is no
 * executable image; -errno of the reader.
 */
int pe_read(pe_reader reader, void *cookie, uint64_t file_size,
	    struct pe_info *ret, struct error *e) must_check;

/* "AArch64", "AArch32", "x86-64", ... or "unknown". */
const char *pe_machine_name(uint16_t machine);

#endif
