/*
 * What a guest tells about itself: several questions to its agent, judged and
 * made one object as lib/model/guest_info.h has it.
 *
 * Thread: the loop thread.
 */
#ifndef SUPERVISOR_AGENT_INFO_H
#define SUPERVISOR_AGENT_INFO_H

#include "lib/model/guest_info.h"
#include "supervisor/agent.h"

#define AGENT_INFO_MS 3000 /* for each question */

/* `info` is the callee's; never NULL. Called once, maybe before this returns.
 */
typedef void agent_info_fn(void *cookie, json_object *info);

void agent_info(struct agent *a, agent_info_fn *done, void *cookie);

#endif
