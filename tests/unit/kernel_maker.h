/* Files that look like kernels, for tests. */
#ifndef TESTS_UNIT_KERNEL_MAKER_H
#define TESTS_UNIT_KERNEL_MAKER_H

#include "tests/unit/packing.h"

#define KERNEL_MAKER_SIZE KIB(100)

static inline void put_le(uint8_t *at, uint64_t value, size_t size)
{
	for (size_t i = 0; i < size; i++)
		at[i] = (uint8_t)(value >> 8 * i);
}

/* KERNEL_MAKER_SIZE bytes of an arm64 Image; owned. */
static inline uint8_t *kernel_maker_image(uint64_t text_offset,
					  uint64_t image_size)
{
	uint8_t *image = packing_bytes(KERNEL_MAKER_SIZE);

	put_le(image + 8, text_offset, 8);
	put_le(image + 16, image_size, 8);
	memcpy(image + 56, "ARM\x64", 4);
	return image;
}

/* KERNEL_MAKER_SIZE bytes of a zImage that says it has `size`; owned. */
static inline uint8_t *kernel_maker_zimage(uint32_t size)
{
	uint8_t *zimage = packing_bytes(KERNEL_MAKER_SIZE);

	put_le(zimage + 0x24, 0x016f2818, 4);
	put_le(zimage + 0x28, 0, 4);
	put_le(zimage + 0x2c, size, 4);
	return zimage;
}

/* The EFI wrapper around KERNEL_MAKER_SIZE bytes. */
static inline int kernel_maker_zboot(const uint8_t *image,
				     enum unpack_format format)
{
	uint8_t head[KIB(4)] = "MZ";
	int fd = packing_file(head, sizeof(head), UNPACK_PLAIN);
	uint64_t end;

	packing_append(fd, image, KERNEL_MAKER_SIZE, format);
	end = (uint64_t)lseek(fd, 0, SEEK_END);
	memcpy(head + 4, "zimg", 4);
	put_le(head + 8, sizeof(head), 4);
	put_le(head + 12, end - sizeof(head), 4);
	strcpy((char *)head + 24, format == UNPACK_GZIP ? "gzip" : "zstd22");
	assert_int_equal(fd_pwrite_full(fd, head, sizeof(head), 0), 0);
	/* What follows, such as a signature, is none of its business. */
	assert_int_equal(fd_write_full(fd, head, 64), 0);
	return fd;
}

#endif
