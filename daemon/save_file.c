#include "daemon/save_file.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>

#include "daemon/resource.h"
#include "daemon/snapshot_file.h"
#include "daemon/snapshot_lead.h"
#include "daemon/vm_nvram.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/image/disk.h"

#define COPY_BYTES KIB(256)

struct save_file {
	struct vm *vm;
	struct snapshot_file target;
	struct snapshot_header header;
	struct buf lead;
	int sock;
	bool paused, frozen, compressed;
	struct vm_config config; /* what runs */
	bool differs;		 /* from the definition */
	bool begun, writing, stopped;
	uv_poll_t poll;	  /* the first byte */
	uv_async_t async; /* the thread's end */
	unsigned open_handles;
	uv_thread_t thread;
	uint64_t bytes;
	struct error error; /* once the thread has ended */
	void (*ended)(void *cookie, const struct error *e);
	void *cookie;
};

int save_file_new(struct vm *vm, const char *path, bool overwrite,
		  struct save_file **ret, struct error *e)
{
	struct save_file *f = calloc(1, sizeof(*f));
	int r = f ? snapshot_file_open(path, overwrite, &f->target, e)
		  : error_set(e, -ENOMEM, "out of memory");

	if (r < 0) {
		free(f);
		return r;
	}
	f->vm = vm;
	f->sock = -1;
	*ret = f;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	struct save_file *f = handle->data;

	if (--f->open_handles > 0)
		return;
	fd_close(f->sock);
	vm_config_done(&f->config);
	free(f);
}

void save_file_free(struct save_file *f)
{
	if (!f)
		return;
	snapshot_file_done(&f->target);
	buf_done(&f->lead);
	if (!f->begun) {
		free(f);
		return;
	}
	uv_close((uv_handle_t *)&f->poll, on_closed);
	uv_close((uv_handle_t *)&f->async, on_closed);
}

static void end(struct save_file *f)
{
	struct error e = f->error;

	if (f->writing)
		uv_thread_join(&f->thread);
	f->writing = false;
	uv_poll_stop(&f->poll);
	f->stopped = true;
	f->ended(f->cookie, e.err ? &e : NULL);
}

static int write_error(struct save_file *f, int r)
{
	return error_set(&f->error, r, "cannot write %s: %s", f->target.path,
			 strerror(-r));
}

static int copy(struct save_file *f)
{
	_cleanup_free_ void *buffer = malloc(COPY_BYTES);
	/* Polling made it one that does not wait. */
	int r = buffer ? fd_set_block(f->sock) : -ENOMEM;
	ssize_t n = 1;

	if (r == 0)
		r = fd_write_full(f->target.fd, f->lead.data, f->lead.size);

	f->bytes = f->lead.size;
	while (r == 0 && n > 0) {
		n = recv(f->sock, buffer, COPY_BYTES, 0);
		if (n < 0 && errno == EINTR) {
			n = 1;
			continue;
		}
		if (n > 0)
			r = fd_write_full(f->target.fd, buffer, (size_t)n);
		f->bytes += n > 0 ? (uint64_t)n : 0;
	}
	if (r == 0 && n == 0 && fsync(f->target.fd) < 0)
		r = -errno;
	if (r < 0)
		return write_error(f, r);
	return n < 0 ? error_set(&f->error, -EIO,
				 "what is to be saved does not arrive")
		     : 0;
}

static void thread_main(void *arg)
{
	struct save_file *f = arg;

	(void)!copy(f);
	/* On failure the other end has to hear of it. */
	shutdown(f->sock, SHUT_RDWR);
	uv_async_send(&f->async);
}

