#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/parse.h"
#include "vmm-kvm/board_layout.h"
#include "vmm-kvm/board_memory.h"

/* RAM at a multiple of this here as in the guest lets both be mapped by huge
 * pages. */
#define HUGE_PAGE MIB(2)

int board_space_plan(uint64_t ram_size, unsigned ipa_bits_max,
		     struct board_space *ret, struct error *e)
{
	unsigned bits = MIN(ipa_bits_max, BOARD_IPA_BITS);
	uint64_t limit = (1ull << (ipa_bits_max - 1)) - BOARD_RAM_BASE;
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

static int map_ram(struct board_bank_memory *bank, uint64_t size,
		   struct error *e)
{
	uint8_t *whole, *ram;
	size_t before;

	whole = mmap(NULL, size + HUGE_PAGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (whole == MAP_FAILED)
		return error_set(e, -errno,
				 "cannot reserve %llu bytes of RAM: %s",
				 (unsigned long long)size, strerror(errno));
	ram = (uint8_t *)ALIGN_UP((uintptr_t)whole, HUGE_PAGE);
	before = (size_t)(ram - whole);
	if (before)
		munmap(whole, before);
	munmap(ram + size, HUGE_PAGE - before);
	/* Only a wish: a host without huge pages does as well. */
	(void)madvise(ram, size, MADV_HUGEPAGE);
	bank->hva = ram;
	bank->size_bytes = size;
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

int board_memory_init(struct board_memory *m, uint64_t ram_size,
		      int firmware_fd, int nvram_fd, uint64_t nvram_size,
		      struct error *e)
{
	struct board_bank_memory *banks = m->banks;
	int r;

	banks[BOARD_BANK_RAM].name = "the RAM";
	banks[BOARD_BANK_RAM].gpa = BOARD_RAM_BASE;
	banks[BOARD_BANK_CODE].name = "the firmware";
	banks[BOARD_BANK_CODE].gpa = BOARD_FLASH_CODE_BASE;
	banks[BOARD_BANK_CODE].readonly = true;
	banks[BOARD_BANK_VARS].name = "the variable store";
	banks[BOARD_BANK_VARS].gpa = BOARD_FLASH_VARS_BASE;
	banks[BOARD_BANK_VARS].readonly = true;

	if (ram_size % (uint64_t)sysconf(_SC_PAGESIZE))
		return error_set(e, -EINVAL,
				 "memory is %llu bytes; a multiple of %ld is "
				 "accepted",
				 (unsigned long long)ram_size,
				 sysconf(_SC_PAGESIZE));
	r = map_ram(&banks[BOARD_BANK_RAM], ram_size, e);
	if (r || firmware_fd < 0)
		return r;
	r = map_file(&banks[BOARD_BANK_CODE], firmware_fd, 0, false, e);
	if (!r)
		r = map_file(&banks[BOARD_BANK_VARS], nvram_fd, nvram_size,
			     true, e);
	return r;
}

void board_memory_done(struct board_memory *m)
{
	for (size_t i = 0; i < BOARD_BANK_COUNT; i++)
		if (m->banks[i].hva)
			munmap(m->banks[i].hva, m->banks[i].size_bytes);
	*m = (struct board_memory){0};
}

void board_memory_discard_ram(struct board_memory *m)
{
	const struct board_bank_memory *ram = &m->banks[BOARD_BANK_RAM];

	/* Private anonymous memory that was advised away reads as zero. */
	(void)madvise(ram->hva, ram->size_bytes, MADV_DONTNEED);
}
