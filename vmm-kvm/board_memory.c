#include <fcntl.h>
#include <linux/mman.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/parse.h"
#include "lib/model/vm_config.h"
#include "vmm-kvm/board_layout.h"
#include "vmm-kvm/board_memory.h"

/* RAM at a multiple of this here as in the guest lets both be mapped by huge
 * pages. */
#define HUGE_PAGE MIB(2)

uint64_t board_space_ram_max(unsigned ipa_bits)
{
	return (1ull << (ipa_bits - 1)) - BOARD_RAM_BASE;
}

int board_space_plan(uint64_t ram_size, unsigned ipa_bits_max,
		     struct board_space *ret, struct error *e)
{
	unsigned bits = MIN(ipa_bits_max, BOARD_IPA_BITS);
	uint64_t limit = board_space_ram_max(ipa_bits_max);
	char size[16], most[16];

	if (ram_size > limit)
		return error_set(e, -EINVAL,
				 "memory is %s; at most %s fit in the %u "
				 "address bits a guest has on this host",
				 format_size(ram_size, size, sizeof(size)),
				 format_size(limit, most, sizeof(most)),
				 ipa_bits_max);
	while (BOARD_RAM_BASE + ram_size > 1ull << (bits - 1))
		bits++;
	*ret = (struct board_space){
		.ipa_bits = bits,
		.ram_size = ram_size,
		.mmio64_base = 1ull << (bits - 1),
		.mmio64_size = 1ull << (bits - 1),
	};
	return 0;
}

/* Address space of `size` bytes and nothing in it, at a multiple of a huge
 * page. */
