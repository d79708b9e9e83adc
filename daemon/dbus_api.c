#include "daemon/dbus_api_internal.h"

#include <stdio.h>

#include "daemon/vm.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"

static void call_free(struct dbus_call *c)
{
	struct dbus_call **at = &c->api->calls;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	c->api->n_calls--;
	sd_bus_message_unref(c->reply);
	sd_bus_message_unref(c->message);
	json_object_put(c->params);
	json_object_put(c->page);
	if (c->timer)
		uv_close((uv_handle_t *)c->timer, (uv_close_cb)free);
	if (c->xml)
		fclose(c->xml);
	free(c->xml_text);
	free(c);
}

void dbus_call_fail_name(struct dbus_call *c, const char *name,
			 const char *message)
{
	struct dbus *bus = c->api->bus;

	/* Who does not wait any more, or has gone, is not told. */
	(void)!sd_bus_reply_method_errorf(c->message, name, "%s", message);
	call_free(c);
	dbus_wake(bus);
}

void dbus_call_fail(struct dbus_call *c, const struct error *e)
{
	char name[DBUS_MEMBER_MAX + sizeof(DBUS_ERROR_PREFIX)];

	dbus_error_name(e->code, name, sizeof(name));
	if (e->code == ERROR_DENIED && c->challenge)
		dbus_call_fail_name(
			c, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED,
			e->message);
	else
		dbus_call_fail_name(c, name, e->message);
}

void dbus_call_send(struct dbus_call *c, int r, sd_bus_message *reply)
{
	struct dbus *bus = c->api->bus;
	struct error e = ERROR_INIT;

	if (r >= 0)
		r = sd_bus_send(sd_bus_message_get_bus(c->message), reply,
				NULL);
	sd_bus_message_unref(reply);
	if (r < 0) {
		error_set(&e, r, "the answer cannot be sent over the bus: %s",
			  strerror(-r));
		dbus_call_fail(c, &e);
		return;
	}
	call_free(c);
	dbus_wake(bus);
}

static void answered(void *cookie, json_object *result, int fd,
		     const struct error *e)
{
	struct dbus_call *c = cookie;

	if (e)
		dbus_call_fail(c, e);
	else
		c->answer(c, result, fd);
	json_object_put(result);
	fd_close(fd);
}

/* A VM is known by its uuid while a call waits, and by its name when it runs:
 * what was judged is what is done. */
static void settle_name(struct dbus_call *c)
{
	struct vm *vm = *c->uuid ? vm_find(c->api->manager, c->uuid, NULL)
				 : NULL;

	if (vm && json_object_object_get_ex(c->params, "name", NULL))
		json_object_object_add(c->params, "name",
				       json_object_new_string(vm->config.name));
}

void dbus_call_run(struct dbus_call *c)
{
	struct api_server *server = c->api->manager->server;
	struct error e = ERROR_INIT;

	settle_name(c);
	if (server) {
		api_call_outer(server, &c->who, c->method,
			       json_object_get(c->params), answered, c);
		return;
	}
	error_set(&e, -ECANCELED, "armvmd is stopping");
	dbus_call_fail(c, &e);
}

static void judged(void *cookie, const struct api_identity *who, bool challenge)
{
	struct dbus_call *c = cookie;

	c->who = *who;
	c->challenge = challenge;
	if (c->optional && who->role < api_methods[c->method].role)
		c->answer(c, NULL, -1);
	else
		dbus_call_run(c);
}

static const char *text_of(json_object *o, const char *key)
{
	json_object *value = NULL;

	json_object_object_get_ex(o, key, &value);
	return json_object_is_type(value, json_type_string)
		       ? json_object_get_string(value)
		       : "";
}

/* The VM a call is about: its uuid now, and the name polkit is told. */
static const char *find_vm(struct dbus_call *c)
{
	const struct json_field *f = api_methods[c->method].params;
	json_object *config = NULL;
	const char *name = text_of(c->params, "name");
	struct vm *vm;

	if (!f->name || !streq(f->name, "name")) {
		json_object_object_get_ex(c->params, "config", &config);
		return text_of(config, "name");
	}
	vm = *name ? vm_find(c->api->manager, name, NULL) : NULL;
	if (!vm)
		return name;
	memcpy(c->uuid, vm->config.uuid, sizeof(c->uuid));
	return vm->config.name;
}

void dbus_call_begin(struct dbus_call *c)
{
	struct dbus_question q = {.message = c->message,
				  .need = api_methods[c->method].role,
				  .polkit = c->asks_polkit,
				  .method = api_methods[c->method].name};

	q.vm = find_vm(c);
	q.uuid = c->uuid;
	dbus_auth_ask(c->api->auth, &q, judged, c);
}

static void answer_method(struct dbus_call *c, json_object *result, int fd)
{
	sd_bus_message *reply = NULL;
	int r = sd_bus_message_new_method_return(c->message, &reply);

	if (r >= 0)
		r = dbus_result_append(reply, c->result, result, fd);
	dbus_call_send(c, r, reply);
}

/* A job that goes on has no object to answer with. */
static int check_async(const struct dbus_call *c, struct error *e)
{
	json_object *async = NULL;

	if (c->result == DBUS_RESULT_JSON ||
	    !json_object_object_get_ex(c->params, "async", &async) ||
	    !json_object_get_boolean(async))
		return 0;
	return error_set(e, -EINVAL,
			 "with \"async\" the answer is a job: use Call");
}

