#include "daemon/dbus_auth_internal.h"

#include <stdio.h>

#define KNOWN_MAX 128

/* A name on the bus (":1.42") is one program's and never another's. */
struct known {
	char sender[DBUS_SENDER_MAX];
	uint64_t used;
	struct api_identity who;
};

struct dbus_auth {
	struct manager *manager;
	struct dbus_ask *asks;
	struct lookup
		*lookup; /* one at a time: a slow service has one thread */
	struct known known[KNOWN_MAX];
	uint64_t clock, numbers;
};

static struct known *known_find(struct dbus_auth *a, const char *sender)
{
	for (size_t i = 0; i < KNOWN_MAX; i++)
		if (*sender && streq(a->known[i].sender, sender)) {
			a->known[i].used = ++a->clock;
			return &a->known[i];
		}
	return NULL;
}

static void known_add(struct dbus_auth *a, const char *sender,
		      const struct api_identity *who)
{
	struct known *k = &a->known[0];

	for (size_t i = 1; i < KNOWN_MAX; i++)
		if (a->known[i].used < k->used)
			k = &a->known[i];
	*k = (struct known){.used = ++a->clock, .who = *who};
	snprintf(k->sender, sizeof(k->sender), "%s", sender);
}

static void ask_leave(struct dbus_ask *k)
{
	struct dbus_ask **at = &k->auth->asks;

	while (*at != k)
		at = &(*at)->next;
	*at = k->next;
}

static void ask_free(struct dbus_ask *k)
{
	sd_bus_slot_unref(k->slot);
	sd_bus_message_unref(k->message);
	free(k->method);
	free(k->vm);
	free(k->uuid);
	free(k);
}

void dbus_ask_finish(struct dbus_ask *k, bool challenge)
{
	ask_leave(k);
	k->fn(k->cookie, &k->who, challenge);
	ask_free(k);
}

static void ask_identified(struct dbus_ask *k, const struct api_identity *who)
{
	k->who = *who;
	if (k->who.role >= k->need || !k->polkit)
		dbus_ask_finish(k, false);
	else
		dbus_polkit_ask(k, ++k->auth->numbers);
}

static void ask_refuse(struct dbus_ask *k, const char *why)
{
	k->who = (struct api_identity){.role = API_ROLE_NONE};
	snprintf(k->who.name, sizeof(k->who.name), "%.100s", k->sender);
	snprintf(k->who.reason, sizeof(k->who.reason), "%s", why);
	dbus_ask_finish(k, false);
}

static void have_user(struct dbus_ask *k, uid_t uid, const gid_t *groups,
		      size_t n_groups)
{
	struct dbus_auth *a = k->auth;
	struct api_identity who = {.role = API_ROLE_NONE};

	access_identify_user(a->manager->access, uid, groups, n_groups, &who);
	snprintf(who.name, sizeof(who.name), "uid %u at %.64s", uid, k->sender);
	if (!known_find(a, k->sender))
		known_add(a, k->sender, &who);
	ask_identified(k, &who);
}

/* D-Bus Specification, GetConnectionCredentials: "a{sv}". */
static int read_credentials(sd_bus_message *m, uint32_t *ret_uid,
			    const uint32_t **ret_groups, size_t *ret_n)
{
	const void *groups;
	const char *key;
	size_t size;
	int r = sd_bus_message_enter_container(m, 'a', "{sv}");

	*ret_uid = (uint32_t)-1;
	while (r >= 0 &&
	       (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
		r = sd_bus_message_read(m, "s", &key);
		if (r >= 0 && streq(key, "UnixUserID")) {
			r = sd_bus_message_read(m, "v", "u", ret_uid);
		} else if (r >= 0 && streq(key, "UnixGroupIDs")) {
			r = sd_bus_message_enter_container(m, 'v', "au");
			if (r >= 0)
				r = sd_bus_message_read_array(m, 'u', &groups,
							      &size);
			if (r >= 0)
				r = sd_bus_message_exit_container(m);
			if (r < 0)
				break;
			*ret_groups = groups;
			*ret_n = size / sizeof(uint32_t);
		} else if (r >= 0) {
			r = sd_bus_message_skip(m, "v");
		}
		if (r >= 0)
			r = sd_bus_message_exit_container(m);
	}
	return r < 0 ? r : *ret_uid == (uint32_t)-1 ? -ENODATA : 0;
}

static int on_credentials(sd_bus_message *m, void *cookie, sd_bus_error *unused)
{
	struct dbus_ask *k = cookie;
	const uint32_t *groups = NULL;
	uint32_t uid;
	size_t n = 0;

	k->slot = sd_bus_slot_unref(k->slot);
	if (sd_bus_message_is_method_error(m, NULL) ||
	    read_credentials(m, &uid, &groups, &n) < 0)
		ask_refuse(k, "the bus does not say who they are");
	else
		have_user(k, uid, groups, n);
	return 0;
}

void dbus_auth_ask(struct dbus_auth *a, const struct dbus_question *q,
		   dbus_auth_fn *fn, void *cookie)
{
	static const struct api_identity nobody = {
		.name = "somebody", .reason = "there is no memory"};
	const char *sender = sd_bus_message_get_sender(q->message);
	struct dbus_ask *k = calloc(1, sizeof(*k));
	struct known *known;
	int r;

	if (!k) {
		fn(cookie, &nobody, false);
		return;
	}
	*k = (struct dbus_ask){.auth = a,
			       .need = q->need,
			       .polkit = q->polkit,
			       .method = strdup(q->method),
			       .vm = strdup(q->vm),
			       .uuid = strdup(q->uuid),
			       .message = sd_bus_message_ref(q->message),
			       .fn = fn,
			       .cookie = cookie,
			       .next = a->asks};
	snprintf(k->sender, sizeof(k->sender), "%s", sender ? sender : "");
	a->asks = k;
	known = known_find(a, k->sender);
	if (known) {
		ask_identified(k, &known->who);
		return;
	}
	r = sd_bus_call_method_async(
		sd_bus_message_get_bus(k->message), &k->slot,
		"org.freedesktop.DBus", "/org/freedesktop/DBus",
		"org.freedesktop.DBus", "GetConnectionCredentials",
		on_credentials, k, "s", k->sender);
	if (r < 0)
		ask_refuse(k, "the bus cannot be asked who they are");
}

void dbus_auth_reset(struct dbus_auth *a)
{
	memset(a->known, 0, sizeof(a->known));
	while (a->asks)
		ask_refuse(a->asks, "the bus has gone");
}

int dbus_auth_new(struct manager *m, struct dbus_auth **ret, struct error *e)
{
	struct dbus_auth *a = calloc(1, sizeof(*a));

	if (!a)
		return error_set(e, -ENOMEM, "out of memory");
	a->manager = m;
	*ret = a;
	return 0;
}

struct dbus_auth *dbus_auth_free(struct dbus_auth *a)
{
	if (!a)
		return NULL;
	while (a->asks) {
		struct dbus_ask *k = a->asks;

		a->asks = k->next;
		ask_free(k);
	}
	free(a);
	return NULL;
}
