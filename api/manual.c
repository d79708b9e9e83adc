/*
 * armvm.json(5), from the field table of definitions: `make lint` compares
 * daemon/armvm.json.5 with what this prints.
 */
#include "api/api.h"
#include "lib/model/vm_config.h"

#define PATH_MAX_BYTES 128

/* roff takes a line that begins with '.' or a quote for its own, and '-' and
 * '\' for something else than they are. */
static void put(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '-' || *text == '\\')
			fputc('\\', out);
		fputc(*text == '\\' ? 'e' : *text, out);
	}
}

/* As a sentence: first letter upper case, a full stop at its end. */
static void put_sentence(FILE *out, const char *text)
{
	char first[2] = {text[0], '\0'};

	if (first[0] >= 'a' && first[0] <= 'z')
		first[0] -= 'a' - 'A';
	put(out, first);
	if (*text)
		put(out, text + 1);
	fputs(*text && text[strlen(text) - 1] == '.' ? "\n" : ".\n", out);
}

static const char *kind_text(const struct json_field *f)
{
	static const char *const kinds[] = {
		[JSON_STRING] = "text",
		[JSON_BOOL] = "true or false",
		[JSON_U32] = "a number",
		[JSON_U64] = "a number",
		[JSON_I64] = "a number",
		[JSON_SIZE] = "a size in bytes",
		[JSON_ENUM] = "one of",
		[JSON_OBJECT] = "an object",
		[JSON_U32_AUTO] = "\"auto\" or a number",
		[JSON_ARRAY] = "a list",
		[JSON_ANY] = "an object",
		[JSON_U64S] = "a list of numbers",
	};

	return kinds[f->kind];
}

static void put_bounds(FILE *out, const struct json_field *f)
{
	unsigned long long min = f->min, max = f->max;

	if (f->kind == JSON_STRING && max)
		fprintf(out, ", up to %llu bytes", max);
	else if (f->kind == JSON_ARRAY && max)
		fprintf(out, " of up to %llu", max);
	else if (f->kind != JSON_STRING && f->kind != JSON_ARRAY && max)
		fprintf(out, " from %llu to %llu", min, max);
	if (f->kind == JSON_SIZE)
		fputs(", as a number or as \"2GiB\"", out);
	for (size_t i = 0; f->kind == JSON_ENUM && f->names[i]; i++) {
		fputs(i == 0 ? " " : f->names[i + 1] ? ", " : " or ", out);
		put(out, f->names[i]);
	}
}

/* What it is when a definition leaves it out. NULL: nothing to say. Owned. */
static json_object *default_of(const struct json_field *f, const void *defaults)
{
	struct json_field table[] = {*f, JSON_END};
	_cleanup_json_ json_object *o = NULL;
	json_object *value = NULL;

	/* The text says it better. */
	if (!defaults || (f->flags & JSON_REQUIRED) || f->sub ||
	    (f->doc && strstr(f->doc, "default")) ||
	    (f->doc && f->kind == JSON_ENUM && strstr(f->doc, "auto:")))
		return NULL;
	table[0].flags = 0;
	o = json_encode(table, defaults);
	json_object_object_get_ex(o, f->name, &value);
	return json_object_get(value);
}

static void put_field(FILE *out, const struct json_field *f, const char *prefix,
		      const void *defaults)
{
	_cleanup_json_ json_object *value = default_of(f, defaults);
	const char *accepted = f->check ? f->check("") : NULL;

	fputs(".TP\n.B ", out);
	put(out, prefix);
	put(out, f->name);
	fputc('\n', out);
	put_sentence(out, f->doc ? f->doc : "");
	fprintf(out, "%s%s", f->flags & JSON_REQUIRED ? "Required; " : "It is ",
		accepted ? "" : kind_text(f));
	if (accepted)
		put(out, accepted);
	put_bounds(out, f);
	if (value) {
		fputs("; default ", out);
		put(out, json_object_get_string(value));
	}
	fputs(".\n", out);
	if (!*prefix && vm_config_field_is_live(f->name))
		fputs("It can be changed while the VM runs.\n", out);
	if (f->example) {
		fputs(".br\nFor example: \"", out);
		put(out, f->name);
		fputs("\": ", out);
		put(out, f->example);
		fputc('\n', out);
	}
}