static void run_method(struct dbus_call *c, const struct dbus_method *m)
{
	struct error e = ERROR_INIT;
	int r;

	c->answer = answer_method;
	if (m) {
		c->method = m->method;
		c->result = m->result;
		r = dbus_params_read(c->message, m, c->uuid, &c->params, &e);
	} else {
		r = dbus_call_read(c->message, &c->method, &c->params, &e);
	}
	if (r == 0)
		r = check_async(c, &e);
	if (r < 0)
		dbus_call_fail(c, &e);
	else
		dbus_call_begin(c);
}

static void route(struct dbus_call *c, const char *interface,
		  const char *member)
{
	enum dbus_interface i = c->target == DBUS_TARGET_VM ? DBUS_VM
							    : DBUS_MANAGER;
	bool ours = c->target != DBUS_TARGET_VMS &&
		    (!interface || streq(interface, dbus_interface_name(i)));
	const struct dbus_method *m =
		ours ? dbus_method_find(c->api->table, i, member) : NULL;
	char text[200];

	if (m || (ours && i == DBUS_MANAGER && streq(member, "Call"))) {
		run_method(c, m);
		return;
	}
	if (dbus_objects_method(c, interface, member))
		return;
	snprintf(text, sizeof(text), "no method \"%.64s\" of %.64s here",
		 member, interface ? interface : "any interface");
	dbus_call_fail_name(c, SD_BUS_ERROR_UNKNOWN_METHOD, text);
}

static int find_target(struct dbus_call *c, const char *path)
{
	if (streq(path, DBUS_ROOT)) {
		c->target = DBUS_TARGET_MANAGER;
		return 0;
	}
	if (streq(path, DBUS_VM_PREFIX)) {
		c->target = DBUS_TARGET_VMS;
		return 0;
	}
	c->target = DBUS_TARGET_VM;
	return dbus_vm_uuid(path, c->uuid, sizeof(c->uuid));
}

/* One caller's calls leave room for others'. */
static bool too_many(const struct dbus_api *a, const char *sender)
{
	const struct dbus_call *c;
	unsigned n = 0;

	for (c = a->calls; c && sender; c = c->next) {
		const char *other = sd_bus_message_get_sender(c->message);

		n += other && streq(other, sender);
	}
	return n >= DBUS_SENDER_CALLS_MAX || a->n_calls >= DBUS_CALLS_MAX;
}

static int on_message(sd_bus_message *m, void *cookie, sd_bus_error *error)
{
	struct dbus_api *a = cookie;
	const char *path = sd_bus_message_get_path(m);
	struct dbus_call *c;
	uint8_t type;

	if (sd_bus_message_get_type(m, &type) < 0 ||
	    type != SD_BUS_MESSAGE_METHOD_CALL)
		return 0;
	if (too_many(a, sd_bus_message_get_sender(m)))
		return sd_bus_error_setf(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
					 "too many calls are under way");
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	*c = (struct dbus_call){.api = a,
				.next = a->calls,
				.message = sd_bus_message_ref(m),
				.asks_polkit = true};
	a->calls = c;
	a->n_calls++;
	if (find_target(c, path) < 0)
		dbus_call_fail_name(c, SD_BUS_ERROR_UNKNOWN_OBJECT,
				    "a VM's object is " DBUS_VM_PREFIX
				    "/ and its uuid with \"_\" for \"-\"");
	else
		route(c, sd_bus_message_get_interface(m),
		      sd_bus_message_get_member(m));
	return 1;
}

static int on_name(sd_bus_message *m, void *cookie, sd_bus_error *unused)
{
	const sd_bus_error *error = sd_bus_message_get_error(m);
	uint32_t got = 0;

	if (error)
		log_info("not on the system bus: %s",
			 error->message ? error->message : error->name);
	else if (sd_bus_message_read(m, "u", &got) >= 0 && got == 1)
		log_info("on the system bus as " DBUS_NAME);
	else
		log_info("not on the system bus: another program is "
			 "" DBUS_NAME "; in line behind it");
	return 0;
}

static void on_connected(void *cookie, sd_bus *sd)
{
	struct dbus_api *a = cookie;
	int r = sd_bus_add_fallback(sd, NULL, DBUS_ROOT, on_message, a);

	if (r >= 0)
		r = sd_bus_request_name_async(sd, NULL, DBUS_NAME,
					      SD_BUS_NAME_QUEUE, on_name, a);
	if (r < 0)
		log_warning("not on the system bus: %s", strerror(-r));
	dbus_signals_lost(a);
}

static void on_disconnected(void *cookie)
{
	struct dbus_api *a = cookie;

	dbus_auth_reset(a->auth);
}

int dbus_api_new(struct manager *m, struct dbus *bus, struct dbus_api **ret,
		 struct error *e)
{
	struct dbus_api *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return error_set(e, -ENOMEM, "out of memory");
	a->manager = m;
	a->bus = bus;
	a->user = (struct dbus_user){.connected = on_connected,
				     .disconnected = on_disconnected,
				     .cookie = a};
	a->table = dbus_table_new();
	r = a->table ? dbus_auth_new(m, &a->auth, e)
		     : error_set(e, -ENOMEM, "no table of D-Bus methods");
	if (r < 0) {
		dbus_table_free(a->table);
		free(a);
		return r;
	}
	dbus_join(bus, &a->user);
	*ret = a;
	return 0;
}

struct dbus_api *dbus_api_free(struct dbus_api *a)
{
	if (!a)
		return NULL;
	dbus_auth_free(a->auth);
	while (a->calls)
		call_free(a->calls);
	dbus_table_free(a->table);
	free(a);
	return NULL;
}
