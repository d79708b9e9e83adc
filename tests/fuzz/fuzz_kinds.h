/*
 * Which kinds of hostility a run reached a device with: the list that each
 * device is to be shown (README.md beside this). With FUZZ_KINDS set in the
 * environment a target prints at its end how often it met each, and
 * `tests/fuzz/run --kinds` compares that with the table, for the seeds alone.
 *
 * Kinds of rings are found out where a live device is about to look, from what
 * the rings then hold: not by what a step meant to do.
 */
#ifndef TESTS_FUZZ_FUZZ_KINDS_H
#define TESTS_FUZZ_FUZZ_KINDS_H

#include <stdio.h>
#include <stdlib.h>

enum fuzz_kind {
	KIND_LOOP,    /* a chain that is linked in a circle */
	KIND_LONG,    /* an indirect table of more than the queue has */
	KIND_OUTSIDE, /* a buffer outside of memory */
	KIND_NESTED,  /* indirect in indirect */
	KIND_JUMP,    /* an available index, or a wrap counter, that lies */
	KIND_PACKED,  /* a packed ring with something in it */
	KIND_BAR_RAM, /* a BAR over memory */
	KIND_BAR_GIC, /* a BAR over the interrupt controller */
	KIND_MSIX,    /* an access to a vector table */
	KIND_FLASH,   /* a command sequence of the flash, right or broken off */
	KIND_WIDTH,   /* an access of another size than the register's */
	KIND_SHOWN,   /* registers that are memory for a while */
	KIND_COUNT
};

static unsigned long fuzz_kind_counts[KIND_COUNT];

static inline void fuzz_kinds_print(void)
{
	static const char *const names[] = {
		[KIND_LOOP] = "loop",	    [KIND_LONG] = "long",
		[KIND_OUTSIDE] = "outside", [KIND_NESTED] = "nested",
		[KIND_JUMP] = "jump",	    [KIND_PACKED] = "packed",
		[KIND_BAR_RAM] = "bar-ram", [KIND_BAR_GIC] = "bar-gic",
		[KIND_MSIX] = "msix",	    [KIND_FLASH] = "flash",
		[KIND_WIDTH] = "width",	    [KIND_SHOWN] = "shown",
	};

	for (unsigned i = 0; i < KIND_COUNT; i++)
		fprintf(stderr, "kind %s %lu\n", names[i], fuzz_kind_counts[i]);
}

static inline void fuzz_kind(enum fuzz_kind kind)
{
	static int wanted = -1;

	if (wanted < 0) {
		wanted = getenv("FUZZ_KINDS") != NULL;
		if (wanted)
			atexit(fuzz_kinds_print);
	}
	fuzz_kind_counts[kind]++;
}

#endif
