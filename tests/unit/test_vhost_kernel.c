#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <linux/vhost.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "lib/base/fd.h"
#include "lib/base/util.h"
#include "lib/host/vhost_kernel.h"

/* The kernel, for the descriptor of these tests: writes down what it is asked,
 * and refuses the request number `refuse`. */
static struct {
	int fd;
	unsigned long log[64];
	unsigned n;
	unsigned long refuse;
	uint64_t features;
	struct vhost_vring_state num[4], base[4];
	struct vhost_vring_addr addr[4];
	int kick[4], call[4], err[4];
	struct vhost_memory_region region;
	int running;
} k;

static int *file_of(unsigned long request, unsigned index)
{
	assert_in_range(index, 0, 3);
	return request == VHOST_SET_VRING_KICK	 ? &k.kick[index]
	       : request == VHOST_SET_VRING_CALL ? &k.call[index]
						 : &k.err[index];
}

static void follow(unsigned long request, void *arg)
{
	struct vhost_vring_state *s = arg;
	struct vhost_vring_file *file = arg;
	struct vhost_vring_addr *addr = arg;

	switch (request) {
	case VHOST_GET_FEATURES:
		*(uint64_t *)arg = 0x130000000;
		break;
	case VHOST_SET_FEATURES:
		k.features = *(uint64_t *)arg;
		break;
	case VHOST_SET_MEM_TABLE:
		assert_int_equal(((struct vhost_memory *)arg)->nregions, 1);
		k.region = ((struct vhost_memory *)arg)->regions[0];
		break;
	case VHOST_SET_VRING_NUM:
		k.num[s->index] = *s;
		break;
	case VHOST_SET_VRING_BASE:
		k.base[s->index] = *s;
		break;
	case VHOST_GET_VRING_BASE:
		s->num = k.base[s->index].num + 5;
		break;
	case VHOST_SET_VRING_ADDR:
		k.addr[addr->index] = *addr;
		break;
	case VHOST_VSOCK_SET_RUNNING:
		k.running = *(int *)arg;
		break;
	case VHOST_SET_VRING_KICK:
	case VHOST_SET_VRING_CALL:
	case VHOST_SET_VRING_ERR:
		*file_of(request, file->index) = file->fd;
		break;
	}
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list list;
	void *arg;

	va_start(list, request);
	arg = va_arg(list, void *);
	va_end(list);
	if (fd != k.fd || k.fd < 0) {
		errno = ENOTTY;
		return -1;
	}
	assert_in_range(k.n, 0, ARRAY_SIZE(k.log) - 1);
	k.log[k.n++] = request;
	/* What ends a service is never refused. */
	if (request == k.refuse &&
	    !(request == VHOST_VSOCK_SET_RUNNING && *(int *)arg == 0)) {
		errno = EFAULT;
		return -1;
	}
	follow(request, arg);
	return 0;
}

static struct vhost *open_vsock(void)
{
	struct vhost *v = NULL;

	memset(&k, 0, sizeof(k));
	k.fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	assert_int_equal(vhost_vsock_open(k.fd, &v, NULL), 0);
	assert_int_equal(v->features, 0x130000000);
	assert_int_equal(k.log[0], VHOST_SET_OWNER);
	k.n = 0;
	return v;
}

static char memory[4096];
static const struct vhost_region region = {0x40000000, sizeof(memory), memory,
					   -1, 0};
static const struct vhost_ring rings[2] = {
	{true, 8, 3, memory, memory + 1024, memory + 2048, 10, 11, 12},
	{true, 16, 0, memory + 64, memory + 1088, memory + 2112, 20, 21, 22},
};
static const struct vhost_setup whole = {0x100000000, &region, 1, rings, 2};

static void test_not_vhost(void **state)
{
	struct error e = ERROR_INIT;
	struct vhost *v = NULL;

	k.fd = -1;
	assert_int_equal(
		vhost_vsock_open(open("/dev/null", O_RDWR | O_CLOEXEC), &v, &e),
		-EINVAL);
	assert_null(v);
	assert_non_null(strstr(e.message, "vhost-vsock"));
}

