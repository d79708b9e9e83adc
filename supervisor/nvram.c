#include <assert.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/wire/spill.h"
#include "supervisor/nvram.h"

/* The update under way: NONE → WAITING → (SENT →) DURABLE → NONE. */
enum update {
	UPDATE_NONE,
	UPDATE_WAITING, /* neither sent nor spilled yet */
	UPDATE_SENT,	/* the daemon has it, not acknowledged */
	UPDATE_DURABLE, /* the backend is told at the next turn of the loop */
};

struct nvram {
	const struct nvram_events *events;
	void *cookie;
	const char *vm;
	const uint8_t *memory;
	uint64_t size;
	int memory_fd, spill_fd;
	uv_timer_t timer;
	bool connected;
	bool complained; /* one log line per trouble, not one per retry */
	enum update update;
	uint64_t seq, offset, length;
	/* A failed append may have left half a record at this place: cut it
	 * off first, for a reader stops at it. -1: nothing to cut. */
	off_t torn_at;
};

static off_t spill_size(const struct nvram *n)
{
	struct stat st;

	return fstat(n->spill_fd, &st) < 0 ? -errno : st.st_size;
}

static int spill_cut(struct nvram *n)
{
	off_t size = spill_size(n);

	if (size < 0)
		return (int)size;
	if (size > n->torn_at && ftruncate(n->spill_fd, n->torn_at) < 0)
		return -errno;
	n->torn_at = -1;
	return 0;
}

static int spill(struct nvram *n)
{
	off_t before;
	int r;

	if (n->torn_at >= 0) {
		r = spill_cut(n);
		if (r < 0)
			return r;
	}
	before = spill_size(n);
	if (before < 0)
		return (int)before;
	r = spill_append(n->spill_fd, n->seq, n->offset, n->memory + n->offset,
			 n->length);
	if (r < 0)
		n->torn_at = before;
	return r;
}

static void on_timer(uv_timer_t *timer);

static void attempt(struct nvram *n)
{
	int r;

	if (n->connected)
		r = n->events->send(n->cookie, n->seq, n->offset, n->length);
	else
		r = spill(n);
	if (r < 0) {
		n->update = UPDATE_WAITING;
		if (!n->complained)
			log_vm(LOG_LEVEL_ERROR, n->vm,
			       "a variable update cannot be %s (%s): the guest "
			       "waits until it can",
			       n->connected ? "sent to the daemon"
					    : "written to the spill file",
			       strerror(-r));
		n->complained = true;
		uv_timer_start(&n->timer, on_timer, NVRAM_RETRY_MS, 0);
		return;
	}
	if (n->complained)
		log_vm(LOG_LEVEL_INFO, n->vm, "variable updates flow again");
	n->complained = false;
	if (n->connected) {
		n->update = UPDATE_SENT;
		return;
	}
	n->update = UPDATE_DURABLE;
	uv_timer_start(&n->timer, on_timer, 0, 0);
}

static void on_timer(uv_timer_t *timer)
{
	struct nvram *n = timer->data;

	if (n->update == UPDATE_WAITING) {
		attempt(n);
	} else if (n->update == UPDATE_DURABLE) {
		n->update = UPDATE_NONE;
		n->events->committed(n->cookie);
	}
}

static int map_memory(int fd, uint64_t size, const uint8_t **ret,
		      struct error *e)
{
	struct stat st;
	void *p;

	if (size == 0 || size > NVRAM_SIZE_MAX)
		return error_set(e, -EINVAL,
				 "nvram_size %llu is not accepted: 1 to %llu "
				 "bytes are",
				 (unsigned long long)size,
				 (unsigned long long)NVRAM_SIZE_MAX);
	if (fstat(fd, &st) < 0)
		return error_set(e, -errno,
				 "the variable store's memory: cannot stat it");
	/* Reading past its end would be a SIGBUS. */
	if ((uint64_t)st.st_size < size)
		return error_set(e, -EINVAL,
				 "the variable store's memory has %lld bytes, "
				 "not the %llu announced",
				 (long long)st.st_size,
				 (unsigned long long)size);
	p = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return error_set(e, -errno,
				 "the variable store's memory: cannot map it");
	*ret = p;
	return 0;
}

int nvram_new(uv_loop_t *loop, int memory_fd, uint64_t size, int spill_fd,
	      const struct nvram_events *events, void *cookie, const char *vm,
	      struct nvram **ret, struct error *e)
{
	_cleanup_close_ int owned_spill_fd = spill_fd;
	_cleanup_close_ int copy_fd = -1;
	const uint8_t *memory = NULL;
	struct nvram *n;
	int r;

	copy_fd = fcntl(memory_fd, F_DUPFD_CLOEXEC, 0);
	if (copy_fd < 0)
		return error_set(e, -errno, "the variable store's memory: %s",
				 strerror(errno));
	r = map_memory(copy_fd, size, &memory, e);
	if (r < 0)
		return r;
	n = calloc(1, sizeof(*n));
	if (!n) {
		munmap((void *)memory, size);
		return error_set(e, -ENOMEM, "out of memory");
	}
	n->memory_fd = TAKE_FD(copy_fd);
	n->events = events;
	n->cookie = cookie;
	n->vm = vm;
	n->memory = memory;
	n->size = size;
	n->spill_fd = TAKE_FD(owned_spill_fd);
	n->torn_at = -1;
	uv_timer_init(loop, &n->timer);
	n->timer.data = n;
	*ret = n;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

struct nvram *nvram_free(struct nvram *n)
{
	if (!n)
		return NULL;
	munmap((void *)n->memory, n->size);
	n->memory_fd = fd_close(n->memory_fd);
	n->spill_fd = fd_close(n->spill_fd);
	uv_close((uv_handle_t *)&n->timer, on_closed);
	return NULL;
}

void nvram_commit(struct nvram *n, uint64_t offset, uint64_t size)
{
	/* The backend bounds what the guest writes and holds the guest. */
	assert(n->update == UPDATE_NONE);
	assert(size <= n->size && offset <= n->size - size);
	n->seq++;
	n->offset = offset;
	n->length = size;
	attempt(n);
}

void nvram_connected(struct nvram *n)
{
	if (n->connected)
		return;
	n->connected = true;
	/* Not from here: the reply to `hello` goes first. */
	if (n->update == UPDATE_WAITING)
		uv_timer_start(&n->timer, on_timer, 0, 0);
}

void nvram_disconnected(struct nvram *n)
{
	if (!n->connected)
		return;
	n->connected = false;
	if (n->update == UPDATE_SENT || n->update == UPDATE_WAITING)
		attempt(n);
}

int nvram_ack(struct nvram *n, uint64_t seq, struct error *e)
{
	if (n->update != UPDATE_SENT || seq != n->seq)
		return error_set(e, -EINVAL,
				 "nvram-ack %llu is not for the update under "
				 "way",
				 (unsigned long long)seq);
	n->update = UPDATE_NONE;
	n->events->committed(n->cookie);
	return 0;
}

int nvram_memory_fd(const struct nvram *n)
{
	return n->memory_fd;
}

uint64_t nvram_spilled_bytes(const struct nvram *n)
{
	off_t size = spill_size(n);

	return size < 0 ? 0 : (uint64_t)size;
}
