/*
 * How many requests a driver gathers before it notifies us. One at a time is
 * right for who waits for each; who has many under way, and gets each back
 * before the next one is there, pays with a notification, a turn of our loop
 * and an interrupt for every single one. VIRTIO 1.2, 2.7.10, lets a device ask
 * for a notification once there are some.
 *
 * How many it can be shows what a turn finds. The number is doubled as long as
 * turns find half as many again, which somebody who waits for each never
 * brings about. When nobody notifies us in time, the number was too high, and
 * it begins at one again: with ever more proof asked for, if someone waited.
 */
#include "vmm-kvm/devices/virtio_blk_internal.h"

#define BATCH_MAX 16
/* What has to be collected before the number is doubled: a turn that finds
 * more counts FOUND_MORE, another takes one away. */
#define NEED_MIN   16
#define NEED_MAX   1024
#define FOUND_MORE 2
/* The longest that a request waits for others. */
#define WAIT_MIN_MS 2
#define WAIT_MAX_MS 20

struct blk_batch {
	uv_timer_t timer;
	struct virtio_blk *blk;
	unsigned index, busy;
	unsigned wanted, asked; /* what is right, and what we have asked for */
	unsigned score, need;
	uint64_t last_ms, gap_ms; /* of turns that found something */
};

struct blk_batches {
	unsigned n, open_handles;
	struct blk_batch queues[];
};

static void start_anew(struct blk_batch *b)
{
	b->wanted = 1;
	b->score = 0;
}

/* Nobody has notified us; who has requests waiting shall not wait longer. */
static void on_timer(uv_timer_t *timer)
{
	struct blk_batch *b = timer->data;
	struct virtio_dev *d = &b->blk->dev;

	virtio_enter(d);
	start_anew(b);
	b->asked = 0;
	virtio_kick(d, b->index);
	virtio_leave(d);
}

int virtio_blk_batches_new(struct virtio_blk *blk, uv_loop_t *loop, unsigned n)
{
	struct blk_batches *all = calloc(1, sizeof(*all) +
						    n * sizeof(*all->queues));

	if (!all)
		return -ENOMEM;
	all->n = all->open_handles = n;
	for (unsigned i = 0; i < n; i++) {
		struct blk_batch *b = &all->queues[i];

		b->blk = blk;
		b->index = i;
		b->wanted = 1;
		b->need = NEED_MIN;
		uv_timer_init(loop, &b->timer);
		uv_unref((uv_handle_t *)&b->timer);
		b->timer.data = b;
	}
	blk->batches = all;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	struct blk_batches *all = handle->data;

	if (--all->open_handles == 0)
		free(all);
}

void virtio_blk_batches_free(struct blk_batches *all)
{
	for (unsigned i = 0; i < all->n; i++) {
		all->queues[i].timer.data = all;
		uv_close((uv_handle_t *)&all->queues[i].timer, on_closed);
	}
}

void virtio_blk_batch_busy(struct virtio_blk *blk, unsigned index, int change)
{
	blk->batches->queues[index].busy += (unsigned)change;
}

unsigned virtio_blk_batch_begin(struct virtio_blk *blk, unsigned index)
{
	struct blk_batch *b = &blk->batches->queues[index];

	/* With some under way the host is what takes long. */
	return b->busy ? 1 : b->wanted;
}

static void judge(struct blk_batch *b, unsigned n)
{
	unsigned asked = b->asked;

	if (asked == 0) {
		/* Not notified in time. */
		b->need = MIN(2 * b->need, NEED_MAX);
	} else if (asked != b->wanted) {
		return;
	} else if (n < asked + (asked + 1) / 2) {
		b->score -= b->score > 0;
	} else {
		b->score += FOUND_MORE;
		if (b->score >= b->need && b->wanted < BATCH_MAX) {
			b->wanted *= 2;
			b->score = 0;
		}
	}
}

void virtio_blk_batch_end(struct virtio_blk *blk, unsigned index,
			  unsigned asked, unsigned n)
{
	struct blk_batch *b = &blk->batches->queues[index];
	uint64_t now = uv_now(b->timer.loop);

	if (n > 0) {
		judge(b, n);
		b->gap_ms = (3 * b->gap_ms +
			     MIN(now - b->last_ms, WAIT_MAX_MS)) /
			    4;
		b->last_ms = now;
	}
	b->asked = asked;
	if (asked > 1)
		uv_timer_start(&b->timer, on_timer,
			       MIN(WAIT_MIN_MS + 4 * b->gap_ms, WAIT_MAX_MS),
			       0);
	else if (uv_is_active((uv_handle_t *)&b->timer))
		uv_timer_stop(&b->timer);
}
