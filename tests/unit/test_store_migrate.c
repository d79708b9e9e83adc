#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "store/store_internal.h"

static char dir[] = "/tmp/test-store-migrate-XXXXXX";
static char path[64];

static int setup(void **state)
{
	strcpy(dir + sizeof(dir) - 7, "XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/armvmd.sqlite", dir);
	return 0;
}

static int teardown(void **state)
{
	static const char *const names[] = {"armvmd.sqlite",
					    "armvmd.sqlite-wal",
					    "armvmd.sqlite-shm",
					    "armvmd.sqlite.schema-1",
					    "armvmd.sqlite.schema-2",
					    "armvmd.sqlite.schema-3",
					    "lock"};
	char file[96];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(file, sizeof(file), "%s/%s", dir, names[i]);
		unlink(file);
	}
	return rmdir(dir);
}

static sqlite3 *raw_open(void)
{
	sqlite3 *db = NULL;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	return db;
}

static void raw_exec(const char *sql)
{
	sqlite3 *db = raw_open();

	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static int64_t raw_int(const char *sql)
{
	sqlite3 *db = raw_open();
	int64_t value = -1;

	assert_int_equal(store_query_int(db, sql, &value, NULL), 0);
	sqlite3_close(db);
	return value;
}

struct content {
	uint8_t data[128 * 1024];
	size_t size;
};

static void slurp(struct content *c)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, c->data, sizeof(c->data));

	assert_in_range(n, 1, sizeof(c->data) - 1);
	c->size = (size_t)n;
}

/* Refused with `want` in the message, and not a byte was changed. */
static void expect_refused(const char *want)
{
	static struct content before, after;
	struct store *s = NULL;
	struct error e = ERROR_INIT;

	slurp(&before);
	assert_int_equal(store_open(dir, &s, &e), -EBADMSG);
	assert_null(s);
	if (!strstr(e.message, want) || !strstr(e.message, path))
		fail_msg("\"%s\" is not in \"%s\"", want, e.message);
	slurp(&after);
	assert_int_equal(before.size, after.size);
	assert_memory_equal(before.data, after.data, before.size);
}

static void make_database(void)
{
	struct store *s = NULL;

	assert_int_equal(store_open(dir, &s, NULL), 0);
	store_close(s);
}

static void test_new_database(void **state)
{
	make_database();
	assert_int_equal(raw_int("PRAGMA application_id"),
			 STORE_APPLICATION_ID);
	assert_int_equal(raw_int("PRAGMA user_version"),
			 store_migrations_count);
	make_database(); /* and once more, with nothing left to do */
}

static void test_settings(void **state)
{
	struct store *s = NULL;
	int64_t value = -1;

	assert_int_equal(store_open(dir, &s, NULL), 0);
	assert_int_equal(
		store_query_int(s->db, "PRAGMA synchronous", &value, NULL), 0);
	assert_int_equal(value, 2); /* FULL */
	assert_int_equal(
		store_query_int(s->db, "PRAGMA foreign_keys", &value, NULL), 0);
	assert_int_equal(value, 1);
	assert_int_equal(
		store_query_int(s->db,
				"SELECT count(*) FROM pragma_journal_mode "
				"WHERE journal_mode = 'wal'",
				&value, NULL),
		0);
	assert_int_equal(value, 1);
	assert_int_equal(
		store_query_int(s->db,
				"SELECT count(*) FROM pragma_table_list WHERE "
				"schema = 'main' AND name NOT LIKE 'sqlite%' "
				"AND NOT strict",
				&value, NULL),
		0);
	assert_int_equal(value, 0);
	store_close(s);
}

static void test_newer_is_refused(void **state)
{
	make_database();
	raw_exec("PRAGMA user_version = 99");
	expect_refused("newer armvmd (schema 99");
}

static void test_foreign_is_refused(void **state)
{
	raw_exec("CREATE TABLE bookmark (url TEXT)");
	expect_refused("another program");
	raw_exec("PRAGMA application_id = 7");
	expect_refused("another program");
}

static void test_text_file_is_refused(void **state)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC,
				      0600);

	for (int i = 0; i < 100; i++)
		assert_int_equal(fd_write_full(fd, "no database at all\n", 19),
				 0);
	expect_refused(".recover");
}

static void test_damage_is_refused(void **state)
{
	static const uint8_t noise[600] = {[0 ... 599] = 0x5a};
	_cleanup_close_ int fd = -1;
	int64_t pages;

	make_database();
	raw_exec("PRAGMA journal_mode = DELETE");
	pages = raw_int("PRAGMA page_count");
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_int_equal(
		fd_pwrite_full(fd, noise, sizeof(noise), 4096 * (pages - 1)),
		0);
	expect_refused("damaged");
	expect_refused(".recover");
}

static void test_cut_short_is_refused(void **state)
{
	make_database();
	raw_exec("PRAGMA journal_mode = DELETE");
	assert_int_equal(truncate(path, 4096 * 3), 0);
	expect_refused("damaged");
}

