/*
 * Opening and closing: the directory, the lock that makes this the only
 * writer, the connection and its settings.
 */
#include "store/store_internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "lib/base/fd.h"

DEFINE_CLEANUP(store_close, struct store *)

static int open_dir(const char *dir, int *ret_fd, struct error *e)
{
	int fd;

	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return error_set(e, -errno, "cannot make directory %s: %s", dir,
				 strerror(errno));
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return error_set(e, -errno, "cannot open directory %s: %s", dir,
				 strerror(errno));
	*ret_fd = fd;
	return 0;
}

/* The kernel drops the lock with the process, however it ends. */
static int take_lock(int dir_fd, const char *dir, int *ret_fd, struct error *e)
{
	_cleanup_close_ int fd = -1;
	char holder[16] = "";

	fd = openat(dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
		    0600);
	if (fd < 0)
		return error_set(e, -errno, "cannot open %s/lock: %s", dir,
				 strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK)
			return error_set(e, -errno, "cannot lock %s/lock: %s",
					 dir, strerror(errno));
		if (pread(fd, holder, sizeof(holder) - 1, 0) <= 0)
			strcpy(holder, "unknown");
		return error_set(e, -EBUSY,
				 "directory %s is in use by another armvmd "
				 "(pid %.15s); stop it, or name another "
				 "directory",
				 dir, holder);
	}
	/* Only for that message; the lock does not depend on it. */
	if (ftruncate(fd, 0) == 0)
		(void)!dprintf(fd, "%d", (int)getpid());
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* SQLite would make the file with the umask's mode; variables are private. */
static int make_file(int dir_fd, const char *path, struct error *e)
{
	_cleanup_close_ int fd = -1;

	fd = openat(dir_fd, "armvmd.sqlite",
		    O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return error_set(e, -errno, "cannot open database %s: %s", path,
				 strerror(errno));
	if (fsync(dir_fd) < 0)
		return error_set(e, -errno,
				 "cannot sync the directory of %s: %s", path,
				 strerror(errno));
	return 0;
}

static int open_database(struct store *s, struct error *e)
{
	int r, rc;

	rc = sqlite3_open_v2(s->path, &s->db,
			     SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX |
				     SQLITE_OPEN_EXRESCODE,
			     NULL);
	if (rc != SQLITE_OK)
		return store_error(s->db, rc, "open the database", e);
	sqlite3_busy_timeout(s->db, STORE_BUSY_TIMEOUT_MS);
	/* A refused database must not even be checkpointed on the way out. */
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	r = store_migrate(s->db, s->path, store_migrations,
			  store_migrations_count, e);
	if (r < 0)
		return r;
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
	return store_exec(s->db,
			  "PRAGMA journal_mode = WAL;"
			  "PRAGMA synchronous = FULL;"
			  "PRAGMA foreign_keys = ON;"
			  "PRAGMA cache_size = -16384;" /* KiB */
			  /* What savepoints undo; a batch has many. */
			  "PRAGMA temp_store = MEMORY;"
			  "PRAGMA trusted_schema = OFF;",
			  "configure the database", e);
}

int store_open(const char *dir, struct store **ret, struct error *e)
{
	_cleanup_(store_closep) struct store *s = calloc(1, sizeof(*s));
	_cleanup_close_ int dir_fd = -1;
	int r;

	if (!s)
		return error_set(e, -ENOMEM, "out of memory");
	s->lock_fd = -1;
	s->fail_after = -1;
	if (asprintf(&s->path, "%s/armvmd.sqlite", dir) < 0) {
		s->path = NULL;
		return error_set(e, -ENOMEM, "out of memory");
	}
	r = open_dir(dir, &dir_fd, e);
	if (r == 0)
		r = take_lock(dir_fd, dir, &s->lock_fd, e);
	if (r == 0)
		r = make_file(dir_fd, s->path, e);
	if (r == 0)
		r = open_database(s, e);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(s);
	return 0;
}

struct store *store_close(struct store *s)
{
	if (!s)
		return NULL;
	store_rollback(s);
	for (size_t i = 0; i < STMT_COUNT; i++)
		sqlite3_finalize(s->stmts[i]);
	sqlite3_close(s->db);
	fd_close(s->lock_fd);
	free(s->path);
	free(s);
	return NULL;
}
