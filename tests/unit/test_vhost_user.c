#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "lib/base/util.h"
#include "lib/host/vhost_user.h"
#include "tests/unit/fake_vhost_user.h"

struct fixture {
	uv_loop_t loop;
	struct fake_user user;
	struct vhost *vhost;
	struct vhost_region region;
	struct vhost_ring rings[2];
	struct vhost_setup setup;
	unsigned lost;
	char why[160];
	int event;
};

static void lost(void *cookie, const char *why)
{
	struct fixture *f = cookie;

	f->lost++;
	snprintf(f->why, sizeof(f->why), "%s", why);
}

static int open_user(struct fixture *f, struct error *e)
{
	const struct vhost_user_params params = {
		.loop = &f->loop,
		.fd = fake_user_begin(&f->user),
		.name = "filesystem \"x\"",
		.n_rings = 2,
		.open_ms = 150,
		.deadline_ms = 150,
		.lost = lost,
		.cookie = f,
	};

	return vhost_user_open(&params, &f->vhost, e);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_int_equal(uv_loop_init(&f->loop), 0);
	f->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	f->region = (struct vhost_region){
		.gpa = 0x40000000,
		.size_bytes = 4096,
		.fd = memfd_create("ram", MFD_CLOEXEC),
		.fd_offset = 0,
	};
	assert_int_equal(ftruncate(f->region.fd, 4096), 0);
	f->region.hva = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED,
			     f->region.fd, 0);
	for (unsigned i = 0; i < 2; i++)
		f->rings[i] = (struct vhost_ring){
			.ready = true,
			.size = 8,
			.next = (uint16_t)(7 + i),
			.desc = f->region.hva,
			.avail = (char *)f->region.hva + 128,
			.used = (char *)f->region.hva + 256,
			.kick_fd = f->event,
			.call_fd = f->event,
			.error_fd = f->event,
		};
	f->setup = (struct vhost_setup){1ull << 32, &f->region, 1, f->rings, 2};
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	f->vhost = vhost_free(f->vhost);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	if (f->user.fd)
		fake_user_end(&f->user);
	munmap(f->region.hva, 4096);
	close(f->region.fd);
	close(f->event);
	free(f);
	return 0;
}

/* The n-th request of a kind; fails the test when there is none. */
static unsigned find(struct fixture *f, uint32_t request, unsigned n)
{
	for (unsigned i = 0; i < f->user.n; i++)
		if (f->user.requests[i] == request && n-- == 0)
			return i;
	fail_msg("no request %u", request);
	return 0;
}

static void test_start_stop(void **state)
{
	struct fixture *f = *state;
	uint16_t next[VHOST_RINGS_MAX] = {0};
	const union vhost_user_payload *p;
	unsigned i;

	assert_int_equal(open_user(f, NULL), 0);
	assert_int_equal(f->vhost->features, FAKE_FEATURES & ~(1ull << 30));
	/* Nothing is agreed on that we do not know. */
	p = &f->user.payloads[find(f, VHOST_USER_SET_PROTOCOL_FEATURES, 0)];
	assert_int_equal(p->u64, 9);
	find(f, VHOST_USER_SET_OWNER, 0);
	assert_int_equal(f->vhost->ops->start(f->vhost, &f->setup, NULL), 0);
	p = &f->user.payloads[find(f, VHOST_USER_SET_FEATURES, 0)];
	assert_int_equal(p->u64, 1ull << 32 | 1ull << 30);
	i = find(f, VHOST_USER_SET_MEM_TABLE, 0);
	p = &f->user.payloads[i];
	assert_int_equal(p->memory.count, 1);
	assert_int_equal(p->memory.regions[0].gpa, 0x40000000);
	assert_int_equal(p->memory.regions[0].size_bytes, 4096);
	assert_int_equal(p->memory.regions[0].user_address,
			 (uintptr_t)f->region.hva);
	assert_int_equal(f->user.fds[i], 1);
	assert_int_equal(f->user.flags[i], 9); /* and it shall say so */
	for (unsigned ring = 0; ring < 2; ring++) {
		p = &f->user.payloads[find(f, VHOST_USER_SET_VRING_ADDR, ring)];
		assert_int_equal(p->address.index, ring);
		assert_int_equal(p->address.avail,
				 (uintptr_t)f->rings[ring].avail);
		p = &f->user.payloads[find(f, VHOST_USER_SET_VRING_BASE, ring)];
		assert_int_equal(p->state.num, 7 + ring);
		i = find(f, VHOST_USER_SET_VRING_KICK, ring);
		assert_int_equal(f->user.payloads[i].u64, ring);
		assert_int_equal(f->user.fds[i], 1);
		p = &f->user.payloads[find(f, VHOST_USER_SET_VRING_ENABLE,
					   ring)];
		assert_int_equal(p->state.num, 1);
	}
	assert_int_equal(f->vhost->ops->set_call(f->vhost, 1, f->event), 0);
	f->vhost->ops->stop(f->vhost, next);
	assert_int_equal(next[0], 40);
	assert_int_equal(next[1], 41);
	uv_run(&f->loop, UV_RUN_NOWAIT);
	assert_int_equal(f->lost, 0);
	/* And once more over the same connection. */
	assert_int_equal(f->vhost->ops->start(f->vhost, &f->setup, NULL), 0);
	f->vhost->ops->stop(f->vhost, next);
}

