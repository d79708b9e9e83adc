#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "lib/uefi/uefi_var.h"
#include "lib/uefi/varstore_layout.h"
#include "tests/fuzz/fuzz_varstore.c"
#include "tests/unit/data/varstore_stock.h"

#define GLOBAL	"8be4df61-93ca-11d2-aa0d-00e098032b8c"
#define VARS_AT (STORE_AT + STORE_HEADER_SIZE)

static uint8_t image[VARSTORE_SIZE];

static void make_stock(void)
{
	memset(image, 0xff, sizeof(image));
	memcpy(image, varstore_stock, sizeof(varstore_stock));
	memcpy(image + FTW_AT, varstore_stock_working,
	       sizeof(varstore_stock_working));
}

static void make_empty(void)
{
	assert_int_equal(varstore_write(NULL, image, sizeof(image), NULL), 0);
}

/* Lays one variable at *at as the firmware does, in any state. */
static size_t put(size_t at, uint8_t state, const char *name, const char *data)
{
	static const uint8_t guid[16] = {0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93,
					 0xd2, 0x11, 0xaa, 0x0d, 0x00, 0xe0,
					 0x98, 0x03, 0x2b, 0x8c};
	_cleanup_free_ uint8_t *wide = NULL;
	size_t name_size = 0, data_size = strlen(data);
	uint8_t *p = image + at;

	assert_int_equal(uefi_name_from_utf8(name, &wide, &name_size), 0);
	memset(p, 0, VAR_HEADER_SIZE);
	layout_put16(p, VAR_START_ID);
	p[VAR_STATE] = state;
	layout_put32(p + VAR_ATTRIBUTES, 7);
	layout_put32(p + VAR_NAME_SIZE, (uint32_t)name_size);
	layout_put32(p + VAR_DATA_SIZE, (uint32_t)data_size);
	memcpy(p + VAR_GUID, guid, sizeof(guid));
	memcpy(p + VAR_HEADER_SIZE, wide, name_size);
	memcpy(p + VAR_HEADER_SIZE + name_size, data, data_size);
	return ALIGN_UP(at + VAR_HEADER_SIZE + name_size + data_size,
			(size_t)4);
}

static enum varstore_condition condition(void)
{
	struct uefi_vars vars = {0};
	enum varstore_condition c;

	c = varstore_read(image, sizeof(image), &vars, NULL);
	uefi_vars_done(&vars);
	return c;
}

static void expect_data(const char *name, const char *data)
{
	struct uefi_vars vars = {0};
	const struct uefi_var *v;

	assert_int_equal(varstore_read(image, sizeof(image), &vars, NULL),
			 VARSTORE_VALID);
	v = uefi_vars_find(&vars, GLOBAL, name);
	if (data) {
		assert_non_null(v);
		assert_int_equal(v->data_size, strlen(data));
		assert_memory_equal(v->data, data, v->data_size);
	} else {
		assert_null(v);
	}
	uefi_vars_done(&vars);
}

static void test_reads_what_the_firmware_wrote(void **state)
{
	static const char *const names[] = {
		"Boot0000", "Boot0001",	    "BootOrder", "ConIn",
		"ConOut",   "ErrOut",	    "Key0000",	 "Key0001",
		"Lang",	    "PlatformLang", "Timeout",
	};
	struct uefi_vars vars = {0};
	const struct uefi_var *v;
	char text[32];

	make_stock();
	assert_int_equal(varstore_read(image, sizeof(image), &vars, NULL),
			 VARSTORE_VALID);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!uefi_vars_find(&vars, GLOBAL, names[i]))
			fail_msg("%s is missing", names[i]);
	assert_int_equal(vars.count, 17);
	for (size_t i = 1; i < vars.count; i++)
		assert_true(strcmp(vars.list[i - 1].name, vars.list[i].name) <
			    0);
	v = uefi_vars_find(&vars, GLOBAL, "BootOrder");
	assert_int_equal(v->data_size, 4);
	assert_memory_equal(v->data, "\0\0\1\0", 4);
	assert_string_equal(uefi_attributes_text(v->attributes, text, 32),
			    "NV,BS,RT");
	v = uefi_vars_find(&vars, GLOBAL, "PlatformLang");
	assert_memory_equal(v->data, "en", 3);
	assert_non_null(uefi_vars_find(&vars,
				       "4c19049f-4137-4dd3-9c10-8b97a83ffdfa",
				       "MemoryTypeInformation"));
	v = uefi_vars_find(&vars, "d9bee56e-75dc-49d9-b4d7-b534210f637a",
			   "certdb");
	assert_int_equal(v->attributes, 0x27);
	uefi_vars_done(&vars);
}

