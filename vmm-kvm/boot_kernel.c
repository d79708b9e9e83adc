/*
 * Direct boot, after Linux' Documentation/arm64/booting.rst and
 * Documentation/arm/booting.rst:
 *
 *   Image   at the start of RAM plus its text_offset; tree and initrd follow
 *           what the kernel needs for itself, each from a multiple of 2 MiB.
 *   zImage  32 MiB into RAM, so that it need not move before it unpacks to the
 *           start of RAM; tree and initrd from 128 MiB on, out of its way but
 *           in its low memory; half-way in a smaller RAM.
 */
#include <sys/stat.h>

#include "lib/base/fd.h"
#include "lib/base/parse.h"
#include "lib/image/kernel.h"
#include "vmm-kvm/board_internal.h"
#include "vmm-kvm/boot.h"

#define SECTION	      MIB(2)
#define ZIMAGE_OFFSET MIB(32)
#define ZIMAGE_FDT    MIB(128)

static void place(const struct board *b, const struct kernel_info *k,
		  struct boot_kernel *ret)
{
	uint64_t half = ALIGN_DOWN(b->space.ram_size / 2, SECTION);
	uint64_t fdt_offset = MIN(ZIMAGE_FDT, half);

	if (k->aarch64) {
		ret->gpa = BOARD_RAM_BASE + k->text_offset;
		ret->fdt_gpa = ALIGN_UP(ret->gpa + k->memory_size, SECTION);
	} else {
		ret->gpa = BOARD_RAM_BASE + ZIMAGE_OFFSET;
		ret->fdt_gpa = BOARD_RAM_BASE + fdt_offset;
	}
	ret->initrd_gpa = ret->fdt_gpa + SECTION;
}

static int check_room(const struct board *b, const struct kernel_info *k,
		      const struct boot_kernel *at, struct error *e)
{
	uint64_t need = at->initrd_gpa + at->initrd_size - BOARD_RAM_BASE;
	char has[16], wants[16];

	if (!k->aarch64 && at->gpa + k->memory_size > at->fdt_gpa)
		need = 2 * (ZIMAGE_OFFSET + k->memory_size);
	if (need <= b->space.ram_size)
		return 0;
	return error_set(
		e, -EINVAL, "memory: kernel and initrd need %s, the VM has %s",
		format_size(ALIGN_UP(need, MIB(1)), wants, sizeof(wants)),
		format_size(b->space.ram_size, has, sizeof(has)));
}

static int load_initrd(struct board *b, const struct boot_kernel *at,
		       struct error *e)
{
	void *to = guest_mem_ptr(&b->guest_mem, at->initrd_gpa,
				 at->initrd_size);
	int r = to ? fd_pread_full(b->initrd_fd, to, at->initrd_size, 0)
		   : -EFAULT;

	return r ? error_set(e, r, "initrd \"%.200s\" cannot be read: %s",
			     b->config->initrd, strerror(-r))
		 : 0;
}

static int initrd_size(const struct board *b, uint64_t *ret, struct error *e)
{
	struct stat st;

	*ret = 0;
	if (b->initrd_fd < 0)
		return 0;
	if (fstat(b->initrd_fd, &st) < 0 || !S_ISREG(st.st_mode))
		return error_set(e, -EINVAL,
				 "initrd \"%.200s\" is not a regular file",
				 b->config->initrd);
	*ret = (uint64_t)st.st_size;
	return 0;
}

int boot_kernel_load(struct board *b, struct boot_kernel *ret, struct error *e)
{
	const char *path = b->config->kernel;
	struct boot_kernel at = {0};
	struct kernel_info k;
	void *to;
	int r = kernel_inspect(b->kernel_fd, path,
			       b->config->arch == VM_ARCH_AARCH64, &k, e);

	if (!r)
		r = initrd_size(b, &at.initrd_size, e);
	if (r)
		return r;
	place(b, &k, &at);
	r = check_room(b, &k, &at, e);
	if (r)
		return r;
	to = guest_mem_ptr(&b->guest_mem, at.gpa, at.fdt_gpa - at.gpa);
	r = to ? kernel_load(b->kernel_fd, &k, to, at.fdt_gpa - at.gpa, e)
	       : -EFAULT;
	if (r)
		return error_prefix(e, r, "kernel \"%.200s\"", path);
	if (at.initrd_size)
		r = load_initrd(b, &at, e);
	if (!r)
		*ret = at;
	return r;
}
