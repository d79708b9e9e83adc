/*
 * The null backend keeps the contract of lib/vmm/vmm.h: what it announces,
 * when, and that a guest with an update under way stands still. The test types
 * on its console as a person would.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "lib/base/fd.h"
#include "lib/host/chardev.h"
#include "supervisor/null_backend.h"

#define STORE_SIZE 4096

struct fixture {
	uv_loop_t loop;
	struct vm_config config;
	struct chardev *console;
	struct vmm *vmm;
	uint8_t *memory;
	int terminal; /* our end of the console */
	char seen[8192];
	size_t seen_size;
	unsigned events[VMM_EVENT_FATAL + 1];
	char detail[128];
	unsigned commits;
	uint64_t offset, size;
};

static void on_event(void *cookie, enum vmm_event_kind kind, const char *detail)
{
	struct fixture *f = cookie;

	f->events[kind]++;
	snprintf(f->detail, sizeof(f->detail), "%s", detail);
}

static void on_commit(void *cookie, uint64_t offset, uint64_t size)
{
	struct fixture *f = cookie;

	f->commits++;
	f->offset = offset;
	f->size = size;
}

static const struct vmm_events events = {
	.event = on_event,
	.nvram_commit = on_commit,
};

static void turn(struct fixture *f)
{
	ssize_t n;

	uv_run(&f->loop, UV_RUN_NOWAIT);
	n = recv(f->terminal, f->seen + f->seen_size,
		 sizeof(f->seen) - 1 - f->seen_size, MSG_DONTWAIT);
	if (n > 0)
		f->seen_size += (size_t)n;
	f->seen[f->seen_size] = '\0';
}

/* Turn the loop until `*flag` or, when that is NULL, `text` is there. */
static bool wait_for(struct fixture *f, const unsigned *flag, const char *text)
{
	uint64_t end = uv_hrtime() + 2000000000ULL;

	while (uv_hrtime() < end) {
		turn(f);
		if (flag ? *flag > 0 : strstr(f->seen, text) != NULL)
			return true;
		usleep(500);
	}
	return false;
}

static void settle(struct fixture *f)
{
	for (int i = 0; i < 20; i++) {
		turn(f);
		usleep(200);
	}
}

static void type(struct fixture *f, const char *text)
{
	assert_int_equal(write(f->terminal, text, strlen(text)), strlen(text));
}

static void create(struct fixture *f)
{
	struct vmm_params params = {
		.config = &f->config,
		.loop = &f->loop,
		.events = &events,
		.cookie = f,
		.hypervisor_fd = -1,
		.firmware_fd = -1,
		.kernel_fd = -1,
		.snapshot_fd = -1,
		.initrd_fd = -1,
		.nvram_fd = memfd_create("store", MFD_CLOEXEC),
		.nvram_size = STORE_SIZE,
		.console = f->console,
	};

	assert_int_equal(ftruncate(params.nvram_fd, STORE_SIZE), 0);
	f->memory = mmap(NULL, STORE_SIZE, PROT_READ, MAP_SHARED,
			 params.nvram_fd, 0);
	assert_true(f->memory != MAP_FAILED);
	assert_int_equal(null_vmm_ops.create(&params, &f->vmm, NULL), 0);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int pair[2];

	uv_loop_init(&f->loop);
	f->config.name = strdup("web");
	assert_int_equal(chardev_new(&f->loop, &f->console), 0);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	f->terminal = pair[0];
	assert_int_equal(chardev_attach(f->console, pair[1],
					&(struct chardev_seat){.who = "us"},
					NULL),
			 0);
	create(f);
	*state = f;
	return 0;
}

static int setup_started(void **state)
{
	struct fixture *f;

	setup(state);
	f = *state;
	assert_int_equal(null_vmm_ops.start(f->vmm, NULL), 0);
	assert_true(wait_for(f, &f->events[VMM_EVENT_RUNNING], NULL));
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	null_vmm_ops.destroy(f->vmm);
	chardev_free(f->console);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	munmap(f->memory, STORE_SIZE);
	fd_close(f->terminal);
	free(f->config.name);
	free(f);
	return 0;
}

static void test_start(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(null_vmm_ops.start(f->vmm, NULL), 0);
	assert_int_equal(f->events[VMM_EVENT_RUNNING], 0); /* not inside */
	assert_true(wait_for(f, NULL, "null: VM web started\n"));
	assert_int_equal(f->events[VMM_EVENT_RUNNING], 1);
}

static void test_echo(void **state)
{
	struct fixture *f = *state;

	type(f, "hello there\n");
	assert_true(wait_for(f, NULL, "hello there\n"));
}

