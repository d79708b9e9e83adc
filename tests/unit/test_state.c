#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/snapshot/state.h"

static void put_two(struct state_out *out)
{
	size_t outer = state_begin(out, "outer", 2), inner;

	state_put_u8(out, 0x12);
	state_put_u16(out, 0x3456);
	inner = state_begin(out, "inner", 1);
	state_put_u32(out, 0x789abcde);
	state_put_u64(out, 0x0123456789abcdefull);
	state_end(out, inner);
	state_put(out, "end", 3);
	state_end(out, outer);
}

static int get_two(const void *data, size_t size, struct error *e)
{
	struct state_in in = state_in(data, size), outer, inner;
	char end[3];
	int r = state_open(&in, "outer", 2, &outer, e);

	if (r)
		return r;
	if (outer.version != 2 || state_get_u8(&outer) != 0x12 ||
	    state_get_u16(&outer) != 0x3456)
		return -EINVAL;
	r = state_open(&outer, "inner", 1, &inner, e);
	if (r)
		return r;
	if (state_get_u32(&inner) != 0x789abcde ||
	    state_get_u64(&inner) != 0x0123456789abcdefull)
		return -EINVAL;
	r = state_close(&inner, e);
	state_get(&outer, end, sizeof(end));
	if (!r && memcmp(end, "end", 3) != 0)
		return -EINVAL;
	if (!r)
		r = state_close(&outer, e);
	return r ? r : state_close(&in, e);
}

static void test_round_trip(void **state)
{
	_cleanup_state_out_ struct state_out out = {0};
	struct error e = ERROR_INIT;

	put_two(&out);
	assert_false(out.failed);
	assert_int_equal(get_two(out.buf.data, out.buf.size, &e), 0);
	/* Any version and machine writes the same bytes. */
	assert_memory_equal(out.buf.data, "\5outer\2\0", 8);
}

static void test_every_truncation_is_found(void **state)
{
	_cleanup_state_out_ struct state_out out = {0};

	put_two(&out);
	for (size_t n = 0; n < out.buf.size; n++) {
		_cleanup_free_ void *copy = malloc(n ? n : 1);
		struct error e = ERROR_INIT;

		memcpy(copy, out.buf.data, n);
		assert_int_equal(get_two(copy, n, &e), -EBADMSG);
		assert_true(e.message[0]);
	}
}

static void test_refusals(void **state)
{
	_cleanup_state_out_ struct state_out out = {0};
	struct error e = ERROR_INIT;
	struct state_in in, r;

	state_end(&out, state_begin(&out, "part", 3));
	in = state_in(out.buf.data, out.buf.size);
	assert_int_equal(state_open(&in, "other", 3, &r, &e), -EBADMSG);
	assert_non_null(strstr(e.message, "other"));
	in = state_in(out.buf.data, out.buf.size);
	assert_int_equal(state_open(&in, "part", 2, &r, &e), -EOPNOTSUPP);
	assert_non_null(strstr(e.message, "version 3"));
	in = state_in(out.buf.data, out.buf.size);
	assert_int_equal(state_open(&in, "part", 3, &r, &e), 0);
	/* Too far: zeroes, and it is told. */
	assert_int_equal(state_get_u64(&r), 0);
	assert_int_equal(state_close(&r, &e), -EBADMSG);
	assert_non_null(strstr(e.message, "part is too short"));
	in = state_in("x", 1);
	assert_int_equal(state_close(&in, &e), -EBADMSG);
	assert_non_null(strstr(e.message, "too long"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_every_truncation_is_found),
		cmocka_unit_test(test_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
