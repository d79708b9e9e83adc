/*
 * Judging a database before touching it, then bringing its schema up to date.
 */
#include "store/store_internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/base/fd.h"

#define HINT_MAX 256

/* For a message: the newest copy that a migration has left (store_backup()). */
static const char *earlier(const char *path, char hint[HINT_MAX])
{
	static const char words[] = "; as it was before an upgrade it is in ";

	for (int version = store_migrations_count; version > 0; version--) {
		snprintf(hint, HINT_MAX, "%s%s.schema-%d", words, path,
			 version);
		if (access(hint + strlen(words), F_OK) == 0)
			return hint;
	}
	return "";
}

static int refuse_damaged(const char *path, const char *words, struct error *e)
{
	char hint[HINT_MAX];

	/* Debian 12 builds sqlite3 without the page table .recover reads. */
	return error_set(
		e, -EBADMSG,
		"database %s is damaged (%s) and was left as it is; "
		"keep a copy, then try: sqlite3 %s .recover >rows.sql "
		"(with sqlite.org's build: Debian 12's finds no rows)%s",
		path, words, path, earlier(path, hint));
}

/* PRAGMA quick_check answers one row "ok", or rows of complaints. */
static int check_integrity(sqlite3 *db, const char *path, struct error *e)
{
	sqlite3_stmt *stmt = NULL;
	const char *words;
	int r = 0, rc;

	rc = sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &stmt, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW) {
		words = (const char *)sqlite3_column_text(stmt, 0);
		if (!words || !streq(words, "ok"))
			r = refuse_damaged(path, words ? words : "no answer",
					   e);
	} else if (rc == SQLITE_CORRUPT || rc == SQLITE_NOTADB) {
		r = refuse_damaged(path, sqlite3_errmsg(db), e);
	} else {
		r = store_error(db, rc, "check the database", e);
	}
	sqlite3_finalize(stmt);
	return r;
}

static int read_pragma(sqlite3 *db, const char *path, const char *sql,
		       int64_t *ret, struct error *e)
{
	int r = store_query_int(db, sql, ret, e), rc = sqlite3_errcode(db);

	if (r < 0 && (rc == SQLITE_NOTADB || rc == SQLITE_CORRUPT))
		return refuse_damaged(path, sqlite3_errmsg(db), e);
	return r;
}

int store_check(const char *dir, struct error *e)
{
	_cleanup_free_ char *path = NULL;
	sqlite3 *db = NULL;
	int r, rc;

	if (asprintf(&path, "%s/armvmd.sqlite", dir) < 0) {
		path = NULL;
		return error_set(e, -ENOMEM, "out of memory");
	}
	rc = sqlite3_open_v2(path, &db,
			     SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
	r = rc == SQLITE_OK ? check_integrity(db, path, e)
			    : store_error(db, rc, "check the database", e);
	sqlite3_close(db);
	return r;
}

static bool is_large(sqlite3 *db)
{
	int64_t pages = 0;

	return store_query_int(db, "PRAGMA page_count", &pages, NULL) == 0 &&
	       pages > STORE_LARGE_PAGES;
}

/* Ours or empty, not newer, sound; *ret_version is its schema. */
static int judge(sqlite3 *db, const char *path, int newest,
		 int64_t *ret_version, struct error *e)
{
	int64_t id = 0, version = 0, tables = 0;
	char hint[HINT_MAX];
	int r;

	r = read_pragma(db, path, "PRAGMA application_id", &id, e);
	if (r == 0)
		r = read_pragma(db, path, "PRAGMA user_version", &version, e);
	if (r == 0)
		r = read_pragma(db, path, "SELECT count(*) FROM sqlite_schema",
				&tables, e);
	if (r < 0)
		return r;
	if (id != STORE_APPLICATION_ID && (id || version || tables))
		return error_set(e, -EBADMSG,
				 "%s is a database of another program and was "
				 "left as it is; move it away or name another "
				 "directory",
				 path);
	if (version > newest || version < 0)
		return error_set(e, -EBADMSG,
				 "database %s was written by a newer armvmd "
				 "(schema %lld, this one knows up to %d) and "
				 "was left as it is; run the newer armvmd, or "
				 "move the file away to start empty%s",
				 path, (long long)version, newest,
				 earlier(path, hint));
	if (version > 0 && tables == 0)
		return refuse_damaged(path, "its tables are gone", e);
	/* A migration rewrites what it finds: never unseen. */
	if (version < newest || !is_large(db))
		r = check_integrity(db, path, e);
	if (r == 0)
		*ret_version = version;
	return r;
}

static int copy_into(sqlite3 *db, const char *file, struct error *e)
{
	_cleanup_close_ int fd = -1;
	sqlite3_stmt *q = NULL;
	int rc;

	unlink(file);
	rc = sqlite3_prepare_v2(db, "VACUUM INTO ?1", -1, &q, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_bind_text(q, 1, file, -1, SQLITE_STATIC);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(q);
	sqlite3_finalize(q);
	if (rc != SQLITE_DONE)
		return store_error(db, rc, "copy the database", e);
	fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0)
		return error_set(e, -errno, "cannot sync %s: %m", file);
	return 0;
}

/* What is to be migrated stays beside it as it was: whole, or not there. */
static int store_backup(sqlite3 *db, const char *path, int64_t version,
			struct error *e)
{
	_cleanup_free_ char *file = NULL, *fresh = NULL;
	int r;

	if (asprintf(&file, "%s.schema-%lld", path, (long long)version) < 0 ||
	    asprintf(&fresh, "%s.new", file) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	r = copy_into(db, fresh, e);
	if (r == 0 && rename(fresh, file) < 0)
		r = error_set(e, -errno, "cannot rename %s: %m", fresh);
	if (r < 0)
		unlink(fresh);
	return r < 0 ? error_prefix(e, r,
				    "database %s was not touched, as no copy "
				    "could be made before its upgrade",
				    path)
		     : 0;
}

/* One step and the number that records it are one transaction. */
static int apply(sqlite3 *db, const char *sql, int version, struct error *e)
{
	char mark[96];
	int r;

	snprintf(mark, sizeof(mark),
		 "PRAGMA application_id = %d; PRAGMA user_version = %d",
		 STORE_APPLICATION_ID, version);
	r = store_exec(db, "BEGIN IMMEDIATE", "begin a migration", e);
	if (r < 0)
		return r;
	r = store_exec(db, sql, "migrate the schema", e);
	if (r == 0)
		r = store_exec(db, mark, "record the schema version", e);
	if (r == 0)
		r = store_exec(db, "COMMIT", "commit a migration", e);
	if (r < 0 && !sqlite3_get_autocommit(db))
		(void)!store_exec(db, "ROLLBACK", "roll back", NULL);
	return r;
}

int store_migrate(sqlite3 *db, const char *path, const char *const *steps,
		  int n_steps, struct error *e)
{
	int64_t version = 0;
	int r;

	r = judge(db, path, n_steps, &version, e);
	if (r == 0 && version > 0 && version < n_steps)
		r = store_backup(db, path, version, e);
	if (r < 0)
		return r;
	for (int i = (int)version; i < n_steps; i++) {
		r = apply(db, steps[i], i + 1, e);
		if (r < 0)
			return error_prefix(e, r, "database %s, schema %d",
					    path, i + 1);
	}
	return 0;
}