static void test_start_stop(void **state)
{
	struct vhost *v = open_vsock();
	uint16_t next[VHOST_RINGS_MAX] = {0};

	assert_int_equal(v->ops->start(v, &whole, NULL), 0);
	assert_int_equal(k.features, 0x100000000);
	assert_int_equal(k.region.guest_phys_addr, 0x40000000);
	assert_int_equal(k.region.memory_size, sizeof(memory));
	assert_int_equal(k.region.userspace_addr, (uintptr_t)memory);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(k.num[i].num, rings[i].size);
		assert_int_equal(k.base[i].num, rings[i].next);
		assert_int_equal(k.addr[i].desc_user_addr,
				 (uintptr_t)rings[i].desc);
		assert_int_equal(k.addr[i].avail_user_addr,
				 (uintptr_t)rings[i].avail);
		assert_int_equal(k.addr[i].used_user_addr,
				 (uintptr_t)rings[i].used);
		assert_int_equal(k.addr[i].flags, 0);
		assert_int_equal(k.kick[i], rings[i].kick_fd);
		assert_int_equal(k.call[i], rings[i].call_fd);
		assert_int_equal(k.err[i], rings[i].error_fd);
	}
	/* It runs last, when all is known. */
	assert_int_equal(k.log[k.n - 1], VHOST_VSOCK_SET_RUNNING);
	assert_int_equal(k.running, 1);
	assert_int_equal(v->ops->set_call(v, 1, 31), 0);
	assert_int_equal(k.call[1], 31);
	k.n = 0;
	v->ops->stop(v, next);
	assert_int_equal(k.log[0], VHOST_VSOCK_SET_RUNNING);
	assert_int_equal(k.running, 0);
	assert_int_equal(next[0], 8);
	assert_int_equal(next[1], 5);
	for (unsigned i = 0; i < 2; i++)
		assert_true(k.kick[i] == -1 && k.call[i] == -1 &&
			    k.err[i] == -1);
	vhost_free(v);
}

/* A ring that is not ready is not spoken of. */
static void test_one_ring(void **state)
{
	struct vhost *v = open_vsock();
	struct vhost_ring some[2] = {rings[0], {.ready = false}};
	const struct vhost_setup setup = {0, &region, 1, some, 2};
	uint16_t next[VHOST_RINGS_MAX] = {0, 77};

	assert_int_equal(v->ops->start(v, &setup, NULL), 0);
	assert_int_equal(k.num[1].num, 0);
	v->ops->stop(v, next);
	assert_int_equal(next[0], 8);
	assert_int_equal(next[1], 77);
	vhost_free(v);
}

/* Whatever is refused: nothing runs afterwards, and no descriptor is left. */
static void test_refusals(void **state)
{
	static const unsigned long requests[] = {
		VHOST_SET_FEATURES,   VHOST_SET_MEM_TABLE,
		VHOST_SET_VRING_NUM,  VHOST_SET_VRING_BASE,
		VHOST_SET_VRING_ADDR, VHOST_VSOCK_SET_RUNNING,
	};
	struct vhost *v = open_vsock();

	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		struct error e = ERROR_INIT;

		k.refuse = requests[i];
		k.n = 0;
		assert_int_equal(v->ops->start(v, &whole, &e), -EFAULT);
		assert_non_null(strstr(e.message, "vhost-vsock"));
		assert_int_equal(k.running, 0);
		assert_true(k.kick[0] == -1 && k.kick[1] == -1);
	}
	k.refuse = 0;
	assert_int_equal(v->ops->start(v, &whole, NULL), 0);
	vhost_free(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_not_vhost),
		cmocka_unit_test(test_start_stop),
		cmocka_unit_test(test_one_ring),
		cmocka_unit_test(test_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