static void expect_open_fails(struct fixture *f, int want, const char *says)
{
	struct error e = ERROR_INIT;

	assert_int_equal(open_user(f, &e), want);
	assert_non_null(strstr(e.message, "filesystem \"x\""));
	if (!strstr(e.message, says))
		fail_msg("\"%s\" is not in \"%s\"", says, e.message);
	uv_run(&f->loop, UV_RUN_NOWAIT);
	assert_int_equal(f->lost, 0); /* told by the return value alone */
	uv_run(&f->loop, UV_RUN_DEFAULT);
	fake_user_end(&f->user);
	memset(&f->user, 0, sizeof(f->user));
}

static void test_open_fails(void **state)
{
	struct fixture *f = *state;

	f->user.queues = 1;
	expect_open_fails(f, -EOPNOTSUPP, "serves 1 queues; 2 are asked for");
	f->user.at = VHOST_USER_GET_FEATURES;
	f->user.how = FAKE_HANG;
	expect_open_fails(f, -ETIMEDOUT, "no answer in time");
	f->user.at = VHOST_USER_GET_FEATURES;
	f->user.how = FAKE_DIE;
	expect_open_fails(f, -EPIPE, "closed");
	f->user.at = VHOST_USER_GET_PROTOCOL_FEATURES;
	f->user.how = FAKE_LIE;
	expect_open_fails(f, -EPROTO, "malformed");
	f->user.at = VHOST_USER_GET_QUEUE_NUM;
	f->user.how = FAKE_SHORT;
	expect_open_fails(f, -EPROTO, "malformed");
}

static void test_start_fails(void **state)
{
	static const struct {
		enum vhost_user_request at;
		int how, want;
	} rows[] = {
		{VHOST_USER_SET_MEM_TABLE, FAKE_REFUSE, -EIO},
		{VHOST_USER_SET_MEM_TABLE, FAKE_HANG, -ETIMEDOUT},
		{VHOST_USER_SET_VRING_ENABLE, FAKE_LIE, -EPROTO},
		{VHOST_USER_SET_VRING_NUM, FAKE_DIE, -EPIPE},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct error e = ERROR_INIT;

		f->user.at = rows[i].at;
		f->user.how = rows[i].how;
		assert_int_equal(open_user(f, NULL), 0);
		assert_int_equal(f->vhost->ops->start(f->vhost, &f->setup, &e),
				 rows[i].want);
		assert_non_null(strstr(e.message, "filesystem \"x\""));
		/* Told once more on the loop: it is gone for good. */
		uv_run(&f->loop, UV_RUN_NOWAIT);
		assert_int_equal(f->lost, 1);
		assert_int_equal(f->vhost->ops->start(f->vhost, &f->setup, &e),
				 rows[i].want);
		f->vhost = vhost_free(f->vhost);
		uv_run(&f->loop, UV_RUN_DEFAULT);
		fake_user_end(&f->user);
		memset(&f->user, 0, sizeof(f->user));
		f->lost = 0;
	}
}

