#include "vmm-kvm/notes.h"

#include <stdio.h>

#include "lib/base/parse.h"

void notes_init(struct notes *n)
{
	*n = (struct notes){0};
	pthread_mutex_init(&n->lock, NULL);
}

void notes_done(struct notes *n)
{
	pthread_mutex_destroy(&n->lock);
}

void notes_leave(struct notes *n, enum board_note note, uint64_t value)
{
	pthread_mutex_lock(&n->lock);
	n->left |= 1u << note;
	n->values[note] = value;
	pthread_mutex_unlock(&n->lock);
}

void notes_device_failed(struct notes *n, const char *why)
{
	pthread_mutex_lock(&n->lock);
	n->left |= 1u << BOARD_NOTE_DEVICE;
	snprintf(n->device_failed, sizeof(n->device_failed), "%s", why);
	pthread_mutex_unlock(&n->lock);
}

static bool take(struct notes *n, enum board_note *ret, uint64_t *ret_value)
{
	bool any;

	pthread_mutex_lock(&n->lock);
	any = n->left;
	if (any) {
		*ret = (enum board_note)__builtin_ctz(n->left);
		*ret_value = n->values[*ret];
		n->left &= n->left - 1;
	}
	pthread_mutex_unlock(&n->lock);
	return any;
}

bool notes_take(struct notes *n, enum vmm_event_kind *ret_kind,
		char detail[ERROR_MESSAGE_MAX])
{
	enum board_note note;
	uint64_t value;
	char size[16];

	if (!take(n, &note, &value))
		return false;
	detail[0] = '\0';
	switch (note) {
	case BOARD_NOTE_PANIC:
		*ret_kind = VMM_EVENT_PANIC;
		snprintf(detail, ERROR_MESSAGE_MAX,
			 "the guest's kernel panicked");
		break;
	case BOARD_NOTE_WATCHDOG:
		*ret_kind = VMM_EVENT_WATCHDOG;
		break;
	case BOARD_NOTE_BALLOON:
		*ret_kind = VMM_EVENT_BALLOON;
		snprintf(detail, ERROR_MESSAGE_MAX, "the guest has %s left",
			 format_size(value, size, sizeof(size)));
		break;
	case BOARD_NOTE_DEVICE:
		*ret_kind = VMM_EVENT_DEVICE_FAILED;
		pthread_mutex_lock(&n->lock);
		snprintf(detail, ERROR_MESSAGE_MAX, "%s", n->device_failed);
		pthread_mutex_unlock(&n->lock);
		break;
	case BOARD_NOTE_COUNT:
		return false;
	}
	return true;
}

void notes_drop(struct notes *n)
{
	pthread_mutex_lock(&n->lock);
	n->left = 0;
	n->io_errors = 0;
	n->io_held = false;
	pthread_mutex_unlock(&n->lock);
}

void notes_io_error(struct notes *n, const char *what, bool held)
{
	pthread_mutex_lock(&n->lock);
	/* One that stops the machine is what it is told of. */
	if (n->io_errors++ == 0 || (held && !n->io_held))
		snprintf(n->io_what, sizeof(n->io_what), "%s", what);
	n->io_held |= held;
	pthread_mutex_unlock(&n->lock);
}

static void tell_io(struct notes *n, enum vmm_event_kind *ret_kind,
		    char detail[ERROR_MESSAGE_MAX])
{
	*ret_kind = n->io_held ? VMM_EVENT_IO_HELD : VMM_EVENT_IO_ERROR;
	if (n->io_errors > 1)
		snprintf(detail, ERROR_MESSAGE_MAX, "%.400s (and %u more)",
			 n->io_what, n->io_errors - 1);
	else
		snprintf(detail, ERROR_MESSAGE_MAX, "%s", n->io_what);
	n->io_errors = 0;
	n->io_held = false;
}

bool notes_take_io(struct notes *n, uint64_t now_ns,
		   enum vmm_event_kind *ret_kind,
		   char detail[ERROR_MESSAGE_MAX], uint64_t *ret_wait_ms)
{
	const uint64_t interval_ns = NOTES_IO_INTERVAL_MS * 1000000ull;
	uint64_t since;
	bool tell;

	pthread_mutex_lock(&n->lock);
	since = now_ns - n->io_told_ns;
	tell = n->io_errors > 0 &&
	       (n->io_held || !n->io_told_ns || since >= interval_ns);
	*ret_wait_ms = n->io_errors > 0 && !tell
			       ? (interval_ns - since) / 1000000 + 1
			       : 0;
	if (tell) {
		tell_io(n, ret_kind, detail);
		n->io_told_ns = now_ns;
	}
	pthread_mutex_unlock(&n->lock);
	return tell;
}

void notes_stop(struct notes *n, enum kvm_vcpu_stop why, const char *detail)
{
	pthread_mutex_lock(&n->lock);
	if (!n->stopped) {
		n->stopped = true;
		n->stop.why = why;
		snprintf(n->stop.detail, sizeof(n->stop.detail), "%s", detail);
	}
	pthread_mutex_unlock(&n->lock);
}

bool notes_stopped(struct notes *n)
{
	bool stopped;

	pthread_mutex_lock(&n->lock);
	stopped = n->stopped;
	pthread_mutex_unlock(&n->lock);
	return stopped;
}

bool notes_take_stop(struct notes *n, struct notes_stop *ret)
{
	bool stopped;

	pthread_mutex_lock(&n->lock);
	stopped = n->stopped;
	*ret = n->stop;
	n->stopped = false;
	pthread_mutex_unlock(&n->lock);
	return stopped;
}
