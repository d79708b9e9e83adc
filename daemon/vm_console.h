/*
 * What a supervisor says of its consoles, judged.
 */
#ifndef DAEMON_VM_CONSOLE_H
#define DAEMON_VM_CONSOLE_H

#include "daemon/vm.h"

/* More changes of the writer than these a second are not announced. */
#define VM_CONSOLE_EVENTS_MAX 50

/* The reply to "console", as vm.console shows it; owned by the caller. */
int vm_console_seat(struct vm *vm, json_object *reply, json_object **ret,
		    struct error *e) must_check;

/* Message "console-writer": an event. */
void vm_console_message(struct vm *vm, json_object *message);

#endif
