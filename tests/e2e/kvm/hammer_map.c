/*
 * A guest that is nothing but hostile: started as a kernel, without MMU, with
 * interrupts masked and every exception skipped, it reads and writes nonsense
 * all over the map of board_layout.h, HAMMERS times, then switches itself off.
 * No driver of its own can be confused by what it does, so it gets to the end,
 * the interrupt controller, flash, firmware's channel, all of PCI and the holes
 * included.
 *
 * An arm64 Image (Linux, Documentation/arm64/booting.rst), built by
 * the Makefile; runs wherever it is loaded.
 */
#include <stdint.h>

#define HAMMERS 1000000

/* Of these in turn; the widest have their registers in parts of their own. */
static const struct window {
	uint64_t base, size;
} windows[] = {
	{0x08000000, 0x10000},	  /* GIC distributor */
	{0x08080000, 0x20000},	  /* ITS */
	{0x0a000000, 0x40000},	  /* redistributors */
	{0x09000000, 0x1000},	  /* pl011 */
	{0x09010000, 0x1000},	  /* pl031 */
	{0x09020000, 0x1000},	  /* fw_cfg */
	{0x09030000, 0x1000},	  /* pl061 */
	{0x09040000, 0x10000},	  /* stolen time */
	{0x09050000, 0x1000},	  /* sp805 */
	{0x0e000000, 0x1000},	  /* virtio over MMIO: two devices */
	{0x0e000000, 0x20000},	  /* room for all */
	{0x0eff0000, 0x10000},	  /* PCI I/O ports */
	{0x30000000, 0x100000},	  /* configuration space of bus 0 */
	{0x30100000, 0x1000000},  /* of the buses behind ports */
	{0x30000000, 0x10000000}, /* all of it */
	{0x10000000, 0x100000},	  /* where BARs begin */
	{0x10000000, 0x20000000}, /* PCI memory */
	{0x8000000000, 0x100000}, /* the same, above 4 GiB */
	{0x04000000, 0x100000},	  /* flash: variables */
	{0x00000000, 0x4000000},  /* flash: code */
	{0x08010000, 0x70000},	  /* GICv2's, and holes */
	{0x09100000, 0xf00000},	  /* a hole */
	{0x08000000, 0x38000000}, /* everything below RAM */
	{0x60000000, 0x10000000}, /* behind RAM */
};
#define WINDOWS (sizeof(windows) / sizeof(windows[0]))

__asm__(".section .head, \"ax\"\n"
	"	b	1f\n"
	"	.long	0\n"
	"	.quad	0\n"	   /* text offset */
	"	.quad	0x20000\n" /* size in memory */
	"	.quad	0xa\n"	   /* little endian, 4 KiB, anywhere */
	"	.quad	0, 0, 0\n"
	"	.ascii	\"ARM\\x64\"\n"
	"	.long	0\n"
	"1:	msr	daifset, #15\n"
	"	adr	x0, vectors\n"
	"	msr	vbar_el1, x0\n"
	"	adr	x0, head_end\n"
	"	add	x0, x0, #0x10, lsl #12\n"
	"	mov	sp, x0\n"
	"	isb\n"
	"	bl	hammer\n"
	"	movz	w0, #0x8400, lsl #16\n" /* PSCI SYSTEM_OFF */
	"	add	w0, w0, #8\n"
	"	hvc	#0\n"
	"	b	.\n"
	/* Whatever it was: the next instruction. */
	"	.balign	2048\n"
	"vectors:\n"
	"	.rept	16\n"
	"	stp	x0, x1, [sp, #-16]!\n"
	"	mrs	x0, elr_el1\n"
	"	add	x0, x0, #4\n"
	"	msr	elr_el1, x0\n"
	"	ldp	x0, x1, [sp], #16\n"
	"	eret\n"
	"	.balign	128\n"
	"	.endr\n"
	"	.balign	16\n"
	"head_end:\n"
	"	.text\n");

/* xorshift64 */
static uint64_t noise(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Small numbers, addresses of RAM that is not ours, all ones, and noise. */
static uint64_t value_of(uint64_t *state)
{
	uint64_t n = noise(state);

	switch (n & 3) {
	case 0:
		return n >> 8 & 0xff;
	case 1:
		return 0x44000000 + (n >> 8 & 0x3ffffff);
	case 2:
		return ~0ull;
	default:
		return n;
	}
}

static void touch(uint64_t at, unsigned how, uint64_t value)
{
	/* One instruction each, which the vectors can skip. */
	switch (how & 7) {
	case 0:
		__asm__ volatile("ldrb w9, [%0]" ::"r"(at) : "x9", "memory");
		break;
	case 1:
		__asm__ volatile("ldr w9, [%0]" ::"r"(at) : "x9", "memory");
		break;
	case 2:
		__asm__ volatile("ldr x9, [%0]" ::"r"(at) : "x9", "memory");
		break;
	case 3:
		__asm__ volatile("strb %w1, [%0]" ::"r"(at), "r"(value)
				 : "memory");
		break;
	case 4:
		__asm__ volatile("strh %w1, [%0]" ::"r"(at), "r"(value)
				 : "memory");
		break;
	case 5:
	case 6:
		__asm__ volatile("str %w1, [%0]" ::"r"(at), "r"(value)
				 : "memory");
		break;
	default:
		__asm__ volatile("str %1, [%0]" ::"r"(at), "r"(value)
				 : "memory");
		break;
	}
}

void hammer(void);

void hammer(void)
{
	uint64_t state = 0x9e3779b97f4a7c15;

	for (unsigned i = 0; i < HAMMERS; i++) {
		const struct window *w = &windows[i % WINDOWS];
		uint64_t n = noise(&state);
		/* Every other time near the beginning of a page. */
		uint64_t at = (n >> 16) % w->size;

		if (n & 1)
			at = (at & ~0xfffull) | (at & 0xff);
		if (n & 0xe) /* else it may be unaligned */
			at &= ~7ull | (n & 0x30 ? 4 : 0);
		touch(w->base + at, (unsigned)(n >> 8), value_of(&state));
	}
}
