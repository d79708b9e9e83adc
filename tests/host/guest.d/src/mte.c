/*
 * Memory tags (MTE) that stay for as long as this runs.
 *   mte PAGES    tag that many pages, every other one without content, and say
 *                "mte: tagged"; with the first line of input look whether all
 *                is as it was, and whether a wrong tag still faults
 */
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#define PAGE	4096
#define GRANULE 16

/* Of linux/prctl.h and asm/mman.h and asm/hwcap.h, where a libc is too old. */
#define TAGGED_ADDR_CTRL   55
#define TAGGED_ADDR_ENABLE 1UL
#define TCF_SYNC	   (1UL << 1)
#define TAGS_ALL	   (0xfffeUL << 3)
#define PROTECT_MTE	   0x20
#define HAVE_MTE	   (1UL << 18)

static sigjmp_buf faulted;

static void on_fault(int signal)
{
	siglongjmp(faulted, 1);
}

static uint8_t *with_tag(uint8_t *p, unsigned tag)
{
	return (uint8_t *)((uintptr_t)p | (uintptr_t)tag << 56);
}

static void set_tag(uint8_t *p)
{
	asm volatile(".arch armv8.5-a+memtag\n\tstg %0, [%0]" ::"r"(p)
		     : "memory");
}

static unsigned get_tag(uint8_t *p)
{
	uintptr_t value = 0;

	asm volatile(".arch armv8.5-a+memtag\n\tldg %0, [%1]"
		     : "+r"(value)
		     : "r"(p)
		     : "memory");
	return value >> 56 & 15;
}

/* Different from its neighbours'. More than two in a page would be too many for
 * QEMU 7.2, which leaves the address within the page out. */
static unsigned tag_of(long at)
{
	return 1 + (unsigned)((at / (PAGE / GRANULE) * 2 + at % 2) % 15);
}

static void fill(uint8_t *memory, long pages)
{
	for (long at = 0; at < pages * PAGE / GRANULE; at++) {
		uint8_t *p = with_tag(memory + at * GRANULE, tag_of(at));

		set_tag(p);
		if (at / (PAGE / GRANULE) % 2)
			*p = (uint8_t)at;
	}
}

static long wrong(uint8_t *memory, long pages)
{
	long n = 0;

	for (long at = 0; at < pages * PAGE / GRANULE; at++) {
		uint8_t *p = with_tag(memory + at * GRANULE, tag_of(at));
		uint8_t want = at / (PAGE / GRANULE) % 2 ? (uint8_t)at : 0;

		if (get_tag(p) != tag_of(at))
			n++;
		else if (*p != want)
			n++;
	}
	return n;
}

int main(int argc, char **argv)
{
	long pages = argc > 1 ? atol(argv[1]) : 1;
	volatile uint8_t byte;
	uint8_t *memory;

	if (!(getauxval(AT_HWCAP2) & HAVE_MTE) ||
	    prctl(TAGGED_ADDR_CTRL, TAGGED_ADDR_ENABLE | TCF_SYNC | TAGS_ALL, 0,
		  0, 0)) {
		puts("mte: none");
		return 1;
	}
	memory = mmap(NULL, (size_t)pages * PAGE,
		      PROT_READ | PROT_WRITE | PROTECT_MTE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return 1;
	fill(memory, pages);
	puts("mte: tagged");
	fflush(stdout);
	(void)getchar();
	printf("mte: %ld of %ld wrong\n", wrong(memory, pages),
	       pages * PAGE / GRANULE);
	signal(SIGSEGV, on_fault);
	if (sigsetjmp(faulted, 1) == 0) {
		byte = *with_tag(memory, tag_of(0) % 15 + 1);
		(void)byte;
		puts("mte: a wrong tag does not fault");
		return 1;
	}
	puts("mte: a wrong tag faults");
	return 0;
}
