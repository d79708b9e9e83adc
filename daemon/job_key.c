/*
 * Idempotency keys: a call with the key of an earlier one is answered as that
 * was.
 */
#include "daemon/job_internal.h"

#include <stdio.h>

struct known {
	struct manager *manager;
	struct api_call *call;
	const struct api_options *options;
};

static int same_request(const struct known *k, const struct store_job *row)
{
	enum api_method_id method = api_call_method(k->call);

	return streq(api_methods[method].name, row->method) &&
	       streq(json_text(api_call_given(k->call)), row->params);
}

static void answer_finished(const struct known *k, const struct store_job *row)
{
	json_object *result = NULL;
	struct error e = ERROR_INIT;

	if (k->options->async) {
		api_call_reply(k->call, job_row_to_json(row), -1);
	} else if (!streq(row->state, "done")) {
		error_set_code(&e, error_code_by_name(row->error), "%s",
			       row->message);
		api_call_fail(k->call, &e);
	} else if (json_parse(row->result, strlen(row->result), &result, &e) <
		   0) {
		api_call_fail(k->call, &e);
	} else {
		api_call_reply(k->call, result, -1);
	}
}

static int known_row(void *cookie, const struct store_job *row)
{
	const struct known *k = cookie;
	struct job *job = job_find(k->manager->jobs, row->id);
	struct error e = ERROR_INIT;

	if (!same_request(k, row)) {
		error_set_code(&e, ERROR_CONFLICT,
			       "this idempotency key was used for another "
			       "request (job %lld, %s %s)",
			       (long long)row->id, row->method, row->vm);
		api_call_fail(k->call, &e);
	} else if (!job) {
		answer_finished(k, row);
	} else if (k->options->async) {
		api_call_reply(k->call, job_to_json(job), -1);
	} else if (job_add_waiter(job, k->call, false, 0) < 0) {
		error_set(&e, -ENOMEM, "out of memory");
		api_call_fail(k->call, &e);
	}
	return 1;
}

/* A key is its caller's own: another's answer is not for them, and what they
 * asked is none of each other's business. NULL: no memory. */
static char *stored_key(const struct api_call *call, const char *key)
{
	char *text;

	if (asprintf(&text, "%s\n%s", api_call_who(call)->name, key) < 0)
		return NULL;
	return text;
}

int job_answer_known(struct manager *m, struct api_call *call, char **ret_key,
		     bool *ret_found, struct error *e)
{
	struct known known = {m, call, api_call_options(call)};
	char *key = stored_key(call, known.options->idempotency_key);
	int r;

	if (!key)
		return error_set(e, -ENOMEM, "out of memory");
	r = store_job_by_key(m->store, key, known_row, &known, ret_found, e);
	if (r < 0)
		free(key);
	else
		*ret_key = key;
	return r;
}