static void test_words(void **state)
{
	static const struct {
		const char *line;
		enum vmm_event_kind kind;
	} words[] = {
		{"reboot\n", VMM_EVENT_RESET},
		{"panic\n", VMM_EVENT_PANIC},
		{"poweroff\n", VMM_EVENT_POWEROFF},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		type(f, words[i].line);
		assert_true(wait_for(f, &f->events[words[i].kind], NULL));
	}
	assert_string_equal(f->detail, "the guest powered off");
}

static void test_fatal(void **state)
{
	struct fixture *f = *state;

	type(f, "fatal\n");
	assert_true(wait_for(f, &f->events[VMM_EVENT_FATAL], NULL));
	assert_true(f->detail[0] != '\0');
}

static void test_shutdown(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(null_vmm_ops.shutdown(f->vmm, NULL), 0);
	assert_int_equal(f->events[VMM_EVENT_POWEROFF], 0);
	assert_true(wait_for(f, &f->events[VMM_EVENT_POWEROFF], NULL));
}

static void test_nvram(void **state)
{
	struct fixture *f = *state;

	type(f, "nvram 0x10 c0ffee\npoweroff\n");
	assert_true(wait_for(f, &f->commits, NULL));
	assert_int_equal(f->offset, 0x10);
	assert_int_equal(f->size, 3);
	assert_memory_equal(f->memory + 0x10, "\xc0\xff\xee", 3);
	/* Held: neither acknowledged nor reading on. */
	settle(f);
	assert_null(strstr(f->seen, "committed"));
	assert_int_equal(f->events[VMM_EVENT_POWEROFF], 0);

	null_vmm_ops.nvram_committed(f->vmm);
	assert_true(wait_for(f, NULL, "committed\n"));
	assert_true(wait_for(f, &f->events[VMM_EVENT_POWEROFF], NULL));
}

static void test_nvram_nonsense(void **state)
{
	static const char *const lines[] = {
		"nvram \n",
		"nvram 1\n",
		"nvram 1 \n",
		"nvram 1 abc\n",
		"nvram 1 zz\n",
		"nvram 1 +1\n",
		"nvram 4096 00\n",
		"nvram 4095 0000\n",
		"nvram 0xffffffffffffffff 00\n",
		"nvram 99999999999999999999999 00\n",
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		type(f, lines[i]);
	type(f, "the end\n");
	assert_true(wait_for(f, NULL, "the end\n"));
	assert_int_equal(f->commits, 0);
}

static void test_pause(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(null_vmm_ops.pause(f->vmm, NULL), 0);
	assert_int_equal(f->events[VMM_EVENT_PAUSED], 1);
	type(f, "reboot\n");
	settle(f);
	assert_int_equal(f->events[VMM_EVENT_RESET], 0);
	assert_int_equal(null_vmm_ops.resume(f->vmm, NULL), 0);
	assert_int_equal(f->events[VMM_EVENT_RESUMED], 1);
	assert_true(wait_for(f, &f->events[VMM_EVENT_RESET], NULL));
}

/* A line longer than the buffer is cut, not written past it. */
static void test_long_line(void **state)
{
	struct fixture *f = *state;
	char *line = malloc(3000);

	memset(line, 'x', 3000);
	assert_int_equal(write(f->terminal, line, 3000), 3000);
	free(line);
	type(f, "\nthe end\n");
	assert_true(wait_for(f, NULL, "\nthe end\n"));
}

static void test_create_fails(void **state)
{
	struct fixture *f = *state;
	struct vmm *v = NULL;
	struct error e = ERROR_INIT;
	struct vmm_params params = {
		.config = &f->config,
		.loop = &f->loop,
		.events = &events,
		.cookie = f,
		.hypervisor_fd = -1,
		.firmware_fd = -1,
		.kernel_fd = -1,
		.snapshot_fd = -1,
		.initrd_fd = -1,
		.nvram_fd = memfd_create("small", MFD_CLOEXEC),
		.nvram_size = STORE_SIZE,
		.console = f->console,
	};
	int fd = params.nvram_fd;

	assert_int_equal(null_vmm_ops.create(&params, &v, &e), -EINVAL);
	assert_null(v);
	assert_int_equal(fcntl(fd, F_GETFD), -1); /* consumed all the same */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define STARTED(name) \
	cmocka_unit_test_setup_teardown(name, setup_started, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_start),
		STARTED(test_echo),
		STARTED(test_words),
		STARTED(test_fatal),
		STARTED(test_shutdown),
		STARTED(test_nvram),
		STARTED(test_nvram_nonsense),
		STARTED(test_pause),
		STARTED(test_long_line),
		TEST(test_create_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
