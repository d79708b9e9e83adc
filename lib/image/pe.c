#include "lib/image/pe.h"

#include "lib/image/disk.h"

enum {
	DOS_NEW_HEADER = 0x3c, /* offset of the PE signature */
	DOS_SIZE = 0x40,
	COFF_MACHINE = 4, /* from the signature on */
	COFF_OPTIONAL_SIZE = 20,
	COFF_SIZE = 24,
	OPTIONAL_SUBSYSTEM = 68,
	OPTIONAL_SIZE_MIN = 70,
	/* Real programs have it within 1 KiB; a lie costs a long chain walk. */
	NEW_HEADER_MAX = 1 << 20,
};

int pe_read(pe_reader reader, void *cookie, uint64_t file_size,
	    struct pe_info *ret, struct error *e)
{
	uint8_t dos[DOS_SIZE], head[COFF_SIZE + OPTIONAL_SIZE_MIN];
	uint64_t at;
	int r;

	if (file_size < sizeof(dos))
		return error_set(e, -EBADMSG, "is too short to be a program");
	r = reader(cookie, 0, dos, sizeof(dos));
	if (r < 0)
		return error_set(e, r, "cannot be read: %s", strerror(-r));
	if (dos[0] != 'M' || dos[1] != 'Z')
		return error_set(e, -EBADMSG, "is no PE image");
	at = disk_get32(dos + DOS_NEW_HEADER);
	if (at > NEW_HEADER_MAX)
		return error_set(e, -EBADMSG, "is no PE image");
	if (at + sizeof(head) > file_size)
		return error_set(e, -EBADMSG, "is a truncated PE image");
	r = reader(cookie, at, head, sizeof(head));
	if (r < 0)
		return error_set(e, r, "cannot be read: %s", strerror(-r));
	if (memcmp(head, "PE\0", 4) != 0)
		return error_set(e, -EBADMSG, "is no PE image");
	if (disk_get16(head + COFF_OPTIONAL_SIZE) < OPTIONAL_SIZE_MIN)
		return error_set(e, -EBADMSG, "is an object, not a program");
	*ret = (struct pe_info){
		.machine = disk_get16(head + COFF_MACHINE),
		.magic = disk_get16(head + COFF_SIZE),
		.subsystem = disk_get16(head + COFF_SIZE + OPTIONAL_SUBSYSTEM),
	};
	if (ret->magic != PE_MAGIC_32 && ret->magic != PE_MAGIC_32_PLUS)
		return error_set(e, -EBADMSG, "is no PE32 or PE32+ image");
	return 0;
}

const char *pe_machine_name(uint16_t machine)
{
	switch (machine) {
	case PE_MACHINE_AARCH64:
		return "AArch64";
	case PE_MACHINE_THUMB:
	case PE_MACHINE_ARM:
	case PE_MACHINE_ARMNT:
		return "AArch32";
	case 0x8664:
		return "x86-64";
	case 0x014c:
		return "x86";
	case 0x5064:
		return "RISC-V";
	}
	return "unknown";
}
