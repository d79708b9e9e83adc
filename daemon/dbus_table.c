#include "daemon/dbus_table.h"

#include <ctype.h>

#include "lib/base/parse.h"

/* Two more than there are methods: vm.get is on both interfaces. */
#define METHODS_MAX (API_METHOD_COUNT + 2)

struct dbus_table {
	struct dbus_method methods[METHODS_MAX];
	size_t count;
};

/* What the rule would call otherwise, or answer otherwise. */
static const struct {
	enum api_method_id method;
	const char *member;
	enum dbus_result result;
} exceptions[] = {
	{API_VM_DEFINE, "Define", DBUS_RESULT_VM},
	{API_VM_DELETE, "Undefine", DBUS_RESULT_JSON},
	{API_VM_LIST, "ListVMs", DBUS_RESULT_VMS},
	{API_VM_CLONE, "Clone", DBUS_RESULT_VM},
	{API_VM_CONSOLE, "OpenConsole", DBUS_RESULT_FD},
	{API_DISK_ADD, "AttachDisk", DBUS_RESULT_JSON},
	{API_DISK_REMOVE, "DetachDisk", DBUS_RESULT_JSON},
	{API_NIC_ADD, "AttachNIC", DBUS_RESULT_JSON},
	{API_NIC_REMOVE, "DetachNIC", DBUS_RESULT_JSON},
	{API_RPC_DISCOVER, "Describe", DBUS_RESULT_JSON},
	/* Who wants events as they come has the signals. */
	{API_EVENT_SUBSCRIBE, "ReplayEvents", DBUS_RESULT_JSON},
};

static const char *const interface_names[] = {
	[DBUS_MANAGER] = DBUS_MANAGER_INTERFACE,
	[DBUS_VM] = DBUS_VM_INTERFACE,
};

static const struct dbus_property manager_properties[] = {
	{"Version", "s", "version", "const"},
	{"Hypervisor", "s", "hypervisors", "false"},
	{"VMCount", "t", "vms", "false"},
	{NULL},
};

static const struct dbus_property vm_properties[] = {
	{"Name", "s", "name", "true"},
	{"UUID", "s", "uuid", "const"},
	{"State", "s", "state", "true"},
	{"StateReason", "s", "reason", "true"},
	{"Hypervisor", "s", "hypervisor", "true"},
	{"VCPUs", "u", "vcpus", "true"},
	{"Memory", "t", "memory", "true"},
	{"Disks", "u", "disks", "true"},
	{"NICs", "u", "nics", "true"},
	{"PID", "u", "pid", "invalidates"},
	{"StartedMSec", "t", "started_ms", "invalidates"},
	{"Revision", "x", "revision", "true"},
	{"Labels", "a{ss}", "labels", "true"},
	{"Autostart", "b", "autostart", "true"},
	{"Definition", "s", "config", "invalidates"},
	{NULL},
};

static const char signals_xml[DBUS_INTERFACE_COUNT][1600] = {
	[DBUS_MANAGER] = "  <signal name=\"VMAdded\">\n"
			 "   <arg name=\"name\" type=\"s\"/>\n"
			 "   <arg name=\"vm\" type=\"o\"/>\n"
			 "  </signal>\n"
			 "  <signal name=\"VMRemoved\">\n"
			 "   <arg name=\"name\" type=\"s\"/>\n"
			 "   <arg name=\"vm\" type=\"o\"/>\n"
			 "  </signal>\n"
			 "  <signal name=\"JobNew\">\n"
			 "   <arg name=\"id\" type=\"x\"/>\n"
			 "   <arg name=\"method\" type=\"s\"/>\n"
			 "   <arg name=\"vm\" type=\"s\"/>\n"
			 "  </signal>\n"
			 "  <signal name=\"JobRemoved\">\n"
			 "   <arg name=\"id\" type=\"x\"/>\n"
			 "   <arg name=\"method\" type=\"s\"/>\n"
			 "   <arg name=\"vm\" type=\"s\"/>\n"
			 "   <arg name=\"result\" type=\"s\"/>\n"
			 "  </signal>\n"
			 "  <signal name=\"Event\">\n"
			 "   <arg name=\"seq\" type=\"t\"/>\n"
			 "   <arg name=\"event\" type=\"s\"/>\n"
			 "  </signal>\n"
			 "  <signal name=\"EventsLost\">\n"
			 "   <arg name=\"first\" type=\"t\"/>\n"
			 "   <arg name=\"last\" type=\"t\"/>\n"
			 "  </signal>\n",
	[DBUS_VM] = "  <signal name=\"StateChanged\">\n"
		    "   <arg name=\"state\" type=\"s\"/>\n"
		    "   <arg name=\"previous\" type=\"s\"/>\n"
		    "   <arg name=\"reason\" type=\"s\"/>\n"
		    "  </signal>\n",
};

