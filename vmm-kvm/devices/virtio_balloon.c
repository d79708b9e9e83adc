#include "vmm-kvm/devices/virtio_balloon.h"

#include <uv.h>

/* Queues, 5.5.2: those of features that were not negotiated do not exist, and
 * the ones behind move up. */
#define INFLATE	   0
#define DEFLATE	   1
#define QUEUES	   4
#define QUEUE_SIZE 128

/* Feature bits, 5.5.3. */
#define F_STATS_VQ	 (1ull << 1)
#define F_DEFLATE_ON_OOM (1ull << 2)
#define F_REPORTING	 (1ull << 5)

#define PAGE_SHIFT   12 /* the balloon's pages, whatever the guest's are */
#define BALLOON_PAGE (1u << PAGE_SHIFT)

/* Page frame numbers looked at together, and at most in one buffer: Linux puts
 * 256 there. */
#define FRAMES_STEP 256
#define FRAMES_MAX  4096
/* Buffers that one turn of the loop takes. */
#define BURST 32

/* struct virtio_balloon_config, 5.5.4, up to what we offer. */
struct balloon_config {
	uint32_t num_pages; /* we ask for */
	uint32_t actual;    /* the driver has given */
};
#define CONFIG_ACTUAL offsetof(struct balloon_config, actual)

/* struct virtio_balloon_stat, 5.5.6.3. */
struct stat_entry {
	uint16_t tag;
	uint64_t value;
} __attribute__((packed));

struct virtio_balloon {
	struct virtio_dev dev;
	struct virtio_balloon_params params;
	struct balloon_config config;
	bool asked;	     /* the target was set and not reached */
	bool stats_held;     /* the driver's buffer for statistics is here */
	uint16_t stats_head; /* then */
	uint64_t reported_bytes;
	uint64_t stats_ns;
	uint64_t stats[BALLOON_STATS];
	struct virtq_chain chain;
};

static struct virtio_balloon *from_dev(struct virtio_dev *d)
{
	return container_of(d, struct virtio_balloon, dev);
}

/* A run of pages grows as long as they follow each other. */
struct run {
	uint64_t gpa, size_bytes;
};

static void run_flush(struct virtio_balloon *b, struct run *run)
{
	if (run->size_bytes)
		guest_mem_discard(b->params.mem, run->gpa, run->size_bytes);
	run->size_bytes = 0;
}

static void run_add(struct virtio_balloon *b, struct run *run, uint32_t frame)
{
	uint64_t gpa = (uint64_t)frame << PAGE_SHIFT;

	if (run->size_bytes && run->gpa + run->size_bytes == gpa) {
		run->size_bytes += BALLOON_PAGE;
		return;
	}
	/* Downwards, as Linux's allocator often gives them. */
	if (run->size_bytes && gpa + BALLOON_PAGE == run->gpa) {
		run->gpa = gpa;
		run->size_bytes += BALLOON_PAGE;
		return;
	}
	run_flush(b, run);
	*run = (struct run){gpa, BALLOON_PAGE};
}

/* Frames that are no RAM are nobody's to give: guest_mem_discard() ignores
 * them. */
static void inflate(struct virtio_balloon *b, const struct virtq_chain *chain)
{
	uint32_t frames[FRAMES_STEP];
	struct run run = {0};
	size_t at = 0;

	while (at < FRAMES_MAX * sizeof(frames[0])) {
		size_t n = iov_read(chain->iov, chain->n_out, at, frames,
				    sizeof(frames));

		for (size_t i = 0; i < n / sizeof(frames[0]); i++)
			run_add(b, &run, frames[i]);
		at += n;
		if (n < sizeof(frames))
			break;
	}
	run_flush(b, &run);
}

/* 5.5.6.6: the buffers themselves are the free pages. */
static void report(struct virtio_balloon *b, const struct virtq_chain *chain)
{
	for (unsigned i = 0; i < chain->n_in; i++)
		b->reported_bytes += guest_mem_discard_host(
			b->params.mem, chain->iov[i].iov_base,
			chain->iov[i].iov_len);
}

static void take_stats(struct virtio_balloon *b,
		       const struct virtq_chain *chain)
{
	struct stat_entry entries[2 * BALLOON_STATS];
	size_t n = iov_read(chain->iov, chain->n_out, 0, entries,
			    sizeof(entries));

	for (size_t i = 0; i < n / sizeof(entries[0]); i++)
		if (entries[i].tag < BALLOON_STATS)
			b->stats[entries[i].tag] = entries[i].value;
	b->stats_ns = uv_hrtime();
}

static unsigned stats_queue(const struct virtio_balloon *b)
{
	return b->dev.features & F_STATS_VQ ? 2 : QUEUES;
}

static unsigned reporting_queue(const struct virtio_balloon *b)
{
	if (!(b->dev.features & F_REPORTING))
		return QUEUES;
	return b->dev.features & F_STATS_VQ ? 3 : 2;
}

/* One buffer, kept until we want new figures (5.5.6.3). The ring is looked at
 * until it is empty: only then is the next buffer announced. */
static void stats_pump(struct virtio_balloon *b, unsigned index)
{
	unsigned n;

	for (n = 0; n < BURST && virtio_pop(&b->dev, index, &b->chain); n++) {
		if (b->stats_held)
			virtio_push(&b->dev, index, b->stats_head, 0);
		take_stats(b, &b->chain);
		b->stats_held = true;
		b->stats_head = b->chain.head;
	}
	if (n == BURST)
		virtio_kick_later(&b->dev, index);
}

