/*
 * What a supervisor is told by signals, which is how systemd speaks to the
 * leader of a machine and to the processes of a scope:
 *
 *   SIGTERM     end at once (machinectl terminate; the scope is stopped)
 *   SIGRTMIN+4  press the power button (machinectl poweroff)
 *   SIGINT      have the guest start over (machinectl reboot)
 *
 * Thread: the loop thread.
 */
#ifndef SUPERVISOR_SIGNALS_H
#define SUPERVISOR_SIGNALS_H

#include "supervisor/supervisor.h"

void signals_begin(struct supervisor *s);
/* The loop must still run. */
void signals_end(struct supervisor *s);

#endif
