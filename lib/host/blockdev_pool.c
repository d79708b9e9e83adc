/*
 * The thread pool engine, for hosts that forbid io_uring: each request is a
 * job of libuv's worker threads.
 *
 * A job is *executed* when its worker is through with it, and *ended* when its
 * request's callback ran, normally in after_work() on the loop thread. Freeing
 * the disk ends executed jobs early; after_work() then finds no request and
 * only frees the job.
 */
#include <fcntl.h>

#include "lib/host/blockdev_engine.h"

/* More would only wait inside libuv. */
#define JOBS_MAX 16

struct blockdev_job {
	uv_work_t work;
	struct blockdev *dev;
	struct blockdev_request *request; /* NULL: ended */
	struct blockdev_job *next;	  /* of those not ended */
	bool executed;			  /* under pool.lock */
};

static void pool_start(struct blockdev *b);

static int pool_open(struct blockdev *b)
{
	pthread_mutex_init(&b->pool.lock, NULL);
	pthread_cond_init(&b->pool.executed, NULL);
	return 0;
}

static void move(struct blockdev_request *r)
{
	ssize_t moved;

	do {
		if (r->op == BLOCKDEV_READ)
			moved = preadv(r->dev->fd, r->iov, r->n_iov,
				       (off_t)r->offset);
		else
			moved = pwritev(r->dev->fd, r->iov, r->n_iov,
					(off_t)r->offset);
		if (moved < 0)
			moved = -errno;
	} while (!blockdev_request_advance(r, moved));
}

static bool is_allocation(const struct blockdev_request *r)
{
	return r->op == BLOCKDEV_DISCARD || r->op == BLOCKDEV_ZERO;
}

/* false: it has become a write. */
static bool allocate(struct blockdev_request *r)
{
	int result;

	do {
		result = fallocate(r->dev->fd, r->fallocate_mode,
				   (off_t)r->offset, (off_t)r->remaining);
	} while (result < 0 && errno == EINTR);
	return blockdev_request_allocated(r, result < 0 ? -errno : 0);
}

/* On a worker thread. */
static void work(uv_work_t *w)
{
	struct blockdev_job *job = container_of(w, struct blockdev_job, work);
	struct blockdev_request *r = job->request;
	struct blockdev *b = job->dev;

	if (r->op == BLOCKDEV_FLUSH)
		r->result = fdatasync(b->fd) < 0 ? -errno : 0;
	else if (is_allocation(r) ? !allocate(r) : r->op != BLOCKDEV_FAIL)
		move(r);

	/* Signalled under the lock: once it is dropped, `b` may be gone. */
	pthread_mutex_lock(&b->pool.lock);
	job->executed = true;
	pthread_cond_signal(&b->pool.executed);
	pthread_mutex_unlock(&b->pool.lock);
}

static void job_end(struct blockdev_job *job)
{
	struct blockdev *b = job->dev;
	struct blockdev_job **at = &b->pool.jobs;

	while (*at != job)
		at = &(*at)->next;
	*at = job->next;
	b->pool.n_jobs--;
	blockdev_request_done(TAKE_PTR(job->request));
}

static void after_work(uv_work_t *w, int status)
{
	struct blockdev_job *job = container_of(w, struct blockdev_job, work);

	if (job->request) {
		struct blockdev *b = job->dev;

		job_end(job);
		pool_start(b);
	}
	free(job);
}

static void pool_start(struct blockdev *b)
{
	while (b->queue && b->pool.n_jobs < JOBS_MAX) {
		struct blockdev_job *job = calloc(1, sizeof(*job));

		if (!job)
			return; /* a later request tries again */
		job->dev = b;
		job->request = blockdev_dequeue(b);
		job->next = b->pool.jobs;
		b->pool.jobs = job;
		b->pool.n_jobs++;
		/* Fails only without a work function. */
		uv_queue_work(b->loop, &job->work, work, after_work);
	}
}

static struct blockdev_job *find_executed(struct blockdev *b)
{
	struct blockdev_job *job = b->pool.jobs;

	while (job && !job->executed)
		job = job->next;
	return job;
}

static void pool_wait(struct blockdev *b)
{
	struct blockdev_job *job;

	if (!b->pool.jobs)
		return;
	pthread_mutex_lock(&b->pool.lock);
	while (!(job = find_executed(b)))
		pthread_cond_wait(&b->pool.executed, &b->pool.lock);
	pthread_mutex_unlock(&b->pool.lock);
	job_end(job);
}

static void pool_close(struct blockdev *b)
{
	pthread_mutex_destroy(&b->pool.lock);
	pthread_cond_destroy(&b->pool.executed);
}

const struct blockdev_engine blockdev_pool = {
	.open = pool_open,
	.start = pool_start,
	.wait = pool_wait,
	.close = pool_close,
};
