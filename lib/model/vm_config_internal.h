/*
 * What the tables of a definition share: vm_config.c and vm_config_disk.c.
 * Nobody else includes it.
 */
#ifndef LIB_MODEL_VM_CONFIG_INTERNAL_H
#define LIB_MODEL_VM_CONFIG_INTERNAL_H

#include "lib/model/vm_config.h"

#define PATH_BYTES_MAX 4095

/* Letters, digits, '.', '_' and '-', first a letter or digit. */
bool vm_is_word(const char *text);
const char *vm_path_check(const char *path);
/* Of enum vm_device_bus. */
extern const char *const vm_device_buses[];

#endif
