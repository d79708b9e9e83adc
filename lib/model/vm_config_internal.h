/*
 * What the tables of a definition share. Nobody else includes it.
 */
#ifndef LIB_MODEL_VM_CONFIG_INTERNAL_H
#define LIB_MODEL_VM_CONFIG_INTERNAL_H

#include "lib/model/vm_config.h"

#define PATH_BYTES_MAX 4095

extern const char *const vm_device_buses[];

/* Letters, digits, '.', '_', '-'; first a letter or digit. */
bool vm_is_word(const char *text);
/* NULL or what is accepted. */
const char *vm_device_id_check(const char *id);
const char *vm_path_check(const char *path);

#endif
