/*
 * Who may do what. On the Unix sockets the kernel says who is there: root and
 * the daemon's own uid are admin, else the groups armvm-admin, armvm-operator
 * and armvm-viewer decide; the highest counts. Over TLS the subject of the
 * client's certificate does, by the configuration file. Everyone else may do
 * nothing.
 *
 * Thread: the loop thread.
 */
#ifndef DAEMON_ACCESS_H
#define DAEMON_ACCESS_H

#include <sys/types.h>

#include "daemon/conf.h"

struct access;

/* `conf` is borrowed for the life of the result. `admin_group` replaces
 * armvm-admin; NULL does not. Groups are looked up now, once. */
int access_new(const struct conf *conf, const char *admin_group,
	       struct access **ret, struct error *e) must_check;
struct access *access_free(struct access *a);

/* Fills *ret, which is zeroed. */
void access_identify(const struct access *a, const struct api_peer *peer,
		     struct api_identity *ret);

/* The same for a user known by other means than a socket, and the groups they
 * are in; ret->name is left to the caller. */
void access_identify_user(const struct access *a, uid_t uid,
			  const gid_t *groups, size_t n_groups,
			  struct api_identity *ret);

/* Whether something with these labels (an object of strings, or NULL) is among
 * what they may use. */
bool access_covers(const struct api_identity *who, json_object *labels);

/* One line to the log for each call that changes something. */
void access_audit(const struct api_identity *who, const char *method,
		  const char *vm, const struct error *why);

#endif
