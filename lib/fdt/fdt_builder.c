#include <libfdt.h>
#include <stdio.h>

#include "lib/fdt/fdt_builder.h"

/* A tree for one CPU is 4 KiB, one for 512 CPUs 70 KiB. */
#define INITIAL_SIZE   KIB(16)
#define SIZE_MAX_BYTES MIB(2) /* what an OS may be handed (Linux arm64) */
#define NAME_MAX_BYTES 64

struct fdt_builder {
	void *blob;
	int size;
	int least; /* of the finished blob */
	int err;   /* 0, or the first failure as a negative FDT_ERR_* */
	int depth;
	uint32_t next_phandle;
};

static int grow(struct fdt_builder *b)
{
	int size = b->size * 2;
	void *larger;

	if ((uint64_t)size > SIZE_MAX_BYTES)
		return -FDT_ERR_NOSPACE;
	larger = malloc(size);
	if (!larger)
		return -FDT_ERR_NOSPACE;
	if (fdt_resize(b->blob, larger, size)) {
		free(larger);
		return -FDT_ERR_INTERNAL;
	}
	free(b->blob);
	b->blob = larger;
	b->size = size;
	return 0;
}

/* Run a sequential-write call, with more room as often as it asks for it. */
#define ATTEMPT(b, call)                              \
	do {                                          \
		int err_ = (b)->err;                  \
		while (!err_ && (err_ = (call))) {    \
			if (err_ == -FDT_ERR_NOSPACE) \
				err_ = grow(b);       \
		}                                     \
		(b)->err = err_;                      \
	} while (0)

int fdt_builder_new(struct fdt_builder **ret)
{
	struct fdt_builder *b = calloc(1, sizeof(*b));

	if (!b)
		return -ENOMEM;
	b->size = INITIAL_SIZE;
	b->next_phandle = 1;
	b->blob = malloc(b->size);
	if (!b->blob) {
		free(b);
		return -ENOMEM;
	}
	b->err = fdt_create(b->blob, b->size);
	ATTEMPT(b, fdt_finish_reservemap(b->blob));
	ATTEMPT(b, fdt_begin_node(b->blob, ""));
	*ret = b;
	return 0;
}

struct fdt_builder *fdt_builder_free(struct fdt_builder *b)
{
	if (!b)
		return NULL;
	free(b->blob);
	free(b);
	return NULL;
}

void fdt_node_begin(struct fdt_builder *b, const char *fmt, ...)
{
	char name[NAME_MAX_BYTES];
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(name, sizeof(name), fmt, args);
	va_end(args);
	if (n <= 0 || (size_t)n >= sizeof(name)) {
		b->err = b->err ? b->err : -FDT_ERR_BADVALUE;
		return;
	}
	ATTEMPT(b, fdt_begin_node(b->blob, name));
	b->depth++;
}

void fdt_node_end(struct fdt_builder *b)
{
	if (b->depth-- <= 0)
		b->err = b->err ? b->err : -FDT_ERR_BADSTATE;
	ATTEMPT(b, fdt_end_node(b->blob));
}

void fdt_prop_bytes(struct fdt_builder *b, const char *name, const void *data,
		    size_t size)
{
	if (size > SIZE_MAX_BYTES) {
		b->err = b->err ? b->err : -FDT_ERR_NOSPACE;
		return;
	}
	ATTEMPT(b, fdt_property(b->blob, name, data, (int)size));
}

void fdt_prop_empty(struct fdt_builder *b, const char *name)
{
	fdt_prop_bytes(b, name, NULL, 0);
}

void fdt_prop_string(struct fdt_builder *b, const char *name, const char *value)
{
	fdt_prop_bytes(b, name, value, strlen(value) + 1);
}

void fdt_prop_strings(struct fdt_builder *b, const char *name,
		      const char *const *values, size_t n)
{
	size_t size = 0;
	char *at = NULL;
	void *place;

	for (size_t i = 0; i < n; i++)
		size += strlen(values[i]) + 1;
	if (size > SIZE_MAX_BYTES) {
		b->err = b->err ? b->err : -FDT_ERR_NOSPACE;
		return;
	}
	ATTEMPT(b, fdt_property_placeholder(b->blob, name, (int)size, &place));
	if (b->err)
		return;
	at = place;
	for (size_t i = 0; i < n; i++)
		at = stpcpy(at, values[i]) + 1;
}

void fdt_prop_cells(struct fdt_builder *b, const char *name,
		    const uint32_t *cells, size_t n)
{
	void *place;

	if (n > SIZE_MAX_BYTES / sizeof(fdt32_t)) {
		b->err = b->err ? b->err : -FDT_ERR_NOSPACE;
		return;
	}
	ATTEMPT(b, fdt_property_placeholder(
			   b->blob, name, (int)(n * sizeof(fdt32_t)), &place));
	if (b->err)
		return;
	for (size_t i = 0; i < n; i++)
		fdt32_st((fdt32_t *)place + i, cells[i]);
}

void fdt_prop_u32(struct fdt_builder *b, const char *name, uint32_t value)
{
	fdt_prop_cells(b, name, &value, 1);
}

void fdt_prop_u64(struct fdt_builder *b, const char *name, uint64_t value)
{
	fdt_prop_cells(b, name, FDT_CELLS(value >> 32, (uint32_t)value));
}

void fdt_prop_reg(struct fdt_builder *b, uint64_t base, uint64_t size)
{
	fdt_prop_cells(b, "reg",
		       FDT_CELLS(base >> 32, (uint32_t)base, size >> 32,
				 (uint32_t)size));
}

uint32_t fdt_phandle_new(struct fdt_builder *b)
{
	return b->next_phandle++;
}

void fdt_builder_pad(struct fdt_builder *b, size_t size_bytes)
{
	if (size_bytes > SIZE_MAX_BYTES)
		b->err = b->err ? b->err : -FDT_ERR_NOSPACE;
	else
		b->least = (int)size_bytes;
}

/* Of the finished blob. */
static int add_padding(struct fdt_builder *b)
{
	int size = (int)fdt_totalsize(b->blob);
	uint8_t *larger;

	if (size >= b->least)
		return 0;
	larger = realloc(b->blob, b->least);
	if (!larger)
		return -FDT_ERR_NOSPACE;
	memset(larger + size, 0, b->least - size);
	fdt_set_totalsize(larger, b->least);
	b->blob = larger;
	return 0;
}

int fdt_builder_finish(struct fdt_builder *b, void **ret_blob, size_t *ret_size,
		       struct error *e)
{
	if (!b->err && b->depth)
		b->err = -FDT_ERR_BADSTATE;
	ATTEMPT(b, fdt_end_node(b->blob));
	ATTEMPT(b, fdt_finish(b->blob));
	b->err = b->err ? b->err : add_padding(b);
	if (b->err)
		return error_set(e, -EIO,
				 "the device tree could not be built: %s",
				 fdt_strerror(b->err));
	*ret_size = fdt_totalsize(b->blob);
	*ret_blob = TAKE_PTR(b->blob);
	b->err = -FDT_ERR_BADSTATE;
	return 0;
}
