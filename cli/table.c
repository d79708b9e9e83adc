#include "cli/table.h"

#define GAP 2

/* Bytes that do not go on with a character begun earlier. */
static size_t width_of(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

static int add_cell(struct table *t, size_t column, const char *text)
{
	size_t at = t->cells.size;
	int r = buf_append(&t->cells, text, strlen(text) + 1);

	if (r < 0)
		return r;
	output_clean(t->cells.data + at, "");
	t->widths[column] = MAX(t->widths[column],
				width_of(t->cells.data + at));
	return 0;
}

static int add_row(struct table *t, json_object *row)
{
	char buf[OUTPUT_CELL_SIZE];
	int r = 0;

	for (size_t i = 0; i < t->n_columns && r == 0; i++)
		r = add_cell(t, i,
			     row ? t->columns[i].text(row, buf, sizeof(buf))
				 : t->columns[i].title);
	return r;
}

static void print_spaces(FILE *out, size_t n)
{
	static const char spaces[] = "                                ";

	for (; n > 0; n -= MIN(n, sizeof(spaces) - 1))
		fwrite(spaces, 1, MIN(n, sizeof(spaces) - 1), out);
}

/* Spaces are due only when something follows them. */
static const char *print_row(const struct table *t, FILE *out, const char *at)
{
	size_t due = 0;

	for (size_t i = 0; i < t->n_columns; i++) {
		size_t size = strlen(at);
		size_t left = t->widths[i] - width_of(at);

		if (t->columns[i].right) {
			due += left;
			left = 0;
		}
		if (size > 0) {
			print_spaces(out, due);
			fwrite(at, 1, size, out);
			due = 0;
		}
		due += left + GAP;
		at += size + 1;
	}
	fputc('\n', out);
	return at;
}

int table_init(struct table *t, const struct output_column *columns,
	       size_t n_columns)
{
	*t = (struct table){.columns = columns,
			    .n_columns = MIN(n_columns, TABLE_COLUMNS_MAX)};
	return add_row(t, NULL);
}

void table_done(struct table *t)
{
	buf_done(&t->cells);
	*t = (struct table){0};
}

int table_add(struct table *t, json_object *rows)
{
	size_t n = json_object_array_length(rows);
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		r = add_row(t, json_object_array_get_idx(rows, i));
		t->n_rows++;
	}
	return r;
}

void table_print(const struct table *t, FILE *out)
{
	const char *at = t->cells.data;

	for (size_t i = 0; i <= t->n_rows; i++)
		at = print_row(t, out, at);
}
