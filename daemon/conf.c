#include "daemon/conf.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/parse.h"
#include "lib/wire/console_log.h"

#define CONF_SIZE_MAX MIB(1)
#define WORDS_MAX     19 /* client SUBJECT ROLE and 16 labels */

struct line {
	const char *file;
	unsigned number;
	char *words[WORDS_MAX];
	size_t n_words;
};

typedef int directive_fn(struct conf *c, const struct line *l, size_t offset,
			 struct error *e);

static int bad(const struct line *l, struct error *e, const char *what,
	       const char *value)
{
	return error_set(e, -EINVAL, "%s:%u: %s%s%s%s", l->file, l->number,
			 what, value ? " \"" : "", value ? value : "",
			 value ? "\"" : "");
}

/* A directive with one value that may be given once. */
static int set_text(struct conf *c, const struct line *l, size_t offset,
		    struct error *e)
{
	char **field = (char **)((char *)c + offset);

	if (l->n_words != 2)
		return bad(l, e, "exactly one value must follow", l->words[0]);
	if (*field)
		return bad(l, e, "given twice:", l->words[0]);
	*field = strdup(l->words[1]);
	return *field ? 0 : error_set(e, -ENOMEM, "out of memory");
}

static int set_path(struct conf *c, const struct line *l, size_t offset,
		    struct error *e)
{
	if (l->n_words == 2 && l->words[1][0] != '/')
		return bad(l, e, "not an absolute path:", l->words[1]);
	return set_text(c, l, offset, e);
}

static int read_role(const struct line *l, const char *word, enum api_role *ret,
		     struct error *e)
{
	for (int i = API_ROLE_VIEWER; i <= API_ROLE_ADMIN; i++)
		if (streq(word, api_role_name((enum api_role)i))) {
			*ret = (enum api_role)i;
			return 0;
		}
	return bad(l, e, "a role is viewer, operator or admin, not", word);
}

/* KEY=VALUE each; admins cannot be limited, as they name files of the host. */
static int read_labels(const struct line *l, enum api_role role,
		       json_object **ret, struct error *e)
{
	_cleanup_json_ json_object *labels = json_object_new_object();

	if (!labels)
		return error_set(e, -ENOMEM, "out of memory");
	if (role == API_ROLE_ADMIN && l->n_words > 3)
		return bad(l, e, "labels limit viewers and operators, not",
			   "admin");
	for (size_t i = 3; i < l->n_words; i++) {
		char *equals = strchr(l->words[i], '=');

		if (!equals || equals == l->words[i])
			return bad(l, e, "a label is KEY=VALUE, not",
				   l->words[i]);
		*equals = '\0';
		if (json_object_object_get_ex(labels, l->words[i], NULL))
			return bad(l, e, "given twice: label", l->words[i]);
		json_object_object_add(labels, l->words[i],
				       json_object_new_string(equals + 1));
	}
	*ret = l->n_words > 3 ? TAKE_PTR(labels) : NULL;
	return 0;
}

/* client "SUBJECT" ROLE [KEY=VALUE...] */
static int add_client(struct conf *c, const struct line *l, size_t offset,
		      struct error *e)
{
	struct conf_client *grown, *client;
	enum api_role role;

	if (l->n_words < 3)
		return bad(l, e,
			   "expected: client \"SUBJECT\" ROLE [KEY=VALUE...]",
			   NULL);
	if (read_role(l, l->words[2], &role, e) < 0)
		return -EINVAL;
	for (size_t i = 0; i < c->n_clients; i++)
		if (streq(c->clients[i].subject, l->words[1]))
			return bad(l, e, "given twice: client", l->words[1]);
	grown = reallocarray(c->clients, c->n_clients + 1, sizeof(*grown));
	if (!grown)
		return error_set(e, -ENOMEM, "out of memory");
	c->clients = grown;
	client = &c->clients[c->n_clients];
	*client = (struct conf_client){.subject = strdup(l->words[1]),
				       .role = role};
	if (!client->subject)
		return error_set(e, -ENOMEM, "out of memory");
	c->n_clients++;
	return read_labels(l, role, &client->labels, e);
}

/* dbus auto|off */
static int set_dbus(struct conf *c, const struct line *l, size_t offset,
		    struct error *e)
{
	const char *value = l->n_words == 2 ? l->words[1] : "";

	if (!streq(value, "auto") && !streq(value, "off"))
		return bad(l, e, "expected: dbus auto, or: dbus off", NULL);
	if (c->dbus_given)
		return bad(l, e, "given twice:", l->words[0]);
	c->dbus_given = true;
	c->dbus_off = streq(value, "off");
	return 0;
}

/* A size, or no. */
static int set_console_log(struct conf *c, const struct line *l, size_t offset,
			   struct error *e)
{
	struct error why = ERROR_INIT;
	uint64_t bytes = 0;

	if (l->n_words != 2)
		return bad(l, e, "exactly one value must follow", l->words[0]);
	if (c->console_log_given)
		return bad(l, e, "given twice:", l->words[0]);
	if (!streq(l->words[1], "no") &&
	    (parse_size(l->words[1], l->words[0], &bytes, &why) < 0 ||
	     bytes < CONSOLE_LOG_PARTS * CONSOLE_LOG_PART_MIN ||
	     bytes > CONSOLE_LOG_PARTS * CONSOLE_LOG_PART_MAX))
		return bad(l, e,
			   "console-log is a size from 8 KiB to 1 GiB, or no; "
			   "not",
			   l->words[1]);
	c->console_log_bytes = bytes;
	c->console_log_given = true;
	return 0;
}

