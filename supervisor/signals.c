#include "supervisor/signals.h"

#include <signal.h>

#include "lib/base/log.h"
#include "supervisor/handlers_internal.h"

static void on_terminate(uv_signal_t *signal, int number)
{
	struct supervisor *s = signal->data;

	log_vm(LOG_LEVEL_INFO, s->name, "told to terminate");
	s->dismissed = true;
	if (s->at_rest)
		supervisor_leave(s);
	else
		supervisor_rest(s, VM_STOPPED,
				"the supervisor was told to terminate");
}

static void on_power_off(uv_signal_t *signal, int number)
{
	struct supervisor *s = signal->data;
	struct error e = ERROR_INIT;
	bool button, agent;

	if (handlers_shutdown(s, &button, &agent, &e) < 0)
		log_vm(LOG_LEVEL_WARNING, s->name, "told to power off, but %s",
		       e.message);
}

static void on_reboot(uv_signal_t *signal, int number)
{
	struct supervisor *s = signal->data;
	struct error e = ERROR_INIT;
	bool agent;

	if (handlers_reboot(s, &agent, &e) < 0)
		log_vm(LOG_LEVEL_WARNING, s->name, "told to reboot, but %s",
		       e.message);
}

void signals_begin(struct supervisor *s)
{
	const struct {
		int number;
		uv_signal_cb on_signal;
	} table[SUPERVISOR_SIGNALS] = {
		{SIGTERM, on_terminate},
		{SIGRTMIN + 4, on_power_off},
		{SIGINT, on_reboot},
	};

	for (size_t i = 0; i < SUPERVISOR_SIGNALS; i++) {
		uv_signal_init(&s->loop, &s->signals[i]);
		s->signals[i].data = s;
		uv_signal_start(&s->signals[i], table[i].on_signal,
				table[i].number);
	}
}

void signals_end(struct supervisor *s)
{
	for (size_t i = 0; i < SUPERVISOR_SIGNALS; i++)
		uv_close((uv_handle_t *)&s->signals[i], NULL);
}
