/*
 * What reading the flash shows, through the mapped content or here.
 */
#include "vmm-kvm/devices/cfi_flash_internal.h"
#include "vmm-kvm/devices/guest_mem.h"

#define ID_MANUFACTURER 0x0089 /* Intel */
#define ID_DEVICE	0x0018

static uint32_t both(uint32_t half)
{
	return half << 16 | half;
}

/* Firmware maps flash as device memory. */
void content_publish(const struct cfi_flash *f, uint64_t offset, uint64_t size)
{
	guest_mem_publish((const uint8_t *)f->p.content + offset, size);
}

void content_store(const struct cfi_flash *f, uint64_t offset, uint32_t value)
{
	__atomic_store_n(content_word(f, offset), value, __ATOMIC_RELAXED);
	content_publish(f, offset, sizeof(value));
}

void patch_set(struct cfi_flash *f, uint64_t offset, uint32_t shown)
{
	if (!content_has(f, offset))
		return;
	for (unsigned i = 0; i < f->n_patches; i++) {
		if (f->patches[i].offset == offset)
			return;
	}
	f->patches[f->n_patches++] = (struct patch){
		.offset = (uint32_t)offset,
		.truth = content_load(f, offset),
	};
	content_store(f, offset, shown);
}

void view_restore(struct cfi_flash *f)
{
	for (unsigned i = 0; i < f->n_patches; i++)
		content_store(f, f->patches[i].offset, f->patches[i].truth);
	f->n_patches = 0;
}

static void mapped_set(struct cfi_flash *f, bool mapped)
{
	if (f->mapped == mapped)
		return;
	f->mapped = mapped;
	if (f->p.set_mapped)
		f->p.set_mapped(f->p.cookie, mapped);
}

/* Word `i` of a block in id mode; 2 is its lock state. */
static uint32_t id_word(const struct cfi_flash *f, uint64_t i)
{
	switch (i) {
	case 0:
		return both(ID_MANUFACTURER);
	case 1:
		return both(ID_DEVICE);
	case 2:
		return both(f->p.readonly);
	default:
		return 0;
	}
}

void view_set(struct cfi_flash *f, enum mode mode, uint64_t address)
{
	uint64_t block = block_of(address);

	view_restore(f);
	f->mode = mode;
	f->address = address;
	mapped_set(f, mode == MODE_ARRAY ||
			      (mode != MODE_QUERY && !f->p.readonly));
	if (f->p.readonly)
		return;
	if (mode == MODE_STATUS) {
		patch_set(f, 0, both(f->status));
		patch_set(f, block, both(f->status));
		patch_set(f, address, both(f->status));
	} else if (mode == MODE_ID) {
		for (unsigned i = 0; i < 3; i++)
			patch_set(f, block + 4 * i, id_word(f, i));
	}
	if (f->delayed)
		delay_patch(f);
}

/*
 * CFI query structure of one chip, from word 0x10 (JESD68.01 section 2.4;
 * the primary extended table from 0x31 is Intel's, version 1.0, offering no
 * optional feature). Timings are powers of two and only bound how long a
 * driver waits.
 */
static const struct query_row {
	uint8_t word, count, bytes[5];
} query_rows[] = {
	{0x10, 3, {'Q', 'R', 'Y'}},
	{0x13, 2, {0x01, 0x00}},       /* command set: Intel extended */
	{0x15, 2, {0x31, 0x00}},       /* where its table is */
	{0x1b, 2, {0x17, 0x20}},       /* Vcc 1.7 to 2.0 V */
	{0x1d, 2, {0x85, 0x95}},       /* Vpp 8.5 to 9.5 V */
	{0x1f, 2, {0x08, 0x09}},       /* word 256 us, buffer 512 us */
	{0x21, 2, {0x0a, 0x00}},       /* block 1 s, no chip erase */
	{0x23, 3, {0x01, 0x01, 0x02}}, /* factors from typical to most */
	{0x28, 2, {0x01, 0x00}},       /* x16 */
	{0x2a, 2, {0x06, 0x00}},       /* write buffer of 64 bytes */
	{0x2c, 1, {0x01}},	       /* one region of like blocks, */
	{0x2f, 2, {0x00, 0x02}},       /* each 128 KiB in units of 256 */
	{0x31, 5, {'P', 'R', 'I', '1', '0'}},
	{0x3d, 2, {0x18, 0x90}}, /* best Vcc 1.8 V, Vpp 9 V */
};

#define QUERY_DEVICE_SIZE 0x27 /* log2 of bytes */
#define QUERY_BLOCKS_LOW  0x2d /* blocks less one, 16 bits */
#define QUERY_BLOCKS_HIGH 0x2e

static uint32_t query_word(const struct cfi_flash *f, uint64_t i)
{
	uint64_t blocks = f->p.bank_size / CFI_FLASH_BLOCK_BYTES;

	switch (i) {
	case QUERY_DEVICE_SIZE: /* of one chip: half the bank */
		return both(__builtin_ctzll(f->p.bank_size) - 1);
	case QUERY_BLOCKS_LOW:
		return both((blocks - 1) & 0xff);
	case QUERY_BLOCKS_HIGH:
		return both((blocks - 1) >> 8);
	}
	for (size_t r = 0; r < ARRAY_SIZE(query_rows); r++) {
		const struct query_row *row = &query_rows[r];

		if (i >= row->word && i - row->word < row->count)
			return both(row->bytes[i - row->word]);
	}
	return 0;
}

static uint32_t word_shown(const struct cfi_flash *f, uint64_t offset)
{
	switch (f->mode) {
	case MODE_STATUS:
		return both(f->status);
	case MODE_ID:
		return id_word(f, (offset - block_of(offset)) / 4);
	case MODE_QUERY:
		return query_word(f, offset / 4);
	default:
		return content_has(f, offset) ? content_load(f, offset)
					      : UINT32_MAX;
	}
}

uint64_t view_read(void *dev, uint64_t offset, unsigned size)
{
	const struct cfi_flash *f = dev;
	uint64_t value = 0;

	for (unsigned i = 0; i < size; i++) {
		uint64_t at = offset + i;
		uint64_t byte = word_shown(f, at & ~UINT64_C(3)) >>
				(8 * (at & 3));

		value |= (byte & 0xff) << (8 * i);
	}
	return value;
}
