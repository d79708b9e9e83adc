#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "supervisor/null_nvram.h"

int null_nvram_map(int fd, uint64_t size, uint8_t **ret, uint64_t *ret_size,
		   struct error *e)
{
	struct stat st;
	void *p;

	if (fd < 0)
		return 0;
	if (fstat(fd, &st) < 0)
		return error_set(e, -errno, "variable store: cannot stat it");
	if (size == 0 || (uint64_t)st.st_size < size)
		return error_set(e, -EINVAL,
				 "variable store: its memory has %lld bytes, "
				 "not the %llu announced",
				 (long long)st.st_size,
				 (unsigned long long)size);
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return error_set(e, -errno, "variable store: cannot map it");
	*ret = p;
	*ret_size = size;
	return 0;
}

/* Two hex digits a byte into out[max]; 0 when it is no such text. */
size_t null_nvram_hex(const char *text, uint8_t *out, size_t max)
{
	size_t n = 0, digits = strlen(text);

	if (digits % 2 || digits / 2 > max)
		return 0;
	for (; n < digits / 2; n++) {
		unsigned byte;
		char pair[3] = {text[2 * n], text[2 * n + 1], '\0'};

		if (strspn(pair, "0123456789abcdefABCDEF") != 2 ||
		    sscanf(pair, "%2x", &byte) != 1)
			return 0;
		out[n] = (uint8_t)byte;
	}
	return n;
}