static bool is_of_a_vm(const struct json_field *f)
{
	return f->name && streq(f->name, "name") && f->kind == JSON_STRING &&
	       (f->flags & JSON_REQUIRED);
}

/* "noun.some_verb" → "NounSomeVerb"; of a VM's, without the noun "vm". */
static void member_name(const char *name, bool of_vm, char *ret)
{
	bool upper = true;
	size_t n = 0;

	if (of_vm && strncmp(name, "vm.", 3) == 0)
		name += 3;
	for (; *name && n < DBUS_MEMBER_MAX - 1; name++) {
		bool letter = isalnum((unsigned char)*name);

		if (letter)
			ret[n++] = (char)(upper ? toupper((unsigned char)*name)
						: *name);
		upper = !letter;
	}
	ret[n] = '\0';
}

/* What is structured in JSON stays JSON. */
static char type_of(enum json_kind kind)
{
	switch (kind) {
	case JSON_BOOL:
		return 'b';
	case JSON_U32:
		return 'u';
	case JSON_U64:
	case JSON_SIZE:
		return 't';
	case JSON_I64:
		return 'x';
	default:
		return 's';
	}
}

static void arguments(struct dbus_method *m)
{
	const struct api_method *a = &api_methods[m->method];
	size_t n = 0;

	m->options = a->role > API_ROLE_VIEWER && !a->returns_fd;
	for (const struct json_field *f = a->params; f->name; f++) {
		if (m->interface == DBUS_VM && f == a->params)
			continue;
		if (!(f->flags & JSON_REQUIRED))
			m->options = true;
		else if (n < sizeof(m->in) - 1)
			m->in[n++] = type_of(f->kind);
	}
}

static struct dbus_method *add(struct dbus_table *t, enum dbus_interface i,
			       enum api_method_id method, const char *member)
{
	struct dbus_method *m = &t->methods[t->count];

	*m = (struct dbus_method){.interface = i, .method = method};
	if (member)
		snprintf(m->member, sizeof(m->member), "%s", member);
	else
		member_name(api_methods[method].name, i == DBUS_VM, m->member);
	for (size_t k = 0; k < ARRAY_SIZE(exceptions); k++) {
		if (exceptions[k].method != method || member)
			continue;
		snprintf(m->member, sizeof(m->member), "%s",
			 exceptions[k].member);
		m->result = exceptions[k].result;
	}
	arguments(m);
	if (dbus_method_find(t, i, m->member))
		return NULL;
	t->count++;
	return m;
}

struct dbus_table *dbus_table_new(void)
{
	struct dbus_table *t = calloc(1, sizeof(*t));
	struct dbus_method *m = NULL;

	for (int i = 0; t && i < API_METHOD_COUNT; i++) {
		bool of_vm = is_of_a_vm(api_methods[i].params);

		m = add(t, of_vm ? DBUS_VM : DBUS_MANAGER,
			(enum api_method_id)i, NULL);
		if (!m)
			return dbus_table_free(t);
	}
	m = t ? add(t, DBUS_MANAGER, API_VM_GET, "GetVM") : NULL;
	if (!m)
		return dbus_table_free(t);
	m->result = DBUS_RESULT_VM;
	return t;
}

struct dbus_table *dbus_table_free(struct dbus_table *t)
{
	free(t);
	return NULL;
}

const struct dbus_method *dbus_method_find(const struct dbus_table *t,
					   enum dbus_interface interface,
					   const char *member)
{
	for (size_t i = 0; i < t->count; i++)
		if (t->methods[i].interface == interface &&
		    streq(t->methods[i].member, member))
			return &t->methods[i];
	return NULL;
}

