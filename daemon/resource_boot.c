/* What a guest starts from: the firmware, or a kernel and its initrd. */
#include <fcntl.h>
#include <sys/stat.h>

#include "daemon/resource.h"
#include "lib/base/fd.h"
#include "lib/image/kernel.h"

#define FIRMWARE_AARCH64 "/usr/share/AAVMF/AAVMF_CODE.fd"
#define FIRMWARE_AARCH32 "/usr/share/AAVMF/AAVMF32_CODE.fd"
/* What the stock firmware comes as: 2 MiB, or that padded to its bank. */
#define FIRMWARE_MIN  MIB(1)
#define FIRMWARE_MAX  MIB(64)
#define FIRMWARE_UNIT KIB(64)

const char *resources_firmware_path(const struct vm_config *c)
{
	if (c->firmware)
		return c->firmware;
	return c->arch == VM_ARCH_AARCH32 ? FIRMWARE_AARCH32 : FIRMWARE_AARCH64;
}

/* O_NONBLOCK: a FIFO must not hold the daemon. */
static int file_open(const char *what, const char *path, const char *advice,
		     int *ret_fd, uint64_t *ret_size, struct error *e)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0)
		return error_set(e, -errno, "cannot open %s \"%s\": %m%s", what,
				 path, advice);
	if (fstat(fd, &st) < 0)
		return error_set(e, -errno, "%s \"%s\": %m", what, path);
	if (!S_ISREG(st.st_mode))
		return error_set(e, -EINVAL, "%s \"%s\" is not a regular file",
				 what, path);
	*ret_fd = TAKE_FD(fd);
	*ret_size = (uint64_t)st.st_size;
	return 0;
}

static int firmware_open(const struct vm_config *c, int *ret, struct error *e)
{
	const char *path = resources_firmware_path(c), *advice = "";
	_cleanup_close_ int fd = -1;
	uint64_t size;
	int r;

	if (!c->firmware)
		advice = c->arch == VM_ARCH_AARCH32
				 ? "; install the package qemu-efi-arm"
				 : "; install the package qemu-efi-aarch64";
	r = file_open("firmware", path, advice, &fd, &size, e);
	if (r < 0)
		return r;
	if (size < FIRMWARE_MIN || size > FIRMWARE_MAX ||
	    size % FIRMWARE_UNIT != 0)
		return error_set(e, -EINVAL,
				 "firmware \"%s\" has %llu bytes; a firmware "
				 "has a multiple of 64 KiB between 1 and 64 "
				 "MiB (the stock one: " FIRMWARE_AARCH64 ")",
				 path, (unsigned long long)size);
	*ret = TAKE_FD(fd);
	return 0;
}

static int kernel_open(const struct vm_config *c, int *ret, struct error *e)
{
	_cleanup_close_ int fd = -1;
	struct kernel_info k;
	uint64_t size;
	int r = file_open("kernel", c->kernel, "", &fd, &size, e);

	if (r == 0)
		r = kernel_inspect(fd, c->kernel, c->arch == VM_ARCH_AARCH64,
				   &k, e);
	if (r == 0)
		*ret = TAKE_FD(fd);
	return r;
}

static int initrd_open(const struct vm_config *c, int *ret, struct error *e)
{
	_cleanup_close_ int fd = -1;
	uint64_t size;
	int r = file_open("initrd", c->initrd, "", &fd, &size, e);

	if (r < 0)
		return r;
	if (size == 0 || size > c->memory_bytes)
		return error_set(e, -EINVAL,
				 "initrd \"%s\" has %llu bytes; it must have "
				 "some, and fit the VM's memory",
				 c->initrd, (unsigned long long)size);
	*ret = TAKE_FD(fd);
	return 0;
}

int resources_open_boot(const struct vm_config *c, int hypervisor,
			struct resources *res, struct error *e)
{
	int fd, r;

	if (!c->kernel) {
		/* The null backend looks at none, but a bad one is told. */
		if (hypervisor == VM_HYPERVISOR_NULL && !c->firmware)
			return 0;
		r = firmware_open(c, &fd, e);
		if (r == 0)
			resources_add(res, "firmware", "", fd);
		return r;
	}
	r = kernel_open(c, &fd, e);
	if (r < 0)
		return r;
	resources_add(res, "kernel", "", fd);
	if (!c->initrd)
		return 0;
	r = initrd_open(c, &fd, e);
	if (r == 0)
		resources_add(res, "initrd", "", fd);
	return r;
}
