/*
 * What a virtio device wrote to guest memory in one turn of the loop, against
 * what it might: used rings (packed ones whole), and wherever a device-writable
 * descriptor says.
 *
 * Descriptors are looked for at every byte of memory, since indirect tables
 * may lie anywhere: so a place that is allowed here may be one the device had
 * no business with, but not the other way round. A turn in which the device
 * could overwrite descriptors, or which requests of an earlier turn outlive,
 * is not judged.
 */
#ifndef TESTS_FUZZ_FUZZ_DMA_H
#define TESTS_FUZZ_FUZZ_DMA_H

#include "tests/fuzz/fuzz_ram.h"
#include "vmm-kvm/devices/virtio.h"

#define FUZZ_RAM_BYTES (FUZZ_LOW_BYTES + FUZZ_HIGH_BYTES)

static struct {
	uint8_t was[FUZZ_RAM_BYTES], allowed[FUZZ_RAM_BYTES];
	bool loose; /* requests are under way from before */
} fuzz_dma;

static inline void fuzz_dma_begin(void)
{
	fuzz_dma.loose = false;
}

static inline const uint8_t *fuzz_ram_byte(size_t i)
{
	return i < FUZZ_LOW_BYTES ? FUZZ_LOW + i
				  : FUZZ_HIGH + (i - FUZZ_LOW_BYTES);
}

/* Index of a range that lies in memory, or SIZE_MAX. */
static inline size_t fuzz_ram_index(uint64_t gpa, uint64_t bytes)
{
	if (gpa >= FUZZ_LOW_GPA && gpa - FUZZ_LOW_GPA < FUZZ_LOW_BYTES &&
	    bytes <= FUZZ_LOW_BYTES - (gpa - FUZZ_LOW_GPA))
		return gpa - FUZZ_LOW_GPA;
	if (gpa >= FUZZ_HIGH_GPA && gpa - FUZZ_HIGH_GPA < FUZZ_HIGH_BYTES &&
	    bytes <= FUZZ_HIGH_BYTES - (gpa - FUZZ_HIGH_GPA))
		return FUZZ_LOW_BYTES + (gpa - FUZZ_HIGH_GPA);
	return SIZE_MAX;
}

static inline void fuzz_allow(uint64_t gpa, uint64_t bytes)
{
	size_t at = fuzz_ram_index(gpa, bytes);

	if (at != SIZE_MAX)
		memset(fuzz_dma.allowed + at, 1, bytes);
}

static inline bool fuzz_allowed(uint64_t gpa, uint64_t bytes)
{
	size_t at = fuzz_ram_index(gpa, bytes);

	return at != SIZE_MAX && memchr(fuzz_dma.allowed + at, 1, bytes);
}

/* Every descriptor in what memory was; `indirect` asks whether a table of
 * them may be written to. */
static inline bool fuzz_dma_scan(bool indirect)
{
	for (size_t i = 0; i + sizeof(struct virtq_desc) <= FUZZ_RAM_BYTES;
	     i++) {
		struct virtq_desc d;

		memcpy(&d, fuzz_dma.was + i, sizeof(d));
		if (d.address >> 32 || d.address < FUZZ_LOW_GPA)
			continue;
		/* A packed one has its flags where others have a link. */
		if (!indirect && ((d.flags | d.next) & VIRTQ_DESC_WRITE))
			fuzz_allow(d.address, d.length);
		if (indirect && ((d.flags | d.next) & VIRTQ_DESC_INDIRECT) &&
		    fuzz_allowed(d.address, d.length))
			return true;
	}
	return false;
}

static inline void fuzz_dma_before(void)
{
	memcpy(fuzz_dma.was, FUZZ_LOW, FUZZ_LOW_BYTES);
	memcpy(fuzz_dma.was + FUZZ_LOW_BYTES, FUZZ_HIGH, FUZZ_HIGH_BYTES);
}

/* The turn could have changed the descriptors it read. */
static inline bool fuzz_dma_rewrites(const struct virtio_dev *d)
{
	for (unsigned i = 0; i < d->n_queues; i++) {
		const struct virtqueue *q = &d->queues[i];

		if (q->ready && fuzz_allowed(q->desc_gpa, 16ull * q->size))
			return true;
	}
	return fuzz_dma_scan(true);
}

static inline void fuzz_dma_judge(const struct virtio_dev *d)
{
	memset(fuzz_dma.allowed, 0, sizeof(fuzz_dma.allowed));
	fuzz_dma_scan(false);
	for (unsigned i = 0; i < d->n_queues; i++)
		if (d->queues[i].ready)
			fuzz_allow(d->queues[i].used_gpa,
				   d->queues[i].packed
					   ? 4
					   : 6 + 8ull * d->queues[i].size);
	if (fuzz_dma_rewrites(d))
		return;
	/* Where what was used is told. */
	for (unsigned i = 0; i < d->n_queues; i++)
		if (d->queues[i].ready && d->queues[i].packed)
			fuzz_allow(d->queues[i].desc_gpa,
				   16ull * d->queues[i].size);
	for (size_t i = 0; i < FUZZ_RAM_BYTES; i++)
		if (*fuzz_ram_byte(i) != fuzz_dma.was[i])
			fuzz_check(fuzz_dma.allowed[i]);
}

/* Nothing changed since fuzz_dma_before(). */
static inline bool fuzz_dma_same(void)
{
	return memcmp(fuzz_dma.was, FUZZ_LOW, FUZZ_LOW_BYTES) == 0 &&
	       memcmp(fuzz_dma.was + FUZZ_LOW_BYTES, FUZZ_HIGH,
		      FUZZ_HIGH_BYTES) == 0;
}

static inline void fuzz_dma_after(const struct virtio_dev *d, bool settled)
{
	if (settled && !fuzz_dma.loose && !fuzz_dma_same())
		fuzz_dma_judge(d);
	fuzz_dma.loose = !settled;
}

#endif
