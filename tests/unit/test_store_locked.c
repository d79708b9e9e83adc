/* Another process holds the database's lock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <sqlite3.h>

#include "tests/unit/store_dir.h"

#define UUID_A "11111111-1111-4111-8111-111111111111"
#define UUID_B "22222222-2222-4222-8222-222222222222"

static sqlite3 *stranger_lock(const struct store_dir *d)
{
	char path[96];
	sqlite3 *db;

	snprintf(path, sizeof(path), "%s/armvmd.sqlite", d->path);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL),
			 SQLITE_OK);
	return db;
}

static void stranger_goes(sqlite3 *db)
{
	assert_int_equal(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL),
			 SQLITE_OK);
	sqlite3_close(db);
}

static void test_ready(void **state)
{
	struct store_dir *d = *state;
	int64_t id = 0, count = 0;
	sqlite3 *db;

	/* Who does not batch waits by itself. */
	assert_true(store_ready(d->store));
	assert_false(store_dirty(d->store));
	store_batch(d->store);
	db = stranger_lock(d);
	assert_false(store_ready(d->store));
	assert_false(store_dirty(d->store));
	assert_int_equal(store_vm_add(d->store, UUID_A, "web", "{}", &id, NULL),
			 -EBUSY);
	assert_int_equal(store_vm_count(d->store, &count, NULL), 0);
	assert_int_equal(count, 0);
	assert_int_equal(store_flush(d->store, NULL), 0);
	stranger_goes(db);
	/* From then on it is ours until the flush. */
	assert_true(store_ready(d->store));
	assert_true(store_dirty(d->store));
	assert_true(store_ready(d->store));
	assert_int_equal(store_vm_add(d->store, UUID_A, "web", "{}", &id, NULL),
			 0);
	assert_int_equal(store_flush(d->store, NULL), 0);
	assert_false(store_dirty(d->store));
	db = stranger_lock(d);
	assert_false(store_ready(d->store));
	stranger_goes(db);
	/* Without having asked. */
	assert_int_equal(store_vm_add(d->store, UUID_B, "db", "{}", &id, NULL),
			 0);
	assert_int_equal(store_flush(d->store, NULL), 0);
	store_dir_reopen(d);
	assert_int_equal(store_vm_count(d->store, &count, NULL), 0);
	assert_int_equal(count, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {store_test(test_ready)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