/* What an unlucky recovery makes: our marks, no tables. */
static void test_empty_shell_is_refused(void **state)
{
	raw_exec("PRAGMA application_id = 1095912790; PRAGMA user_version = 1");
	expect_refused("its tables are gone");
}

static void test_steps_run_once_and_in_order(void **state)
{
	static const char *const steps[] = {
		"CREATE TABLE a (x INTEGER) STRICT; INSERT INTO a VALUES (1)",
		"UPDATE a SET x = x * 10 + 2",
		"UPDATE a SET x = x * 10 + 3",
	};
	sqlite3 *db = raw_open();
	int64_t x = 0;

	assert_int_equal(store_migrate(db, path, steps, 2, NULL), 0);
	assert_int_equal(store_query_int(db, "SELECT x FROM a", &x, NULL), 0);
	assert_int_equal(x, 12);
	assert_int_equal(store_migrate(db, path, steps, 3, NULL), 0);
	assert_int_equal(store_migrate(db, path, steps, 3, NULL), 0);
	assert_int_equal(store_query_int(db, "SELECT x FROM a", &x, NULL), 0);
	assert_int_equal(x, 123);
	sqlite3_close(db);
}

static void test_failing_step_leaves_the_schema_before(void **state)
{
	static const char *const steps[] = {
		"CREATE TABLE a (x INTEGER) STRICT",
		"CREATE TABLE b (x INTEGER) STRICT; INSERT INTO nowhere "
		"VALUES (1)",
	};
	sqlite3 *db = raw_open();
	struct error e = ERROR_INIT;
	int64_t value = 0;

	assert_true(store_migrate(db, path, steps, 2, &e) < 0);
	assert_non_null(strstr(e.message, "schema 2"));
	assert_int_equal(sqlite3_get_autocommit(db), 1);
	assert_int_equal(
		store_query_int(db, "PRAGMA user_version", &value, NULL), 0);
	assert_int_equal(value, 1);
	assert_int_equal(store_query_int(db,
					 "SELECT count(*) FROM sqlite_schema "
					 "WHERE name = 'b'",
					 &value, NULL),
			 0);
	assert_int_equal(value, 0);
	sqlite3_close(db);
}

/* A large one is opened first; then it is checked, and refuses to be written.
 */
static void test_large_is_checked_later(void **state)
{
	static const uint8_t noise[4096] = {[0 ... 4095] = 0x5a};
	_cleanup_close_ int fd = -1;
	struct error e = ERROR_INIT;
	struct store *s = NULL;
	int64_t pages, id;

	make_database();
	assert_int_equal(store_check(dir, NULL), 0);
	raw_exec("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL "
		 "SELECT i + 1 FROM n LIMIT 20000) "
		 "INSERT INTO event (time_ms, kind, text) SELECT 0, 'k', "
		 "hex(zeroblob(400)) FROM n");
	raw_exec("PRAGMA journal_mode = DELETE");
	pages = raw_int("PRAGMA page_count");
	assert_true(pages > STORE_LARGE_PAGES);
	assert_int_equal(store_check(dir, NULL), 0);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_int_equal(
		fd_pwrite_full(fd, noise, sizeof(noise), 4096 * (pages - 5)),
		0);
	assert_int_equal(store_open(dir, &s, &e), 0);
	assert_true(store_is_large(s));
	assert_int_equal(store_check(dir, &e), -EBADMSG);
	assert_non_null(strstr(e.message, ".recover"));
	store_refuse(s);
	assert_int_equal(store_vm_add(s, "u", "web", "{}", &id, &e), -EBADMSG);
	assert_non_null(strstr(e.message, "is not written any more"));
	store_close(s);
}

#define UUID_DB "22222222-2222-4222-8222-222222222222"

