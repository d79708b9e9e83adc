#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/store_dir.h"

#define UUID_A "11111111-1111-4111-8111-111111111111"
#define UUID_B "22222222-2222-4222-8222-222222222222"
#define GLOBAL "8be4df61-93ca-11d2-aa0d-00e098032b8c"
#define SIZE   (5 * STORE_NVRAM_BLOCK + 100) /* a short last block */

static uint8_t image[SIZE], loaded[SIZE];

static int64_t add_vm(struct store *s, const char *uuid)
{
	int64_t id = 0;

	assert_int_equal(store_vm_add(s, uuid, uuid, "{}", &id, NULL), 0);
	return id;
}

static void fill(uint8_t seed)
{
	for (size_t i = 0; i < SIZE; i++)
		image[i] = (uint8_t)(seed + i + i / 251);
}

static uint64_t load(struct store *s, int64_t id)
{
	uint64_t blocks = 99;

	memset(loaded, 0xee, SIZE);
	assert_int_equal(store_nvram_load(s, id, loaded, SIZE, &blocks, NULL),
			 0);
	return blocks;
}

static int save(struct store *s, int64_t id, uint64_t offset, uint64_t size)
{
	return store_nvram_commit(s, id, image, SIZE, offset, size, NULL,
				  "guest", NULL);
}

static void test_blocks(void **state)
{
	struct store_dir *d = *state;
	int64_t id = add_vm(d->store, UUID_A);

	assert_int_equal(load(d->store, id), 0);
	assert_int_equal(loaded[0], 0xee);
	fill(1);
	/* Two bytes across a border are two blocks. */
	assert_int_equal(save(d->store, id, STORE_NVRAM_BLOCK - 1, 2), 0);
	store_dir_reopen(d);
	assert_int_equal(load(d->store, id), 2);
	assert_memory_equal(loaded, image, 2 * STORE_NVRAM_BLOCK);
	assert_int_equal(loaded[2 * STORE_NVRAM_BLOCK], 0xee);
	assert_int_equal(save(d->store, id, SIZE - 1, 1), 0);
	assert_int_equal(load(d->store, id), 3);
	assert_memory_equal(loaded + SIZE - 100, image + SIZE - 100, 100);
	fill(7);
	assert_int_equal(save(d->store, id, 0, SIZE), 0);
	assert_int_equal(load(d->store, id), 6);
	assert_memory_equal(loaded, image, SIZE);
	assert_int_equal(save(d->store, id, 0, 0), 0); /* nothing: fine */
}

/* They take no room, and are there all the same. */
static void test_erased_blocks(void **state)
{
	struct store_dir *d = *state;
	int64_t id = add_vm(d->store, UUID_A);
	uint64_t blocks;

	fill(3);
	assert_int_equal(save(d->store, id, 0, SIZE), 0);
	memset(image + STORE_NVRAM_BLOCK, 0xff, STORE_NVRAM_BLOCK);
	image[2 * STORE_NVRAM_BLOCK] = 0xff;
	assert_int_equal(
		save(d->store, id, STORE_NVRAM_BLOCK, STORE_NVRAM_BLOCK + 1),
		0);
	store_dir_reopen(d);
	assert_int_equal(load(d->store, id), 6);
	assert_memory_equal(loaded, image, SIZE);
	/* Written again, and the last, shorter one erased. */
	fill(4);
	memset(image + 5 * STORE_NVRAM_BLOCK, 0xff,
	       SIZE - 5 * STORE_NVRAM_BLOCK);
	assert_int_equal(save(d->store, id, 0, SIZE), 0);
	assert_int_equal(load(d->store, id), 6);
	assert_memory_equal(loaded, image, SIZE);
	assert_int_equal(store_nvram_load(d->store, id, loaded,
					  5 * STORE_NVRAM_BLOCK, &blocks, NULL),
			 -EINVAL);
}

static void test_ranges_are_judged(void **state)
{
	struct store_dir *d = *state;
	int64_t id = add_vm(d->store, UUID_A);
	uint64_t blocks = 99;

	assert_int_equal(save(d->store, id, SIZE, 1), -EINVAL);
	assert_int_equal(save(d->store, id, UINT64_MAX, 2), -EINVAL);
	assert_int_equal(save(d->store, id, 1, UINT64_MAX), -EINVAL);
	assert_int_equal(save(d->store, 99, 0, 1), -ENOENT);
	assert_int_equal(save(d->store, id, 0, SIZE), 0);
	assert_int_equal(store_nvram_load(d->store, id, loaded,
					  STORE_NVRAM_BLOCK, &blocks, NULL),
			 -EINVAL);
	assert_int_equal(blocks, 99);
}

