/*
 * CRC-32 as in IEEE 802.3 (polynomial 0x04c11db7, reflected, inverted at both
 * ends): GPT headers (UEFI 2.4A, 5.3.2) and spill records use it.
 *
 * Thread: pure function.
 */
#ifndef LIB_BASE_CRC32_H
#define LIB_BASE_CRC32_H

#include <stddef.h>
#include <stdint.h>

/*
 * The checksum of `size` bytes. `crc` is 0 for the first piece and the previous
 * result for the next, so a checksum over pieces equals that of the whole.
 */
uint32_t crc32_ieee(uint32_t crc, const void *data, size_t size);

#endif
