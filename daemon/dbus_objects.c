/*
 * The D-Bus specification's own interfaces: Introspectable, Properties and
 * ObjectManager (sections "Standard Interfaces"); sd-bus has Peer.
 */
#include "daemon/dbus_api_internal.h"

#include <stdio.h>

#define DOCTYPE                                                               \
	"<!DOCTYPE node PUBLIC \"-//freedesktop//DTD D-BUS Object "           \
	"Introspection 1.0//EN\"\n"                                           \
	"\"http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd\">\n" \
	"<node>\n"

static const char standard_xml[] =
	" <interface name=\"org.freedesktop.DBus.Peer\">\n"
	"  <method name=\"Ping\"/>\n"
	"  <method name=\"GetMachineId\">\n"
	"   <arg type=\"s\" name=\"machine_uuid\" direction=\"out\"/>\n"
	"  </method>\n"
	" </interface>\n"
	" <interface name=\"org.freedesktop.DBus.Introspectable\">\n"
	"  <method name=\"Introspect\">\n"
	"   <arg name=\"xml_data\" type=\"s\" direction=\"out\"/>\n"
	"  </method>\n"
	" </interface>\n";

static const char properties_xml[] =
	" <interface name=\"org.freedesktop.DBus.Properties\">\n"
	"  <method name=\"Get\">\n"
	"   <arg name=\"interface_name\" type=\"s\" direction=\"in\"/>\n"
	"   <arg name=\"property_name\" type=\"s\" direction=\"in\"/>\n"
	"   <arg name=\"value\" type=\"v\" direction=\"out\"/>\n"
	"  </method>\n"
	"  <method name=\"GetAll\">\n"
	"   <arg name=\"interface_name\" type=\"s\" direction=\"in\"/>\n"
	"   <arg name=\"properties\" type=\"a{sv}\" direction=\"out\"/>\n"
	"  </method>\n"
	"  <method name=\"Set\">\n"
	"   <arg name=\"interface_name\" type=\"s\" direction=\"in\"/>\n"
	"   <arg name=\"property_name\" type=\"s\" direction=\"in\"/>\n"
	"   <arg name=\"value\" type=\"v\" direction=\"in\"/>\n"
	"  </method>\n"
	"  <signal name=\"PropertiesChanged\">\n"
	"   <arg type=\"s\" name=\"interface_name\"/>\n"
	"   <arg type=\"a{sv}\" name=\"changed_properties\"/>\n"
	"   <arg type=\"as\" name=\"invalidated_properties\"/>\n"
	"  </signal>\n"
	" </interface>\n";

static const char object_manager_xml[] =
	" <interface name=\"org.freedesktop.DBus.ObjectManager\">\n"
	"  <method name=\"GetManagedObjects\">\n"
	"   <arg type=\"a{oa{sa{sv}}}\" name=\"objects\" direction=\"out\"/>\n"
	"  </method>\n"
	"  <signal name=\"InterfacesAdded\">\n"
	"   <arg type=\"o\" name=\"object_path\"/>\n"
	"   <arg type=\"a{sa{sv}}\" name=\"interfaces\"/>\n"
	"  </signal>\n"
	"  <signal name=\"InterfacesRemoved\">\n"
	"   <arg type=\"o\" name=\"object_path\"/>\n"
	"   <arg type=\"as\" name=\"interfaces\"/>\n"
	"  </signal>\n"
	" </interface>\n";

static void introspect_end(struct dbus_call *c)
{
	sd_bus_message *reply = NULL;
	int r;

	fputs("</node>\n", c->xml);
	fclose(c->xml);
	c->xml = NULL;
	r = c->xml_text ? sd_bus_message_new_method_return(c->message, &reply)
			: -ENOMEM;
	if (r >= 0)
		r = sd_bus_message_append(reply, "s", c->xml_text);
	dbus_call_send(c, r, reply);
}

static void on_page_timer(uv_timer_t *timer)
{
	dbus_call_run(timer->data);
}

static bool has_more(json_object *result)
{
	return result && json_object_object_get_ex(result, "cursor", NULL);
}

/* The page after this one, in another turn: lists are long, and others wait. */
static bool next_page(struct dbus_call *c, json_object *result)
{
	json_object *cursor = NULL;

	if (c->listed >= DBUS_OBJECTS_MAX || !has_more(result))
		return false;
	json_object_object_get_ex(result, "cursor", &cursor);
	json_object_object_add(c->params, "cursor", json_object_get(cursor));
	if (!c->timer) {
		c->timer = calloc(1, sizeof(*c->timer));
		if (!c->timer)
			return false;
		uv_timer_init(c->api->manager->loop, c->timer);
		c->timer->data = c;
	}
	uv_timer_start(c->timer, on_page_timer, 0, 0);
	return true;
}

