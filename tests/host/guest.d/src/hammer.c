/*
 * hammer SEED COUNT BASE SIZE: a hostile guest. COUNT random reads and writes
 * of random sizes, alignments and values in the physical range [BASE,
 * BASE+SIZE), through /dev/mem (the kernel needs iomem=relaxed).
 *
 * hammer SEED COUNT FILE: the same as pwrite() into a file, such as a PCI
 * function's config space.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define WINDOW (64u << 10)

static uint64_t state;

/* xorshift64: good enough for nonsense, and the same for the same seed. */
static uint64_t random64(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

/* Small numbers and addresses of RAM do more harm than noise. */
static uint64_t random_value(void)
{
	switch (random64() % 4) {
	case 0:
		return random64() % 256;
	case 1:
		return 0x40000000u + random64() % 0x20000000u;
	case 2:
		return ~0ull;
	default:
		return random64();
	}
}

static void access_one(volatile uint8_t *p, unsigned size)
{
	uint64_t value = random_value();
	int write = random64() % 4 != 0;

	switch (size) {
	case 1:
		write ? (void)(*p = (uint8_t)value) : (void)*p;
		break;
	case 2:
		write ? (void)(*(volatile uint16_t *)p = (uint16_t)value)
		      : (void)*(volatile uint16_t *)p;
		break;
	case 4:
		write ? (void)(*(volatile uint32_t *)p = (uint32_t)value)
		      : (void)*(volatile uint32_t *)p;
		break;
	default:
		write ? (void)(*(volatile uint64_t *)p = value)
		      : (void)*(volatile uint64_t *)p;
	}
}

static int hammer_memory(uint64_t count, uint64_t base, uint64_t size)
{
	uint64_t window = size < WINDOW ? size : WINDOW;
	int fd = open("/dev/mem", O_RDWR | O_SYNC);
	uint8_t *p;

	if (fd < 0) {
		perror("/dev/mem");
		return 1;
	}
	for (uint64_t done = 0; done < count;) {
		uint64_t at = size > window
				      ? random64() % (size / window) * window
				      : 0;

		p = mmap(NULL, window, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			 (off_t)(base + at));
		if (p == MAP_FAILED) {
			perror("mmap");
			return 1;
		}
		for (int i = 0; i < 1000 && done < count; i++, done++) {
			unsigned bytes = 1u << random64() % 4;
			/* Device memory takes aligned accesses only; most of
			 * a device's registers are in its first page. */
			uint64_t span = random64() % 2 ? window : 512;

			access_one(p + random64() % (span / bytes) * bytes,
				   bytes);
		}
		munmap(p, window);
	}
	return 0;
}

static int hammer_file(uint64_t count, const char *path)
{
	int fd = open(path, O_RDWR);
	uint64_t value;
	char *end;

	if (fd < 0) {
		perror(path);
		return 1;
	}
	while (count-- > 0) {
		value = random_value();
		end = (char *)&value;
		if (pwrite(fd, end, 1u << random64() % 3,
			   (off_t)(random64() % 4096 & ~3ull)) < 0)
			continue; /* past the end of a small space */
	}
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t count;

	if (argc != 4 && argc != 5) {
		fprintf(stderr, "Usage: hammer SEED COUNT BASE SIZE\n"
				"       hammer SEED COUNT FILE\n");
		return 2;
	}
	state = strtoull(argv[1], NULL, 0) | 1;
	count = strtoull(argv[2], NULL, 0);
	if (argc == 4)
		return hammer_file(count, argv[3]);
	return hammer_memory(count, strtoull(argv[3], NULL, 0),
			     strtoull(argv[4], NULL, 0));
}