/* A database as schema 1 left it, with a VM, its variables and its run. */
static void test_from_schema_1(void **state)
{
	static const char rows[] =
		"INSERT INTO vm (uuid, name, config, created_ms) VALUES "
		"('u-1', 'web', '{\"hypervisor\":\"kvm\",\"vcpus\":3,"
		"\"memory\":134217728,\"disks\":[{},{}]}', 5), "
		"('" UUID_DB "', 'db', '{}', 6);"
		"INSERT INTO variable VALUES (1, 'g', 'Boot0000', 7, x'00', 0, "
		"0, x'01', 1);"
		"INSERT INTO run VALUES (1, 4711, 99, 'boot')";
	sqlite3 *db = raw_open();
	struct store_vm vm = {0};
	struct store *s = NULL;

	assert_int_equal(store_migrate(db, path, store_migrations, 1, NULL), 0);
	assert_int_equal(sqlite3_exec(db, rows, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	assert_int_equal(store_open(dir, &s, NULL), 0);
	assert_int_equal(store_vm_get(s, "web", &vm, NULL), 0);
	assert_string_equal(vm.state, "starting"); /* its run decides */
	store_vm_done(&vm);
	assert_int_equal(store_vm_get(s, UUID_DB, &vm, NULL), 0);
	assert_string_equal(vm.state, "stopped");
	store_vm_done(&vm);
	store_close(s);
	assert_int_equal(raw_int("SELECT count(*) FROM vm WHERE name = 'web' "
				 "AND hypervisor = 'kvm' AND vcpus = 3 AND "
				 "memory = 134217728 AND disks = 2 AND "
				 "nics = 0 AND labels = '{}' AND revision = 1"),
			 1);
	assert_int_equal(raw_int("SELECT count(*) FROM variable"), 1);
	assert_int_equal(raw_int("SELECT pid FROM run"), 4711);
}

/* A VM that runs while the schema changes has nothing but its definition. */
static void test_from_schema_3(void **state)
{
	static const char rows[] =
		"INSERT INTO vm (uuid, name, config, created_ms, state) "
		"VALUES ('u-1', 'web', '{}', 5, 'running');"
		"INSERT INTO run VALUES (1, 4711, 99, 'boot')";
	_cleanup_free_ char *live = NULL;
	sqlite3 *db = raw_open();
	struct store *s = NULL;

	assert_int_equal(store_migrate(db, path, store_migrations, 3, NULL), 0);
	assert_int_equal(sqlite3_exec(db, rows, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	assert_int_equal(store_open(dir, &s, NULL), 0);
	assert_int_equal(store_run_live(s, 1, &live, NULL), 0);
	assert_string_equal(live, "[]");
	store_close(s);
	assert_int_equal(raw_int("SELECT pid FROM run"), 4711);
}

static int64_t copy_int(const char *sql)
{
	sqlite3 *db = NULL;
	char file[96];
	int64_t value = -1;

	snprintf(file, sizeof(file), "%s.schema-3", path);
	assert_int_equal(sqlite3_open_v2(file, &db, SQLITE_OPEN_READONLY, NULL),
			 SQLITE_OK);
	assert_int_equal(store_query_int(db, sql, &value, NULL), 0);
	sqlite3_close(db);
	return value;
}

/* What an upgrade found stays beside it, and messages say where. */
static void test_copy_before_a_migration(void **state)
{
	sqlite3 *db = raw_open();
	struct store *s = NULL;
	struct error e = ERROR_INIT;
	char file[96];

	assert_int_equal(store_migrate(db, path, store_migrations, 3, NULL), 0);
	assert_int_equal(
		sqlite3_exec(db,
			     "INSERT INTO vm (uuid, name, config, "
			     "created_ms) VALUES ('u', 'web', '{}', 5)",
			     NULL, NULL, NULL),
		SQLITE_OK);
	sqlite3_close(db);
	/* Without a copy nothing is migrated. */
	snprintf(file, sizeof(file), "%s.schema-3.new", path);
	assert_int_equal(mkdir(file, 0700), 0);
	assert_true(store_open(dir, &s, &e) < 0);
	assert_non_null(strstr(e.message, "was not touched"));
	assert_int_equal(raw_int("PRAGMA user_version"), 3);
	assert_int_equal(rmdir(file), 0);
	assert_int_equal(store_open(dir, &s, NULL), 0);
	store_close(s);
	assert_int_equal(copy_int("PRAGMA user_version"), 3);
	assert_int_equal(copy_int("PRAGMA application_id"),
			 STORE_APPLICATION_ID);
	assert_int_equal(copy_int("SELECT count(*) FROM vm"), 1);
	assert_int_equal(access(file, F_OK), -1);
	raw_exec("PRAGMA user_version = 99");
	expect_refused(".schema-3");
}

/* What schema 2 has is all still there, and nobody has a cid. */
static void test_from_schema_2(void **state)
{
	static const char rows[] =
		"INSERT INTO vm (uuid, name, config, created_ms, state, vcpus) "
		"VALUES ('u-1', 'web', '{}', 5, 'running', 3), "
		"('u-2', 'db', '{}', 6, 'stopped', 1)";
	sqlite3 *db = raw_open();
	struct store *s = NULL;

	assert_int_equal(store_migrate(db, path, store_migrations, 2, NULL), 0);
	assert_int_equal(sqlite3_exec(db, rows, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	assert_int_equal(store_open(dir, &s, NULL), 0);
	store_close(s);
	assert_int_equal(raw_int("SELECT count(*) FROM vm WHERE vsock_cid IS "
				 "NULL AND state IN ('running', 'stopped')"),
			 2);
	assert_int_equal(raw_int("SELECT vcpus FROM vm WHERE name = 'web'"), 3);
}

#define each(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		each(test_new_database),
		each(test_settings),
		each(test_newer_is_refused),
		each(test_foreign_is_refused),
		each(test_text_file_is_refused),
		each(test_damage_is_refused),
		each(test_cut_short_is_refused),
		each(test_empty_shell_is_refused),
		each(test_steps_run_once_and_in_order),
		each(test_failing_step_leaves_the_schema_before),
		each(test_from_schema_1),
		each(test_from_schema_2),
		each(test_from_schema_3),
		each(test_copy_before_a_migration),
		each(test_large_is_checked_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
