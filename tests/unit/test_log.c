#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
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

static struct {
	long long job;
	char vm[16], text[64];
} sunk;

static void to_sunk(enum log_level level, const char *vm, long long job,
		    const char *message)
{
	sunk.job = job;
	snprintf(sunk.vm, sizeof(sunk.vm), "%s", vm ? vm : "-");
	snprintf(sunk.text, sizeof(sunk.text), "%s", message);
}

static long long job_of(void *cookie, const char *vm)
{
	return streq(vm, "web") ? *(long long *)cookie : 0;
}

static void test_jobs(void **state)
{
	long long job = 12;

	log_open("armvmd", LOG_LEVEL_INFO);
	log_to(to_sunk);
	log_vm(LOG_LEVEL_INFO, "web", "before");
	assert_int_equal(sunk.job, 0);
	log_jobs(job_of, &job);
	log_vm(LOG_LEVEL_INFO, "web", "during");
	assert_int_equal(sunk.job, 12);
	assert_string_equal(sunk.vm, "web");
	assert_string_equal(sunk.text, "during");
	log_vm(LOG_LEVEL_INFO, "db", "another's");
	assert_int_equal(sunk.job, 0);
	log_info("nobody's");
	assert_int_equal(sunk.job, 0);
	log_job(LOG_LEVEL_WARNING, NULL, 13, "its own");
	assert_int_equal(sunk.job, 13);
	assert_string_equal(sunk.vm, "-");
	log_job(LOG_LEVEL_DEBUG, NULL, 14, "hidden");
	assert_int_equal(sunk.job, 13);
	log_jobs(NULL, NULL);
	log_to(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_levels_and_names),
		cmocka_unit_test(test_jobs),
		cmocka_unit_test(test_journal_priorities),
		cmocka_unit_test(test_one_clean_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
