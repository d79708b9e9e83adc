#include <sys/mman.h>
#include <unistd.h>

#include "vmm-kvm/devices/guest_mem.h"

int guest_mem_add(struct guest_mem *m, uint64_t gpa, uint64_t size_bytes,
		  void *hva)
{
	uint64_t last;

	if (size_bytes == 0 || !hva ||
	    __builtin_add_overflow(gpa, size_bytes - 1, &last))
		return -EINVAL;
	for (size_t i = 0; i < m->count; i++) {
		const struct guest_mem_region *r = &m->regions[i];

		if (gpa <= r->gpa + (r->size_bytes - 1) && r->gpa <= last)
			return -EINVAL;
	}
	if (m->count == ARRAY_SIZE(m->regions))
		return -ENOSPC;
	m->regions[m->count++] = (struct guest_mem_region){
		.gpa = gpa,
		.size_bytes = size_bytes,
		.hva = hva,
		.fd = -1,
	};
	return 0;
}

void guest_mem_set_file(struct guest_mem *m, uint64_t gpa, int fd,
			uint64_t offset)
{
	for (size_t i = 0; i < m->count; i++)
		if (m->regions[i].gpa == gpa) {
			m->regions[i].fd = fd;
			m->regions[i].fd_offset = offset;
		}
}

void *guest_mem_ptr(const struct guest_mem *m, uint64_t gpa, uint64_t size)
{
	if (size == 0)
		return NULL;
	for (size_t i = 0; i < m->count; i++) {
		const struct guest_mem_region *r = &m->regions[i];

		if (gpa >= r->gpa && gpa - r->gpa < r->size_bytes &&
		    size <= r->size_bytes - (gpa - r->gpa))
			return r->hva + (gpa - r->gpa);
	}
	return NULL;
}

uint64_t guest_mem_discard_host(const struct guest_mem *m, void *hva,
				uint64_t size)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint8_t *p = (uint8_t *)ALIGN_UP((uintptr_t)hva, page);
	uint64_t lost = (uint64_t)(p - (uint8_t *)hva);

	if (size < lost)
		return 0;
	size = (size - lost) & ~(page - 1);
	/* A shared mapping only loses its pages here: its file is told. */
	if (size == 0 || (madvise(p, size, MADV_REMOVE) < 0 &&
			  madvise(p, size, MADV_DONTNEED) < 0))
		return 0;
	return size;
}

uint64_t guest_mem_discard(const struct guest_mem *m, uint64_t gpa,
			   uint64_t size)
{
	void *p = guest_mem_ptr(m, gpa, size);

	return p ? guest_mem_discard_host(m, p, size) : 0;
}

int guest_mem_read(const struct guest_mem *m, uint64_t gpa, void *out,
		   size_t size)
{
	const void *p = guest_mem_ptr(m, gpa, size);

	if (!p)
		return -EFAULT;
	memcpy(out, p, size);
	return 0;
}

int guest_mem_write(const struct guest_mem *m, uint64_t gpa, const void *in,
		    size_t size)
{
	void *p = guest_mem_ptr(m, gpa, size);

	if (!p)
		return -EFAULT;
	memcpy(p, in, size);
	return 0;
}

void guest_mem_publish(const void *at, uint64_t size)
{
#ifdef __aarch64__
	uintptr_t line, next = (uintptr_t)at, end = next + size;
	uint64_t ctr;

	__asm__ volatile("mrs %0, ctr_el0" : "=r"(ctr));
	line = (uintptr_t)4 << ((ctr >> 16) & 15);
	for (next = ALIGN_DOWN(next, line); next < end; next += line)
		__asm__ volatile("dc cvac, %0" : : "r"(next) : "memory");
	__asm__ volatile("dsb sy" : : : "memory");
#else
	(void)at, (void)size;
#endif
}
