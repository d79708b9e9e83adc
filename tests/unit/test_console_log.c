#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/resource.h>

#include "lib/base/fd.h"
#include "supervisor/console_log.h"

#define PART KIB(8)

struct fixture {
	uv_loop_t loop;
	struct chardev *console;
	struct console_log *log;
	int fds[CONSOLE_LOG_PARTS];
	uint64_t now_ms;
	unsigned events;
	char event[256];
};

static void on_event(void *cookie, const char *detail)
{
	struct fixture *f = cookie;

	f->events++;
	snprintf(f->event, sizeof(f->event), "%s", detail);
}

static uint64_t now_ms(void *cookie)
{
	const struct fixture *f = cookie;

	return f->now_ms;
}

static void open_log_as(struct fixture *f, const int fds[2], uint64_t size,
			bool goes_on)
{
	const struct console_log_params p = {
		.console = f->console,
		.fds = {dup(fds[0]), dup(fds[1])},
		.part_bytes = size,
		.goes_on = goes_on,
		.event = on_event,
		.now_ms = now_ms,
		.cookie = f,
	};

	assert_int_equal(console_log_new(&p, &f->log, NULL), 0);
}

static void open_log(struct fixture *f, const int fds[2], uint64_t size)
{
	open_log_as(f, fds, size, false);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_int_equal(uv_loop_init(&f->loop), 0);
	assert_int_equal(chardev_new(&f->loop, &f->console), 0);
	for (int i = 0; i < CONSOLE_LOG_PARTS; i++)
		f->fds[i] = memfd_create("part", MFD_CLOEXEC);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	console_log_free(f->log);
	chardev_free(f->console);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	fd_close_many(f->fds, CONSOLE_LOG_PARTS);
	free(f);
	return 0;
}

static void say(struct fixture *f, const char *text)
{
	chardev_write(f->console, (const uint8_t *)text, strlen(text));
	chardev_serve_peer(f->console);
}

static struct console_log_part part_of(int fd)
{
	struct console_log_part part = {0};

	assert_int_equal(console_log_part_read(fd, &part), 0);
	return part;
}

/* Behind the header of a part. */
static char *text_of(int fd)
{
	static char text[PART + 1];
	struct console_log_part part = part_of(fd);

	assert_in_range(part.size, 0, PART);
	assert_int_equal(fd_pread_full(fd, text, part.size, CONSOLE_LOG_HEADER),
			 0);
	text[part.size] = '\0';
	return text;
}

static void test_header(void **state)
{
	struct fixture *f = *state;
	const struct console_log_part in = {.from = 2097152, .boot = 1048576};
	struct console_log_part out = {0};
	char text[CONSOLE_LOG_HEADER + 1] = "";
	int fd = f->fds[0];

	assert_int_equal(console_log_part_read(fd, &out), -ENODATA);
	assert_int_equal(console_log_part_write(fd, &in), 0);
	assert_int_equal(fd_pread_full(fd, text, CONSOLE_LOG_HEADER, 0), 0);
	assert_string_equal(text, "armvmd console log from "
				  "00000000000002097152 boot "
				  "00000000000001048576 \n");
	assert_int_equal(console_log_part_read(fd, &out), 0);
	assert_int_equal(out.from, in.from);
	assert_int_equal(out.boot, in.boot);
	assert_int_equal(out.size, 0);
	/* Nothing else is one. */
	assert_int_equal(fd_pwrite_full(fd, "-", 1, 24), 0);
	assert_int_equal(console_log_part_read(fd, &out), -ENODATA);
	assert_int_equal(fd_pwrite_full(fd, "18446744073709551615", 20, 24), 0);
	assert_int_equal(console_log_part_read(fd, &out), -ENODATA);
}

static void test_goes_on_where_it_was(void **state)
{
	struct fixture *f = *state;

	open_log(f, f->fds, PART);
	say(f, "first boot\n");
	f->log = console_log_free(f->log);
	say(f, "not logged\n");
	open_log(f, f->fds, PART);
	say(f, "second boot\n");
	assert_string_equal(text_of(f->fds[0]), "first boot\nsecond boot\n");
	assert_int_equal(part_of(f->fds[0]).boot, 11);
	console_log_boot(f->log);
	say(f, "reset\n");
	assert_int_equal(part_of(f->fds[0]).boot, 23);
}

/* The guest went on while another supervisor came: same boot, and the new
 * one's console shows what was printed before. */
static void test_another_takes_over(void **state)
{
	struct chardev_seat seat = {.who = "me", .want = CHARDEV_READ};
	struct fixture *f = *state;
	char seen[64] = "";
	int ends[2];

	open_log(f, f->fds, PART);
	say(f, "first boot\n");
	console_log_boot(f->log);
	say(f, "second boot\n");
	f->log = console_log_free(f->log);
	chardev_free(f->console);
	assert_int_equal(chardev_new(&f->loop, &f->console), 0);
	open_log_as(f, f->fds, PART, true);
	say(f, "goes on\n");
	assert_int_equal(part_of(f->fds[0]).boot, 11);
	assert_string_equal(text_of(f->fds[0]),
			    "first boot\nsecond boot\ngoes on\n");
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
	assert_int_equal(chardev_attach(f->console, ends[1], &seat, NULL), 0);
	for (int i = 0; i < 100 && !*seen; i++) {
		uv_run(&f->loop, UV_RUN_NOWAIT);
		(void)!read(ends[0], seen, sizeof(seen) - 1);
	}
	assert_string_equal(seen, "first boot\nsecond boot\ngoes on\n");
	close(ends[0]);
}

