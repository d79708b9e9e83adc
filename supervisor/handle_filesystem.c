/* Folders of the host whose servers come and go: see lib/wire/messages.h. */
#include <stdio.h>

#include "lib/base/log.h"
#include "supervisor/handlers_internal.h"

#define REQUEST(member) offsetof(struct request, member)

const struct json_field filesystem_fields[] = {
	{.name = "type", .kind = JSON_STRING, .offset = REQUEST(type)},
	{.name = "id", .kind = JSON_U64, .offset = REQUEST(id)},
	{.name = "tag",
	 .kind = JSON_STRING,
	 .offset = REQUEST(tag),
	 .flags = JSON_REQUIRED},
	JSON_END,
};

static void tell(struct supervisor *s, size_t i)
{
	json_object *message = supervisor_message(WIRE_FILESYSTEM_LOST);

	json_object_object_add(
		message, "tag",
		json_object_new_string(s->config.filesystems[i].tag));
	json_object_object_add(message, "detail",
			       json_object_new_string(s->lost[i]));
	supervisor_tell(s, message);
}

void filesystem_lost(void *cookie, size_t index, const char *why)
{
	struct supervisor *s = cookie;

	snprintf(s->lost[index], sizeof(s->lost[index]), "%s", why);
	log_vm(LOG_LEVEL_WARNING, s->name, "%s", why);
	tell(s, index);
}

void filesystems_greet(struct supervisor *s)
{
	for (size_t i = 0; i < s->config.n_filesystems; i++)
		if (s->lost[i][0])
			tell(s, i);
}

int handle_filesystem(struct supervisor *s, const struct request *q,
		      struct reply *reply, struct error *e)
{
	size_t i = 0;
	int r;

	if (!s->vmm || !s->ops->set_filesystem || q->n_fds != 1)
		return error_set(e, -EINVAL,
				 "a filesystem comes with one descriptor, for "
				 "a machine that has some");
	while (i < s->config.n_filesystems &&
	       !streq(s->config.filesystems[i].tag, q->tag))
		i++;
	if (i == s->config.n_filesystems)
		return error_set(e, -ENOENT, "no filesystem has the tag \"%s\"",
				 q->tag);
	s->lost[i][0] = '\0';
	r = s->ops->set_filesystem(s->vmm, i, TAKE_FD(q->fds[0]), e);
	return r;
}