static json_object *page_vms(struct dbus_call *c, json_object *result)
{
	json_object *vms = NULL;

	json_object_object_get_ex(result, "vms", &vms);
	c->listed += vms ? json_object_array_length(vms) : 0;
	return vms;
}

static const char *uuid_of(json_object *vm)
{
	json_object *uuid = NULL;

	json_object_object_get_ex(vm, "uuid", &uuid);
	return uuid ? json_object_get_string(uuid) : "";
}

static void introspect_page(struct dbus_call *c, json_object *result, int fd)
{
	json_object *vms = result ? page_vms(c, result) : NULL;
	char path[DBUS_PATH_MAX];

	for (size_t i = 0; vms && i < json_object_array_length(vms); i++) {
		dbus_vm_path(uuid_of(json_object_array_get_idx(vms, i)), path);
		fprintf(c->xml, " <node name=\"%s\"/>\n",
			strrchr(path, '/') + 1);
	}
	if (next_page(c, result))
		return;
	if (has_more(result))
		fputs(" <!-- and more: ListVMs has them all -->\n", c->xml);
	introspect_end(c);
}

static void list_begin(struct dbus_call *c, const char *fields,
		       dbus_answer_fn *answer)
{
	c->method = API_VM_LIST;
	c->params = json_object_new_object();
	json_object_object_add(c->params, "limit",
			       json_object_new_int(DBUS_PAGE));
	if (fields)
		json_object_object_add(c->params, "fields",
				       json_object_new_string(fields));
	c->answer = answer;
	dbus_call_begin(c);
}

/* What there is, is no secret; which VMs there are, is. */
static void introspect(struct dbus_call *c)
{
	c->xml = open_memstream(&c->xml_text, &c->xml_size);
	if (!c->xml) {
		dbus_call_send(c, -ENOMEM, NULL);
		return;
	}
	fputs(DOCTYPE, c->xml);
	fputs(standard_xml, c->xml);
	if (c->target == DBUS_TARGET_VMS) {
		c->asks_polkit = false;
		c->optional = true;
		list_begin(c, "uuid", introspect_page);
		return;
	}
	fputs(properties_xml, c->xml);
	if (c->target == DBUS_TARGET_MANAGER) {
		fputs(object_manager_xml, c->xml);
		dbus_introspect(c->api->table, DBUS_MANAGER, c->xml);
		fputs(" <node name=\"vm\"/>\n", c->xml);
	} else {
		dbus_introspect(c->api->table, DBUS_VM, c->xml);
	}
	introspect_end(c);
}

static enum dbus_interface interface_of(const struct dbus_call *c)
{
	return c->target == DBUS_TARGET_VM ? DBUS_VM : DBUS_MANAGER;
}

static void answer_get(struct dbus_call *c, json_object *result, int fd)
{
	sd_bus_message *reply = NULL;
	int r = sd_bus_message_new_method_return(c->message, &reply);

	if (r >= 0)
		r = dbus_property_append(reply, c->property, result);
	dbus_call_send(c, r, reply);
}

static void answer_get_all(struct dbus_call *c, json_object *result, int fd)
{
	sd_bus_message *reply = NULL;
	int r = sd_bus_message_new_method_return(c->message, &reply);

	if (r >= 0)
		r = dbus_properties_append(reply, interface_of(c), result);
	dbus_call_send(c, r, reply);
}

static void answer_no_properties(struct dbus_call *c)
{
	sd_bus_message *reply = NULL;
	int r = sd_bus_message_new_method_return(c->message, &reply);

	if (r >= 0)
		r = sd_bus_message_append(reply, "a{sv}", 0);
	dbus_call_send(c, r, reply);
}

static const struct dbus_property *find_property(const struct dbus_call *c,
						 const char *name)
{
	const struct dbus_property *p = dbus_properties(interface_of(c));

	while (p->name && !streq(p->name, name))
		p++;
	return p->name ? p : NULL;
}

/* Properties are members of what a method answers with. */
static void look(struct dbus_call *c, dbus_answer_fn *answer)
{
	c->params = json_object_new_object();
	if (c->target == DBUS_TARGET_VM)
		json_object_object_add(c->params, "name",
				       json_object_new_string(c->uuid));
	c->method = c->target == DBUS_TARGET_VM ? API_VM_GET : API_HOST_INFO;
	c->answer = answer;
	dbus_call_begin(c);
}

static bool is_ours(const struct dbus_call *c, const char *interface)
{
	return c->target != DBUS_TARGET_VMS &&
	       (!*interface ||
		streq(interface, dbus_interface_name(interface_of(c))));
}

