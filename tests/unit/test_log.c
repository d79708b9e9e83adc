#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"

static char line[4096];

/* What one call writes to standard error, into `line`. */
#define LOGGED(call)                                         \
	do {                                                 \
		int pipe_[2], saved_ = dup(STDERR_FILENO);   \
		ssize_t n_;                                  \
                                                             \
		assert_int_equal(pipe(pipe_), 0);            \
		dup2(pipe_[1], STDERR_FILENO);               \
		call;                                        \
		dup2(saved_, STDERR_FILENO);                 \
		fd_close(saved_);                            \
		fd_close(pipe_[1]);                          \
		n_ = read(pipe_[0], line, sizeof(line) - 1); \
		line[n_ < 0 ? 0 : n_] = '\0';                \
		fd_close(pipe_[0]);                          \
	} while (0)

static void test_levels_and_names(void **state)
{
	unsetenv("JOURNAL_STREAM");
	log_open("armvmd", LOG_LEVEL_INFO);
	LOGGED(log_info("ready after %d ms", 12));
	assert_string_equal(line, "armvmd: ready after 12 ms\n");
	LOGGED(log_vm(LOG_LEVEL_ERROR, "web", "lost"));
	assert_string_equal(line, "armvmd: web: lost\n");
	LOGGED(log_debug("hidden"));
	assert_string_equal(line, "");
}

static void test_journal_priorities(void **state)
{
	setenv("JOURNAL_STREAM", "8:1", 1);
	log_open("armvmd", LOG_LEVEL_DEBUG);
	LOGGED(log_vm(LOG_LEVEL_WARNING, "web", "slow"));
	assert_string_equal(line, "<4>web: slow\n");
	LOGGED(log_debug("seen"));
	assert_string_equal(line, "<7>seen\n");
	unsetenv("JOURNAL_STREAM");
}

static void test_one_clean_line(void **state)
{
	char text[3000];

	log_open("armvmd", LOG_LEVEL_INFO);
	LOGGED(log_info("%s", "guest says\n<0>panic\x1b[2J"));
	assert_string_equal(line, "armvmd: guest says?<0>panic?[2J\n");
	memset(text, 'y', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	LOGGED(log_info("%s", text));
	assert_int_equal(strlen(line), 1023);
	assert_int_equal(line[1022], '\n');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_levels_and_names),
		cmocka_unit_test(test_journal_priorities),
		cmocka_unit_test(test_one_clean_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
