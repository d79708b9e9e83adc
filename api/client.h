/*
 * The blocking client that armvmctl speaks to armvmd with: one connection,
 * requests answered by id, events kept until asked for.
 *
 * The peer is the daemon of this host, but its answers are judged all the
 * same: a reply that is none is an error, never a crash.
 *
 * Thread: one at a time per client.
 */
#ifndef API_CLIENT_H
#define API_CLIENT_H

#include "lib/base/json.h"

#define API_SOCKET_DEFAULT "/run/armvmd/armvmd.sock"

struct api_client;

/* ERROR_NO_DAEMON when nobody listens at `path`, with what to do about it. */
int api_client_open(const char *path, struct api_client **ret,
		    struct error *e) must_check;
struct api_client *api_client_close(struct api_client *c);

/* Begin a call; `params` (may be NULL) is consumed. */
int api_client_send(struct api_client *c, const char *method,
		    json_object *params, int64_t *ret_id,
		    struct error *e) must_check;

/*
 * Wait for the reply to `id`, timeout_ms < 0 for ever. *ret_result is owned by
 * the caller; so is *ret_fd, which is -1 when none came (ret_fd may be NULL:
 * closed then). -EAGAIN, with `e` untouched, when there was no reply in time:
 * wait again. Otherwise the daemon's error, or ERROR_NO_DAEMON when it went
 * away.
 */
int api_client_wait(struct api_client *c, int64_t id, int timeout_ms,
		    json_object **ret_result, int *ret_fd,
		    struct error *e) must_check;

/* send and wait for ever. */
int api_client_call(struct api_client *c, const char *method,
		    json_object *params, json_object **ret_result, int *ret_fd,
		    struct error *e) must_check;

/*
 * The next event of a subscription, owned by the caller. -EAGAIN, `e`
 * untouched, when none came in time; ERROR_NO_DAEMON when none will come.
 */
int api_client_event(struct api_client *c, int timeout_ms,
		     json_object **ret_event, struct error *e) must_check;

/* To poll for reading when nothing is waited for; events may also have come
 * already, so api_client_event() with no time is asked first. */
int api_client_fd(const struct api_client *c);

static inline void api_client_closep(struct api_client **c)
{
	api_client_close(*c);
}

#endif