static bool is_standard(const char *interface)
{
	return streq(interface, DBUS_PROPERTIES) ||
	       streq(interface, DBUS_OBJECT_MANAGER) ||
	       streq(interface, DBUS_INTROSPECTABLE) ||
	       streq(interface, "org.freedesktop.DBus.Peer");
}

static void get_all(struct dbus_call *c)
{
	const char *interface = "";

	if (!sd_bus_message_has_signature(c->message, "s") ||
	    sd_bus_message_read(c->message, "s", &interface) < 0)
		dbus_call_fail_name(c, SD_BUS_ERROR_INVALID_ARGS,
				    "GetAll takes the name of an interface");
	else if (is_ours(c, interface))
		look(c, answer_get_all);
	else if (!*interface || is_standard(interface))
		answer_no_properties(c);
	else
		dbus_call_fail_name(c, SD_BUS_ERROR_UNKNOWN_INTERFACE,
				    "no such interface of this object");
}

static void get_or_set(struct dbus_call *c, bool set)
{
	const char *interface = "", *name = "";

	if (!sd_bus_message_has_signature(c->message, set ? "ssv" : "ss") ||
	    sd_bus_message_read(c->message, "ss", &interface, &name) < 0)
		dbus_call_fail_name(c, SD_BUS_ERROR_INVALID_ARGS,
				    "an interface, a property and, to set it, "
				    "a value are taken");
	else if (!is_ours(c, interface))
		dbus_call_fail_name(c, SD_BUS_ERROR_UNKNOWN_INTERFACE,
				    "no such interface with properties");
	else if (!(c->property = find_property(c, name)))
		dbus_call_fail_name(c, SD_BUS_ERROR_UNKNOWN_PROPERTY,
				    "no such property");
	else if (set)
		dbus_call_fail_name(c, SD_BUS_ERROR_PROPERTY_READ_ONLY,
				    "properties are read here, and changed by "
				    "methods");
	else
		look(c, answer_get);
}

/* One entry of "a{oa{sa{sv}}}". */
static int append_object(sd_bus_message *m, json_object *vm)
{
	char path[DBUS_PATH_MAX];
	int r = sd_bus_message_open_container(m, 'e', "oa{sa{sv}}");

	dbus_vm_path(uuid_of(vm), path);
	if (r >= 0)
		r = sd_bus_message_append(m, "o", path);
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "{sa{sv}}");
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'e', "sa{sv}");
	if (r >= 0)
		r = sd_bus_message_append(m, "s", DBUS_VM_INTERFACE);
	if (r >= 0)
		r = dbus_properties_append(m, DBUS_VM, vm);
	for (int i = 0; r >= 0 && i < 3; i++)
		r = sd_bus_message_close_container(m);
	return r;
}

static void managed_page(struct dbus_call *c, json_object *result, int fd)
{
	json_object *vms = page_vms(c, result);
	int r = 0;

	if (!c->reply) {
		r = sd_bus_message_new_method_return(c->message, &c->reply);
		if (r >= 0)
			r = sd_bus_message_open_container(c->reply, 'a',
							  "{oa{sa{sv}}}");
	}
	for (size_t i = 0; r >= 0 && i < json_object_array_length(vms); i++)
		r = append_object(c->reply, json_object_array_get_idx(vms, i));
	if (r >= 0 && next_page(c, result))
		return;
	if (has_more(result)) {
		dbus_call_fail_name(c, SD_BUS_ERROR_LIMITS_EXCEEDED,
				    "there are too many VMs for one answer: "
				    "ListVMs has them in pages");
		return;
	}
	if (r >= 0)
		r = sd_bus_message_close_container(c->reply);
	dbus_call_send(c, r, TAKE_PTR(c->reply));
}

static bool is(const char *interface, const char *want)
{
	return !interface || streq(interface, want);
}

bool dbus_objects_method(struct dbus_call *c, const char *interface,
			 const char *member)
{
	if (is(interface, DBUS_INTROSPECTABLE) && streq(member, "Introspect"))
		introspect(c);
	else if (is(interface, DBUS_PROPERTIES) && streq(member, "Get"))
		get_or_set(c, false);
	else if (is(interface, DBUS_PROPERTIES) && streq(member, "Set"))
		get_or_set(c, true);
	else if (is(interface, DBUS_PROPERTIES) && streq(member, "GetAll"))
		get_all(c);
	else if (is(interface, DBUS_OBJECT_MANAGER) &&
		 c->target == DBUS_TARGET_MANAGER &&
		 streq(member, "GetManagedObjects"))
		list_begin(c, NULL, managed_page);
	else
		return false;
	return true;
}