static void on_async(uv_async_t *async)
{
	struct save_file *f = async->data;

	if (!f->stopped)
		end(f);
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int note_disk(const struct disk_config *d, struct snapshot_disk *ret,
		     struct error *e)
{
	_cleanup_close_ int fd = -1;
	struct disk disk;
	struct stat st;
	int r = resources_disk_open(d, false, &fd, e);

	if (r == 0 && fstat(fd, &st) < 0)
		r = error_set(e, -errno, "disk \"%s\": %m", d->path);
	if (r == 0)
		r = disk_init(&disk, fd, d->path, e);
	if (r < 0)
		return r;
	ret->size = disk.size_bytes;
	ret->id = strdup(d->id);
	ret->path = strdup(d->path);
	ret->readonly = d->readonly;
	if (S_ISREG(st.st_mode))
		ret->modified_ns = (uint64_t)st.st_mtim.tv_sec * 1000000000u +
				   (uint64_t)st.st_mtim.tv_nsec;
	return ret->id && ret->path ? 0
				    : error_set(e, -ENOMEM, "out of memory");
}

static int note_disks(const struct vm_config *c, struct snapshot_meta *meta,
		      struct error *e)
{
	int r = 0;

	meta->disks = calloc(MAX(c->n_disks, (size_t)1), sizeof(*meta->disks));
	if (!meta->disks)
		return error_set(e, -ENOMEM, "out of memory");
	while (r == 0 && meta->n_disks < c->n_disks) {
		r = note_disk(&c->disks[meta->n_disks],
			      &meta->disks[meta->n_disks], e);
		meta->n_disks++;
	}
	return r;
}

static int note_host(struct save_file *f, struct snapshot_meta *meta,
		     struct error *e)
{
	const struct manager *m = f->vm->manager;
	struct utsname host;
	int hypervisor, r;

	r = resources_hypervisor(m, f->vm->config.hypervisor, &hypervisor, e);
	if (r < 0)
		return r;
	uname(&host);
	meta->version = strdup(ARMVM_VERSION);
	meta->hypervisor = strdup(hypervisor == VM_HYPERVISOR_KVM ? "kvm"
								  : "null");
	meta->machine = strdup(host.machine);
	meta->kernel = strdup(host.release);
	meta->paused = f->paused;
	meta->frozen = f->frozen;
	meta->compressed = f->compressed;
	meta->abi_known = hypervisor == VM_HYPERVISOR_KVM && m->caps_known &&
			  host_caps_choose(&m->caps, &f->vm->config, &meta->abi,
					   NULL) == 0;
	return meta->version && meta->hypervisor && meta->machine &&
			       meta->kernel
		       ? 0
		       : error_set(e, -ENOMEM, "out of memory");
}

/* Its disks and network interfaces, when those of the definition are others. */
static int note_devices(struct save_file *f, struct snapshot_meta *meta,
			struct error *e)
{
	static const char *const lists[] = {"disks", "nics"};
	_cleanup_json_ json_object *config = NULL;

	if (!f->differs)
		return 0;
	config = vm_config_to_json(&f->config);
	meta->devices = json_object_new_object();
	for (size_t i = 0; config && i < ARRAY_SIZE(lists); i++) {
		json_object *list = NULL;

		if (!json_object_object_get_ex(config, lists[i], &list))
			list = json_object_new_array();
		else
			json_object_get(list);
		json_object_object_add(meta->devices, lists[i], list);
	}
	return config ? 0 : error_set(e, -ENOMEM, "out of memory");
}

/* The guest stands still: what it has made durable is all there is. */
static int make_lead(struct save_file *f, struct error *e)
{
	_cleanup_snapshot_lead_ struct snapshot_lead l = {0};
	int r = note_host(f, &l.meta, e);

	l.header.created_ms = (uint64_t)now_ms();
	if (r == 0 && getrandom(l.header.id, sizeof(l.header.id), 0) !=
			      sizeof(l.header.id))
		r = error_set(e, -EIO, "the host gives no random bytes");
	if (r == 0)
		r = note_disks(&f->config, &l.meta, e);
	if (r == 0)
		r = note_devices(f, &l.meta, e);
	if (r < 0)
		return r;
	l.definition = vm_config_to_json(&f->vm->config);
	l.image = malloc(VARSTORE_SIZE);
	if (!l.definition || !l.image)
		return error_set(e, -ENOMEM, "out of memory");
	r = vm_nvram_image(f->vm, l.image, &l.vars, e);
	if (r == 0)
		r = snapshot_lead_put(&l, &f->lead, e);
	f->header = l.header;
	return r;
}

static void on_first(uv_poll_t *poll, int status, int events)
{
	struct save_file *f = poll->data;
	int r = 0;
	char byte;

	uv_poll_stop(poll);
	/* Nothing came but the end: the supervisor says why. */
	if (recv(f->sock, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0) {
		error_set(&f->error, -EIO,
			  "its supervisor ended the snapshot before it began");
		end(f);
		return;
	}
	r = make_lead(f, &f->error);
	if (r == 0)
		r = uv_thread_create(&f->thread, thread_main, f);
	f->writing = r == 0;
	if (r == 0)
		return;
	if (!f->error.err)
		error_set(&f->error, r, "cannot start a thread: %s",
			  uv_strerror(r));
	shutdown(f->sock, SHUT_RDWR);
	end(f);
}

void save_file_begin(struct save_file *f, const struct save_file_params *p)
{
	uv_loop_t *loop = f->vm->manager->loop;

	f->sock = p->sock;
	f->paused = p->paused;
	f->frozen = p->frozen;
	f->compressed = p->compressed;
	f->config = *p->config;
	*p->config = (struct vm_config){0};
	f->differs = p->differs;
	f->ended = p->ended;
	f->cookie = p->cookie;
	f->begun = true;
	f->open_handles = 2;
	f->poll.data = f->async.data = f;
	uv_async_init(loop, &f->async, on_async);
	uv_poll_init_socket(loop, &f->poll, f->sock);
	uv_poll_start(&f->poll, UV_READABLE, on_first);
}

void save_file_stop(struct save_file *f)
{
	if (!f->begun || f->stopped)
		return;
	shutdown(f->sock, SHUT_RDWR);
	if (!f->writing) /* else its thread sees the end */
		end(f);
}

void save_file_abandon(struct save_file *f)
{
	if (!f->begun || f->stopped)
		return;
	shutdown(f->sock, SHUT_RDWR);
	end(f);
}

int save_file_publish(struct save_file *f, struct error *e)
{
	return snapshot_file_publish(&f->target, e);
}

void save_file_describe(const struct save_file *f, json_object *o)
{
	json_object_object_add(o, "path",
			       json_object_new_string(f->target.path));
	json_object_object_add(o, "bytes", json_object_new_uint64(f->bytes));
	json_object_object_add(o, "created_ms",
			       json_object_new_uint64(f->header.created_ms));
}

json_object *save_file_settle(const char *path, int64_t began_ms, bool remove)
{
	_cleanup_snapshot_reader_ struct snapshot_reader reader = {0};
	_cleanup_close_ int fd = -1;
	struct snapshot_header header;
	json_object *o;

	snapshot_file_remove_part(path);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 || snapshot_reader_init(&reader, fd, &header, NULL) < 0 ||
	    header.created_ms < (uint64_t)began_ms)
		return NULL;
	if (remove && unlink(path) < 0)
		log_warning("cannot remove %s: %m", path);
	o = json_object_new_object();
	json_object_object_add(o, "path", json_object_new_string(path));
	json_object_object_add(o, "bytes", json_object_new_uint64(reader.size));
	json_object_object_add(o, "created_ms",
			       json_object_new_uint64(header.created_ms));
	return o;
}
