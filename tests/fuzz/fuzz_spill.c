/*
 * Any bytes as a spill file: replay ends, hands over nothing outside the
 * store, counts what it handed over, and says what it refused.
 *
 * Input: records, each 1 byte (bit 0: whole, with the right sum; else raw
 * bytes), then for a whole one 2 bytes of offset, 1 of size and the bytes.
 */
#include <sys/mman.h>

#include "lib/base/fd.h"
#include "lib/wire/spill.h"
#include "tests/fuzz/fuzz_input.h"

#define STORE 4096

static int apply(void *cookie, uint64_t seq, uint64_t offset, const void *data,
		 uint64_t size)
{
	static uint8_t store[STORE];

	fuzz_check(size <= STORE && offset <= STORE - size);
	memcpy(store + offset, data, size);
	++*(uint64_t *)cookie;
	return seq == 0xff ? -ENOSPC : 0;
}

static void record(int fd, struct fuzz_input *in)
{
	bool whole = fuzz_u8(in) & 1;
	uint64_t offset = whole ? fuzz_u16(in) % (STORE + 64) : 0;
	size_t n, max = fuzz_u8(in);
	const uint8_t *bytes = fuzz_bytes(in, max, &n);

	if (whole)
		fuzz_check(spill_append(fd, max, offset, bytes, n) == 0);
	else
		fuzz_check(pwrite(fd, bytes, n, lseek(fd, 0, SEEK_END)) ==
			   (ssize_t)n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = fuzz_begin(data, size);
	_cleanup_close_ int fd = memfd_create("spill", MFD_CLOEXEC);
	uint64_t applied = 0, count = 0;
	struct error e = ERROR_INIT;
	int r;

	fuzz_check(fd >= 0);
	while (fuzz_more(&in))
		record(fd, &in);
	r = spill_replay(fd, STORE, apply, &applied, &count, &e);
	fuzz_check((r == 0) == !e.message[0]);
	fuzz_check(r == -ENOSPC ? applied == count + 1 : applied == count);
	return 0;
}
