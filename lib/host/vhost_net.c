#include <linux/vhost.h>
#include <sys/ioctl.h>

#include "lib/base/fd.h"
#include "lib/host/vhost_kernel.h"
#include "lib/host/vhost_net.h"

#define RINGS 2 /* of a pair */

struct pair {
	struct vhost *kernel; /* one device file has one pair */
	int tap;
	bool running;
};

struct vhost_net {
	struct vhost vhost;
	unsigned n;
	struct pair pairs[VHOST_NET_PAIRS_MAX];
};

static struct vhost_net *of(struct vhost *v)
{
	return container_of(v, struct vhost_net, vhost);
}

static int set_backend(int fd, unsigned ring, int tap)
{
	const struct vhost_vring_file file = {.index = ring, .fd = tap};

	return ioctl(fd, VHOST_NET_SET_BACKEND, &file) < 0 ? -errno : 0;
}

static void pair_halt(void *cookie, int fd, unsigned n_rings)
{
	for (unsigned i = 0; i < n_rings; i++)
		(void)set_backend(fd, i, -1);
}

static int pair_run(void *cookie, int fd, const struct vhost_setup *setup)
{
	const struct pair *p = cookie;
	int r = 0;

	for (unsigned i = 0; r == 0 && i < setup->n_rings; i++)
		if (setup->rings[i].ready)
			r = set_backend(fd, i, p->tap);
	return r;
}

static void net_stop(struct vhost *v, uint16_t ret_next[VHOST_RINGS_MAX])
{
	struct vhost_net *n = of(v);

	for (unsigned i = 0; i < n->n; i++) {
		struct pair *p = &n->pairs[i];
		uint16_t next[VHOST_RINGS_MAX];

		if (!p->running)
			continue;
		p->running = false;
		memcpy(next, &ret_next[RINGS * i], RINGS * sizeof(*next));
		p->kernel->ops->stop(p->kernel, next);
		memcpy(&ret_next[RINGS * i], next, RINGS * sizeof(*next));
	}
}

static int net_start(struct vhost *v, const struct vhost_setup *s,
		     struct error *e)
{
	struct vhost_net *n = of(v);
	uint16_t unused[VHOST_RINGS_MAX] = {0};
	int r = 0;

	for (unsigned i = 0; r == 0 && i < n->n; i++) {
		struct pair *p = &n->pairs[i];
		struct vhost_setup part = *s;

		if (RINGS * (i + 1) > s->n_rings)
			break;
		part.rings = &s->rings[RINGS * i];
		part.n_rings = RINGS;
		if (!part.rings[0].ready && !part.rings[1].ready)
			continue;
		r = p->kernel->ops->start(p->kernel, &part, e);
		p->running = r == 0;
	}
	if (r < 0)
		net_stop(v, unused);
	return r;
}

static int net_set_call(struct vhost *v, unsigned ring, int fd)
{
	struct vhost *kernel = of(v)->pairs[ring / RINGS].kernel;

	return kernel->ops->set_call(kernel, ring % RINGS, fd);
}

static void net_free(struct vhost *v)
{
	struct vhost_net *n = of(v);

	for (unsigned i = 0; i < n->n; i++)
		vhost_free(n->pairs[i].kernel);
	free(n);
}

static const struct vhost_ops net_ops = {
	.start = net_start,
	.stop = net_stop,
	.set_call = net_set_call,
	.free = net_free,
};

int vhost_net_open(const int *fds, const int *taps, unsigned n,
		   struct vhost **ret, struct error *e)
{
	struct vhost_net *net = calloc(1, sizeof(*net));
	int r = net ? 0 : error_set(e, -ENOMEM, "out of memory for vhost-net");
	unsigned i = 0;

	for (; r == 0 && i < n; i++) {
		const struct vhost_kernel_params params = {
			.fd = fds[i],
			.name = "vhost-net",
			.run = pair_run,
			.halt = pair_halt,
			.cookie = &net->pairs[i],
		};

		net->pairs[i].tap = taps[i];
		r = vhost_kernel_open(&params, &net->pairs[i].kernel, e);
		net->n += r == 0;
	}
	for (; i < n; i++)
		fd_close(fds[i]);
	if (r < 0) {
		if (net)
			net_free(&net->vhost);
		return r;
	}
	net->vhost.ops = &net_ops;
	net->vhost.features = net->pairs[0].kernel->features;
	*ret = &net->vhost;
	return 0;
}