static const struct {
	const char *name;
	directive_fn *take;
	size_t offset;
} directives[] = {
	{"http-listen", set_text, offsetof(struct conf, http_listen)},
	{"tls-cert", set_path, offsetof(struct conf, tls_cert)},
	{"tls-key", set_path, offsetof(struct conf, tls_key)},
	{"tls-client-ca", set_path, offsetof(struct conf, tls_client_ca)},
	{"client", add_client, 0},
	{"dbus", set_dbus, 0},
	{"console-log", set_console_log, 0},
};

static int take_line(struct conf *c, const struct line *l, struct error *e)
{
	const char *names[ARRAY_SIZE(directives) + 1] = {NULL};
	const char *closest;

	for (size_t i = 0; i < ARRAY_SIZE(directives); i++) {
		names[i] = directives[i].name;
		if (streq(names[i], l->words[0]))
			return directives[i].take(c, l, directives[i].offset,
						  e);
	}
	closest = parse_closest(l->words[0], names);
	return error_set(e, -EINVAL,
			 "%s:%u: no directive named \"%.64s\"%s%s%s", l->file,
			 l->number, l->words[0],
			 closest ? "; did you mean \"" : "",
			 closest ? closest : "", closest ? "\"?" : "");
}

/* One word at *p, unquoted in place; *p is moved behind it. */
static int take_word(struct line *l, char **p, struct error *e)
{
	char *from = *p, *to = from;
	bool quoted = *from == '"';

	if (l->n_words == WORDS_MAX)
		return bad(l, e, "too many words", NULL);
	l->words[l->n_words++] = to;
	from += quoted;
	while (*from && (quoted ? *from != '"' : !strchr(" \t#\"", *from))) {
		if (quoted && *from == '\\' &&
		    (from[1] == '"' || from[1] == '\\'))
			from++;
		*to++ = *from++;
	}
	if (quoted && *from++ != '"')
		return bad(l, e, "a \" has no end", NULL);
	if (*from && !strchr(" \t#", *from))
		return bad(l, e, "a word goes on after its \"", NULL);
	*p = from + (*from == ' ' || *from == '\t');
	if (*from == '#')
		**p = '\0';
	*to = '\0';
	return 0;
}

static int split_line(struct line *l, char *p, struct error *e)
{
	int r = 0;

	while (r == 0) {
		p += strspn(p, " \t");
		if (!*p || *p == '#')
			break;
		r = take_word(l, &p, e);
	}
	return r;
}

int conf_parse(const char *name, const char *text, size_t size,
	       struct conf *ret, struct error *e)
{
	_cleanup_free_ char *copy = strndup(text, size);
	struct line l = {.file = name};
	struct conf c = {0};
	char *at = copy, *next;
	int r = copy ? 0 : error_set(e, -ENOMEM, "out of memory");

	if (copy && strlen(copy) != size)
		r = error_set(e, -EINVAL, "%s: holds a NUL byte", name);
	while (r == 0 && at) {
		next = strchr(at, '\n');
		if (next)
			*next++ = '\0';
		l.number++;
		l.n_words = 0;
		r = split_line(&l, at, e);
		if (r == 0 && l.n_words > 0)
			r = take_line(&c, &l, e);
		at = next;
	}
	if (r == 0)
		*ret = c;
	else
		conf_done(&c);
	return r;
}

int conf_read(const char *path, struct conf *ret, struct error *e)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	_cleanup_free_ char *text = NULL;
	struct stat st;
	int r;

	if (fd < 0)
		return error_set(e, -errno, "cannot read %s: %m", path);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return error_set(e, -EINVAL, "%s is not a file", path);
	if ((st.st_uid != 0 && st.st_uid != geteuid()) ||
	    (st.st_mode & (S_IWGRP | S_IWOTH)))
		return error_set(e, -EACCES,
				 "%s gives rights, so nobody but its owner "
				 "root may be able to write it; it is mode "
				 "%03o of uid %u",
				 path, st.st_mode & 0777, st.st_uid);
	if (st.st_size > (off_t)CONF_SIZE_MAX)
		return error_set(e, -EINVAL, "%s is larger than 1 MiB", path);
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return error_set(e, -ENOMEM, "out of memory");
	r = fd_read_full(fd, text, (size_t)st.st_size);
	if (r < 0)
		return error_set(e, r, "cannot read %s: %s", path,
				 strerror(-r));
	return conf_parse(path, text, (size_t)st.st_size, ret, e);
}

void conf_defaults(struct conf *c)
{
	if (!c->console_log_given)
		c->console_log_bytes = CONF_CONSOLE_LOG_DEFAULT;
}

void conf_done(struct conf *c)
{
	free(c->http_listen);
	free(c->tls_cert);
	free(c->tls_key);
	free(c->tls_client_ca);
	for (size_t i = 0; i < c->n_clients; i++) {
		free(c->clients[i].subject);
		json_object_put(c->clients[i].labels);
	}
	free(c->clients);
	*c = (struct conf){0};
}
