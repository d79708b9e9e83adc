/*
 * Asking the guest to shut down or to start over, by a request or a signal.
 */
#include "supervisor/agent.h"
#include "supervisor/handlers_internal.h"

int handlers_shutdown(struct supervisor *s, bool *ret_button, bool *ret_agent,
		      struct error *e)
{
	int r = handlers_check_request(s, VM_REQUEST_SHUTDOWN, e);
	bool agent;

	if (r == 0)
		r = s->ops->shutdown(s->vmm, e);
	if (r < 0)
		return r;
	*ret_button = s->ops->button_heard(s->vmm);
	*ret_agent = agent = agent_answers(s->agent);
	if (agent)
		agent_shutdown(s->agent, "powerdown");
	supervisor_set_state(s, VM_SHUTTING_DOWN,
			     agent ? "the power button was pressed and the "
				     "guest's agent asked"
				   : "the power button was pressed");
	return 0;
}

int handle_shutdown(struct supervisor *s, const struct request *q,
		    struct reply *reply, struct error *e)
{
	bool button, agent;
	int r = handlers_shutdown(s, &button, &agent, e);

	if (r < 0)
		return r;
	json_object_object_add(reply->object, "button",
			       json_object_new_boolean(button));
	json_object_object_add(reply->object, "agent",
			       json_object_new_boolean(agent));
	return 0;
}

int handlers_reboot(struct supervisor *s, bool *ret_agent, struct error *e)
{
	int r = handlers_check_request(s, VM_REQUEST_REBOOT, e);
	bool agent = agent_answers(s->agent);

	if (r == 0 && s->ops->reboot)
		r = s->ops->reboot(s->vmm, e);
	else if (r == 0 && !agent)
		r = error_set(e, -EOPNOTSUPP,
			      "%s cannot be asked to reboot: no "
			      "qemu-guest-agent answers in the guest. Without "
			      "asking: armvmctl reset %s",
			      s->name, s->name);
	if (r == 0 && agent)
		agent_shutdown(s->agent, "reboot");
	*ret_agent = agent;
	return r;
}

int handle_reboot(struct supervisor *s, const struct request *q,
		  struct reply *reply, struct error *e)
{
	bool agent;
	int r = handlers_reboot(s, &agent, e);

	if (r == 0)
		json_object_object_add(reply->object, "agent",
				       json_object_new_boolean(agent));
	return r;
}
