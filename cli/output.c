#include "cli/output.h"

#include <stdarg.h>
#include <time.h>

#include "cli/table.h"
#include "lib/base/parse.h"

const char *const output_format_names[] = {"table", "json", "jsonl", NULL};

json_object *field_get(json_object *object, const char *name)
{
	json_object *value = NULL;

	if (json_object_is_type(object, json_type_object))
		json_object_object_get_ex(object, name, &value);
	return value;
}

const char *field_text(json_object *object, const char *name)
{
	json_object *value = field_get(object, name);

	return value ? json_object_get_string(value) : "";
}

uint64_t field_u64(json_object *object, const char *name)
{
	json_object *value = field_get(object, name);

	return value ? json_object_get_uint64(value) : 0;
}

size_t field_count(json_object *list)
{
	return json_object_is_type(list, json_type_array)
		       ? json_object_array_length(list)
		       : 0;
}

const char *field_uptime(json_object *vm, char *buf, size_t size)
{
	uint64_t started = field_u64(vm, "started_ms") / 1000;
	uint64_t now = (uint64_t)time(NULL);

	return started == 0 ? "-"
			    : format_uptime(now > started ? now - started : 0,
					    buf, size);
}

/* C0 and C1 (in UTF-8: C2 80 to C2 9F) could move the cursor or worse. */
void output_clean(char *text, const char *keep)
{
	for (unsigned char *p = (unsigned char *)text; *p; p++) {
		if ((*p < 0x20 && !strchr(keep, *p)) || *p == 0x7f)
			*p = '?';
		else if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0)
			p[0] = p[1] = '?';
	}
}

void output_line(FILE *out, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0) {
		text = NULL;
		return;
	}
	output_clean(text, "\n");
	while (n > 0 && text[n - 1] == ' ')
		text[--n] = 0;
	fprintf(out, "%s\n", text);
}

int output_flush(struct error *e)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	return error_set(e, -EIO, "standard output cannot be written: %s",
			 strerror(errno));
}

int output_object(enum output_format format, json_object *object,
		  struct error *e)
{
	int flags = format == OUTPUT_JSON
			    ? JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED
			    : JSON_C_TO_STRING_PLAIN;

	flags |= JSON_C_TO_STRING_NOSLASHESCAPE;
	puts(json_object_to_json_string_ext(object, flags));
	return output_flush(e);
}

int output_check_list(json_object *rows, struct error *e)
{
	if (json_object_is_type(rows, json_type_array))
		return 0;
	return error_set_code(e, ERROR_INTERNAL,
			      "armvmd's reply is not a list; are armvmd and "
			      "armvmctl of the same version?");
}

static int output_table(json_object *rows, const struct output_column *columns,
			size_t n_columns)
{
	struct table t;
	int r = table_init(&t, columns, n_columns);

	if (r == 0)
		r = table_add(&t, rows);
	if (r == 0)
		table_print(&t, stdout);
	table_done(&t);
	return r;
}

int output_rows(enum output_format format, json_object *rows,
		json_object *whole, const struct output_column *columns,
		size_t n_columns, struct error *e)
{
	size_t n_rows;
	int r = 0;

	r = output_check_list(rows, e);
	if (r < 0)
		return r;
	if (format == OUTPUT_JSON)
		return output_object(format, whole ? whole : rows, e);
	if (format == OUTPUT_TABLE) {
		r = output_table(rows, columns, n_columns);
		return r < 0 ? error_set(e, r, "out of memory")
			     : output_flush(e);
	}
	n_rows = json_object_array_length(rows);
	for (size_t i = 0; i < n_rows && r == 0; i++)
		r = output_object(format, json_object_array_get_idx(rows, i),
				  e);
	return r;
}
