#include "daemon/scope.h"

#include <poll.h>
#include <stdio.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>

#include "lib/base/log.h"

/* Page tables and rings grow with the guest, code and stacks do not. */
#define OVERHEAD_FIXED	  MIB(128)
#define OVERHEAD_FRACTION 32
#define CPU_SECOND_USEC	  1000000

struct scopes {
	uv_loop_t *loop;
	sd_bus *bus; /* NULL: not connected now */
	uv_poll_t poll;
	uv_timer_t timer;
	bool polling; /* `poll` is in use, or still being closed */
	unsigned open_handles;
};

static void scopes_update(struct scopes *s);

uint64_t scope_memory_max(const struct vm_config *c)
{
	return c->memory_bytes + c->memory_bytes / OVERHEAD_FRACTION +
	       OVERHEAD_FIXED;
}

uint64_t scope_cpu_quota(const struct vm_config *c)
{
	return (c->vcpus + 1ull) * CPU_SECOND_USEC;
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct scopes *s = handle->data;

	if (handle->type == UV_POLL)
		s->polling = false;
	if (--s->open_handles == 0)
		free(s);
}

static void disconnect(struct scopes *s)
{
	if (!s->bus)
		return;
	uv_timer_stop(&s->timer);
	uv_close((uv_handle_t *)&s->poll, on_handle_closed);
	s->bus = sd_bus_close_unref(s->bus);
}

static void process(struct scopes *s)
{
	int r;

	do
		r = sd_bus_process(s->bus, NULL);
	while (r > 0);
	if (r < 0) {
		/* It is connected again for the next VM. */
		log_warning("the connection to systemd ended: %s",
			    strerror(-r));
		disconnect(s);
		return;
	}
	scopes_update(s);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	process(poll->data);
}

static void on_timer(uv_timer_t *timer)
{
	process(timer->data);
}

/* Wait for what the bus now waits for (sd_bus_get_fd(3)). */
static void scopes_update(struct scopes *s)
{
	uint64_t until = UINT64_MAX, now = uv_hrtime() / 1000;
	int events = sd_bus_get_events(s->bus);

	uv_poll_start(&s->poll,
		      (events & POLLIN ? UV_READABLE : 0) |
			      (events & POLLOUT ? UV_WRITABLE : 0),
		      on_poll);
	uv_timer_stop(&s->timer);
	if (sd_bus_get_timeout(s->bus, &until) >= 0 && until != UINT64_MAX)
		uv_timer_start(&s->timer, on_timer,
			       until > now ? (until - now) / 1000 + 1 : 0, 0);
}

static int connect_bus(struct scopes *s)
{
	int r;

	if (s->bus)
		return 0;
	if (s->polling)
		return -EBUSY; /* the last one is not closed yet */
	r = sd_bus_open_system(&s->bus);
	if (r < 0)
		return r;
	r = uv_poll_init(s->loop, &s->poll, sd_bus_get_fd(s->bus));
	if (r < 0) {
		s->bus = sd_bus_close_unref(s->bus);
		return r;
	}
	s->poll.data = s;
	s->polling = true;
	s->open_handles++;
	scopes_update(s);
	return 0;
}

int scopes_new(uv_loop_t *loop, struct scopes **ret, struct error *e)
{
	struct scopes *s;

	*ret = NULL;
	if (sd_booted() <= 0)
		return 0;
	s = calloc(1, sizeof(*s));
	if (!s)
		return error_set(e, -ENOMEM, "out of memory");
	s->loop = loop;
	uv_timer_init(loop, &s->timer);
	s->timer.data = s;
	s->open_handles = 1;
	*ret = s;
	return 0;
}

struct scopes *scopes_free(struct scopes *s)
{
	if (!s)
		return NULL;
	if (s->bus)
		sd_bus_flush(s->bus);
	disconnect(s);
	uv_close((uv_handle_t *)&s->timer, on_handle_closed);
	return NULL;
}

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *unused)
{
	const sd_bus_error *error = sd_bus_message_get_error(m);

	if (error)
		log_vm(LOG_LEVEL_WARNING, userdata,
		       "it runs without a scope of its own: %s",
		       error->message ? error->message : error->name);
	return 0;
}

/* org.freedesktop.systemd1(5), StartTransientUnit(): "(sv)" for each. */
static int append_properties(sd_bus_message *m, const struct vm *vm, pid_t pid)
{
	const struct vm_config *c = &vm->config;
	char text[VM_NAME_MAX + 32];
	int r = sd_bus_message_open_container(m, 'a', "(sv)");

	snprintf(text, sizeof(text), "Virtual machine %s", c->name);
	if (r >= 0)
		r = sd_bus_message_append(m, "(sv)", "Description", "s", text);
	if (r >= 0)
		r = sd_bus_message_append(m, "(sv)", "Slice", "s",
					  "armvm.slice");
	if (r >= 0)
		r = sd_bus_message_append(m, "(sv)", "PIDs", "au", 1,
					  (uint32_t)pid);
	if (r >= 0)
		r = sd_bus_message_append(m, "(sv)", "MemoryMax", "t",
					  scope_memory_max(c));
	if (r >= 0)
		r = sd_bus_message_append(m, "(sv)", "CPUQuotaPerSecUSec", "t",
					  scope_cpu_quota(c));
	/* A scope whose process failed is not kept: the daemon keeps why. */
	if (r >= 0)
		r = sd_bus_message_append(m, "(sv)", "CollectMode", "s",
					  "inactive-or-failed");
	return r < 0 ? r : sd_bus_message_close_container(m);
}

static int send_request(struct scopes *s, const struct vm *vm, pid_t pid)
{
	char *name = strdup(vm->config.name);
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	sd_bus_slot *slot = NULL;
	char unit[64];
	int r;

	if (!name)
		return -ENOMEM;
	/* One run, one unit: the last run's may not be gone yet. */
	snprintf(unit, sizeof(unit), "armvm-%s-%d.scope", vm->config.uuid, pid);
	r = sd_bus_message_new_method_call(
		s->bus, &m, "org.freedesktop.systemd1",
		"/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager",
		"StartTransientUnit");
	if (r >= 0)
		r = sd_bus_message_append(m, "ss", unit, "fail");
	if (r >= 0)
		r = append_properties(m, vm, pid);
	if (r >= 0)
		r = sd_bus_message_append(m, "a(sa(sv))", 0);
	if (r >= 0)
		r = sd_bus_call_async(s->bus, &slot, m, on_answer, name, 0);
	if (r < 0) {
		free(name);
		return r;
	}
	sd_bus_slot_set_destroy_callback(slot, free);
	sd_bus_slot_set_floating(slot, 1);
	sd_bus_slot_unref(slot);
	return 0;
}

void scopes_add(struct scopes *s, const struct vm *vm, pid_t pid)
{
	int r;

	if (!s)
		return;
	r = connect_bus(s);
	if (r >= 0)
		r = send_request(s, vm, pid);
	if (r < 0)
		log_vm(LOG_LEVEL_WARNING, vm->config.name,
		       "it runs without a scope of its own: systemd cannot be "
		       "asked: %s",
		       strerror(-r));
	/* It goes out now, and not with what comes in next. */
	if (s->bus)
		process(s);
}