/* False: the ring is empty, or broken. */
static bool take_one(struct virtio_balloon *b, unsigned index)
{
	bool reporting = index == reporting_queue(b);

	if (!virtio_pop(&b->dev, index, &b->chain))
		return false;
	/* 5.5.6: numbers are for us to read, reported pages to write. */
	if (reporting ? b->chain.n_out : b->chain.n_in) {
		virtio_fail(&b->dev);
		return false;
	}
	if (reporting)
		report(b, &b->chain);
	else if (index == INFLATE)
		inflate(b, &b->chain);
	/* What is deflated comes back when it is touched. */
	virtio_push(&b->dev, index, b->chain.head, 0);
	return true;
}

static void kick(struct virtio_dev *d, unsigned index)
{
	struct virtio_balloon *b = from_dev(d);
	unsigned n = 0;

	if (index == stats_queue(b)) {
		stats_pump(b, index);
		return;
	}
	if (index > DEFLATE && index != reporting_queue(b))
		return;
	while (n < BURST && take_one(b, index))
		n++;
	virtio_notify(d, index);
	if (n == BURST)
		virtio_kick_later(d, index);
}

static uint64_t ram_pages(const struct virtio_balloon *b)
{
	return b->params.ram_bytes >> PAGE_SHIFT;
}

/* Left to the guest, when `pages` are in the balloon. */
static uint64_t left(const struct virtio_balloon *b, uint64_t pages)
{
	return (ram_pages(b) - MIN(pages, ram_pages(b))) << PAGE_SHIFT;
}

static void config_write(struct virtio_dev *d, uint64_t offset, unsigned size,
			 uint64_t value)
{
	struct virtio_balloon *b = from_dev(d);

	if (offset != CONFIG_ACTUAL || size != sizeof(b->config.actual))
		return;
	b->config.actual = (uint32_t)value;
	if (!b->asked || b->config.actual != b->config.num_pages)
		return;
	b->asked = false;
	b->params.reached(b->params.cookie, left(b, b->config.actual));
}

static void forget_stats(struct virtio_balloon *b)
{
	for (size_t i = 0; i < BALLOON_STATS; i++)
		b->stats[i] = BALLOON_UNKNOWN;
	b->stats_ns = 0;
}

static void reset(struct virtio_dev *d)
{
	struct virtio_balloon *b = from_dev(d);

	b->config.actual = 0;
	b->asked = b->config.num_pages > 0;
	b->stats_held = false;
	forget_stats(b);
}

static void save(const struct virtio_dev *d, struct state_out *out)
{
	const struct virtio_balloon *b = container_of(d, struct virtio_balloon,
						      dev);

	state_put_u32(out, b->config.num_pages);
	state_put_u32(out, b->config.actual);
	state_put_u8(out, b->asked);
	state_put_u8(out, b->stats_held);
	state_put_u16(out, b->stats_head);
	state_put_u64(out, b->reported_bytes);
}

static int load(struct virtio_dev *d, struct state_in *in, struct error *e)
{
	struct virtio_balloon *b = from_dev(d);
	uint32_t pages = state_get_u32(in);

	if (pages > ram_pages(b))
		return state_bad(in, e, "asks for more than there is");
	b->config.num_pages = pages;
	b->config.actual = state_get_u32(in);
	b->asked = state_get_bool(in);
	b->stats_held = state_get_bool(in);
	b->stats_head = state_get_u16(in);
	b->reported_bytes = state_get_u64(in);
	return 0;
}

static void balloon_free(struct virtio_dev *d)
{
	free(from_dev(d));
}

static const struct virtio_dev_ops ops = {
	.name = "virtio-balloon",
	.device_id = VIRTIO_ID_BALLOON,
	.pci_class = 0xff0000,
	.kick = kick,
	.reset = reset,
	.config_write = config_write,
	.save = save,
	.load = load,
	.free = balloon_free,
};

void virtio_balloon_set_target(struct virtio_dev *d, uint64_t bytes)
{
	struct virtio_balloon *b = from_dev(d);
	uint64_t pages = bytes >> PAGE_SHIFT;

	virtio_enter(d);
	b->config.num_pages = (uint32_t)(ram_pages(b) -
					 MIN(pages, ram_pages(b)));
	b->asked = b->config.num_pages != b->config.actual;
	virtio_config_changed(d);
	virtio_leave(d);
}

void virtio_balloon_state(struct virtio_dev *d,
			  struct virtio_balloon_state *ret)
{
	struct virtio_balloon *b = from_dev(d);

	virtio_enter(d);
	*ret = (struct virtio_balloon_state){
		.driver = virtio_live(d),
		.target_bytes = left(b, b->config.num_pages),
		.actual_bytes = left(b, b->config.actual),
		.reported_bytes = b->reported_bytes,
		.stats_ns = b->stats_ns,
	};
	memcpy(ret->stats, b->stats, sizeof(ret->stats));
	virtio_leave(d);
}

void virtio_balloon_ask(struct virtio_dev *d)
{
	struct virtio_balloon *b = from_dev(d);
	unsigned index = stats_queue(b);

	virtio_enter(d);
	if (b->stats_held && virtio_live(d)) {
		b->stats_held = false;
		virtio_push(d, index, b->stats_head, 0);
		virtio_notify(d, index);
	}
	virtio_leave(d);
}

int virtio_balloon_new(const struct virtio_balloon_params *params,
		       struct virtio_dev **ret, struct error *e)
{
	struct virtio_balloon *b = calloc(1, sizeof(*b));
	uint64_t features = F_STATS_VQ | F_DEFLATE_ON_OOM;

	if (!b)
		return error_set(e, -ENOMEM,
				 "out of memory for virtio-balloon");
	b->params = *params;
	forget_stats(b);
	if (params->reporting)
		features |= F_REPORTING;
	virtio_dev_init(&b->dev, &ops, features, &b->config, sizeof(b->config),
			QUEUES, QUEUE_SIZE);
	*ret = &b->dev;
	return 0;
}
