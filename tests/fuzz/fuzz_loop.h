/*
 * The loop of targets whose device has one. It stays for all runs, since
 * making one costs more than a run; fuzz_loop_settle() closes what a run has
 * left in it.
 */
#ifndef TESTS_FUZZ_FUZZ_LOOP_H
#define TESTS_FUZZ_FUZZ_LOOP_H

#include <uv.h>

#include "tests/fuzz/fuzz_input.h"

static inline uv_loop_t *fuzz_loop(void)
{
	static uv_loop_t loop;
	static bool made;

	if (!made)
		fuzz_check(uv_loop_init(&loop) == 0);
	made = true;
	return &loop;
}

static inline void fuzz_turn(void)
{
	uv_run(fuzz_loop(), UV_RUN_NOWAIT);
}

static inline void fuzz_count_handle(uv_handle_t *handle, void *cookie)
{
	++*(unsigned *)cookie;
}

/* Every handle must be closed, or closing. */
static inline void fuzz_loop_settle(void)
{
	unsigned handles = 0;

	for (int i = 0; i < 4 && uv_loop_alive(fuzz_loop()); i++)
		fuzz_turn();
	uv_walk(fuzz_loop(), fuzz_count_handle, &handles);
	fuzz_check(handles == 0);
}

#endif
