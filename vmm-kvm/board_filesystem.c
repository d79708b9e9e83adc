/*
 * Folders of the host. Each has a server at the other end of a vhost-user
 * socket. When that ends the guest's device is out of order, and the owner is
 * asked for another; a new server is waited for without holding up the loop:
 * first a knock (its features are asked for), and when the answer is there the
 * rest is quick.
 */
#include <stdio.h>

#include "lib/base/fd.h"
#include "lib/host/vhost_user.h"
#include "lib/host/vhost_user_wire.h"
#include "vmm-kvm/board_internal.h"
#include "vmm-kvm/devices/virtio_fs.h"

/* A server that starts together with the machine; nothing runs yet. */
#define START_MS 20000

/* A server that has been knocked at. */
struct knock {
	struct board_filesystem *fs; /* NULL: nobody waits any more */
	int fd;
	uv_poll_t poll;
};

struct board_filesystem {
	struct board *board;
	size_t index;
	struct virtio_dev *dev; /* borrowed from its function */
	struct knock *knock;	/* NULL: none */
};

static const struct filesystem_config *config_of(
	const struct board_filesystem *fs)
{
	return &fs->board->config->filesystems[fs->index];
}

static unsigned n_queues(const struct board_filesystem *fs)
{
	return config_of(fs)->queues ? config_of(fs)->queues : 1;
}

static void on_failed(void *cookie, const char *why)
{
	struct board_filesystem *fs = cookie;

	fs->board->device_failed(fs->board->cookie, why);
}

static void on_lost(void *cookie, const char *why)
{
	struct board_filesystem *fs = cookie;

	virtio_fs_lost(fs->dev, why);
	fs->board->filesystem_lost(fs->board->cookie, fs->index, why);
}

static int open_server(struct board_filesystem *fs, int fd, unsigned deadline,
		       bool knocked, struct vhost **ret, struct error *e)
{
	char name[24 + VM_FS_TAG_MAX];
	const struct vhost_user_params params = {
		.loop = fs->board->function_params.loop,
		.fd = fd,
		.name = name,
		.n_rings = 1 + n_queues(fs),
		.open_ms = deadline,
		.deadline_ms = VHOST_USER_DEADLINE_MS,
		.knocked = knocked,
		.lost = on_lost,
		.cookie = fs,
	};

	snprintf(name, sizeof(name), "filesystem \"%s\"", config_of(fs)->tag);
	return vhost_user_open(&params, ret, e);
}

static void on_knock_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static int knock_end(struct knock *k)
{
	int fd = TAKE_FD(k->fd);

	if (k->fs)
		k->fs->knock = NULL;
	k->fs = NULL;
	uv_close((uv_handle_t *)&k->poll, on_knock_closed);
	return fd;
}

/* It answers, or has ended. */
static void on_answer(uv_poll_t *poll, int status, int events)
{
	struct knock *k = poll->data;
	struct board_filesystem *fs = k->fs;
	struct error e = ERROR_INIT;
	struct vhost *vhost;
	int fd, r;

	fd = knock_end(k);
	r = open_server(fs, fd, VHOST_USER_DEADLINE_MS, true, &vhost, &e);
	if (!r)
		r = virtio_fs_replace(fs->dev, vhost, &e);
	if (r)
		fs->board->filesystem_lost(fs->board->cookie, fs->index,
					   e.message);
}

int board_set_filesystem(struct board *b, size_t index, int socket_fd,
			 struct error *e)
{
	_cleanup_close_ int fd = socket_fd;
	const struct vhost_user_message m = {
		.request = VHOST_USER_GET_FEATURES};
	struct board_filesystem *fs;
	struct knock *k;
	int r;

	if (index >= b->n_filesystems)
		return error_set(e, -ENOENT, "no filesystem %zu", index);
	fs = b->filesystems[index];
	r = vhost_user_send(fd, &m, vhost_user_deadline(0), e);
	if (r)
		return r;
	k = calloc(1, sizeof(*k));
	if (!k)
		return error_set(e, -ENOMEM, "out of memory");
	r = uv_poll_init(b->function_params.loop, &k->poll, fd);
	if (r < 0) {
		free(k);
		return error_set(e, r, "filesystem %zu: %s", index,
				 uv_strerror(r));
	}
	if (fs->knock)
		fd_close(knock_end(fs->knock));
	k->fs = fs;
	k->fd = TAKE_FD(fd);
	k->poll.data = k;
	fs->knock = k;
	/* Cannot fail: the callback is not NULL. */
	(void)uv_poll_start(&k->poll, UV_READABLE, on_answer);
	return 0;
}

static int add_filesystem(struct board *b, const struct board_params *p,
			  size_t index, int fd, struct error *e)
{
	struct board_filesystem *fs = calloc(1, sizeof(*fs));
	struct virtio_fs_params params = {
		.loop = b->function_params.loop,
		.failed = on_failed,
		.cookie = fs,
	};
	int r;

	if (!fs) {
		fd_close(fd);
		return error_set(e, -ENOMEM, "out of memory");
	}
	b->filesystems[b->n_filesystems++] = fs;
	fs->board = b;
	fs->index = index;
	r = open_server(fs, fd, START_MS, false, &params.vhost, e);
	if (r)
		return r;
	params.tag = config_of(fs)->tag;
	params.n_queues = n_queues(fs);
	r = virtio_fs_new(&params, &fs->dev, e);
	return r ? r : board_build_in(b, p, config_of(fs)->bus, fs->dev, e);
}

int board_add_filesystems(struct board *b, const struct board_params *p,
			  struct error *e)
{
	int r = 0;

	for (size_t i = 0; !r && i < b->config->n_filesystems; i++) {
		int fd = TAKE_FD(p->vmm->filesystems[i]);

		if (fd < 0)
			return error_set(
				e, -EINVAL,
				"no descriptor came for filesystem \"%s\"",
				b->config->filesystems[i].tag);
		r = add_filesystem(b, p, i, fd, e);
	}
	return r;
}

void board_free_filesystems(struct board *b)
{
	while (b->n_filesystems) {
		struct board_filesystem *fs =
			b->filesystems[--b->n_filesystems];

		if (fs->knock)
			fd_close(knock_end(fs->knock));
		free(fs);
	}
}