static void test_formats_as_the_firmware_does(void **state)
{
	make_empty();
	assert_memory_equal(image, varstore_stock, VARS_AT);
	for (size_t i = VARS_AT; i < VARSTORE_BLOCK; i++)
		assert_int_equal(image[i], 0xff);
	assert_memory_equal(image + FTW_AT, varstore_stock_working,
			    sizeof(varstore_stock_working));
	for (size_t i = FTW_AT + FTW_HEADER_SIZE; i < VARSTORE_SIZE; i++)
		assert_int_equal(image[i], 0xff);
	assert_int_equal(condition(), VARSTORE_VALID);
}

static void test_round_trip(void **state)
{
	static uint8_t second[VARSTORE_SIZE];
	struct uefi_vars vars = {0}, again = {0};

	make_stock();
	assert_int_equal(varstore_read(image, sizeof(image), &vars, NULL),
			 VARSTORE_VALID);
	vars.list[3].monotonic_count = 0x1122334455667788;
	vars.list[3].pubkey_index = 9;
	memset(vars.list[3].timestamp, 0xab, UEFI_TIMESTAMP_SIZE);
	assert_int_equal(varstore_write(&vars, second, sizeof(second), NULL),
			 0);
	assert_int_equal(varstore_read(second, sizeof(second), &again, NULL),
			 VARSTORE_VALID);
	assert_int_equal(again.count, vars.count);
	for (size_t i = 0; i < vars.count; i++) {
		const struct uefi_var *a = &vars.list[i], *b = &again.list[i];

		assert_string_equal(a->name, b->name);
		assert_string_equal(a->guid, b->guid);
		assert_int_equal(a->attributes, b->attributes);
		assert_int_equal(a->monotonic_count, b->monotonic_count);
		assert_int_equal(a->pubkey_index, b->pubkey_index);
		assert_memory_equal(a->timestamp, b->timestamp,
				    UEFI_TIMESTAMP_SIZE);
		assert_int_equal(a->data_size, b->data_size);
		assert_memory_equal(a->data, b->data, a->data_size);
	}
	uefi_vars_done(&vars);
	uefi_vars_done(&again);
}

static void test_states(void **state)
{
	size_t at;

	make_empty();
	at = put(VARS_AT, VAR_DELETED, "A", "old");
	at = put(at, VAR_DELETED_AFTER, "A", "older");
	at = put(at, VAR_IN_DELETED, "A", "current");
	expect_data("A", "current");
	/* Its successor is being written: the old one still counts. */
	put(at, VAR_HEADER_ONLY, "A", "next");
	expect_data("A", "current");
	put(at, VAR_ADDED, "A", "next");
	expect_data("A", "next");
	image[at + VAR_STATE] = VAR_DELETED;
	expect_data("A", "current");
	/* A header in the making is none. */
	image[at + VAR_STATE] = VAR_UNWRITTEN;
	expect_data("A", "current");
}

/* The plug was pulled when a header was written but for its state: from then on
 * the firmware goes on right behind it. */
static void test_headers_that_were_cut_off(void **state)
{
	size_t at;

	make_empty();
	at = put(VARS_AT, VAR_ADDED, "A", "first");
	put(at, VAR_UNWRITTEN, "A", "of a length that is not to be believed");
	memset(image + at + VAR_HEADER_SIZE, 0xff, 256);
	at += VAR_HEADER_SIZE;
	at = put(at, VAR_ADDED, "B", "behind it");
	expect_data("A", "first");
	expect_data("B", "behind it");
	/* And of this one there is no more than that it has begun. */
	memset(image + at, 0xff, VAR_HEADER_SIZE);
	memcpy(image + at, image + VARS_AT, 2);
	put(at + VAR_HEADER_SIZE, VAR_ADDED, "C", "behind that");
	expect_data("B", "behind it");
	expect_data("C", "behind that");
}

/* Copies that should not be: the firmware's search decides. */
static void test_copies(void **state)
{
	size_t at;

	make_empty();
	at = put(VARS_AT, VAR_ADDED, "A", "first");
	at = put(at, VAR_ADDED, "A", "second");
	at = put(at, VAR_IN_DELETED, "B", "first");
	at = put(at, VAR_IN_DELETED, "B", "second");
	expect_data("A", "first");
	expect_data("B", "second");
}