static void test_vms_do_not_see_each_other(void **state)
{
	struct store_dir *d = *state;
	int64_t a = add_vm(d->store, UUID_A), b = add_vm(d->store, UUID_B);

	fill(1);
	assert_int_equal(save(d->store, a, 0, SIZE), 0);
	assert_int_equal(load(d->store, b), 0);
	assert_int_equal(store_vm_delete(d->store, a, NULL), 0);
	assert_int_equal(load(d->store, a), 0);
}

static struct uefi_var make_var(const char *name, const char *data)
{
	return (struct uefi_var){.guid = GLOBAL,
				 .name = (char *)name,
				 .attributes = 7,
				 .monotonic_count = UINT64_MAX,
				 .pubkey_index = UINT32_MAX,
				 .timestamp = {0xe6, 7, 11},
				 .data = (uint8_t *)data,
				 .data_size = strlen(data)};
}

/* Commits the variables given as name, data pairs. */
static int save_vars(struct store *s, int64_t id, size_t n,
		     const char *const pairs[][2])
{
	struct uefi_var list[8];
	struct uefi_vars vars = {.list = list, .count = n};

	for (size_t i = 0; i < n; i++)
		list[i] = make_var(pairs[i][0], pairs[i][1]);
	return store_nvram_commit(s, id, image, SIZE, 0, 10, &vars, "guest",
				  NULL);
}

static int64_t list_vars(struct store *s, int64_t id, char *text)
{
	struct uefi_vars vars = {0};
	int64_t generation = -1;

	assert_int_equal(store_vars_list(s, id, &vars, &generation, NULL), 0);
	*text = '\0';
	for (size_t i = 0; i < vars.count; i++) {
		const struct uefi_var *v = &vars.list[i];

		text += sprintf(text, "%s=%.*s ", v->name, (int)v->data_size,
				(char *)v->data);
		assert_string_equal(v->guid, GLOBAL);
		assert_int_equal(v->attributes, 7);
		assert_true(v->monotonic_count == UINT64_MAX);
		assert_true(v->pubkey_index == UINT32_MAX);
		assert_int_equal(v->timestamp[0], 0xe6);
		assert_int_equal(v->timestamp[15], 0);
	}
	uefi_vars_done(&vars);
	return generation;
}

static int note_line(void *cookie, const struct store_var_log *l)
{
	char *text = cookie;

	assert_string_equal(l->by, "guest");
	assert_string_equal(l->guid, GLOBAL);
	sprintf(text + strlen(text), "%lld %s; ", (long long)l->generation,
		l->change);
	return 0;
}

static void expect_log(struct store *s, int64_t id, const char *want)
{
	char text[512] = "";

	assert_int_equal(store_var_log_each(s, id, 100, note_line, text, NULL),
			 0);
	assert_string_equal(text, want);
}

static void test_variables_and_their_log(void **state)
{
	struct store_dir *d = *state;
	int64_t id = add_vm(d->store, UUID_A);
	char text[256];

	assert_int_equal(list_vars(d->store, id, text), 0);
	assert_int_equal(save_vars(d->store, id, 3,
				   (const char *const[][2]){{"Timeout", "5"},
							    {"Boot0001", "x"},
							    {"Empty", ""}}),
			 0);
	assert_int_equal(list_vars(d->store, id, text), 1);
	assert_string_equal(text, "Boot0001=x Empty= Timeout=5 ");
	/* The same again is no generation, in whatever order. */
	assert_int_equal(save_vars(d->store, id, 3,
				   (const char *const[][2]){{"Empty", ""},
							    {"Boot0001", "x"},
							    {"Timeout", "5"}}),
			 0);
	assert_int_equal(list_vars(d->store, id, text), 1);
	assert_int_equal(save_vars(d->store, id, 3,
				   (const char *const[][2]){{"Timeout", "0"},
							    {"Boot0003", "y"},
							    {"Empty", ""}}),
			 0);
	store_dir_reopen(d);
	assert_int_equal(list_vars(d->store, id, text), 2);
	assert_string_equal(text, "Boot0003=y Empty= Timeout=0 ");
	expect_log(d->store, id,
		   "2 Timeout changed; 2 Boot0003 added; 2 Boot0001 deleted; "
		   "1 Timeout added; 1 Empty added; 1 Boot0001 added; ");
	assert_int_equal(save_vars(d->store, id, 0, NULL), 0);
	assert_int_equal(list_vars(d->store, id, text), 3);
	assert_string_equal(text, "");
}

