/*
 * What the bus shows, made from the API's table of methods: a method whose
 * first parameter is a VM's name is one of the object of that VM, all others
 * are the manager's. "noun.verb" is called NounVerb, VM methods leave "vm."
 * out; a few have the names, or the results, that people expect on a bus.
 *
 * Arguments are the method's required parameters in their order, then one
 * dictionary a{sv} of the optional ones, and of those every job takes, which
 * may be left out.
 *
 * Thread: no state but the table, which does not change.
 */
#ifndef DAEMON_DBUS_TABLE_H
#define DAEMON_DBUS_TABLE_H

#include <stdio.h>

#include "api/api.h"

#define DBUS_NAME	       "org.armvmd1"
#define DBUS_ROOT	       "/org/armvmd1"
#define DBUS_VM_PREFIX	       "/org/armvmd1/vm"
#define DBUS_MANAGER_INTERFACE "org.armvmd1.Manager"
#define DBUS_VM_INTERFACE      "org.armvmd1.VM"
#define DBUS_ERROR_PREFIX      "org.armvmd1.Error."
#define DBUS_MEMBER_MAX	       64
#define DBUS_PATH_MAX	       80
#define DBUS_SIGNATURE_MAX     32

enum dbus_interface { DBUS_MANAGER, DBUS_VM, DBUS_INTERFACE_COUNT };

enum dbus_result {
	DBUS_RESULT_JSON, /* s: as over JSON-RPC */
	DBUS_RESULT_VM,	  /* o: the VM's object */
	DBUS_RESULT_VMS,  /* a(oss)s: object, name, state; the next cursor */
	DBUS_RESULT_FD,	  /* hs: a descriptor, and the rest as JSON */
};

struct dbus_method {
	char member[DBUS_MEMBER_MAX];
	enum dbus_interface interface;
	enum api_method_id method;
	enum dbus_result result;
	/* Of the required parameters; with `options` "a{sv}" may follow. */
	char in[DBUS_SIGNATURE_MAX];
	bool options;
};

/* One member of the JSON that `vm.get`, or `host.info`, answers with. */
struct dbus_property {
	const char *name, *signature, *key;
	/* How PropertiesChanged tells of it, as introspection says it. */
	const char *emits;
};

struct dbus_table;

/* NULL: no memory, or two methods have one name, which is a fault of ours. */
struct dbus_table *dbus_table_new(void);
struct dbus_table *dbus_table_free(struct dbus_table *t);

/* NULL when the interface has no such member. */
const struct dbus_method *dbus_method_find(const struct dbus_table *t,
					   enum dbus_interface interface,
					   const char *member);
/* Terminated by a NULL name. */
const struct dbus_property *dbus_properties(enum dbus_interface interface);
const char *dbus_interface_name(enum dbus_interface interface);

/* "a(oss)s" and the like. */
const char *dbus_result_signature(enum dbus_result result);

/* The object of a VM, from its uuid and back. -EINVAL: no path of one. */
void dbus_vm_path(const char *uuid, char ret[DBUS_PATH_MAX]);
int dbus_vm_uuid(const char *path, char *ret, size_t size) must_check;

/* "org.armvmd1.Error.NotFound". */
void dbus_error_name(enum error_code code, char *ret, size_t size);

/* The introspection of one interface: its <interface> element. */
void dbus_introspect(const struct dbus_table *t, enum dbus_interface interface,
		     FILE *out);

#endif
