/*
 * The file of a VM that is being saved, from its first byte to its name. What
 * the supervisor sends is copied by a thread; what the daemon knows is put in
 * front when the first of it arrives, for then the machine stands still.
 *
 * Thread: the loop thread.
 */
#ifndef DAEMON_SAVE_FILE_H
#define DAEMON_SAVE_FILE_H

#include "daemon/vm.h"

struct save_file;

int save_file_new(struct vm *vm, const char *path, bool overwrite,
		  struct save_file **ret, struct error *e) must_check;
/* NULL is fine; what has no name yet is gone. Not while it is written. */
void save_file_free(struct save_file *f);

struct save_file_params {
	int sock; /* consumed */
	bool paused, frozen, compressed;
	/* What runs: taken. `differs`: it is not the definition alone. */
	struct vm_config *config;
	bool differs;
	void (*ended)(void *cookie, const struct error *e);
	void *cookie;
};

/*
 * Write down what comes from the socket until it ends, and sync it.
 * `ended` comes once, from the loop: all of it is on the disk, or why not; in
 * that case the other end has been told by the end of the stream.
 */
void save_file_begin(struct save_file *f, const struct save_file_params *p);
/* End it early; `ended` follows, with or without an error. */
void save_file_stop(struct save_file *f);
/* The loop is about to end: `ended` comes at once. */
void save_file_abandon(struct save_file *f);

/* It ended well: give it its name. */
int save_file_publish(struct save_file *f, struct error *e) must_check;
/* path, bytes and created_ms into `o`. */
void save_file_describe(const struct save_file *f, json_object *o);

/*
 * What became of one that a killed daemon was writing since `began_ms` to
 * `path`: NULL when there is none, or what save_file_describe() says. With
 * `remove` it is removed.
 */
json_object *save_file_settle(const char *path, int64_t began_ms, bool remove);

#endif
