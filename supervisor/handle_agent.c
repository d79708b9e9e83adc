/* The `agent` message: questions to the guest's agent, answered when it has. */
#include "supervisor/agent_info.h"
#include "supervisor/handlers.h"

/* File systems under load take their time to write everything out. */
#define FREEZE_MS 30000

struct agent_op {
	struct supervisor *supervisor;
	struct later later;
};

static void on_info(void *cookie, json_object *info)
{
	struct agent_op *op = cookie;

	handlers_reply(op->supervisor, &op->later, info, NULL);
	free(op);
}

static void on_frozen(void *cookie, json_object *result, const struct error *e)
{
	struct agent_op *op = cookie;
	json_object *body = json_object_new_object();

	if (!e)
		json_object_object_add(
			body, "filesystems",
			json_object_new_int64(json_object_get_int64(result)));
	handlers_reply(op->supervisor, &op->later, body, e);
	free(op);
}

int handle_agent_command(struct supervisor *s, const struct later *later,
			 enum agent_command command, struct error *e)
{
	static const char *const commands[] = {
		[AGENT_FREEZE] = "guest-fsfreeze-freeze",
		[AGENT_THAW] = "guest-fsfreeze-thaw",
	};
	struct agent_op *op;

	if (!s->agent)
		return error_set_code(e, ERROR_STATE, "VM %s is not running",
				      s->name);
	op = calloc(1, sizeof(*op));
	if (!op)
		return error_set(e, -ENOMEM, "out of memory");
	op->supervisor = s;
	op->later = *later;
	if (command == AGENT_INFO)
		agent_info(s->agent, on_info, op);
	else
		agent_request(s->agent, commands[command], NULL, FREEZE_MS,
			      on_frozen, op);
	return 0;
}
