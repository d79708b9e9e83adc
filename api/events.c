#include "api/events.h"

#include <stddef.h>

#include "lib/base/util.h"

#define DETAIL "detail"

const struct api_event_kind api_event_kinds[] = {
	{"defined", "from",
	 "A VM was defined; cloned, from the VM of that uuid.", false},
	{"updated", "revision", "Its definition is another.", false},
	{"renamed", "previous_name, revision", "It has another name.", false},
	{"deleted", "variables_kept",
	 "It is gone; also a transient one that has stopped.", false},
	{"state", "state, previous, reason",
	 "It is in another state; why, where there is a why.", false},
	{"job", "job, method, state, step, progress, code, reason",
	 "A job began, got on (at most twice a second) or ended; code and "
	 "reason of one that failed.",
	 false},
	{"device", "device, type, state, slot, address, driver, detail",
	 "A disk or nic is being attached (requested, offered, acknowledged, "
	 "active) or detached (releasing, released); failed: nothing changed.",
	 false},
	{"resize", DETAIL, "A disk has another size.", false},
	{"nic-link", "device, link", "A nic's cable was plugged in or out.",
	 false},
	{"console", "device, session, writer",
	 "Who types at a console; session 0: nobody.", false},
	{"autostart-failed", DETAIL, "It could not be started with the host.",
	 false},
	{"restarting", DETAIL, "It is started again, as on_crash says.", false},
	{"restart-failed", DETAIL, "That start failed; there is another try.",
	 false},
	{"restart-limit", DETAIL,
	 "It crashed too often, and is not started again.", false},
	{"preserved", DETAIL, "It was paused, as on_crash or on_reboot says.",
	 false},
	{"saved", "path, bytes, created_ms", "A snapshot of it was written.",
	 false},
	{"restored", DETAIL, "It goes on from a snapshot.", false},
	{"thaw-failed", DETAIL,
	 "Its file systems were frozen when it was saved, and still are.",
	 false},
	{"filesystem-lost", DETAIL,
	 "The server of a shared folder ended; another was started, or not.",
	 false},
	{"nvram-stalled", DETAIL,
	 "A UEFI variable cannot be stored; the guest waits for it.", false},
	{"reset", DETAIL, "The guest, or somebody, has reset it.", true},
	{"panic", DETAIL, "The guest says that it panicked.", true},
	{"watchdog", DETAIL, "The guest let its watchdog expire.", true},
	{"balloon", DETAIL, "The guest has given memory back, or taken it.",
	 true},
	{"io-error", DETAIL, "The host failed to read or write a disk.", true},
	{"nic-failed", DETAIL, "A nic's host end is gone; its link is down.",
	 true},
	{"device-failed", DETAIL,
	 "A device got what no driver sends, and waits for a reset.", true},
	{"console-log", DETAIL,
	 "What it prints cannot be written down, or can again.", true},
	{NULL, NULL, NULL, false},
};

const struct api_event_kind *api_event_kind_by_name(const char *name)
{
	const struct api_event_kind *k = api_event_kinds;

	while (k->name && !streq(k->name, name))
		k++;
	return k->name ? k : NULL;
}