const struct dbus_property *dbus_properties(enum dbus_interface interface)
{
	return interface == DBUS_VM ? vm_properties : manager_properties;
}

const char *dbus_interface_name(enum dbus_interface interface)
{
	return interface_names[interface];
}

const char *dbus_result_signature(enum dbus_result result)
{
	static const char *const signatures[] = {
		[DBUS_RESULT_JSON] = "s",
		[DBUS_RESULT_VM] = "o",
		[DBUS_RESULT_VMS] = "a(oss)s",
		[DBUS_RESULT_FD] = "hs",
	};

	return signatures[result];
}

/* A path has letters, digits and '_'; a uuid has its hyphens where it has. */
void dbus_vm_path(const char *uuid, char ret[DBUS_PATH_MAX])
{
	snprintf(ret, DBUS_PATH_MAX, DBUS_VM_PREFIX "/%s", uuid);
	for (char *p = ret; *p; p++)
		if (*p == '-')
			*p = '_';
}

int dbus_vm_uuid(const char *path, char *ret, size_t size)
{
	size_t prefix = strlen(DBUS_VM_PREFIX "/");

	if (strncmp(path, DBUS_VM_PREFIX "/", prefix) != 0 ||
	    strlen(path + prefix) >= size || strchr(path + prefix, '-'))
		return -EINVAL;
	strcpy(ret, path + prefix);
	for (char *p = ret; *p; p++)
		if (*p == '_')
			*p = '-';
	return uuid_valid(ret) ? 0 : -EINVAL;
}

void dbus_error_name(enum error_code code, char *ret, size_t size)
{
	char member[DBUS_MEMBER_MAX];

	member_name(error_code_name(code), false, member);
	snprintf(ret, size, DBUS_ERROR_PREFIX "%s", member);
}

static void argument_xml(FILE *out, const char *name, const char *type,
			 const char *direction)
{
	fprintf(out, "   <arg name=\"%s\" type=\"%s\" direction=\"%s\"/>\n",
		name, type, direction);
}

static void method_xml(FILE *out, const struct dbus_method *m)
{
	const struct json_field *f = api_methods[m->method].params;

	fprintf(out, "  <method name=\"%s\">\n", m->member);
	for (f += m->interface == DBUS_VM; f->name; f++) {
		char type[2] = {type_of(f->kind)};

		if (f->flags & JSON_REQUIRED)
			argument_xml(out, f->name, type, "in");
	}
	if (m->options)
		argument_xml(out, "options", "a{sv}", "in");
	if (m->result == DBUS_RESULT_FD) {
		argument_xml(out, "fd", "h", "out");
		argument_xml(out, "result", "s", "out");
	} else if (m->result == DBUS_RESULT_VMS) {
		argument_xml(out, "vms", "a(oss)", "out");
		argument_xml(out, "cursor", "s", "out");
	} else {
		argument_xml(out, "result", dbus_result_signature(m->result),
			     "out");
	}
	fputs("  </method>\n", out);
}

void dbus_introspect(const struct dbus_table *t, enum dbus_interface interface,
		     FILE *out)
{
	fprintf(out, " <interface name=\"%s\">\n", interface_names[interface]);
	for (size_t i = 0; i < t->count; i++)
		if (t->methods[i].interface == interface)
			method_xml(out, &t->methods[i]);
	if (interface == DBUS_MANAGER) {
		fputs("  <method name=\"Call\">\n", out);
		argument_xml(out, "method", "s", "in");
		argument_xml(out, "params", "s", "in");
		argument_xml(out, "result", "s", "out");
		fputs("  </method>\n", out);
	}
	fputs(signals_xml[interface], out);
	for (const struct dbus_property *p = dbus_properties(interface);
	     p->name; p++)
		fprintf(out,
			"  <property name=\"%s\" type=\"%s\" access=\"read\">\n"
			"   <annotation name=\"org.freedesktop.DBus.Property."
			"EmitsChangedSignal\" value=\"%s\"/>\n"
			"  </property>\n",
			p->name, p->signature, p->emits);
	fputs(" </interface>\n", out);
}
