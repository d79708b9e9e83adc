/*
 * virtio entropy behind PCI, with a getrandom() that always gives the same.
 *
 * Input: byte 0 bit 0 with doorbells; then fuzz_virtio.h's steps.
 */
#include <sys/random.h>

#include "tests/fuzz/fuzz_virtio.h"
#include "vmm-kvm/devices/virtio_rng.h"

/* In place of libc's. */
ssize_t getrandom(void *buffer, size_t size, unsigned flags)
{
	memset(buffer, 0xa5, size);
	return (ssize_t)size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = fuzz_begin(data, size);
	struct fuzz_virtio f = {0};
	struct virtio_dev *dev;

	fuzz_machine_init(&f.m);
	fuzz_dma_begin();
	fuzz_check(virtio_rng_new(&dev, NULL) == 0);
	fuzz_virtio_init(&f, dev, fuzz_u8(&in) & 1);
	while (fuzz_more(&in))
		fuzz_virtio_step(&f, &in, fuzz_u8(&in));
	fuzz_virtio_done(&f);
	return 0;
}
