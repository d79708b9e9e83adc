/* Who is at the guest's consoles, and which of them may type. */
#include "supervisor/handlers_internal.h"

const char *const console_device_names[] = {
	[CONSOLE_DEFAULT] = "default",
	[CONSOLE_PL011] = "pl011",
	[CONSOLE_VIRTIO] = "virtio",
	NULL,
};

struct chardev *supervisor_console(struct supervisor *s,
				   enum console_device device)
{
	bool only_virtio = s->config.console == VM_CONSOLE_VIRTIO;

	if (device == CONSOLE_VIRTIO ||
	    (device == CONSOLE_DEFAULT && only_virtio && s->virtio_console))
		return s->virtio_console;
	return s->console;
}

static const char *name_of(const struct supervisor *s, const struct chardev *c)
{
	return console_device_names[c == s->virtio_console ? CONSOLE_VIRTIO
							   : CONSOLE_PL011];
}

static void add_text(json_object *o, const char *key, const char *text)
{
	json_object_object_add(o, key, json_object_new_string(text));
}

void supervisor_console_writer(void *cookie, struct chardev *c)
{
	struct supervisor *s = cookie;
	json_object *message = supervisor_message(WIRE_CONSOLE_WRITER);
	const char *who;
	uint64_t session = chardev_writer(c, &who);

	add_text(message, "device", name_of(s, c));
	json_object_object_add(message, "session",
			       json_object_new_uint64(session));
	add_text(message, "who", who);
	supervisor_tell(s, message);
}

static int find_console(struct supervisor *s, const struct request *q,
			struct chardev **ret, struct error *e)
{
	if (!s->console)
		return error_set_code(e, ERROR_STATE,
				      "VM %s has no console yet: it is not "
				      "configured",
				      s->name);
	*ret = supervisor_console(s, (enum console_device)q->console_device);
	if (!*ret)
		return error_set_code(e, ERROR_STATE,
				      "VM %s has no virtio console: its "
				      "definition says \"console\": \"pl011\"",
				      s->name);
	return 0;
}

int handle_console(struct supervisor *s, const struct request *q,
		   struct reply *reply, struct error *e)
{
	struct chardev_seat seat = {
		.who = q->who ? q->who : "",
		.want = (enum chardev_want)q->want,
	};
	struct chardev *c;
	const char *writer;
	int r;

	if (q->n_fds != 1)
		return error_set(e, -EINVAL,
				 "console needs one descriptor: a stream "
				 "socket");
	r = find_console(s, q, &c, e);
	if (r == 0)
		r = chardev_attach(c, TAKE_FD(q->fds[0]), &seat, e);
	if (r < 0)
		return r;
	chardev_writer(c, &writer);
	add_text(reply->object, "device", name_of(s, c));
	json_object_object_add(reply->object, "session",
			       json_object_new_uint64(seat.session));
	json_object_object_add(reply->object, "writes",
			       json_object_new_boolean(seat.writes));
	add_text(reply->object, "writer", writer);
	return 0;
}

int handle_console_take(struct supervisor *s, const struct request *q,
			struct reply *reply, struct error *e)
{
	struct chardev *c;
	int r = find_console(s, q, &c, e);

	return r < 0 ? r
		     : chardev_take_over(c, q->session, q->who ? q->who : "",
					 e);
}
