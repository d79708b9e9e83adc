/*
 * The codec between UEFI variables as rows and the firmware volume EDK2 keeps
 * them in (authenticated variable store inside an NV firmware volume, followed
 * by the fault tolerant write working and spare areas).
 *
 * Sources: UEFI PI 1.7 volume 3, 3.2.1 (firmware volume header); EDK2
 * MdeModulePkg/Include/Guid/VariableFormat.h (facts of the layout).
 *
 * The bytes come from a guest: nothing in them is trusted, every length is
 * judged before use.
 */
#ifndef LIB_UEFI_VARSTORE_H
#define LIB_UEFI_VARSTORE_H

#include "lib/base/error.h"

/* EFI_VARIABLE_* attribute bits (UEFI 2.4A, 7.2). */
enum {
	UEFI_VAR_NON_VOLATILE = 1 << 0,
	UEFI_VAR_BOOTSERVICE = 1 << 1,
	UEFI_VAR_RUNTIME = 1 << 2,
	UEFI_VAR_TIME_AUTH = 1 << 5,
};

#define UEFI_GUID_TEXT_SIZE 37
#define UEFI_TIMESTAMP_SIZE 16 /* EFI_TIME as stored */

struct uefi_var {
	char guid[UEFI_GUID_TEXT_SIZE]; /* lower-case text form */
	char *name;			/* UTF-8, owned */
	uint32_t attributes;
	uint8_t timestamp[UEFI_TIMESTAMP_SIZE];
	uint64_t monotonic_count;
	uint32_t pubkey_index;
	uint8_t *data; /* owned */
	size_t data_size;
};

struct uefi_vars {
	struct uefi_var *list;
	size_t count;
};

void uefi_vars_done(struct uefi_vars *v);
const struct uefi_var *uefi_vars_find(const struct uefi_vars *v,
				      const char *guid, const char *name);

/* What `varstore_read` found the volume to be. */
enum varstore_condition {
	VARSTORE_VALID,
	VARSTORE_BLANK,	 /* never formatted (all ones, or all zeroes) */
	VARSTORE_MOVING, /* the firmware is rewriting it: see the spare area */
	VARSTORE_CORRUPT,
};

/* The stock firmware's layout on QEMU's `virt`: bytes. */
#define VARSTORE_BLOCK KIB(256)
#define VARSTORE_SIZE  (3 * VARSTORE_BLOCK) /* variables, working, spare */

/*
 * Decode the image of `size` bytes. Variables that are valid now are returned,
 * also those in the middle of an update (in-deleted-transition without its
 * successor). *ret_vars is set only for VARSTORE_VALID.
 */
enum varstore_condition varstore_read(const uint8_t *image, size_t size,
				      struct uefi_vars *ret_vars,
				      struct error *why);

/*
 * Format `image` (size VARSTORE_SIZE) as the firmware itself would, holding
 * `vars` (NULL or empty: an empty store). -ENOSPC when they do not fit.
 */
int varstore_write(const struct uefi_vars *vars, uint8_t *image, size_t size,
		   struct error *e) must_check;

/* "NV,BS,RT,AT" into buf (>= 32 bytes); returns buf. */
char *uefi_attributes_text(uint32_t attributes, char *buf, size_t size);

#endif
