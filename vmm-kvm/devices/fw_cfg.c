#include "vmm-kvm/devices/fw_cfg.h"

#include <endian.h>
#include <stdio.h>

enum {
	REG_DATA = 0x00,
	REG_SELECTOR = 0x08, /* 16 bits, big endian */
	REG_DMA = 0x10,	     /* 64 bits, big endian; the low half starts it */
};

enum {
	KEY_SIGNATURE = 0x00,
	KEY_ID = 0x01,
	KEY_DIRECTORY = 0x19,
	KEY_FILE_FIRST = 0x20,
};

#define ID_TRADITIONAL 1
#define ID_DMA	       2

#define DMA_ERROR  (1u << 0)
#define DMA_READ   (1u << 1)
#define DMA_SKIP   (1u << 2)
#define DMA_SELECT (1u << 3)
#define DMA_WRITE  (1u << 4)

#define DMA_SIGNATURE UINT64_C(0x51454d5520434647) /* "QEMU CFG" */

/* The device lock is held while bytes move; no firmware asks for more. */
#define DMA_BYTES_MAX MIB(64)

/* In guest memory, all big endian. */
struct dma_access {
	uint32_t control, length;
	uint64_t address;
};

/* One entry of the directory, as the guest reads it. */
struct directory_entry {
	uint32_t size;
	uint16_t key, reserved;
	char name[FW_CFG_NAME_MAX];
};

struct directory {
	uint32_t count;
	struct directory_entry entries[FW_CFG_FILES_MAX];
};

struct fw_cfg {
	struct mmio_region region;
	const struct guest_mem *mem;
	struct directory directory;
	void *files[FW_CFG_FILES_MAX];
	unsigned n_files;

	uint16_t key;
	uint64_t position; /* in the selected item */
	uint32_t dma_high; /* written first */
};

struct item {
	const void *data;
	uint64_t size;
};

static struct item item_selected(const struct fw_cfg *f)
{
	static const char signature[4] = {'Q', 'E', 'M', 'U'};
	static const uint8_t id[4] = {ID_TRADITIONAL | ID_DMA};
	unsigned i = f->key - KEY_FILE_FIRST;

	switch (f->key) {
	case KEY_SIGNATURE:
		return (struct item){signature, sizeof(signature)};
	case KEY_ID: /* little endian */
		return (struct item){id, sizeof(id)};
	case KEY_DIRECTORY:
		return (struct item){
			&f->directory,
			offsetof(struct directory, entries) +
				f->n_files * sizeof(struct directory_entry)};
	}
	if (f->key < KEY_FILE_FIRST || i >= f->n_files)
		return (struct item){0};
	return (struct item){f->files[i],
			     be32toh(f->directory.entries[i].size)};
}

static void item_select(struct fw_cfg *f, uint16_t key)
{
	f->key = key;
	f->position = 0;
}

/* What lies past the end, and an item that does not exist, read as zero. */
static void item_read(struct fw_cfg *f, void *out, size_t size)
{
	struct item item = item_selected(f);
	size_t n = 0;

	if (f->position < item.size) {
		n = MIN(size, item.size - f->position);
		memcpy(out, (const uint8_t *)item.data + f->position, n);
	}
	memset((uint8_t *)out + n, 0, size - n);
	f->position += size;
}

static int dma_read(struct fw_cfg *f, uint64_t gpa, uint32_t length)
{
	void *out;

	if (length == 0)
		return 0;
	out = guest_mem_ptr(f->mem, gpa, length);
	if (!out || length > DMA_BYTES_MAX)
		return -EFAULT;
	item_read(f, out, length);
	return 0;
}

/* The outcome: 0 or DMA_ERROR. */
static uint32_t dma_perform(struct fw_cfg *f, const struct dma_access *a)
{
	uint32_t control = be32toh(a->control), length = be32toh(a->length);

	if (control & DMA_SELECT)
		item_select(f, control >> 16);
	if (control & DMA_READ)
		return dma_read(f, be64toh(a->address), length) < 0 ? DMA_ERROR
								    : 0;
	if (control & DMA_WRITE)
		return DMA_ERROR; /* nothing here is writable */
	if (control & DMA_SKIP)
		f->position += length;
	return 0;
}

/*
 * The request is copied before it is judged. The answer goes to its control
 * word; one that is not in RAM gets none, there being nowhere to put it.
 */
static void dma_run(struct fw_cfg *f, uint64_t gpa)
{
	struct dma_access a;
	uint32_t outcome;

	if (guest_mem_read(f->mem, gpa, &a, sizeof(a)) < 0)
		return;
	outcome = htobe32(dma_perform(f, &a));
	if (guest_mem_write(f->mem, gpa, &outcome, sizeof(outcome)) < 0)
		return; /* it was RAM a moment ago, and RAM does not go */
}

