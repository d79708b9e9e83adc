/*
 * Any bytes as a kernel for direct boot, plain or packed: judging and
 * unpacking end, stay in the room they are given, and say what they refuse.
 *
 * Input: byte 0 bit 0 the VM is AArch64, then the file.
 */
#include <sys/mman.h>

#include "lib/base/fd.h"
#include "lib/image/kernel.h"
#include "tests/fuzz/fuzz_input.h"

#define ROOM 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_close_ int fd = memfd_create("kernel", MFD_CLOEXEC);
	/* Its own allocation, so that one byte more is seen. */
	_cleanup_free_ uint8_t *room = malloc(ROOM);
	struct error e = ERROR_INIT;
	struct kernel_info info;
	bool aarch64;

	if (size == 0)
		return 0;
	aarch64 = data[0] & 1;
	fuzz_check(fd >= 0 && room);
	fuzz_check(fd_pwrite_full(fd, data + 1, size - 1, 0) == 0);
	if (kernel_inspect(fd, "fuzz", aarch64, &info, &e) < 0) {
		fuzz_check(e.message[0]);
		return 0;
	}
	fuzz_check(info.aarch64 == aarch64 &&
		   info.offset + info.length <= size - 1 &&
		   info.memory_size <= KERNEL_SIZE_MAX &&
		   info.text_offset < MIB(2));
	if (kernel_load(fd, &info, room, ROOM, &e) < 0)
		fuzz_check(e.message[0]);
	return 0;
}
