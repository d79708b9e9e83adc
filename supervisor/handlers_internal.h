/*
 * What the files of handlers share: a request decoded, its reply, and the
 * handlers that stand in a file of their own. Nobody else includes it.
 */
#ifndef SUPERVISOR_HANDLERS_INTERNAL_H
#define SUPERVISOR_HANDLERS_INTERNAL_H

#include "supervisor/handlers.h"

/* All fields of all requests; each row's table names those it accepts. */
struct request {
	char *type;
	uint64_t id;
	uint32_t version;
	uint64_t seq, nvram_size, console_log_bytes, target, from;
	bool more, paused, adopt;
	bool compress, hold;
	int console_device, want, command;
	char *who;
	uint64_t session;
	json_object *config, *roles, *live;
	char *kind, *device, *tag;
	bool force, up;
	uint64_t timeout_ms;
	int *fds;
	size_t n_fds;
};

/* The answer's own fields; "ok" and "error" are not a handler's. */
struct reply {
	json_object *object;
	int fd;	    /* borrowed, sent along; -1 for none */
	bool later; /* handlers_reply() will answer, or has */
};

typedef int handler_fn(struct supervisor *s, const struct request *q,
		       struct reply *reply, struct error *e);

/* The guest is there and the state table allows the request. */
int handlers_check_request(struct supervisor *s, enum vm_request request,
			   struct error *e) must_check;

/* handle_save.c */
handler_fn handle_save;
/* -EBUSY while the machine is being saved. */
int save_check(const struct supervisor *s, struct error *e) must_check;

/* handle_power.c */
handler_fn handle_shutdown, handle_reboot;
/* By the button and by the agent, as far as the guest has them, which is what
 * is returned: a second request does no harm to one that follows the first.
 * -EPROTO in a state that does not allow it. */
int handlers_shutdown(struct supervisor *s, bool *ret_button, bool *ret_agent,
		      struct error *e) must_check;

/*
 * The guest starts over, if it follows; asked through what the backend has for
 * that, and by the agent. -EPROTO as above; -EOPNOTSUPP: there is neither.
 */
int handlers_reboot(struct supervisor *s, bool *ret_agent,
		    struct error *e) must_check;

/* handle_console.c */
handler_fn handle_console, handle_console_take;

/* handle_devices.c */
handler_fn handle_attach, handle_detach, handle_devices, handle_link;
handler_fn handle_resize;
/* handle_filesystem.c; the first of them is the backend's event, the last tells
 * a daemon that has just said hello. */
void filesystem_lost(void *cookie, size_t index, const char *why);
handler_fn handle_filesystem;
extern const struct json_field filesystem_fields[];
void filesystems_greet(struct supervisor *s);
/* handle_stats.c */
handler_fn handle_stats;

#endif
