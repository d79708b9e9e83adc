#include <stdio.h>

#include "lib/model/vm_state.h"

struct state_row {
	const char *name;
	bool active;
};

static const struct state_row states[VM_STATE_COUNT] = {
#define X(state, name, active) {name, active},
	VM_STATE_TABLE(X)
#undef X
};

#define IN(state) (1u << VM_##state)

/*
 * A paused guest cannot see the power button, so shutdown waits for resume. A
 * second shutdown presses the button again: guests miss the first one while
 * they boot. What is stopping ends by itself.
 */
static const struct request_row {
	const char *name;
	unsigned allowed; /* IN(state) bits */
} requests[VM_REQUEST_COUNT] = {
	[VM_REQUEST_START] = {"start", IN(STOPPED) | IN(CRASHED)},
	[VM_REQUEST_SHUTDOWN] = {"shutdown", IN(RUNNING) | IN(SHUTTING_DOWN)},
	[VM_REQUEST_STOP] = {"stop", IN(STARTING) | IN(RUNNING) | IN(PAUSED) |
					     IN(SHUTTING_DOWN)},
	[VM_REQUEST_RESET] = {"reset", IN(RUNNING) | IN(SHUTTING_DOWN)},
	[VM_REQUEST_REBOOT] = {"reboot", IN(RUNNING)},
	[VM_REQUEST_PAUSE] = {"pause", IN(RUNNING) | IN(SHUTTING_DOWN)},
	[VM_REQUEST_RESUME] = {"resume", IN(PAUSED)},
	[VM_REQUEST_CONSOLE] = {"console", IN(STARTING) | IN(RUNNING) |
						   IN(PAUSED) |
						   IN(SHUTTING_DOWN)},
	[VM_REQUEST_GUEST] = {"asking the guest",
			      IN(RUNNING) | IN(SHUTTING_DOWN)},
	[VM_REQUEST_BALLOON] = {"balloon",
				IN(RUNNING) | IN(PAUSED) | IN(SHUTTING_DOWN)},
	[VM_REQUEST_HOTPLUG] = {"hotplug", IN(RUNNING) | IN(PAUSED)},
	[VM_REQUEST_SNAPSHOT] = {"snapshot", IN(RUNNING) | IN(PAUSED)},
	[VM_REQUEST_RESTORE] = {"restore", IN(STOPPED) | IN(CRASHED)},
	[VM_REQUEST_STATS] = {"statistics",
			      IN(RUNNING) | IN(PAUSED) | IN(SHUTTING_DOWN)},
	[VM_REQUEST_DELETE] = {"delete", IN(STOPPED) | IN(CRASHED)},
	[VM_REQUEST_RENAME] = {"rename", IN(STOPPED) | IN(CRASHED)},
};

const char *vm_state_name(enum vm_state state)
{
	return states[state].name;
}

int vm_state_by_name(const char *name, enum vm_state *ret)
{
	for (size_t i = 0; i < VM_STATE_COUNT; i++)
		if (streq(states[i].name, name)) {
			*ret = (enum vm_state)i;
			return 0;
		}
	return -EINVAL;
}

bool vm_state_active(enum vm_state state)
{
	return states[state].active;
}

const char *vm_request_name(enum vm_request request)
{
	return requests[request].name;
}

/* "starting, running or paused" of a set of IN() bits. */
static void list_states(unsigned set, char *buf, size_t size)
{
	size_t used = 0;

	for (size_t i = 0; i < VM_STATE_COUNT && used < size; i++) {
		const char *separator = ", ";

		if (!(set & 1u << i))
			continue;
		if (used == 0)
			separator = "";
		else if (set >> (i + 1) == 0)
			separator = " or ";
		used += (size_t)snprintf(buf + used, size - used, "%s%s",
					 separator, states[i].name);
	}
}

int vm_request_check(const char *vm, enum vm_state state,
		     enum vm_request request, struct error *e)
{
	const struct request_row *row = &requests[request];
	char allowed[120];

	if (row->allowed & 1u << state)
		return 0;
	list_states(row->allowed, allowed, sizeof(allowed));
	return error_set_code(e, ERROR_STATE,
			      "%s is %s; %s is possible when it is %s", vm,
			      states[state].name, row->name, allowed);
}
