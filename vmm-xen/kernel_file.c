#include "vmm-xen/kernel_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "lib/base/fd.h"
#include "lib/image/kernel.h"

/* libxl rounds the kernel up to this, and puts the device tree beside the
 * initrd (xg_dom_arm.c). */
#define SECTION	  MIB(2)
#define TREE_SIZE MIB(1)

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

int kernel_file_check_room(int fd, int initrd_fd, const struct vm_config *c,
			   struct error *e)
{
	struct stat st = {0};
	struct kernel_info k;
	char has[16], wants[16];
	uint64_t need;
	int r = kernel_inspect(fd, "kernel", c->arch == VM_ARCH_AARCH64, &k, e);

	if (r < 0)
		return r;
	if (initrd_fd >= 0 && fstat(initrd_fd, &st) < 0)
		return error_set(e, -errno, "initrd: %m");
	need = ALIGN_UP(k.memory_size, SECTION) + TREE_SIZE +
	       (uint64_t)st.st_size;
	if (need <= c->memory_bytes)
		return 0;
	return error_set(
		e, -EINVAL, "memory: kernel and initrd need %s, the VM has %s",
		format_size(ALIGN_UP(need, MIB(1)), wants, sizeof(wants)),
		format_size(c->memory_bytes, has, sizeof(has)));
}
