/*
 * The conversation with the guest's agent: the stock qemu-guest-agent on the
 * port org.qemu.guest_agent.0, lines of JSON (QEMU, docs/interop/qemu-ga-ref).
 *
 * Promises:
 *  1. Nothing is sent while nobody listens, and nothing is polled: an idle
 *     guest stays idle.
 *  2. One request is under way at a time. After an opened port, a timeout or an
 *     answer that cannot be read, guest-sync-delimited comes first, so that an
 *     answer is never taken for that of another request.
 *  3. The guest is hostile: an answer has at most AGENT_REPLY_MAX bytes, its
 *     depth is json_parse()'s, at most AGENT_REQUESTS_MAX requests wait.
 *
 * Thread: the loop thread.
 */
#ifndef SUPERVISOR_AGENT_H
#define SUPERVISOR_AGENT_H

#include "lib/base/json.h"
#include "lib/host/chardev.h"

#define AGENT_REPLY_MAX	   KIB(128)
#define AGENT_REQUESTS_MAX 8
#define AGENT_SYNC_MS	   3000

struct agent;

int agent_new(uv_loop_t *loop, const char *vm, struct agent **ret,
	      struct error *e) must_check;
/* After the guest's end: requests that wait are told so. */
struct agent *agent_free(struct agent *a);
DEFINE_CLEANUP(agent_free, struct agent *)

/* The host end of its port, for the backend; the agent's own. */
struct chardev *agent_chardev(struct agent *a);

/* It has answered a ping since it opened the port, and nothing since then made
 * us doubt that it would again. */
bool agent_answers(const struct agent *a);

/* `result` (borrowed) is what "return" held, maybe NULL; with `e` it failed. */
typedef void agent_done_fn(void *cookie, json_object *result,
			   const struct error *e);

/*
 * Ask `command`, without arguments or with `arguments` (consumed). `done` comes
 * once, from the loop or before this returns: -EOPNOTSUPP when no agent is
 * there or it does not know the command, -ETIMEDOUT, -EIO with its own words.
 * The time counts from when it is sent.
 */
void agent_request(struct agent *a, const char *command, json_object *arguments,
		   uint64_t timeout_ms, agent_done_fn *done, void *cookie);

/* Ask it to turn the guest off ("powerdown") or to start it over ("reboot").
 * There is no answer to that: what the guest does is. */
void agent_shutdown(struct agent *a, const char *mode);

#endif
