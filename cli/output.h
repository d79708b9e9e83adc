/*
 * What armvmctl prints on standard output: a table for people, or the
 * daemon's JSON as it came ("json": one indented text, "jsonl": one line per
 * object).
 *
 * Texts may come from a guest (variable names, reasons): control characters
 * never reach the terminal.
 */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <stdio.h>

#include "lib/base/json.h"

enum output_format { OUTPUT_TABLE, OUTPUT_JSON, OUTPUT_JSONL };
extern const char *const output_format_names[];

struct output_column {
	const char *title;
	/* The cell of a row: a string it holds, or one put into buf. */
	const char *(*text)(json_object *row, char *buf, size_t size);
	bool right;
};

#define OUTPUT_CELL_SIZE 64

/*
 * `rows` is an array, borrowed; `whole` (NULL: rows) is what "json" prints.
 * -ENOMEM, or -EIO when standard output cannot be written.
 */
int output_rows(enum output_format format, json_object *rows,
		json_object *whole, const struct output_column *columns,
		size_t n_columns, struct error *e) must_check;

/* Whether a reply's `rows` are an array: only that may be gone through. */
int output_check_list(json_object *rows, struct error *e) must_check;

/* One object; only for the JSON formats. */
int output_object(enum output_format format, json_object *object,
		  struct error *e) must_check;

/* Control characters but those in `keep` become '?'. */
void output_clean(char *text, const char *keep);

/* printf with control characters in the result replaced, newline excepted. */
void output_line(FILE *out, const char *fmt, ...) printf_like(2, 3);

/* Everything written has arrived: -EIO names the reason (a full disk). */
int output_flush(struct error *e) must_check;

/* Fields of a reply that may be missing: "" and 0 then. */
const char *field_text(json_object *object, const char *name);
uint64_t field_u64(json_object *object, const char *name);
/* Elements of an array; 0 when it is none. */
size_t field_count(json_object *list);
/* NULL when missing; borrowed. */
json_object *field_get(json_object *object, const char *name);

/* "14s" since started_ms of a VM, "-" when it is not running. */
const char *field_uptime(json_object *vm, char *buf, size_t size);

#endif
