/*
 * A variable update and the three ways to make it durable: acknowledged by
 * the daemon, spilled while there is none, and waited for while neither works.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "lib/base/fd.h"
#include "lib/wire/spill.h"
#include "supervisor/nvram.h"

#define STORE_SIZE 4096

struct fixture {
	uv_loop_t loop;
	struct nvram *nvram;
	uint8_t *memory;
	int spill_fd; /* our own descriptor of the spill file */
	int send_result;
	unsigned sends, commits;
	uint64_t seq, offset, size;
};

static int on_send(void *cookie, uint64_t seq, uint64_t offset, uint64_t size)
{
	struct fixture *f = cookie;

	f->sends++;
	f->seq = seq;
	f->offset = offset;
	f->size = size;
	return f->send_result;
}

static void on_committed(void *cookie)
{
	struct fixture *f = cookie;

	f->commits++;
}

static const struct nvram_events events = {
	.send = on_send,
	.committed = on_committed,
};

static int spill_file(void)
{
	char path[] = "/tmp/test-spill-XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC | O_APPEND);

	assert_true(fd >= 0);
	unlink(path);
	return fd;
}

static void open_nvram(struct fixture *f, int spill_fd)
{
	int memory_fd = memfd_create("store", MFD_CLOEXEC);

	assert_true(memory_fd >= 0);
	assert_int_equal(ftruncate(memory_fd, STORE_SIZE), 0);
	f->memory = mmap(NULL, STORE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
			 memory_fd, 0);
	assert_true(f->memory != MAP_FAILED);
	assert_int_equal(nvram_new(&f->loop, memory_fd, STORE_SIZE, spill_fd,
				   &events, f, "vm", &f->nvram, NULL),
			 0);
	close(memory_fd);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	uv_loop_init(&f->loop);
	f->spill_fd = spill_file();
	open_nvram(f, fcntl(f->spill_fd, F_DUPFD_CLOEXEC, 0));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	nvram_free(f->nvram);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	munmap(f->memory, STORE_SIZE);
	fd_close(f->spill_fd);
	free(f);
	return 0;
}

/* Let due timers run without waiting for later ones. */
static void turn(struct fixture *f)
{
	for (int i = 0; i < 3; i++)
		uv_run(&f->loop, UV_RUN_NOWAIT);
}

struct replayed {
	unsigned count;
	uint64_t seq, offset, size;
	uint8_t first;
};

static int on_replay(void *cookie, uint64_t seq, uint64_t offset,
		     const void *data, uint64_t size)
{
	struct replayed *r = cookie;

	*r = (struct replayed){r->count + 1, seq, offset, size,
			       *(const uint8_t *)data};
	return 0;
}

static struct replayed replay(struct fixture *f)
{
	struct replayed r = {0};
	uint64_t count = 0;

	assert_int_equal(lseek(f->spill_fd, 0, SEEK_SET), 0);
	assert_int_equal(spill_replay(f->spill_fd, STORE_SIZE, on_replay, &r,
				      &count, NULL),
			 0);
	assert_int_equal(count, r.count);
	return r;
}

static void test_acknowledged(void **state)
{
	struct fixture *f = *state;

	nvram_connected(f->nvram);
	nvram_commit(f->nvram, 16, 32);
	turn(f);
	assert_int_equal(f->sends, 1);
	assert_int_equal(f->offset, 16);
	assert_int_equal(f->size, 32);
	assert_int_equal(f->commits, 0);

	assert_int_equal(nvram_ack(f->nvram, f->seq + 1, NULL), -EINVAL);
	assert_int_equal(f->commits, 0);
	assert_int_equal(nvram_ack(f->nvram, f->seq, NULL), 0);
	assert_int_equal(f->commits, 1);
	assert_int_equal(nvram_ack(f->nvram, f->seq, NULL), -EINVAL);
	assert_int_equal(f->commits, 1);
	assert_int_equal(nvram_spilled_bytes(f->nvram), 0);
}

