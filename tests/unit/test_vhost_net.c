#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "lib/base/fd.h"
#include "lib/host/vhost_net.h"

#define PAIRS 2

/* The kernel: what each of its files was told. */
static struct {
	int fd;
	bool owned;
	int backend[2], refuse_backend;
	int call[2];
	unsigned starts;
} files[PAIRS];

static int index_of(int fd)
{
	for (int i = 0; i < PAIRS; i++)
		if (files[i].fd == fd && fd >= 0)
			return i;
	return -1;
}

int ioctl(int fd, unsigned long request, ...)
{
	struct vhost_vring_file *file;
	va_list list;
	void *arg;
	int i = index_of(fd);

	va_start(list, request);
	arg = va_arg(list, void *);
	va_end(list);
	file = arg;
	if (i < 0) {
		errno = ENOTTY;
		return -1;
	}
	switch (request) {
	case VHOST_SET_OWNER:
		files[i].owned = true;
		break;
	case VHOST_GET_FEATURES:
		*(uint64_t *)arg = 1ull << 32 | 1 << 15;
		break;
	case VHOST_GET_VRING_BASE:
		assert_int_equal(files[i].backend[file->index], -1);
		((struct vhost_vring_state *)arg)->num = 100 +
							 10u * (unsigned)i;
		break;
	case VHOST_SET_VRING_CALL:
		files[i].call[file->index] = file->fd;
		break;
	case VHOST_NET_SET_BACKEND:
		if (file->fd >= 0 && files[i].refuse_backend) {
			errno = files[i].refuse_backend;
			return -1;
		}
		files[i].starts += file->fd >= 0;
		files[i].backend[file->index] = file->fd;
		break;
	}
	return 0;
}

static struct vhost *begin(void)
{
	const int taps[PAIRS] = {70, 71};
	struct vhost *v = NULL;
	int fds[PAIRS];

	memset(files, 0, sizeof(files));
	for (int i = 0; i < PAIRS; i++) {
		files[i].fd = fds[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
		files[i].backend[0] = files[i].backend[1] = -1;
	}
	assert_int_equal(vhost_net_open(fds, taps, PAIRS, &v, NULL), 0);
	assert_true(files[0].owned && files[1].owned);
	assert_int_equal(v->features, 1ull << 32 | 1 << 15);
	return v;
}

static int start(struct vhost *v, unsigned ready, struct error *e)
{
	static uint8_t memory[4096];
	struct vhost_region region = {.gpa = 0,
				      .size_bytes = sizeof(memory),
				      .hva = memory,
				      .fd = -1};
	struct vhost_ring rings[2 * PAIRS] = {0};
	const struct vhost_setup setup = {
		.features = 1ull << 32,
		.regions = &region,
		.n_regions = 1,
		.rings = rings,
		.n_rings = 2 * PAIRS,
	};

	for (unsigned i = 0; i < ready; i++)
		rings[i] = (struct vhost_ring){
			.ready = true,
			.size = 8,
			.desc = memory,
			.avail = memory + 1024,
			.used = memory + 2048,
			.kick_fd = -1,
			.call_fd = (int)(50 + i),
			.error_fd = -1,
		};
	return v->ops->start(v, &setup, e);
}

static void test_pairs(void **state)
{
	uint16_t next[VHOST_RINGS_MAX] = {1, 2, 3, 4};
	struct vhost *v = begin();

	assert_int_equal(start(v, 2, NULL), 0);
	assert_int_equal(files[0].backend[0], 70);
	assert_int_equal(files[0].backend[1], 70);
	assert_int_equal(files[1].starts, 0);
	v->ops->stop(v, next);
	assert_int_equal(files[0].backend[1], -1);
	assert_int_equal(next[0], 100);
	assert_int_equal(next[1], 100);
	assert_int_equal(next[2], 3);

	assert_int_equal(start(v, 4, NULL), 0);
	assert_int_equal(files[1].backend[1], 71);
	assert_int_equal(files[1].call[0], 52);
	assert_int_equal(v->ops->set_call(v, 3, 99), 0);
	assert_int_equal(files[1].call[1], 99);
	v->ops->stop(v, next);
	assert_int_equal(next[3], 110);
	vhost_free(v);
	assert_int_equal(fcntl(files[0].fd, F_GETFD), -1);
}

/* All or nothing. */
static void test_refused(void **state)
{
	struct error e = ERROR_INIT;
	struct vhost *v = begin();

	files[1].refuse_backend = EBADFD;
	assert_int_equal(start(v, 4, &e), -EBADFD);
	assert_non_null(strstr(e.message, "vhost-net"));
	assert_int_equal(files[0].backend[0], -1);
	assert_int_equal(files[1].backend[0], -1);
	files[1].refuse_backend = 0;
	assert_int_equal(start(v, 4, NULL), 0);
	v->ops->stop(v, (uint16_t[VHOST_RINGS_MAX]){0});
	vhost_free(v);
}

static void test_no_vhost(void **state)
{
	int fds[2] = {open("/dev/null", O_RDWR | O_CLOEXEC),
		      open("/dev/null", O_RDWR | O_CLOEXEC)};
	struct vhost *v = NULL;
	struct error e = ERROR_INIT;

	files[0].fd = fds[0];
	files[1].fd = -1;
	assert_int_equal(vhost_net_open(fds, (int[2]){1, 2}, 2, &v, &e),
			 -EINVAL);
	assert_null(v);
	assert_int_equal(fcntl(fds[0], F_GETFD), -1);
	assert_int_equal(fcntl(fds[1], F_GETFD), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pairs),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_no_vhost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
