/*
 * Tables for people: columns as wide as their widest cell, two spaces between
 * them, headings above. Names are narrow, lists may be long (10,000 VMs within
 * 100 ms), so a row costs no memory but its text.
 */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include "cli/output.h"
#include "lib/base/buf.h"

#define TABLE_COLUMNS_MAX 32

struct table {
	const struct output_column *columns;
	size_t n_columns, n_rows, widths[TABLE_COLUMNS_MAX];
	struct buf cells; /* row by row, headings first, each ends with NUL */
};

/* The columns are borrowed. -ENOMEM; table_done() also then. */
int table_init(struct table *t, const struct output_column *columns,
	       size_t n_columns) must_check;
void table_done(struct table *t);

/* Rows of an array, which is borrowed and not needed any more afterwards.
 * Control characters in a cell become '?'. Texts are UTF-8, each character
 * counts as one column wide. -ENOMEM. */
int table_add(struct table *t, json_object *rows) must_check;

/* Also without rows: the headings say what would stand here. Whether `out`
 * could be written is asked of it later. */
void table_print(const struct table *t, FILE *out);

#endif
