/*
 * /etc/armvmd/armvmd.conf: one directive a line, words separated by blanks,
 * "..." around a word that has blanks (with \" and \\ inside), # for comments.
 * armvmd.conf(5) describes the directives. Read once, at the start; anything
 * that is not understood is an error with its line, never skipped: a right
 * might hang on it.
 *
 * Ownership: release with conf_done(). A zeroed structure is an empty one; what
 * its directives default to is conf_defaults()'s.
 */
#ifndef DAEMON_CONF_H
#define DAEMON_CONF_H

#include "api/api.h"

struct conf_client {
	char *subject; /* of a certificate, as RFC 2253 writes it */
	enum api_role role;
	json_object *labels; /* of the VMs it is for; NULL: all */
};

struct conf {
	char *http_listen;
	char *tls_cert, *tls_key, *tls_client_ca;
	struct conf_client *clients;
	size_t n_clients;
	bool dbus_given, dbus_off;  /* not on the system bus */
	uint64_t console_log_bytes; /* of each VM's log on disk; 0: none */
	bool console_log_given;
};

#define CONF_CONSOLE_LOG_DEFAULT MIB(4)

/* -ENOENT when there is no such file; -EACCES when others than root (or who
 * runs the daemon) could have written it. */
int conf_read(const char *path, struct conf *ret, struct error *e) must_check;

/* `name` stands in errors as "name:LINE: ...". -EINVAL. */
int conf_parse(const char *name, const char *text, size_t size,
	       struct conf *ret, struct error *e) must_check;
/* Fill in what was not given; for the end, when options have been added. */
void conf_defaults(struct conf *c);
void conf_done(struct conf *c);

#endif
