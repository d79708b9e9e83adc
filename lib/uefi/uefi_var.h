/*
 * Words of UEFI in the words of C: GUIDs as text, CHAR16 names as UTF-8.
 *
 * Thread: pure functions.
 */
#ifndef LIB_UEFI_UEFI_VAR_H
#define LIB_UEFI_UEFI_VAR_H

#include "lib/uefi/varstore.h"

/* The 16 bytes of an EFI_GUID, whose first three fields are little-endian
 * (UEFI 2.4A, appendix A), as lower-case text. */
void uefi_guid_format(const uint8_t guid[16], char ret[UEFI_GUID_TEXT_SIZE]);

/* -EINVAL when it is not 8-4-4-4-12 hexadecimal digits. */
int uefi_guid_parse(const char *text, uint8_t ret[16]) must_check;

/*
 * `size` bytes of CHAR16 (little-endian) up to the first NUL or the end, as
 * UTF-8. Surrogate pairs are joined; a half without its other becomes U+FFFD.
 * Owned by the caller; NULL: out of memory.
 */
char *uefi_name_to_utf8(const uint8_t *name, size_t size);

/*
 * UTF-8 as CHAR16 with its terminator, owned by the caller, *ret_size bytes.
 * -EILSEQ when the text is not UTF-8; -ENOMEM.
 */
int uefi_name_from_utf8(const char *text, uint8_t **ret,
			size_t *ret_size) must_check;

#endif
