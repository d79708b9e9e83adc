/*
 * A snapshot file that comes to be: without a name while it is written, with
 * its name once it is whole and on the disk. Where the file system knows no
 * nameless files it is called `.NAME.part` meanwhile; what a killed daemon left
 * of that is removed by snapshot_file_remove_part().
 *
 * Thread: one at a time.
 */
#ifndef DAEMON_SNAPSHOT_FILE_H
#define DAEMON_SNAPSHOT_FILE_H

#include <stdbool.h>

#include "lib/base/error.h"

struct snapshot_file {
	int fd, dir_fd;	   /* -1: none */
	char *path, *part; /* part: the name in its directory */
	bool overwrite, named;
};

/* -EEXIST when there is a file of that name already, unless `overwrite`. */
int snapshot_file_open(const char *path, bool overwrite,
		       struct snapshot_file *ret, struct error *e) must_check;
/* The content was synced; now the name. */
int snapshot_file_publish(struct snapshot_file *f, struct error *e) must_check;
/* What was not published is gone. */
void snapshot_file_done(struct snapshot_file *f);

void snapshot_file_remove_part(const char *path);

#endif