static void test_parts_take_turns(void **state)
{
	struct fixture *f = *state;
	struct console_log_part a, b;
	char line[101];

	open_log(f, f->fds, PART);
	memset(line, 'x', sizeof(line) - 2);
	line[99] = '\n';
	line[100] = '\0';
	for (int i = 0; i < 500; i++) {
		say(f, line);
		f->now_ms += 100;
		for (int j = 0; j < CONSOLE_LOG_PARTS; j++)
			assert_in_range(lseek(f->fds[j], 0, SEEK_END), 0, PART);
	}
	a = part_of(f->fds[0]);
	b = part_of(f->fds[1]);
	/* 50000 bytes, the full part before the current one. */
	assert_int_equal(a.from + a.size, 50000);
	assert_int_equal(b.from + b.size, a.from);
	assert_int_equal(b.size, PART - CONSOLE_LOG_HEADER);
	/* The next run finds the newer one. */
	f->log = console_log_free(f->log);
	open_log(f, f->fds, PART);
	say(f, "end");
	assert_int_equal(part_of(f->fds[0]).size, a.size + 3);
	assert_int_equal(part_of(f->fds[0]).boot, 50000);
}

static void test_a_flood_is_thinned(void **state)
{
	struct fixture *f = *state;
	static char text[KIB(64) + 1];
	uint64_t written;

	open_log(f, f->fds, PART);
	memset(text, 'y', sizeof(text) - 1);
	for (int i = 0; i < 1000; i++) { /* 64 MiB in one second */
		say(f, text);
		f->now_ms++;
	}
	f->now_ms += 60000;
	say(f, "the end");
	written = part_of(f->fds[0]).from + part_of(f->fds[0]).size;
	written = MAX(written,
		      part_of(f->fds[1]).from + part_of(f->fds[1]).size);
	assert_in_range(written, CONSOLE_LOG_BURST,
			CONSOLE_LOG_BURST + CONSOLE_LOG_RATE + KIB(64));
	f->log = console_log_free(f->log);
	assert_true(strstr(text_of(f->fds[0]), " bytes of output are missing "
					       "here]\nthe end") ||
		    strstr(text_of(f->fds[1]), " bytes of output are missing "
					       "here]\nthe end"));
	assert_int_equal(f->events, 0);
}

static void test_a_full_disk(void **state)
{
	struct fixture *f = *state;
	int full = open("/dev/full", O_RDWR | O_CLOEXEC);
	const int fds[] = {f->fds[0], full};
	static char text[PART + 1];

	open_log(f, fds, PART);
	memset(text, 'z', sizeof(text) - 1);
	say(f, "begin ");
	assert_int_equal(f->events, 0);
	say(f, text); /* into the second part, which takes nothing */
	assert_int_equal(f->events, 1);
	assert_non_null(strstr(f->event, "cannot be written"));
	for (int i = 0; i < 10; i++) {
		f->now_ms += CONSOLE_LOG_RETRY_MS;
		say(f, "more ");
	}
	assert_int_equal(f->events, 1);
	assert_int_equal(part_of(f->fds[0]).size, PART - CONSOLE_LOG_HEADER);
	fd_close(full);
}

static void limit_files(rlim_t size)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = MIN(size, limit.rlim_max);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* The cause comes and goes: here a limit of the size of files. */
static void test_it_resumes(void **state)
{
	struct fixture *f = *state;

	signal(SIGXFSZ, SIG_IGN);
	open_log(f, f->fds, PART);
	say(f, "one ");
	limit_files(CONSOLE_LOG_HEADER + 4);
	say(f, "lost ");
	assert_int_equal(f->events, 1);
	f->now_ms += CONSOLE_LOG_RETRY_MS;
	say(f, "lost ");
	limit_files(RLIM_INFINITY);
	/* Not tried yet. */
	f->now_ms += CONSOLE_LOG_RETRY_MS - 1;
	say(f, "too ");
	assert_int_equal(f->events, 1);
	f->now_ms += 1;
	say(f, "two");
	assert_int_equal(f->events, 2);
	assert_non_null(strstr(f->event, "written again; 14 bytes"));
	assert_string_equal(text_of(f->fds[0]),
			    "one \n[armvmd: 14 bytes of output are missing "
			    "here]\ntwo");
}

static void test_bounds(void **state)
{
	struct fixture *f = *state;
	struct console_log_params p = {
		.console = f->console,
		.fds = {dup(f->fds[0]), dup(f->fds[1])},
		.part_bytes = CONSOLE_LOG_PART_MIN - 1,
		.event = on_event,
		.now_ms = now_ms,
		.cookie = f,
	};
	struct error e = ERROR_INIT;

	assert_int_equal(console_log_new(&p, &f->log, &e), -EINVAL);
	assert_int_equal(fcntl(p.fds[0], F_GETFD), -1);
	assert_null(f->log);
}

#define LOG_TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LOG_TEST(test_header),
		LOG_TEST(test_goes_on_where_it_was),
		LOG_TEST(test_another_takes_over),
		LOG_TEST(test_parts_take_turns),
		LOG_TEST(test_a_flood_is_thinned),
		LOG_TEST(test_a_full_disk),
		LOG_TEST(test_it_resumes),
		LOG_TEST(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
