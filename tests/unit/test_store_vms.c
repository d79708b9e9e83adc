#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>

#include "tests/unit/store_dir.h"

#define UUID_A "11111111-1111-4111-8111-111111111111"
#define UUID_B "22222222-2222-4222-8222-222222222222"

static int64_t add(struct store *s, const char *uuid, const char *name)
{
	int64_t id = 0;

	assert_int_equal(store_vm_add(s, uuid, name, "{}", &id, NULL), 0);
	return id;
}

static int64_t updated(struct store *s, int64_t id, const char *name,
		       const char *config)
{
	int64_t revision = 0;

	assert_int_equal(store_vm_update(s, id, name, config, &revision, NULL),
			 0);
	return revision;
}

static void test_update(void **state)
{
	struct store_dir *d = *state;
	int64_t web = add(d->store, UUID_A, "web"), revision = -7;
	struct store_vm vm = {0};
	struct error e = ERROR_INIT;

	add(d->store, UUID_B, "db");
	assert_int_equal(updated(d->store, web, "web", "{\"vcpus\":4}"), 2);
	assert_int_equal(updated(d->store, web, "www", "{\"vcpus\":5}"), 3);
	assert_int_equal(
		store_vm_update(d->store, web, "db", "{}", &revision, &e),
		-EEXIST);
	assert_int_equal(
		store_vm_update(d->store, 99, "x", "{}", &revision, &e),
		-ENOENT);
	assert_int_equal(revision, -7);
	store_dir_reopen(d);
	assert_int_equal(store_vm_get(d->store, "www", &vm, NULL), 0);
	assert_int_equal(vm.revision, 3);
	assert_string_equal(vm.config, "{\"vcpus\":5}");
	assert_string_equal(vm.state, "stopped");
	store_vm_done(&vm);
	assert_int_equal(store_vm_get(d->store, "web", &vm, NULL), -ENOENT);
}

static int note_row(void *cookie, const struct store_vm_row *row)
{
	char *text = cookie;

	sprintf(text + strlen(text), "%s:%s:%lld ", row->name, row->state,
		(long long)row->vcpus);
	return 0;
}

static void expect_list(struct store *s, const struct store_list *list,
			const char *want)
{
	char text[256] = "";

	assert_int_equal(store_vm_list(s, list, note_row, text, NULL), 0);
	assert_string_equal(text, want);
}

static void test_lists(void **state)
{
	struct store_dir *d = *state;
	const struct store_label db = {"role", "db"};
	const struct store_label both[] = {{"role", "db"}, {"tier", "1"}};
	int64_t a = add(d->store, UUID_A, "a"), b = add(d->store, UUID_B, "b");
	struct store_list list = {.limit = 10};

	updated(d->store, a, "a", "{\"vcpus\":2,\"labels\":{\"role\":\"db\"}}");
	updated(d->store, b, "b",
		"{\"labels\":{\"role\":\"db\",\"tier\":\"1\"}}");
	assert_int_equal(store_vm_state(d->store, b, "running", "", 5, NULL),
			 0);
	expect_list(d->store, &list, "a:stopped:2 b:running:1 ");
	list.state = "running";
	expect_list(d->store, &list, "b:running:1 ");
	list = (struct store_list){.limit = 1, .labels = &db, .n_labels = 1};
	expect_list(d->store, &list, "a:stopped:2 ");
	list.after = "a";
	expect_list(d->store, &list, "b:running:1 ");
	list = (struct store_list){.limit = 9, .labels = both, .n_labels = 2};
	expect_list(d->store, &list, "b:running:1 ");
	/* Labels go with the definition, and with the VM. */
	updated(d->store, b, "b", "{}");
	expect_list(d->store, &list, "");
	assert_int_equal(store_vm_keep(d->store, a, NULL), 0);
	list = (struct store_list){.limit = 9};
	expect_list(d->store, &list, "b:running:1 ");
}

static int note_kept(void *cookie, const struct store_kept *kept)
{
	char *text = cookie;

	sprintf(text + strlen(text), "%s:%s:%lld ", kept->uuid, kept->name,
		(long long)kept->variables);
	return 0;
}

static void test_kept(void **state)
{
	struct store_dir *d = *state;
	static uint8_t image[STORE_NVRAM_BLOCK], copy[STORE_NVRAM_BLOCK];
	int64_t id = add(d->store, UUID_A, "web"), again = 0, other = 0;
	uint64_t blocks = 0;
	char text[128] = "";

	memset(image, 0x5a, sizeof(image));
	assert_int_equal(store_nvram_commit(d->store, id, image, sizeof(image),
					    0, sizeof(image), NULL, "guest",
					    NULL),
			 0);
	assert_int_equal(store_vm_clone(d->store, id, UUID_B, "copy", "{}",
					&other, NULL),
			 0);
	assert_int_equal(store_vm_keep(d->store, id, NULL), 0);
	assert_int_equal(store_vm_keep(d->store, id, NULL), -ENOENT);
	store_dir_reopen(d);
	assert_int_equal(store_kept_each(d->store, note_kept, text, NULL), 0);
	assert_string_equal(text, UUID_A ":web:0 ");
	/* The name is free, and the uuid picks the store up. */
	assert_int_equal(
		store_vm_add(d->store, UUID_A, "web", "{}", &again, NULL), 0);
	assert_int_equal(again, id);
	assert_int_equal(store_nvram_load(d->store, again, copy, sizeof(copy),
					  &blocks, NULL),
			 0);
	assert_int_equal(blocks, 1);
	assert_memory_equal(image, copy, sizeof(image));
	memset(copy, 0, sizeof(copy));
	assert_int_equal(store_nvram_load(d->store, other, copy, sizeof(copy),
					  &blocks, NULL),
			 0);
	assert_memory_equal(image, copy, sizeof(image));
	assert_int_equal(store_kept_forget(d->store, UUID_A, NULL), -ENOENT);
}