static void test_spilled(void **state)
{
	struct fixture *f = *state;
	struct replayed r;

	f->memory[100] = 0xab;
	nvram_commit(f->nvram, 100, 1);
	assert_int_equal(f->commits, 0); /* not from inside the call */
	turn(f);
	assert_int_equal(f->sends, 0);
	assert_int_equal(f->commits, 1);
	f->memory[200] = 0xcd;
	nvram_commit(f->nvram, 200, 2);
	turn(f);
	assert_int_equal(f->commits, 2);

	assert_true(nvram_spilled_bytes(f->nvram) > 0);
	r = replay(f);
	assert_int_equal(r.count, 2);
	assert_int_equal(r.offset, 200);
	assert_int_equal(r.size, 2);
	assert_int_equal(r.first, 0xcd);
}

/* The daemon dies with an update under way: it becomes a spilled one. */
static void test_disconnected(void **state)
{
	struct fixture *f = *state;
	struct replayed r;
	uint64_t seq;

	nvram_connected(f->nvram);
	f->memory[7] = 0x77;
	nvram_commit(f->nvram, 7, 1);
	seq = f->seq;
	nvram_disconnected(f->nvram);
	turn(f);
	assert_int_equal(f->commits, 1);
	r = replay(f);
	assert_int_equal(r.count, 1);
	assert_int_equal(r.seq, seq);
	assert_int_equal(r.first, 0x77);
	/* The old daemon's late answer means nothing any more. */
	nvram_connected(f->nvram);
	assert_int_equal(nvram_ack(f->nvram, seq, NULL), -EINVAL);
	assert_int_equal(f->commits, 1);
}

/* A daemon that does not read is waited for, never spilled around. */
static void test_full_channel(void **state)
{
	struct fixture *f = *state;

	nvram_connected(f->nvram);
	f->send_result = -ENOBUFS;
	nvram_commit(f->nvram, 0, 8);
	turn(f);
	assert_int_equal(f->commits, 0);
	assert_int_equal(nvram_spilled_bytes(f->nvram), 0);
	/* It goes away: now the spill file is the place. */
	nvram_disconnected(f->nvram);
	turn(f);
	assert_int_equal(f->commits, 1);
	assert_int_equal(replay(f).count, 1);
}

/* No daemon and no room: the guest waits; a daemon that comes frees it. */
static void test_spill_fails(void **state)
{
	struct fixture *f = *state;

	nvram_free(f->nvram);
	munmap(f->memory, STORE_SIZE);
	open_nvram(f, open("/dev/full", O_RDWR | O_CLOEXEC));
	nvram_commit(f->nvram, 0, 8);
	turn(f);
	assert_int_equal(f->commits, 0);
	nvram_connected(f->nvram);
	assert_int_equal(f->sends, 0); /* the reply to hello goes first */
	turn(f);
	assert_int_equal(f->sends, 1);
	assert_int_equal(nvram_ack(f->nvram, f->seq, NULL), 0);
	assert_int_equal(f->commits, 1);
}

static void test_bad_memory(void **state)
{
	struct fixture *f = *state;
	const uint64_t sizes[] = {0, STORE_SIZE + 1, NVRAM_SIZE_MAX + 1};
	int fd = memfd_create("store", MFD_CLOEXEC);

	assert_int_equal(ftruncate(fd, STORE_SIZE), 0);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct nvram *n = NULL;
		struct error e = ERROR_INIT;

		assert_int_equal(nvram_new(&f->loop, fd, sizes[i], spill_file(),
					   &events, f, "vm", &n, &e),
				 -EINVAL);
		assert_null(n);
		assert_true(e.message[0] != '\0');
	}
	close(fd);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_acknowledged), TEST(test_spilled),
		TEST(test_disconnected), TEST(test_full_channel),
		TEST(test_spill_fails),	 TEST(test_bad_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
