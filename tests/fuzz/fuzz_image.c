/*
 * Any bytes as a disk: the check must end with a report, and what it calls
 * bootable must be explained by its findings.
 *
 * Input: records of 4 bytes of offset (little-endian, taken modulo the disk's
 * size), 1 byte of value, laid over a conformant disk.
 */
#include "lib/image/image.h"
#include "tests/unit/image_maker.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_close_ int fd = -1;
	struct image_report report;
	struct maker_fat fat;
	struct error e = ERROR_INIT;
	uint32_t at;

	fd = maker_disk(&fat);
	for (; size >= 5; data += 5, size -= 5) {
		memcpy(&at, data, sizeof(at));
		maker_poke(fd, at % MAKER_DISK_SIZE, data + 4, 1);
	}
	if (image_check(fd, "fuzz", &report, &e) < 0)
		abort();
	if (report.count == 0 || report.count > IMAGE_FINDINGS_MAX)
		abort();
	for (int aarch64 = 0; aarch64 < 2; aarch64++)
		if (image_report_bootable(&report, aarch64, "fuzz", &e) < 0 &&
		    !strstr(e.message, "(IMG-"))
			abort();
	return 0;
}