static void test_header_only_name_may_be_erased(void **state)
{
	make_empty();
	put(put(VARS_AT, VAR_HEADER_ONLY, "Coming", "x"), VAR_ADDED, "B", "y");
	memset(image + VARS_AT + VAR_HEADER_SIZE, 0xff, 12);
	expect_data("B", "y");
	expect_data("Coming", NULL);
}

static void test_corrupt(void **state)
{
	static const struct {
		size_t at;
		uint32_t value;
		int bytes;
	} lies[] = {
		{VAR_STATE, 0x12, 1},
		{VAR_STATE, 0x00, 1},
		{VAR_NAME_SIZE, 0, 4},
		{VAR_NAME_SIZE, 2, 4},
		{VAR_NAME_SIZE, 3, 4},
		{VAR_NAME_SIZE, UINT32_MAX, 4},
		{VAR_NAME_SIZE, UINT32_MAX - 61, 4},
		{VAR_DATA_SIZE, UINT32_MAX, 4},
		{VAR_DATA_SIZE, VARSTORE_BLOCK, 4},
		{VAR_HEADER_SIZE + 2, 'X', 2}, /* the terminator */
	};
	struct error why;
	struct uefi_vars vars;

	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		make_empty();
		put(put(VARS_AT, VAR_ADDED, "A", "x"), VAR_ADDED, "B", "y");
		for (int b = 0; b < lies[i].bytes; b++)
			image[VARS_AT + lies[i].at + (size_t)b] =
				(uint8_t)(lies[i].value >> 8 * b);
		why = ERROR_INIT;
		vars = (struct uefi_vars){0};
		assert_int_equal(
			varstore_read(image, sizeof(image), &vars, &why),
			VARSTORE_CORRUPT);
		assert_null(vars.list);
		assert_non_null(strstr(why.message, "offset 0x64"));
	}
	assert_int_equal(varstore_read(image, 100, &vars, NULL),
			 VARSTORE_CORRUPT);
}

/* Any change to the headers that the firmware checks, over a used store. */
static void test_spoiled_headers(void **state)
{
	for (size_t at = 0; at < VARS_AT; at++) {
		if (at >= STORE_STATE_AT + 1)
			continue; /* reserved: not looked at */
		make_stock();
		image[at] ^= 0x04;
		if (condition() != VARSTORE_CORRUPT)
			fail_msg("byte 0x%zx does not count", at);
	}
}

static void test_blank(void **state)
{
	memset(image, 0, sizeof(image));
	assert_int_equal(condition(), VARSTORE_BLANK);
	memset(image, 0xff, sizeof(image));
	assert_int_equal(condition(), VARSTORE_BLANK);
	/* Formatting, cut off in the middle of the headers. */
	memcpy(image, varstore_stock, 0x30);
	assert_int_equal(condition(), VARSTORE_BLANK);
}

/* A queue entry with one record; states as the firmware clears the bits. */
static uint8_t *put_write(uint8_t *p, uint8_t entry, uint8_t record)
{
	memset(p, 0, FTW_ENTRY_SIZE + FTW_RECORD_SIZE + 24);
	p[0] = entry;
	layout_put64(p + FTW_ENTRY_WRITES, 1);
	layout_put64(p + FTW_ENTRY_PRIVATE, 24);
	p[FTW_ENTRY_SIZE] = record;
	return p + FTW_ENTRY_SIZE + FTW_RECORD_SIZE + 24;
}

static void test_rewrite_under_way(void **state)
{
	uint8_t *queue = image + FTW_AT + FTW_HEADER_SIZE, *p;

	make_stock();
	p = put_write(queue, 0xf8, 0xf8); /* complete */
	assert_int_equal(condition(), VARSTORE_VALID);
	put_write(p, 0xfc, 0xff); /* allocated, spare not written */
	assert_int_equal(condition(), VARSTORE_VALID);
	put_write(p, 0xfc, 0xfd); /* spare complete */
	assert_int_equal(condition(), VARSTORE_MOVING);
	/* The variables' block is erased or half written meanwhile. */
	memset(image, 0xff, VARSTORE_BLOCK);
	assert_int_equal(condition(), VARSTORE_MOVING);
	memcpy(image, varstore_stock, 0x123);
	assert_int_equal(condition(), VARSTORE_MOVING);
	make_stock();
	put_write(put_write(queue, 0xf8, 0xf8), 0xfc, 0xf9); /* in place */
	assert_int_equal(condition(), VARSTORE_VALID);
}

