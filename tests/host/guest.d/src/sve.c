/*
 * Scalable vectors (SVE) that stay what they are while others have the CPU.
 *   sve FILE     several processes, each with values of its own in all
 *                registers, look at them over and over until FILE is there;
 *                then it says how wide they are and what was wrong
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCESSES  3
#define VECTORS	   32
#define PREDICATES 16
#define BYTES_MAX  256 /* of a vector, by the architecture */
#define SPINS	   1000000
#define HAVE_SVE   (1UL << 22) /* asm/hwcap.h */

struct registers {
	uint8_t vectors[VECTORS * BYTES_MAX];
	uint8_t predicates[PREDICATES * BYTES_MAX / 8];
};

static unsigned vector_bytes(void)
{
	uint64_t n;

	asm volatile(".arch armv8-a+sve\n\trdvl %0, #1" : "=r"(n));
	return (unsigned)n;
}

#define EACH(what, base, numbers)                            \
	".irp	i, " numbers "\n	" what "\\i, [" base \
	", #\\i, mul vl]\n.endr\n"
#define HALF  "0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15"
#define WHOLE HALF ",16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31"

#define LOAD  EACH("ldr	z", "%1", WHOLE) EACH("ldr	p", "%2", HALF)
#define STORE EACH("str	z", "%3", WHOLE) EACH("str	p", "%4", HALF)
#define SPIN  "1: subs	%0, %0, #1\n	b.ne 1b\n"

/* All registers from `from`, a while, and all of them into `to`. */
static void through_registers(const struct registers *from,
			      struct registers *to)
{
	uint64_t spins = SPINS;

	asm volatile(".arch armv8-a+sve\n" LOAD SPIN STORE
		     : "+r"(spins)
		     : "r"(from->vectors), "r"(from->predicates),
		       "r"(to->vectors), "r"(to->predicates)
		     : "memory", "cc", "v0", "v1", "v2", "v3", "v4", "v5", "v6",
		       "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14",
		       "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22",
		       "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30",
		       "v31");
}

/* Exit status: 0 when every look was right. */
static int look(unsigned seed, const char *end)
{
	static struct registers from, to;
	const unsigned n = vector_bytes();
	unsigned long wrong = 0;

	srand(seed);
	for (unsigned i = 0; i < VECTORS * n; i++)
		from.vectors[i] = (uint8_t)rand();
	for (unsigned i = 0; i < PREDICATES * n / 8; i++)
		from.predicates[i] = (uint8_t)rand();
	while (access(end, F_OK) != 0) {
		memset(&to, 0, sizeof(to));
		through_registers(&from, &to);
		wrong += memcmp(&from, &to, sizeof(to)) != 0;
	}
	return wrong != 0;
}

int main(int argc, char **argv)
{
	int wrong = 0, status;

	if (argc != 2 || !(getauxval(AT_HWCAP) & HAVE_SVE)) {
		fputs("sve: no SVE, or no file to wait for\n", stderr);
		return 1;
	}
	for (unsigned i = 0; i < PROCESSES; i++)
		if (fork() == 0)
			_exit(look(i + 1, argv[1]));
	while (wait(&status) > 0)
		wrong += status != 0;
	printf("sve: vectors of %u bytes, %d of %d wrong\n", vector_bytes(),
	       wrong, PROCESSES);
	return wrong != 0;
}
