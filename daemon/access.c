#include "daemon/access.h"

#include <grp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/log.h"

#define NO_GROUP ((gid_t)-1)

struct access {
	const struct conf *conf;
	gid_t groups[API_ROLE_ADMIN + 1]; /* by role; NO_GROUP: no such one */
};

static const char *const group_names[] = {
	[API_ROLE_VIEWER] = "armvm-viewer",
	[API_ROLE_OPERATOR] = "armvm-operator",
	[API_ROLE_ADMIN] = "armvm-admin",
};

int access_new(const struct conf *conf, const char *admin_group,
	       struct access **ret, struct error *e)
{
	struct access *a = calloc(1, sizeof(*a));

	if (!a)
		return error_set(e, -ENOMEM, "out of memory");
	a->conf = conf;
	a->groups[API_ROLE_NONE] = NO_GROUP;
	for (int i = API_ROLE_VIEWER; i <= API_ROLE_ADMIN; i++) {
		bool other = i == API_ROLE_ADMIN && admin_group;
		struct group *g = getgrnam(other ? admin_group
						 : group_names[i]);

		a->groups[i] = g ? g->gr_gid : NO_GROUP;
		if (g || !other)
			continue;
		free(a);
		return error_set(e, -EINVAL, "there is no group \"%s\"",
				 admin_group);
	}
	*ret = a;
	return 0;
}

struct access *access_free(struct access *a)
{
	free(a);
	return NULL;
}

static enum api_role role_of_group(const struct access *a, gid_t gid)
{
	for (int i = API_ROLE_ADMIN; i > API_ROLE_NONE; i--)
		if (a->groups[i] != NO_GROUP && a->groups[i] == gid)
			return (enum api_role)i;
	return API_ROLE_NONE;
}

void access_identify_user(const struct access *a, uid_t uid,
			  const gid_t *groups, size_t n_groups,
			  struct api_identity *ret)
{
	enum api_role role;

	ret->role = uid == 0 || uid == geteuid() ? API_ROLE_ADMIN
						 : API_ROLE_NONE;
	for (size_t i = 0; i < n_groups; i++) {
		role = role_of_group(a, groups[i]);
		ret->role = MAX(ret->role, role);
	}
	snprintf(ret->reason, sizeof(ret->reason),
		 "it takes membership of the group armvm-viewer, "
		 "armvm-operator or armvm-admin when the program is started");
}

/* The groups the process had when it connected (SO_PEERGROUPS), so nobody's
 * name service is asked while the loop waits; then its own. NULL: no memory. */
static gid_t *groups_of_peer(int fd, gid_t own, size_t *ret_n)
{
	socklen_t size = 0;
	gid_t *groups;

	/* Too small a buffer says how large it must be. */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &size) < 0 &&
	    errno != ERANGE)
		size = 0;
	groups = malloc(size + sizeof(gid_t));
	if (!groups)
		return NULL;
	if (size > 0 &&
	    getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0)
		size = 0;
	*ret_n = size / sizeof(gid_t);
	groups[(*ret_n)++] = own;
	return groups;
}

static void identify_local(const struct access *a, int fd,
			   struct api_identity *ret)
{
	struct ucred cred = {.uid = (uid_t)-1, .gid = NO_GROUP};
	_cleanup_free_ gid_t *groups = NULL;
	socklen_t size = sizeof(cred);
	size_t n = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0) {
		snprintf(ret->name, sizeof(ret->name), "somebody");
		snprintf(ret->reason, sizeof(ret->reason),
			 "the kernel does not say who they are");
		return;
	}
	groups = groups_of_peer(fd, cred.gid, &n);
	access_identify_user(a, cred.uid, groups, n, ret);
	snprintf(ret->name, sizeof(ret->name), "uid %u", cred.uid);
}

void access_identify(const struct access *a, const struct api_peer *peer,
		     struct api_identity *ret)
{
	const struct conf *c = a->conf;

	if (!peer->subject) {
		identify_local(a, peer->fd, ret);
		return;
	}
	snprintf(ret->name, sizeof(ret->name), "%s", peer->subject);
	snprintf(ret->reason, sizeof(ret->reason),
		 "no \"client\" of the configuration has this subject");
	for (size_t i = 0; i < c->n_clients; i++)
		if (streq(c->clients[i].subject, peer->subject)) {
			ret->role = c->clients[i].role;
			ret->labels = c->clients[i].labels;
		}
}

bool access_covers(const struct api_identity *who, json_object *labels)
{
	json_object *have;

	if (!who->labels)
		return true;
	json_object_object_foreach (who->labels, key, value) {
		if (!json_object_is_type(labels, json_type_object) ||
		    !json_object_object_get_ex(labels, key, &have) ||
		    !json_object_equal(have, value))
			return false;
	}
	return true;
}

void access_audit(const struct api_identity *who, const char *method,
		  const char *vm, const struct error *why)
{
	log_vm(LOG_LEVEL_INFO, vm, "audit: %s by %s (%s): %s", method,
	       who->name, api_role_name(who->role),
	       why ? why->message : "done");
}