static void test_hostile_queue(void **state)
{
	static const uint64_t lies[] = {UINT64_MAX, UINT64_MAX - 39,
					UINT64_MAX / 64, 1 << 20};
	uint8_t *queue = image + FTW_AT + FTW_HEADER_SIZE;

	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		make_stock();
		put_write(queue, 0xfc, 0xfd);
		layout_put64(queue + FTW_ENTRY_WRITES, lies[i]);
		assert_int_equal(condition(), VARSTORE_VALID);
		put_write(queue, 0xfc, 0xfd);
		layout_put64(queue + FTW_ENTRY_PRIVATE, lies[i]);
		assert_int_equal(condition(), VARSTORE_VALID);
	}
	/* Complete entries without records, to the end of the block. */
	make_stock();
	for (size_t at = 0; at + FTW_ENTRY_SIZE <= FTW_QUEUE_SIZE_VALUE;
	     at += FTW_ENTRY_SIZE) {
		memset(queue + at, 0, FTW_ENTRY_SIZE);
		queue[at] = 0xf8;
	}
	assert_int_equal(condition(), VARSTORE_VALID);
}

static void test_full_store(void **state)
{
	static uint8_t data[VARSTORE_BLOCK];
	struct uefi_var v = {.guid = GLOBAL,
			     .name = (char *)"A",
			     .attributes = 7,
			     .data = data};
	struct uefi_vars vars = {.list = &v, .count = 1};
	struct error e = ERROR_INIT;

	v.data_size = VARSTORE_BLOCK - VARS_AT - VAR_HEADER_SIZE - 4;
	assert_int_equal(varstore_write(&vars, image, sizeof(image), NULL), 0);
	assert_int_equal(condition(), VARSTORE_VALID);
	v.data_size++;
	image[5] = 0x77;
	assert_int_equal(varstore_write(&vars, image, sizeof(image), &e),
			 -ENOSPC);
	assert_int_equal(image[5], 0x77); /* untouched on failure */
	assert_non_null(strstr(e.message, "variable A"));
	v.data_size = SIZE_MAX - 10;
	assert_int_equal(varstore_write(&vars, image, sizeof(image), NULL),
			 -ENOSPC);
}

static void test_refused_rows(void **state)
{
	struct uefi_var v = {.guid = "no-guid", .name = (char *)"A"};
	struct uefi_vars vars = {.list = &v, .count = 1};

	assert_int_equal(varstore_write(&vars, image, sizeof(image), NULL),
			 -EINVAL);
	strcpy(v.guid, GLOBAL);
	v.name = (char *)"";
	assert_int_equal(varstore_write(&vars, image, sizeof(image), NULL),
			 -EINVAL);
	v.name = (char *)"bad\xff";
	assert_int_equal(varstore_write(&vars, image, sizeof(image), NULL),
			 -EINVAL);
	assert_int_equal(varstore_write(NULL, image, sizeof(image) - 1, NULL),
			 -EINVAL);
}

/* The fuzz target on the stock store with random bytes changed. */
static void test_random_mutations(void **state)
{
	static uint8_t input[1 + sizeof(varstore_stock)];
	size_t size;

	srandom(1);
	for (int round = 0; round < 400; round++) {
		input[0] = (uint8_t)(round % 3);
		size = sizeof(varstore_stock);
		memcpy(input + 1, varstore_stock, size);
		if (input[0] == 1) {
			size -= VARS_AT;
			memcpy(input + 1, varstore_stock + VARS_AT, size);
		} else if (input[0] == 2) {
			size = 200;
			memcpy(input + 1, varstore_stock_working, 32);
			for (size_t i = 32; i < size; i++)
				input[1 + i] = (uint8_t)(random() % 3);
		}
		for (int i = 0; i < round % 7; i++)
			input[1 + (size_t)random() % size] = (uint8_t)random();
		LLVMFuzzerTestOneInput(input, 1 + size);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads_what_the_firmware_wrote),
		cmocka_unit_test(test_formats_as_the_firmware_does),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_headers_that_were_cut_off),
		cmocka_unit_test(test_copies),
		cmocka_unit_test(test_header_only_name_may_be_erased),
		cmocka_unit_test(test_corrupt),
		cmocka_unit_test(test_spoiled_headers),
		cmocka_unit_test(test_blank),
		cmocka_unit_test(test_rewrite_under_way),
		cmocka_unit_test(test_hostile_queue),
		cmocka_unit_test(test_full_store),
		cmocka_unit_test(test_refused_rows),
		cmocka_unit_test(test_random_mutations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