static void put_fields(FILE *out, const struct json_field *fields,
		       const char *prefix, const void *defaults)
{
	char path[PATH_MAX_BYTES];

	for (const struct json_field *f = fields; f->name; f++) {
		put_field(out, f, prefix, defaults);
		if (!f->sub)
			continue;
		snprintf(path, sizeof(path), "%s%s%s.", prefix, f->name,
			 f->kind == JSON_ARRAY ? "[]" : "");
		put_fields(out, f->sub, path, NULL);
	}
}

static void put_head(FILE *out)
{
	fputs(".\\\" Made from the table in lib/model/vm_config.c by: "
	      "armvm-apidoc manual\n"
	      ".TH ARMVM.JSON 5 \"\" armvmd \"File formats\"\n"
	      ".SH NAME\n"
	      "armvm.json \\- definition of a virtual machine of armvmd\n"
	      ".SH DESCRIPTION\n"
	      "A definition is one JSON object.\n"
	      ".B armvmctl create \\-\\-from\n"
	      "reads it from a file,\n"
	      ".B armvmctl edit\n"
	      "opens it in an editor,\n"
	      ".B armvmctl show \\-\\-output json\n"
	      "shows it as\n"
	      ".IR config ,\n"
	      "and the API takes it as it is.\n"
	      "Only\n"
	      ".B name\n"
	      "is required; what is left out has its default.\n"
	      "A field that is not known, and a value out of its bounds, is "
	      "an error that names it.\n"
	      ".PP\n"
	      "Unless the field says otherwise it is changed while the VM is "
	      "stopped.\n"
	      "Disks and network interfaces of a running VM come and go by\n"
	      ".BR \"armvmctl disk\" \" and \" \"armvmctl nic\" ,\n"
	      "the name changes by\n"
	      ".BR \"armvmctl rename\" ,\n"
	      "the uuid never.\n"
	      ".SH FIELDS\n",
	      out);
}

static void put_tail(FILE *out)
{
	fputs(".SH EXAMPLES\n"
	      "An image with UEFI, which boots:\n"
	      ".PP\n.nf\n"
	      "{\n"
	      "  \"name\": \"web\",\n"
	      "  \"memory\": \"2GiB\",\n"
	      "  \"vcpus\": 2,\n"
	      "  \"disks\": [ { \"path\": \"/srv/vm/web.raw\" } ],\n"
	      "  \"nics\": [ { \"bridge\": \"br0\" } ],\n"
	      "  \"autostart\": true,\n"
	      "  \"on_crash\": \"restart\",\n"
	      "  \"labels\": { \"role\": \"web\" }\n"
	      "}\n"
	      ".fi\n"
	      ".PP\n"
	      "A kernel, without firmware:\n"
	      ".PP\n.nf\n"
	      "{\n"
	      "  \"name\": \"job\",\n"
	      "  \"kernel\": \"/boot/vmlinuz\",\n"
	      "  \"initrd\": \"/srv/vm/job.cpio\",\n"
	      "  \"cmdline\": \"console=ttyAMA0 quiet\",\n"
	      "  \"transient\": true\n"
	      "}\n"
	      ".fi\n"
	      ".SH SEE ALSO\n"
	      ".BR armvmctl (1),\n"
	      ".BR armvmd (8),\n"
	      ".BR armvmd.conf (5)\n",
	      out);
}

int api_write_manual(FILE *out, struct error *e)
{
	_cleanup_json_ json_object *o = json_object_new_object();
	_cleanup_vm_config_ struct vm_config defaults = {0};
	int r;

	json_object_object_add(o, "name", json_object_new_string("web"));
	r = vm_config_from_json(o, &defaults, e);
	if (r < 0)
		return r;
	put_head(out);
	put_fields(out, vm_config_fields, "", &defaults);
	put_tail(out);
	return 0;
}
