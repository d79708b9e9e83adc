/*
 * A flattened device tree written node by node. The first failure sticks and
 * is reported by fdt_builder_finish(), so callers need not check each step.
 * libfdt is included nowhere else.
 *
 * One fdt_add_* per kind of node lives in lib/fdt/fdt_nodes.h; both backends
 * use them. Sources: Devicetree Specification v0.4 and the kernel's
 * Documentation/devicetree/bindings.
 */
#ifndef LIB_FDT_FDT_BUILDER_H
#define LIB_FDT_FDT_BUILDER_H

#include "lib/base/error.h"

struct fdt_builder;

int fdt_builder_new(struct fdt_builder **ret) must_check;
struct fdt_builder *fdt_builder_free(struct fdt_builder *b);
DEFINE_CLEANUP(fdt_builder_free, struct fdt_builder *)

void fdt_node_begin(struct fdt_builder *b, const char *fmt, ...)
	printf_like(2, 3);
void fdt_node_end(struct fdt_builder *b);
void fdt_prop_empty(struct fdt_builder *b, const char *name);
void fdt_prop_string(struct fdt_builder *b, const char *name,
		     const char *value);
/* `values` is a list of n strings. */
void fdt_prop_strings(struct fdt_builder *b, const char *name,
		      const char *const *values, size_t n);
void fdt_prop_cells(struct fdt_builder *b, const char *name,
		    const uint32_t *cells, size_t n);
void fdt_prop_u32(struct fdt_builder *b, const char *name, uint32_t value);
void fdt_prop_u64(struct fdt_builder *b, const char *name, uint64_t value);
void fdt_prop_bytes(struct fdt_builder *b, const char *name, const void *data,
		    size_t size);
/* reg = <base_hi base_lo size_hi size_lo>, for 2/2 address and size cells. */
void fdt_prop_reg(struct fdt_builder *b, uint64_t base, uint64_t size);

#define FDT_CELLS(...)                     \
	((const uint32_t[]){__VA_ARGS__}), \
		(sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

/* A phandle not used before in this tree. */
uint32_t fdt_phandle_new(struct fdt_builder *b);

/*
 * The finished blob shall have this many bytes, the rest of which after the
 * tree are free space; a larger tree is not affected. At most 2 MiB.
 */
void fdt_builder_pad(struct fdt_builder *b, size_t size_bytes);

/* The finished blob, malloc'ed, owned by the caller. */
int fdt_builder_finish(struct fdt_builder *b, void **ret_blob, size_t *ret_size,
		       struct error *e) must_check;

#endif
