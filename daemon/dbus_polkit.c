/*
 * The question to polkit: org.freedesktop.PolicyKit1.Authority,
 * CheckAuthorization() (polkit(8), its D-Bus reference).
 */
#include "daemon/dbus_auth_internal.h"

#include <stdio.h>

#define POLKIT_NAME	 "org.freedesktop.PolicyKit1"
#define POLKIT_PATH	 "/org/freedesktop/PolicyKit1/Authority"
#define POLKIT_INTERFACE "org.freedesktop.PolicyKit1.Authority"
/* A rule answers at once, a person looks for a password first. */
#define RULE_USEC	  (15 * 1000000ull)
#define PERSON_USEC	  (120 * 1000000ull)
#define ALLOW_INTERACTION 1u

static const char *const actions[] = {
	[API_ROLE_NONE] = "org.armvmd1.view",
	[API_ROLE_VIEWER] = "org.armvmd1.view",
	[API_ROLE_OPERATOR] = "org.armvmd1.operate",
	[API_ROLE_ADMIN] = "org.armvmd1.admin",
};

static void cancellation_id(const struct dbus_ask *k, char ret[32])
{
	snprintf(ret, 32, "armvmd-%llu", (unsigned long long)k->cancellation);
}

/* Nobody waits for it any more: a dialog is closed. */
static void give_up(struct dbus_ask *k)
{
	sd_bus *sd = sd_bus_message_get_bus(k->message);
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	char id[32];
	int r = sd_bus_message_new_method_call(sd, &m, POLKIT_NAME, POLKIT_PATH,
					       POLKIT_INTERFACE,
					       "CancelCheckAuthorization");

	cancellation_id(k, id);
	if (r >= 0)
		r = sd_bus_message_append(m, "s", id);
	if (r >= 0)
		r = sd_bus_message_set_expect_reply(m, 0);
	if (r >= 0)
		(void)!sd_bus_send(sd, m, NULL);
}

static void refuse(struct dbus_ask *k, const char *why, bool challenge)
{
	if (k->who.role == API_ROLE_NONE)
		snprintf(k->who.reason, sizeof(k->who.reason),
			 "it takes membership of the group armvm-viewer, "
			 "armvm-operator or armvm-admin, or polkit's consent "
			 "to %s: %.40s",
			 actions[k->need], why);
	dbus_ask_finish(k, challenge);
}

static int on_answer(sd_bus_message *m, void *cookie, sd_bus_error *unused)
{
	struct dbus_ask *k = cookie;
	int authorized = 0, challenge = 0;

	k->slot = sd_bus_slot_unref(k->slot);
	if (sd_bus_message_is_method_error(m, SD_BUS_ERROR_NO_REPLY) ||
	    sd_bus_message_is_method_error(m, SD_BUS_ERROR_TIMEOUT)) {
		give_up(k);
		refuse(k, "it did not answer", false);
	} else if (sd_bus_message_is_method_error(m, NULL)) {
		refuse(k, "it is not there", false);
	} else if (sd_bus_message_enter_container(m, 'r', "bba{ss}") <= 0 ||
		   sd_bus_message_read(m, "bb", &authorized, &challenge) < 0) {
		refuse(k, "its answer cannot be read", false);
	} else if (!authorized) {
		refuse(k, challenge ? "authentication is needed" : "it refused",
		       challenge);
	} else {
		size_t n = strlen(k->who.name);

		k->who.role = k->need;
		snprintf(k->who.name + n, sizeof(k->who.name) - n,
			 ", by polkit");
		dbus_ask_finish(k, false);
	}
	return 0;
}

/* "(sa{sv})": whoever holds this name on the bus. */
static int append_subject(sd_bus_message *m, const char *sender)
{
	return sd_bus_message_append(m, "(sa{sv})", "system-bus-name", 1,
				     "name", "s", sender);
}

void dbus_polkit_ask(struct dbus_ask *k, uint64_t number)
{
	sd_bus *sd = sd_bus_message_get_bus(k->message);
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	bool person = sd_bus_message_get_allow_interactive_authorization(
			      k->message) > 0;
	char id[32];
	int r;

	k->cancellation = number;
	cancellation_id(k, id);
	r = sd_bus_message_new_method_call(sd, &m, POLKIT_NAME, POLKIT_PATH,
					   POLKIT_INTERFACE,
					   "CheckAuthorization");
	if (r >= 0)
		r = append_subject(m, k->sender);
	if (r >= 0)
		r = sd_bus_message_append(m, "s", actions[k->need]);
	if (r >= 0)
		r = sd_bus_message_append(m, "a{ss}", 3, "method",
					  k->method ? k->method : "", "vm",
					  k->vm ? k->vm : "", "uuid",
					  k->uuid ? k->uuid : "");
	if (r >= 0)
		r = sd_bus_message_append(m, "us",
					  person ? ALLOW_INTERACTION : 0, id);
	if (r >= 0)
		r = sd_bus_call_async(sd, &k->slot, m, on_answer, k,
				      person ? PERSON_USEC : RULE_USEC);
	if (r < 0)
		refuse(k, "it cannot be asked", false);
}
