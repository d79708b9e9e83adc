#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>

#include "lib/base/fd.h"
#include "lib/snapshot/snapshot.h"
#include "lib/snapshot/state.h"
#include "supervisor/null_save.h"

#define STATE_NAME "null-machine"
#define FILL	   0x5a /* of its memory */

struct null_save {
	struct vmm_save params;
	struct null_memory memory;
	pthread_t thread;
	atomic_uint_least64_t done;
	struct error error;
	bool dropped;
	uv_async_t async; /* its closing frees us */
};

bool null_memory_word(struct null_memory *m, const char *line)
{
	struct null_memory next = *m;

	if (strncmp(line, "note ", 5) == 0) {
		snprintf(m->note, sizeof(m->note), "%s", line + 5);
		return true;
	}
	if (sscanf(line, "weight %u %u", &next.mib, &next.ms_per_mib) != 2)
		return false;
	*m = next;
	return true;
}

static int write_state(struct null_save *s, struct snapshot_writer *w)
{
	_cleanup_state_out_ struct state_out out = {0};
	size_t began = state_begin(&out, STATE_NAME, 1);

	state_put(&out, s->memory.note, sizeof(s->memory.note));
	state_put_u32(&out, s->memory.mib);
	state_put_u32(&out, s->memory.ms_per_mib);
	state_end(&out, began);
	return out.failed ? error_set(&s->error, -ENOMEM, "out of memory")
			  : snapshot_write_machine(w, out.buf.data,
						   out.buf.size, &s->error);
}

static int write_all(struct null_save *s, struct snapshot_writer *w)
{
	const struct timespec pause = {.tv_sec = s->memory.ms_per_mib / 1000,
				       .tv_nsec = s->memory.ms_per_mib % 1000 *
						  1000000L};
	_cleanup_free_ uint8_t *mib = malloc(MIB(1));
	int r = mib ? write_state(s, w)
		    : error_set(&s->error, -ENOMEM, "out of memory");

	if (mib)
		memset(mib, FILL, MIB(1));
	for (uint64_t i = 0; r == 0 && i < s->memory.mib; i++) {
		nanosleep(&pause, NULL);
		r = snapshot_write_memory(w, MIB(i), mib, MIB(1), &s->error);
		atomic_store(&s->done, MIB(i + 1));
	}
	return r ? r : snapshot_write_end(w, &s->error);
}

static void *thread_main(void *arg)
{
	struct null_save *s = arg;
	struct snapshot_writer w;

	if (snapshot_writer_init(&w, s->params.fd, s->params.compress,
				 &s->error) == 0)
		(void)!write_all(s, &w);
	snapshot_writer_done(&w);
	shutdown(s->params.fd, SHUT_WR);
	uv_async_send(&s->async);
	return NULL;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void save_close(struct null_save *s)
{
	pthread_join(s->thread, NULL);
	s->params.fd = fd_close(s->params.fd);
	uv_close((uv_handle_t *)&s->async, on_closed);
}

static void on_ended(uv_async_t *async)
{
	struct null_save *s = async->data;
	struct vmm_save params = s->params;
	struct error e = s->error;

	if (s->dropped)
		return;
	save_close(s);
	params.done(params.cookie, e.err ? &e : NULL);
}

int null_save_begin(uv_loop_t *loop, const struct null_memory *m,
		    const struct vmm_save *params, struct null_save **ret,
		    struct error *e)
{
	struct null_save *s = calloc(1, sizeof(*s));
	sigset_t all, before;
	int r = s ? uv_async_init(loop, &s->async, on_ended) : -ENOMEM;

	if (r < 0) {
		fd_close(params->fd);
		free(s);
		return error_set(e, r, "null backend: out of memory");
	}
	s->async.data = s;
	s->params = *params;
	s->memory = *m;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&s->thread, NULL, thread_main, s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r) {
		fd_close(s->params.fd);
		uv_close((uv_handle_t *)&s->async, on_closed);
		return error_set(e, -r, "null backend: no thread");
	}
	*ret = s;
	return 0;
}

void null_save_progress(struct null_save *s, uint64_t *ret_done,
			uint64_t *ret_total)
{
	*ret_done = atomic_load(&s->done);
	*ret_total = MIB(s->memory.mib);
}

struct null_save *null_save_drop(struct null_save *s)
{
	if (s) {
		s->dropped = true;
		shutdown(s->params.fd, SHUT_RDWR);
		save_close(s);
	}
	return NULL;
}

static int load_state(struct snapshot_reader *r,
		      const struct snapshot_section *s, struct null_memory *ret,
		      struct error *e)
{
	_cleanup_free_ void *bytes = NULL;
	struct state_in in, record;
	int err = snapshot_payload(r, s, &bytes, e);

	if (err)
		return err;
	in = state_in(bytes, s->length);
	err = state_open(&in, STATE_NAME, 1, &record, e);
	if (err)
		return err;
	state_get(&record, ret->note, sizeof(ret->note));
	ret->note[sizeof(ret->note) - 1] = '\0';
	ret->mib = state_get_u32(&record);
	ret->ms_per_mib = state_get_u32(&record);
	err = state_close(&record, e);
	return err ? err : state_close(&in, e);
}

/* All of it has to be there and right, as a guest's has. */
static int check_memory(struct snapshot_reader *r, uint32_t mib,
			struct error *e)
{
	_cleanup_free_ uint8_t *run = malloc(SNAPSHOT_RUN_MAX);
	struct snapshot_section s;
	uint64_t at = 0;
	int err = run ? 0 : error_set(e, -ENOMEM, "out of memory");

	while (!err) {
		err = snapshot_next(r, &s, e);
		if (err || s.type == SNAPSHOT_END)
			break;
		if (s.flags & SNAPSHOT_TAGS)
			return error_set(e, -EBADMSG,
					 "the null guest's memory has no tags");
		if (s.address != at)
			return error_set(e, -EBADMSG,
					 "the null guest's memory has a hole");
		err = snapshot_run(r, &s, run, e);
		if (!err &&
		    (run[0] != FILL || memcmp(run, run + 1, s.size - 1) != 0))
			return error_set(e, -EBADMSG,
					 "the null guest's memory is another");
		at += s.size;
	}
	if (!err && at != MIB(mib))
		err = error_set(e, -EBADMSG,
				"the null guest's memory is not whole");
	return err;
}

int null_load(int fd, struct null_memory *ret, struct error *e)
{
	_cleanup_snapshot_reader_ struct snapshot_reader r = {0};
	struct snapshot_header header;
	struct snapshot_section s;
	int err = snapshot_reader_init(&r, fd, &header, e);

	for (int type = SNAPSHOT_META; !err && type <= SNAPSHOT_MACHINE; type++)
		err = snapshot_expect(&r, (enum snapshot_type)type, &s, e);
	if (!err)
		err = load_state(&r, &s, ret, e);
	return err ? err : check_memory(&r, ret->mib, e);
}
