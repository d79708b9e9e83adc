#include "api/api.h"
#include "api/events.h"

static void write_params(FILE *out, const struct json_field *fields)
{
	if (!fields->name) {
		fputs("Parameters: none.\n\n", out);
		return;
	}
	fputs("| parameter | required | meaning |\n|---|---|---|\n", out);
	for (const struct json_field *f = fields; f->name; f++)
		fprintf(out, "| `%s` | %s | %s%s |\n", f->name,
			f->flags & JSON_REQUIRED ? "yes" : "no",
			f->doc ? f->doc : "",
			f->sub ? " See [Definition](#definition)." : "");
	fputc('\n', out);
}

static const char *kind_text(const struct json_field *f)
{
	static const char *const kinds[] = {
		[JSON_STRING] = "string",
		[JSON_BOOL] = "boolean",
		[JSON_U32] = "number",
		[JSON_U64] = "number",
		[JSON_I64] = "number",
		[JSON_SIZE] = "bytes, or \"2GiB\"",
		[JSON_ENUM] = "one of",
		[JSON_OBJECT] = "object",
		[JSON_U32_AUTO] = "number, or \"auto\"",
		[JSON_ARRAY] = "list",
		[JSON_ANY] = "any",
	};

	return kinds[f->kind];
}

/* One row a field, those of lists below as disks[].path. */
static void write_fields(FILE *out, const struct json_field *fields,
			 const char *prefix)
{
	char path[128];

	for (const struct json_field *f = fields; f->name; f++) {
		fprintf(out, "| `%s%s` | %s", prefix, f->name, kind_text(f));
		for (size_t i = 0; f->kind == JSON_ENUM && f->names[i]; i++)
			fprintf(out, " `%s`", f->names[i]);
		fprintf(out, " | %s%s |\n",
			f->flags & JSON_REQUIRED ? "Required. " : "",
			f->doc ? f->doc : "");
		if (!f->sub)
			continue;
		snprintf(path, sizeof(path), "%s%s%s.", prefix, f->name,
			 f->kind == JSON_ARRAY ? "[]" : "");
		write_fields(out, f->sub, path);
	}
}

static void write_definition(FILE *out)
{
	const struct json_field *define = api_methods[API_VM_DEFINE].params;

	fputs("## Definition\n\n| field | type | meaning |\n|---|---|---|\n",
	      out);
	for (const struct json_field *f = define; f->name; f++)
		if (f->sub)
			write_fields(out, f->sub, "");
	fputc('\n', out);
}

static void write_options(FILE *out)
{
	fputs("## Jobs\n\nWhat takes time, or must not run twice, can be asked "
	      "for as a job: every method\nthat changes something also "
	      "takes\n\n",
	      out);
	write_params(out, api_option_fields);
	fputs("A job is `{id, method, vm, state (running, done, failed, "
	      "cancelled), step,\nprogress, created_ms, deadline_ms, "
	      "finished_ms, result, error: {code, message}}`.\nIt is "
	      "journalled: a daemon that was killed finds it again, goes on "
	      "or undoes it,\nand says so in its `error` or `step`.\n\n",
	      out);
}

static void write_errors(FILE *out)
{
	fputs("## Errors\n\n"
	      "`{\"code\": number, \"message\": sentence, \"data\": {\"code\": "
	      "name}}`\nWhat is wrong with a request as such (parse-error, "
	      "bad-request, no-method) has the JSON-RPC\nspecification's words "
	      "as its message, and the sentence in `data.detail`.\n\n"
	      "| name | code | HTTP status | exit status of armvmctl "
	      "|\n|---|---|---|---|\n",
	      out);
	for (int i = 0; i < ERROR_CODE_COUNT; i++) {
		enum error_code code = (enum error_code)i;

		fprintf(out, "| `%s` | %d | %d | %d |\n", error_code_name(code),
			error_code_rpc(code), error_code_http(code),
			error_code_exit(code));
	}
}