static void test_every_field_counts_as_a_change(void **state)
{
	struct store_dir *d = *state;
	int64_t id = add_vm(d->store, UUID_A), generation = 0;
	struct uefi_var v = make_var("A", "x");
	struct uefi_vars vars = {.list = &v, .count = 1}, out = {0};

	for (int i = 0; i < 6; i++) {
		v.attributes = i >= 1 ? 3 : 7;
		v.monotonic_count = i >= 2 ? 1 : 2;
		v.pubkey_index = i >= 3 ? 1 : 2;
		v.timestamp[3] = i >= 4 ? 1 : 2;
		v.data = (uint8_t *)(i >= 5 ? "y" : "x");
		assert_int_equal(store_nvram_commit(d->store, id, image, SIZE,
						    0, 1, &vars, "guest", NULL),
				 0);
		assert_int_equal(
			store_vars_list(d->store, id, &out, &generation, NULL),
			0);
		assert_int_equal(generation, i + 1);
		assert_int_equal(out.list[0].attributes, v.attributes);
		assert_int_equal(out.list[0].data[0], v.data[0]);
		uefi_vars_done(&out);
	}
}

static void test_said_twice_counts_once(void **state)
{
	struct store_dir *d = *state;
	int64_t id = add_vm(d->store, UUID_A);
	char text[256];

	for (int i = 0; i < 2; i++)
		assert_int_equal(save_vars(d->store, id, 2,
					   (const char *const[][2]){
						   {"A", "x"}, {"A", "x"}}),
				 0);
	assert_int_equal(list_vars(d->store, id, text), 1);
	assert_string_equal(text, "A=x ");
}

static void test_image_and_rows_are_one_transaction(void **state)
{
	struct store_dir *d = *state;
	int64_t id = add_vm(d->store, UUID_A);
	struct uefi_var v = make_var("A", "x");
	struct uefi_vars vars = {.list = &v, .count = 1};
	struct error e = ERROR_INIT;
	char text[256];

	store_fail_after(d->store, 0, -ENOSPC);
	assert_int_equal(store_nvram_commit(d->store, id, image, SIZE, 0, SIZE,
					    &vars, "guest", &e),
			 -ENOSPC);
	assert_int_equal(load(d->store, id), 0);
	assert_int_equal(list_vars(d->store, id, text), 0);
	/* A row that cannot be: the blocks before it are undone too. */
	v.name = NULL;
	assert_true(store_nvram_commit(d->store, id, image, SIZE, 0, SIZE,
				       &(struct uefi_vars){.list = &v}, NULL,
				       NULL) == 0);
	v.name = (char *)"A";
	assert_true(store_nvram_commit(d->store, id, image, SIZE, 0, SIZE,
				       &vars, NULL, &e) < 0);
	assert_int_equal(list_vars(d->store, id, text), 0);
	assert_int_equal(store_vars_list(d->store, 99, &vars, NULL, &e),
			 -ENOENT);
}

static void test_long_names_are_cut_in_the_log(void **state)
{
	struct store_dir *d = *state;
	int64_t id = add_vm(d->store, UUID_A);
	char name[400], text[512] = "";
	size_t n;

	for (n = 0; n < 300; n += 3)
		memcpy(name + n, "\xe2\x82\xac", 3);
	name[n] = '\0';
	assert_int_equal(save_vars(d->store, id, 1,
				   (const char *const[][2]){{name, "x"}}),
			 0);
	assert_int_equal(
		store_var_log_each(d->store, id, 1, note_line, text, NULL), 0);
	assert_true(strlen(text) < STORE_VAR_CHANGE_MAX + 8);
	/* Whole characters only. */
	assert_non_null(strstr(text, "\xe2\x82\xac added"));
	assert_int_equal(strspn(text + 2, "\xe2\x82\xac") % 3, 0);
}

/* A guest that writes without end fills a log of bounded length. */
static void test_log_is_bounded(void **state)
{
	struct store_dir *d = *state;
	int64_t id = add_vm(d->store, UUID_A);
	static char text[64 * 1024];
	size_t lines = 0;

	assert_int_equal(store_begin(d->store, NULL), 0);
	for (int i = 0; i < STORE_VAR_LOG_MAX + 20; i++)
		assert_int_equal(save_vars(d->store, id, 1,
					   (const char *const[][2]){
						   {"A", i & 1 ? "x" : "y"}}),
				 0);
	assert_int_equal(store_commit(d->store, NULL), 0);
	assert_int_equal(store_var_log_each(d->store, id, 1000000, note_line,
					    text, NULL),
			 0);
	for (char *p = text; (p = strchr(p, ';')); p++)
		lines++;
	assert_int_equal(lines, STORE_VAR_LOG_MAX);
	assert_ptr_equal(strstr(text, "1020 A changed; 1019 A"), text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		store_test(test_blocks),
		store_test(test_erased_blocks),
		store_test(test_ranges_are_judged),
		store_test(test_vms_do_not_see_each_other),
		store_test(test_variables_and_their_log),
		store_test(test_every_field_counts_as_a_change),
		store_test(test_said_twice_counts_once),
		store_test(test_image_and_rows_are_one_transaction),
		store_test(test_long_names_are_cut_in_the_log),
		store_test(test_log_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