static int note_name(void *cookie, const struct store_vm *vm)
{
	strcat(cookie, vm->name);
	strcat(cookie, " ");
	return 0;
}

static void expect_names(struct store *s, const char *want)
{
	char text[256] = "";

	assert_int_equal(store_vm_each(s, STORE_VM_ALL, note_name, text, NULL),
			 0);
	assert_string_equal(text, want);
}

static void test_batch(void **state)
{
	struct store_dir *d = *state;
	struct error e = ERROR_INIT;
	int64_t id = 0;

	store_batch(d->store);
	assert_false(store_dirty(d->store));
	add(d->store, UUID_A, "web");
	assert_true(store_dirty(d->store));
	/* One that fails undoes itself alone. */
	assert_int_equal(store_vm_add(d->store, UUID_B, "web", "{}", &id, &e),
			 -EEXIST);
	assert_int_equal(store_begin(d->store, NULL), 0);
	add(d->store, UUID_B, "undone");
	store_rollback(d->store);
	assert_int_equal(store_flush(d->store, NULL), 0);
	assert_false(store_dirty(d->store));
	store_dir_reopen(d);
	expect_names(d->store, "web ");
	/* A flush that fails: nothing of it happened, the next one works. */
	store_batch(d->store);
	add(d->store, UUID_B, "db");
	store_fail_flush(d->store, -ENOSPC);
	assert_int_equal(store_flush(d->store, &e), -ENOSPC);
	expect_names(d->store, "web ");
	add(d->store, UUID_B, "db");
	assert_int_equal(store_flush(d->store, NULL), 0);
	/* What was not flushed is not there after the end. */
	add(d->store, "33333333-3333-4333-8333-333333333333", "late");
	store_dir_reopen(d);
	expect_names(d->store, "db web ");
}

static int add_cid(struct store *s, const char *uuid, const char *name,
		   uint32_t cid, int64_t *ret_id, struct error *e)
{
	char config[64];

	snprintf(config, sizeof(config), "{\"vsock\":{\"cid\":%u}}", cid);
	return store_vm_add(s, uuid, name, config, ret_id, e);
}

static uint32_t cid_free(struct store *s, uint32_t max)
{
	uint32_t cid = 0;

	assert_int_equal(store_vsock_cid_free(s, 3, max, &cid, NULL), 0);
	return cid;
}

static void test_cids(void **state)
{
	struct store_dir *d = *state;
	struct store *s = d->store;
	int64_t web, db, revision, other;
	struct error e = ERROR_INIT;
	uint32_t cid;

	assert_int_equal(cid_free(s, 9), 3);
	assert_int_equal(add_cid(s, UUID_A, "web", 3, &web, NULL), 0);
	assert_int_equal(cid_free(s, 9), 4);
	assert_int_equal(add_cid(s, UUID_B, "db", 3, &db, &e), -EEXIST);
	assert_string_equal(e.message, "vsock.cid: 3 is the one of VM \"web\" "
				       "already; use auto, or another");
	assert_int_equal(add_cid(s, UUID_B, "db", 9, &db, NULL), 0);
	/* Beyond the highest there is none: the first gap. */
	assert_int_equal(cid_free(s, 9), 4);
	assert_int_equal(cid_free(s, 20), 10);
	assert_int_equal(updated(s, db, "db", "{\"vsock\":{\"cid\":9}}"), 2);
	assert_int_equal(store_vm_update(s, db, "db", "{\"vsock\":{\"cid\":3}}",
					 &revision, &e),
			 -EEXIST);
	assert_int_equal(updated(s, db, "db", "{\"vsock\":{\"cid\":4}}"), 3);
	assert_int_equal(store_vsock_cid_free(s, 3, 4, &cid, &e), -ENOSPC);
	assert_int_equal(updated(s, db, "db", "{}"), 4);
	assert_int_equal(cid_free(s, 4), 4);
	/* A variable store that is kept has none. */
	assert_int_equal(store_vm_keep(s, web, NULL), 0);
	assert_int_equal(add_cid(s, "u", "third", 3, &other, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		store_test(test_update), store_test(test_lists),
		store_test(test_kept),	 store_test(test_batch),
		store_test(test_cids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
