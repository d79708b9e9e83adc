#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "vmm-kvm/devices/guest_mem.h"
#include "vmm-kvm/devices/reg_page.h"

struct reg_page {
	struct reg_page_sink sink;
	struct reg_page_user *user; /* NULL: it is not shown */
	uint64_t gpa;		    /* where it is */
	void *memory;
	int deaf_fd;
};

int reg_page_new(const struct reg_page_sink *sink, struct reg_page **ret,
		 struct error *e)
{
	struct reg_page *p;

	if (sysconf(_SC_PAGESIZE) != (long)REG_PAGE_BYTES)
		return error_set(e, -EOPNOTSUPP,
				 "pages of this host are not of 4 KiB");
	p = calloc(1, sizeof(*p));
	if (!p)
		return error_set(e, -ENOMEM, "out of memory");
	p->sink = *sink;
	p->deaf_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	p->memory = mmap(NULL, REG_PAGE_BYTES, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p->deaf_fd < 0 || p->memory == MAP_FAILED) {
		reg_page_free(p);
		return error_set(e, -ENOMEM, "no memory or descriptor left");
	}
	*ret = p;
	return 0;
}

struct reg_page *reg_page_free(struct reg_page *p)
{
	if (!p)
		return NULL;
	if (p->memory != MAP_FAILED)
		munmap(p->memory, REG_PAGE_BYTES);
	fd_close(p->deaf_fd);
	free(p);
	return NULL;
}

int reg_page_take(struct reg_page *p, struct reg_page_user *u, uint64_t gpa,
		  const void *regs, size_t size)
{
	int r;

	if (p->user)
		p->user->lost(p->user);
	memcpy(p->memory, regs, size);
	memset((uint8_t *)p->memory + size, 0, REG_PAGE_BYTES - size);
	guest_mem_publish(p->memory, REG_PAGE_BYTES);
	r = p->sink.show(p->sink.cookie, gpa, p->memory);
	if (r)
		return r;
	p->user = u;
	p->gpa = gpa;
	return 0;
}

void reg_page_give_back(struct reg_page *p, struct reg_page_user *u)
{
	if (p->user != u)
		return;
	p->user = NULL;
	p->sink.hide(p->sink.cookie, p->gpa, p->memory);
}

int reg_page_deaf_fd(const struct reg_page *p)
{
	return p->deaf_fd;
}
