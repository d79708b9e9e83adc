#include "supervisor/probe.h"

#include <stdio.h>

#include "lib/base/log.h"
#include "supervisor/backends.h"

static int probe(int fd, json_object **ret, struct error *e)
{
	for (const struct backend *b = supervisor_backends; b->ops; b++)
		if (b->probe)
			return b->probe(fd, ret, e);
	return error_set(e, -EOPNOTSUPP,
			 "KVM for ARM guests needs an AArch64 host");
}

int probe_run(int fd)
{
	_cleanup_json_ json_object *object = NULL;
	struct error e = ERROR_INIT;
	int r = probe(fd, &object, &e);

	if (r < 0) {
		object = json_object_new_object();
		json_object_object_add(object, "error",
				       json_object_new_string(e.message));
	}
	if (puts(json_text(object)) < 0 || fflush(stdout)) {
		log_error("the answer cannot be written");
		return error_code_exit(ERROR_INTERNAL);
	}
	return r < 0 ? error_code_exit(e.code) : 0;
}