/* A stop ends at its deadline, and leaves what it does not know. */
static void test_stop_fails(void **state)
{
	static const int hows[] = {FAKE_HANG, FAKE_LIE, FAKE_DIE};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(hows); i++) {
		uint16_t next[VHOST_RINGS_MAX] = {3, 4};
		uint64_t began = uv_hrtime();

		f->user.at = VHOST_USER_GET_VRING_BASE;
		f->user.how = hows[i];
		assert_int_equal(open_user(f, NULL), 0);
		assert_int_equal(
			f->vhost->ops->start(f->vhost, &f->setup, NULL), 0);
		f->vhost->ops->stop(f->vhost, next);
		assert_true(uv_hrtime() - began < 1000000000);
		assert_true(next[0] == 3 && next[1] == 4);
		uv_run(&f->loop, UV_RUN_NOWAIT);
		assert_int_equal(f->lost, 1);
		f->vhost = vhost_free(f->vhost);
		uv_run(&f->loop, UV_RUN_DEFAULT);
		fake_user_end(&f->user);
		memset(&f->user, 0, sizeof(f->user));
		f->lost = 0;
	}
}

static void turn(struct fixture *f)
{
	for (int i = 0; i < 200 && !f->lost; i++) {
		uv_run(&f->loop, UV_RUN_NOWAIT);
		usleep(1000);
	}
}

static void test_dies_or_chatters(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(open_user(f, NULL), 0);
	assert_int_equal(f->vhost->ops->start(f->vhost, &f->setup, NULL), 0);
	assert_int_equal(send(f->user.fd, "x", 1, 0), 1);
	turn(f);
	assert_int_equal(f->lost, 1);
	assert_non_null(strstr(f->why, "unasked"));
	f->vhost = vhost_free(f->vhost);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	fake_user_end(&f->user);
	memset(&f->user, 0, sizeof(f->user));
	f->lost = 0;

	assert_int_equal(open_user(f, NULL), 0);
	shutdown(f->user.fd, SHUT_RDWR);
	turn(f);
	assert_int_equal(f->lost, 1);
	assert_non_null(strstr(f->why, "closed"));
}

/* Memory that nobody else can map is no memory to it. */
static void test_private_memory(void **state)
{
	struct fixture *f = *state;
	struct vhost_region region = f->region;
	struct vhost_setup s = f->setup;
	struct error e = ERROR_INIT;

	region.fd = -1;
	s.regions = &region;
	assert_int_equal(open_user(f, NULL), 0);
	assert_int_equal(f->vhost->ops->start(f->vhost, &s, &e), -EINVAL);
	assert_non_null(strstr(e.message, "memfd"));
}

/* One without features of the protocol: no acknowledgements, no enabling. */
static void test_plain(void **state)
{
	struct fixture *f = *state;
	uint16_t next[VHOST_RINGS_MAX];

	f->user.features = 1ull << 32;
	assert_int_equal(open_user(f, NULL), 0);
	assert_int_equal(f->vhost->ops->start(f->vhost, &f->setup, NULL), 0);
	f->vhost->ops->stop(f->vhost, next);
	assert_int_equal(next[1], 41);
	for (unsigned i = 0; i < f->user.n; i++) {
		assert_int_equal(f->user.flags[i], 1);
		assert_int_not_equal(f->user.requests[i],
				     VHOST_USER_SET_VRING_ENABLE);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_start_stop),
		TEST(test_open_fails),
		TEST(test_start_fails),
		TEST(test_stop_fails),
		TEST(test_dies_or_chatters),
		TEST(test_private_memory),
		TEST(test_plain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
