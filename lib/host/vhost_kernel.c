#include <linux/vhost.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "lib/base/fd.h"
#include "lib/host/vhost_kernel.h"

struct vhost_kernel {
	struct vhost vhost;
	struct vhost_kernel_params params;
	bool ready[VHOST_RINGS_MAX]; /* of what is started */
	unsigned n_rings;
};

static struct vhost_kernel *of(struct vhost *v)
{
	return container_of(v, struct vhost_kernel, vhost);
}

static int request(const struct vhost_kernel *k, unsigned long number,
		   const void *arg)
{
	return ioctl(k->params.fd, number, arg) < 0 ? -errno : 0;
}

static int set_memory(const struct vhost_kernel *k, const struct vhost_setup *s)
{
	union {
		struct vhost_memory memory;
		uint8_t room[sizeof(struct vhost_memory) +
			     VHOST_REGIONS_MAX *
				     sizeof(struct vhost_memory_region)];
	} table = {.room = {0}};

	if (s->n_regions > VHOST_REGIONS_MAX)
		return -E2BIG;
	table.memory.nregions = s->n_regions;
	for (unsigned i = 0; i < s->n_regions; i++)
		table.memory.regions[i] = (struct vhost_memory_region){
			.guest_phys_addr = s->regions[i].gpa,
			.memory_size = s->regions[i].size_bytes,
			.userspace_addr = (uintptr_t)s->regions[i].hva,
		};
	return request(k, VHOST_SET_MEM_TABLE, &table);
}

static int set_file(const struct vhost_kernel *k, unsigned long number,
		    unsigned index, int fd)
{
	const struct vhost_vring_file file = {.index = index, .fd = fd};

	return request(k, number, &file);
}

static int set_ring(const struct vhost_kernel *k, unsigned index,
		    const struct vhost_ring *ring)
{
	const struct vhost_vring_state size = {index, ring->size};
	const struct vhost_vring_state next = {index, ring->next};
	const struct vhost_vring_addr addresses = {
		.index = index,
		.desc_user_addr = (uintptr_t)ring->desc,
		.avail_user_addr = (uintptr_t)ring->avail,
		.used_user_addr = (uintptr_t)ring->used,
	};
	int r = request(k, VHOST_SET_VRING_NUM, &size);

	if (!r)
		r = request(k, VHOST_SET_VRING_BASE, &next);
	if (!r)
		r = request(k, VHOST_SET_VRING_ADDR, &addresses);
	if (!r)
		r = set_file(k, VHOST_SET_VRING_ERR, index, ring->error_fd);
	if (!r)
		r = set_file(k, VHOST_SET_VRING_CALL, index, ring->call_fd);
	/* Last: a notification that waits is followed at once. */
	if (!r)
		r = set_file(k, VHOST_SET_VRING_KICK, index, ring->kick_fd);
	return r;
}

/* Ending it cannot fail for a ring that exists; one that was never set up
 * loses nothing. */
static void drop_ring(const struct vhost_kernel *k, unsigned index,
		      uint16_t *ret_next)
{
	struct vhost_vring_state next = {.index = index};

	/* Waits for a kick that is being followed. */
	(void)set_file(k, VHOST_SET_VRING_KICK, index, VHOST_FILE_UNBIND);
	(void)set_file(k, VHOST_SET_VRING_CALL, index, VHOST_FILE_UNBIND);
	(void)set_file(k, VHOST_SET_VRING_ERR, index, VHOST_FILE_UNBIND);
	if (request(k, VHOST_GET_VRING_BASE, &next) == 0)
		*ret_next = (uint16_t)next.num;
}

static void kernel_stop(struct vhost *v, uint16_t ret_next[VHOST_RINGS_MAX])
{
	struct vhost_kernel *k = of(v);

	k->params.halt(k->params.cookie, k->params.fd, k->n_rings);
	for (unsigned i = 0; i < k->n_rings; i++)
		if (k->ready[i])
			drop_ring(k, i, &ret_next[i]);
	k->n_rings = 0;
}

static int kernel_start(struct vhost *v, const struct vhost_setup *s,
			struct error *e)
{
	struct vhost_kernel *k = of(v);
	uint16_t unused[VHOST_RINGS_MAX];
	int r;

	if (s->n_rings > VHOST_RINGS_MAX)
		return error_set(e, -E2BIG, "%s: more than %d rings",
				 k->params.name, VHOST_RINGS_MAX);
	r = request(k, VHOST_SET_FEATURES, &s->features);
	if (!r)
		r = set_memory(k, s);
	k->n_rings = s->n_rings;
	for (unsigned i = 0; i < s->n_rings; i++) {
		k->ready[i] = s->rings[i].ready;
		if (!r && k->ready[i])
			r = set_ring(k, i, &s->rings[i]);
	}
	if (!r)
		r = k->params.run(k->params.cookie, k->params.fd, s);
	if (r) {
		kernel_stop(v, unused);
		return error_set(e, r, "%s: the kernel refuses the rings: %s",
				 k->params.name, strerror(-r));
	}
	return 0;
}

static int kernel_set_call(struct vhost *v, unsigned ring, int fd)
{
	return set_file(of(v), VHOST_SET_VRING_CALL, ring, fd);
}

static void kernel_free(struct vhost *v)
{
	struct vhost_kernel *k = of(v);

	/* The last descriptor ends what still runs. */
	fd_close(k->params.fd);
	free(k);
}

static const struct vhost_ops kernel_ops = {
	.start = kernel_start,
	.stop = kernel_stop,
	.set_call = kernel_set_call,
	.free = kernel_free,
};

int vhost_kernel_open(const struct vhost_kernel_params *params,
		      struct vhost **ret, struct error *e)
{
	_cleanup_close_ int fd = params->fd;
	_cleanup_free_ struct vhost_kernel *k = calloc(1, sizeof(*k));
	int r;

	if (!k)
		return error_set(e, -ENOMEM, "out of memory for %s",
				 params->name);
	k->params = *params;
	k->vhost.ops = &kernel_ops;
	r = request(k, VHOST_SET_OWNER, NULL);
	if (!r)
		r = request(k, VHOST_GET_FEATURES, &k->vhost.features);
	if (r == -ENOTTY || r == -EBADF)
		return error_set(e, -EINVAL,
				 "%s: the descriptor is no vhost device",
				 params->name);
	if (r)
		return error_set(e, r, "%s: %s", params->name, strerror(-r));
	k->params.fd = TAKE_FD(fd);
	*ret = &TAKE_PTR(k)->vhost;
	return 0;
}

static int vsock_set_running(int fd, int running)
{
	return ioctl(fd, VHOST_VSOCK_SET_RUNNING, &running) < 0 ? -errno : 0;
}

static int vsock_run(void *cookie, int fd, const struct vhost_setup *setup)
{
	return vsock_set_running(fd, 1);
}

static void vsock_halt(void *cookie, int fd, unsigned n_rings)
{
	(void)vsock_set_running(fd, 0);
}

int vhost_vsock_open(int fd, struct vhost **ret, struct error *e)
{
	const struct vhost_kernel_params params = {
		.fd = fd,
		.name = "vhost-vsock",
		.run = vsock_run,
		.halt = vsock_halt,
	};

	return vhost_kernel_open(&params, ret, e);
}
