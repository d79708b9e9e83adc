/*
 * How many requests a driver gathers before it notifies us. One at a time is
 * right for who waits for each; who has many under way, and gets each back
 * before the next one is there, pays with a notification, a turn of our loop
 * and an interrupt for every single one. VIRTIO 1.2, 2.7.10, lets a device ask
 * for a notification once there are some.
 *
 * How many it can be is tried: turns that find more than one, which somebody
 * who waits for each never brings about, have the number doubled, and so does
 * every number that has held for a while. When nobody notifies us in time it
 * was too high; if somebody had to wait for that, the next trial takes longer
 * to come.
 */
#include "vmm-kvm/devices/virtio_blk_internal.h"

#define BATCH_MAX 16
/* What has to be collected before the number is doubled: a turn that finds
 * half as many again counts FOUND_MORE, another one, or, where each is notified
 * of, takes one away. */
#define NEED_MIN   64
#define NEED_MAX   4096
#define FOUND_MORE 8
/* The longest that a request waits for others, by how fast they come. */
#define WAIT_MIN_MS 2
#define WAIT_MAX_MS 40
#define NS_PER_MS   1000000ull

struct blk_batch {
	uv_timer_t timer;
	struct virtio_blk *blk;
	unsigned index, busy, last; /* under way; found by the last turn */
	unsigned wanted, asked; /* what is right, and what we have asked for */
	bool late;		/* nobody has notified us in time */
	unsigned score, need;
	uint64_t last_ns, gap_ns; /* of turns that found something */
};

struct blk_batches {
	unsigned n, open_handles;
	struct blk_batch queues[];
};

/* Nobody has notified us; who has requests waiting shall not wait longer. */
static void on_timer(uv_timer_t *timer)
{
	struct blk_batch *b = timer->data;
	struct virtio_dev *d = &b->blk->dev;

	virtio_enter(d);
	b->wanted = 1;
	b->score = 0;
	b->late = true;
	virtio_kick(d, b->index);
	b->late = false;
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

	/* What a driver has out when it finds its device gone it may wait for
	 * for ever (Linux: virtio_break_device()). */
	if (blk->dev.doomed)
		return 1;
	/* With more under way than were found last the host is what takes
	 * long. */
	return b->busy > b->last ? 1 : b->wanted;
}

/* Nobody came in time. What is there may be all there ever is: half of that is
 * right. With less than half of what was asked for somebody has waited. */
static void judge_late(struct blk_batch *b, unsigned n)
{
	if (n <= b->asked / 2 || b->busy > n)
		b->need = MIN(2 * b->need, NEED_MAX);
	while (b->wanted < BATCH_MAX && b->wanted * 4 <= n)
		b->wanted *= 2;
}

static void judge(struct blk_batch *b, unsigned n)
{
	unsigned asked = b->asked;

	if (asked != b->wanted)
		return;
	if (n >= asked + (asked + 1) / 2)
		b->score += FOUND_MORE;
	else if (asked > 1)
		b->score++;
	else
		b->score -= b->score > 0;
	if (b->score >= b->need && b->wanted < BATCH_MAX) {
		b->wanted *= 2;
		b->score = 0;
	}
}

/* Four times as long as it took lately. */
static void timer_start(struct blk_batch *b)
{
	uint64_t ms = WAIT_MIN_MS + 4 * b->gap_ns / NS_PER_MS;

	/* The loop's idea of now is from before it waited for this turn. */
	uv_update_time(b->timer.loop);
	uv_timer_start(&b->timer, on_timer, MIN(ms, WAIT_MAX_MS), 0);
}

void virtio_blk_batch_end(struct virtio_blk *blk, unsigned index,
			  unsigned asked, unsigned n)
{
	struct blk_batch *b = &blk->batches->queues[index];
	uint64_t now = uv_hrtime();

	if (n > 0) {
		if (b->late)
			judge_late(b, n);
		else
			judge(b, n);
		b->last = n;
		b->gap_ns = (3 * b->gap_ns +
			     MIN(now - b->last_ns, WAIT_MAX_MS * NS_PER_MS)) /
			    4;
		b->last_ns = now;
	}
	b->asked = asked;
	if (asked > 1)
		timer_start(b);
	else if (uv_is_active((uv_handle_t *)&b->timer))
		uv_timer_stop(&b->timer);
}
