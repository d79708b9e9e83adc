/*
 * The variable store of the null backend's guest, and bytes as it is told them.
 */
#ifndef SUPERVISOR_NULL_NVRAM_H
#define SUPERVISOR_NULL_NVRAM_H

#include "lib/base/error.h"

/* Mapped shared; nothing for a descriptor of -1. */
int null_nvram_map(int fd, uint64_t size, uint8_t **ret, uint64_t *ret_size,
		   struct error *e) must_check;
/* Two hex digits a byte into out[max]; 0 when it is no such text. */
size_t null_nvram_hex(const char *text, uint8_t *out, size_t max);

#endif