static void write_http(FILE *out)
{
	fputs("## Over HTTP\n\n"
	      "On the Unix socket `/run/armvmd/http.sock`, and over TLS when "
	      "armvmd.conf(5) says\nwhere. A method's REST route is shown "
	      "with it: parts of the path in braces, the\nmembers of the "
	      "query and those of the body (a JSON object) are its "
	      "parameters; a\nname after the path says that the whole body "
	      "is that parameter.\n\n"
	      "| | |\n|---|---|\n"
	      "| `POST /rpc` | JSON-RPC, batches too; only notifications: 204 "
	      "|\n"
	      "| status | 200, 201 with `Location`, or the error's (below) "
	      "with "
	      "`{\"error\": {code, message}}` |\n"
	      "| `ETag` | the revision, of a result that has one; "
	      "`If-None-Match` is answered with 304 |\n"
	      "| `If-Match` | the call is made only at that revision, else "
	      "412 |\n"
	      "| `GET /v1/events` | Server-Sent Events, `id` is the seq; goes "
	      "on after `Last-Event-ID` or `?since=`; event `gap` names "
	      "those that are no longer kept, `lost` ends the "
	      "stream of a client that is too slow |\n"
	      "| `GET /v1/vms/{name}/console` | a WebSocket of binary "
	      "messages; its text messages say who types: first the result "
	      "of vm.console, then `{session, writer, writes}`; an error "
	      "closes it with 4000 + its status |\n"
	      "| `GET /metrics` | Prometheus text; role viewer |\n"
	      "| `GET /healthz` | `ok` |\n"
	      "| `GET /openapi.json` | the routes, for machines; role viewer "
	      "|\n\n"
	      "    $ curl -sS --unix-socket /run/armvmd/http.sock "
	      "http://armvmd/v1/vms\n\n"
	      "Bodies are at most 1 MiB and have a Content-Length.\n\n",
	      out);
}

static void write_events(FILE *out)
{
	fputs("## Events\n\n"
	      "Each has `seq`, `time_ms`, `kind`, and of its VM `vm` (the "
	      "uuid), `name` and, if there are any,\n`labels`; "
	      "[event.subscribe](#eventsubscribe) replays and follows "
	      "them.\n\n| kind | has | what happened |\n|---|---|---|\n",
	      out);
	for (const struct api_event_kind *k = api_event_kinds; k->name; k++)
		fprintf(out, "| `%s` | %s | %s |\n", k->name, k->fields,
			k->doc);
	fputc('\n', out);
}

void api_write_markdown(FILE *out)
{
	fputs("# The API of armvmd\n\n"
	      "Made from the table in `api/methods.c`; do not edit.\n\n"
	      "JSON-RPC 2.0 on the Unix stream socket "
	      "`/run/armvmd/armvmd.sock`, one JSON text\nper line (at most 1 "
	      "MiB), batches of at most 256. Requests may be sent without\n"
	      "waiting; replies come as they are ready. Parameters are given "
	      "by name, or as an\narray in the order shown.\n\n"
	      "    $ echo '{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":"
	      "\"vm.list\"}' |\n"
	      "          nc -N -U /run/armvmd/armvmd.sock\n\n"
	      "A VM is `{name, uuid, state, hypervisor, vcpus, memory, disks, "
	      "nics, pid,\nstarted_ms, revision, reason}`; an event is `{seq, "
	      "time_ms, vm, name, kind, ...}`\n(see [Events](#events)).\n\n",
	      out);
	write_http(out);
	fputs("## Methods\n\n", out);
	for (int i = 0; i < API_METHOD_COUNT; i++) {
		const struct api_method *m = &api_methods[i];

		fprintf(out, "### %s\n\n%s\n\n", m->name, m->doc);
		fprintf(out, "Needs role %s.", api_role_name(m->role));
		if (*m->route)
			fprintf(out, " REST: `%s`.", m->route);
		fputs("\n\n", out);
		write_params(out, m->params);
		fprintf(out, "Result: %s.\n\n", m->result);
	}
	write_definition(out);
	write_options(out);
	write_events(out);
	write_errors(out);
}
