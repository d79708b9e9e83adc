#include "vmm-xen/kernel_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "lib/base/fd.h"
#include "lib/image/kernel.h"

static int unpack_into(int fd, const struct kernel_info *k, int memory,
		       struct error *e)
{
	size_t size = (size_t)k->memory_size;
	void *to;
	int r;

	if (ftruncate(memory, (off_t)size) < 0)
		return error_set(e, -errno, "memory for the kernel: %m");
	to = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	if (to == MAP_FAILED)
		return error_set(e, -errno, "memory for the kernel: %m");
	r = kernel_load(fd, k, to, size, e);
	munmap(to, size);
	return r;
}

int kernel_file_open(int fd, bool aarch64, int *ret, struct error *e)
{
	_cleanup_close_ int memory = -1;
	struct kernel_info k;
	int r = kernel_inspect(fd, "kernel", aarch64, &k, e);

	if (r < 0)
		return r;
	if (k.format == UNPACK_PLAIN && k.offset == 0)
		memory = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	else
		memory = memfd_create("kernel", MFD_CLOEXEC);
	if (memory < 0)
		return error_set(e, -errno, "memory for the kernel: %m");
	if (k.format != UNPACK_PLAIN || k.offset != 0)
		r = unpack_into(fd, &k, memory, e);
	if (r == 0)
		*ret = TAKE_FD(memory);
	return r;
}
