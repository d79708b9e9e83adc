/*
 * The rows of decoded variables, for store_nvram.c only.
 */
#ifndef STORE_STORE_VARS_H
#define STORE_STORE_VARS_H

#include "store/store_internal.h"

/*
 * Make the rows equal to `vars`, with one log line per change and a new
 * generation when there was any. Inside the caller's transaction. -ENOENT when
 * the VM does not exist.
 */
int store_vars_put(struct store *s, int64_t vm_id, const struct uefi_vars *vars,
		   const char *by, struct error *e) must_check;

#endif