/* Bytes of the item in order, whatever the width of the access. */
static uint64_t data_read(struct fw_cfg *f, unsigned size)
{
	uint64_t value = 0;

	item_read(f, &value, size);
	return le64toh(value);
}

static uint64_t fw_cfg_read(void *dev, uint64_t offset, unsigned size)
{
	struct fw_cfg *f = dev;

	if (offset == REG_DATA)
		return data_read(f, size);
	if (offset == REG_DMA && size == 8)
		return htobe64(DMA_SIGNATURE);
	if (offset == REG_DMA && size == 4)
		return htobe32(DMA_SIGNATURE >> 32);
	if (offset == REG_DMA + 4 && size == 4)
		return htobe32((uint32_t)DMA_SIGNATURE);
	return 0;
}

static void fw_cfg_write(void *dev, uint64_t offset, unsigned size,
			 uint64_t value)
{
	struct fw_cfg *f = dev;
	uint64_t high = (uint64_t)f->dma_high << 32;

	if (offset == REG_SELECTOR && size == 2) {
		item_select(f, be16toh((uint16_t)value));
	} else if (offset == REG_DMA && size == 8) {
		f->dma_high = 0;
		dma_run(f, be64toh(value));
	} else if (offset == REG_DMA && size == 4) {
		f->dma_high = be32toh((uint32_t)value);
	} else if (offset == REG_DMA + 4 && size == 4) {
		f->dma_high = 0;
		dma_run(f, high | be32toh((uint32_t)value));
	}
}

static const struct mmio_ops fw_cfg_ops = {
	.read = fw_cfg_read,
	.write = fw_cfg_write,
};

int fw_cfg_add_file(struct fw_cfg *f, const char *name, const void *data,
		    size_t size)
{
	struct directory_entry *entry;
	void *copy;

	if (!name[0] || strlen(name) >= FW_CFG_NAME_MAX)
		return -EINVAL;
	for (unsigned i = 0; i < f->n_files; i++) {
		if (streq(f->directory.entries[i].name, name))
			return -EEXIST;
	}
	if (f->n_files == FW_CFG_FILES_MAX)
		return -ENOSPC;
	if (size > UINT32_MAX)
		return -EFBIG;
	copy = malloc(MAX(size, 1));
	if (!copy)
		return -ENOMEM;
	if (size)
		memcpy(copy, data, size);
	entry = &f->directory.entries[f->n_files];
	entry->size = htobe32((uint32_t)size);
	entry->key = htobe16(KEY_FILE_FIRST + f->n_files);
	snprintf(entry->name, sizeof(entry->name), "%s", name);
	f->files[f->n_files++] = copy;
	f->directory.count = htobe32(f->n_files);
	return 0;
}

void fw_cfg_reset(struct fw_cfg *f)
{
	item_select(f, KEY_SIGNATURE);
	f->dma_high = 0;
}

int fw_cfg_new(const struct guest_mem *mem, struct fw_cfg **ret)
{
	struct fw_cfg *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	f->mem = mem;
	f->region = (struct mmio_region){
		.name = "fw-cfg",
		.size_bytes = FW_CFG_SIZE,
		.ops = &fw_cfg_ops,
		.dev = f,
		.enabled = true,
	};
	*ret = f;
	return 0;
}

struct fw_cfg *fw_cfg_free(struct fw_cfg *f)
{
	if (f) {
		for (unsigned i = 0; i < f->n_files; i++)
			free(f->files[i]);
		free(f);
	}
	return NULL;
}

struct mmio_region *fw_cfg_region(struct fw_cfg *f)
{
	return &f->region;
}

void fw_cfg_save(const struct fw_cfg *f, struct state_out *out)
{
	size_t began = state_begin(out, "fw-cfg", 1);

	state_put_u16(out, f->key);
	state_put_u64(out, f->position);
	state_put_u32(out, f->dma_high);
	state_end(out, began);
}

int fw_cfg_load(struct fw_cfg *f, struct state_in *in, struct error *e)
{
	uint64_t position;
	uint32_t dma_high;
	uint16_t key;
	struct state_in r;
	int err = state_open(in, "fw-cfg", 1, &r, e);

	if (err)
		return err;
	key = state_get_u16(&r);
	position = state_get_u64(&r);
	dma_high = state_get_u32(&r);
	err = state_close(&r, e);
	if (err)
		return err;
	f->key = key;
	f->position = position;
	f->dma_high = dma_high;
	return 0;
}