static void *reserve(uint64_t size)
{
	uint8_t *whole, *aligned;
	size_t before;

	whole = mmap(NULL, size + HUGE_PAGE, PROT_NONE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (whole == MAP_FAILED)
		return NULL;
	aligned = (uint8_t *)ALIGN_UP((uintptr_t)whole, HUGE_PAGE);
	before = (size_t)(aligned - whole);
	if (before)
		munmap(whole, before);
	munmap(aligned + size, HUGE_PAGE - before);
	return aligned;
}

static int ram_memfd(uint64_t size, struct error *e)
{
	_cleanup_close_ int fd = memfd_create("guest-ram",
					      MFD_CLOEXEC | MFD_ALLOW_SEALING);

	/* Who is given it later can change its content, never its size. */
	if (fd < 0 || ftruncate(fd, (off_t)size) ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		return error_set(e, -errno,
				 "memory_backing: cannot make a memfd of %llu "
				 "bytes: %s",
				 (unsigned long long)size, strerror(errno));
	return TAKE_FD(fd);
}

static int ram_error(uint64_t size, int backing, struct error *e)
{
	char text[16];

	format_size(size, text, sizeof(text));
	if (backing == VM_MEMORY_HUGEPAGES && errno == ENOMEM)
		return error_set(e, -ENOMEM,
				 "memory_backing: this host has not %llu free "
				 "huge pages of 2 MiB (%s); raise "
				 "vm.nr_hugepages, or use anonymous",
				 (unsigned long long)(size / HUGE_PAGE), text);
	return error_set(e, -errno, "cannot map %s of RAM: %s", text,
			 strerror(errno));
}

static int map_ram(struct board_bank_memory *bank, uint64_t size, int backing,
		   struct error *e)
{
	_cleanup_close_ int fd = -1;
	int flags = MAP_FIXED;
	void *at;

	if (backing == VM_MEMORY_HUGEPAGES && size % HUGE_PAGE)
		return error_set(e, -EINVAL,
				 "memory: in huge pages it is a multiple of "
				 "2 MiB");
	if (backing == VM_MEMORY_MEMFD) {
		fd = ram_memfd(size, e);
		if (fd < 0)
			return fd;
		flags |= MAP_SHARED | MAP_NORESERVE;
	} else if (backing == VM_MEMORY_HUGEPAGES) {
		/* Reserved at once: a host that runs out later would kill us.
		 */
		flags |= MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB |
			 MAP_HUGE_2MB;
	} else {
		flags |= MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	}
	at = reserve(size);
	if (!at)
		return ram_error(size, backing, e);
	if (mmap(at, size, PROT_READ | PROT_WRITE, flags, fd, 0) ==
	    MAP_FAILED) {
		int r = ram_error(size, backing, e);

		munmap(at, size);
		return r;
	}
	/* Only a wish: a host without huge pages does as well. */
	if (backing != VM_MEMORY_HUGEPAGES)
		(void)madvise(at, size, MADV_HUGEPAGE);
	bank->hva = at;
	bank->size_bytes = size;
	bank->fd = TAKE_FD(fd);
	return 0;
}

static int map_pvtime(struct board_bank_memory *bank, struct error *e)
{
	void *hva = mmap(NULL, BOARD_PVTIME_SIZE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (hva == MAP_FAILED)
		return error_set(e, -errno, "cannot map %s: %s", bank->name,
				 strerror(errno));
	bank->hva = hva;
	bank->size_bytes = BOARD_PVTIME_SIZE;
	return 0;
}

/* Maps the first `size` bytes of a file, all of it if 0; shared to be written,
 * or private to be read. */
static int map_file(struct board_bank_memory *bank, int fd, uint64_t size,
		    bool written, struct error *e)
{
	struct stat st;
	void *hva;

	if (fstat(fd, &st))
		return error_set(e, -errno, "%s: %s", bank->name,
				 strerror(errno));
	if (!size)
		size = (uint64_t)st.st_size;
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size < size)
		return error_set(e, -EINVAL,
				 "%s is not a regular file of %llu bytes",
				 bank->name, (unsigned long long)size);
	if (!size || size > BOARD_FLASH_BANK_SIZE ||
	    size % (uint64_t)sysconf(_SC_PAGESIZE))
		return error_set(e, -EINVAL,
				 "%s has %llu bytes; a multiple of %ld up to "
				 "%llu is accepted",
				 bank->name, (unsigned long long)size,
				 sysconf(_SC_PAGESIZE),
				 (unsigned long long)BOARD_FLASH_BANK_SIZE);
	hva = mmap(NULL, size, written ? PROT_READ | PROT_WRITE : PROT_READ,
		   written ? MAP_SHARED : MAP_PRIVATE, fd, 0);
	if (hva == MAP_FAILED)
		return error_set(e, -errno, "cannot map %s: %s", bank->name,
				 strerror(errno));
	bank->hva = hva;
	bank->size_bytes = size;
	return 0;
}

int board_memory_init(struct board_memory *m,
		      const struct board_memory_params *p, struct error *e)
{
	struct board_bank_memory *banks = m->banks;
	int r;

	banks[BOARD_BANK_RAM].name = "the RAM";
	banks[BOARD_BANK_RAM].gpa = BOARD_RAM_BASE;
	for (size_t i = 0; i < BOARD_BANK_COUNT; i++)
		banks[i].fd = -1;
	banks[BOARD_BANK_CODE].name = "the firmware";
	banks[BOARD_BANK_CODE].gpa = BOARD_FLASH_CODE_BASE;
	banks[BOARD_BANK_CODE].readonly = true;
	banks[BOARD_BANK_VARS].name = "the variable store";
	banks[BOARD_BANK_VARS].gpa = BOARD_FLASH_VARS_BASE;
	banks[BOARD_BANK_VARS].readonly = true;
	banks[BOARD_BANK_PVTIME].name = "the record of stolen time";
	banks[BOARD_BANK_PVTIME].gpa = BOARD_PVTIME_BASE;

	if (p->ram_size % (uint64_t)sysconf(_SC_PAGESIZE))
		return error_set(e, -EINVAL,
				 "memory is %llu bytes; a multiple of %ld is "
				 "accepted",
				 (unsigned long long)p->ram_size,
				 sysconf(_SC_PAGESIZE));
	m->backing = p->backing;
	r = map_ram(&banks[BOARD_BANK_RAM], p->ram_size, p->backing, e);
	if (!r && p->pvtime)
		r = map_pvtime(&banks[BOARD_BANK_PVTIME], e);
	if (r || p->firmware_fd < 0)
		return r;
	r = map_file(&banks[BOARD_BANK_CODE], p->firmware_fd, 0, false, e);
	if (!r)
		r = map_file(&banks[BOARD_BANK_VARS], p->nvram_fd,
			     p->nvram_size, true, e);
	return r;
}

void board_memory_done(struct board_memory *m)
{
	for (size_t i = 0; i < BOARD_BANK_COUNT; i++)
		if (m->banks[i].hva && !m->banks[i].device)
			munmap(m->banks[i].hva, m->banks[i].size_bytes);
	if (m->banks[BOARD_BANK_RAM].hva)
		fd_close(m->banks[BOARD_BANK_RAM].fd);
	*m = (struct board_memory){0};
}

void board_memory_discard_ram(struct board_memory *m)
{
	const struct board_bank_memory *ram = &m->banks[BOARD_BANK_RAM];
	const struct board_bank_memory *pvtime = &m->banks[BOARD_BANK_PVTIME];
	/* Memory that was given back reads as zero; shared memory is given
	 * back for all who share it. */
	int advice = m->backing == VM_MEMORY_MEMFD ? MADV_REMOVE
						   : MADV_DONTNEED;

	/* Kernels before 5.18 keep huge pages. */
	if (madvise(ram->hva, ram->size_bytes, advice))
		memset(ram->hva, 0, ram->size_bytes);
	if (pvtime->hva)
		memset(pvtime->hva, 0, pvtime->size_bytes);
}

int board_memory_own_code(struct board_memory *m, struct error *e)
{
	const struct board_bank_memory *code = &m->banks[BOARD_BANK_CODE];

	if (mmap(code->hva, code->size_bytes, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		return error_set(e, -errno, "cannot map %s: %s", code->name,
				 strerror(errno));
	return 0;
}
