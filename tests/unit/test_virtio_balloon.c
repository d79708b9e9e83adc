#include <sys/mman.h>

#include "tests/unit/pci_fixture.h"
#include "vmm-kvm/devices/virtio_balloon.h"

#define DEVFN	  PCI_DEVFN(1, 0)
#define STATS_VQ  (1ull << 1)
#define OOM	  (1ull << 2)
#define REPORTING (1ull << 5)
#define INFLATE	  0
#define DEFLATE	  1
#define STATS	  2
#define REPORT	  3
#define PAGES_GPA (RAM_GPA + 0x80000) /* pages to give away */

struct fixture {
	struct machine m;
	struct virtio_dev *dev;
	struct virtio_pci *v;
	struct driver d;
	struct vring rings[4];
	unsigned reached;
	uint64_t reached_bytes;
};

static void on_reached(void *cookie, uint64_t bytes)
{
	struct fixture *f = cookie;

	f->reached++;
	f->reached_bytes = bytes;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct virtio_balloon_params balloon = {
		.ram_bytes = RAM_BYTES,
		.reporting = true,
		.reached = on_reached,
		.cookie = f,
	};

	machine_init(&f->m);
	balloon.mem = &f->m.ram.mem;
	assert_int_equal(virtio_balloon_new(&balloon, &f->dev, NULL), 0);
	f->v = driver_plug(&f->d, &f->m, DEVFN, f->dev, false);
	driver_start(&f->d, 3ull << 28 | STATS_VQ | OOM | REPORTING, f->rings,
		     4);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	virtio_pci_free(f->v);
	machine_done(&f->m);
	free(f);
	return 0;
}

static uint8_t *page(struct fixture *f, unsigned i)
{
	return ram_at(&f->m.ram, PAGES_GPA + 4096 * i);
}

static uint32_t frame(unsigned i)
{
	return (uint32_t)((PAGES_GPA >> 12) + i);
}

static void fill_pages(struct fixture *f)
{
	memset(page(f, 0), 0xaa, 16 * 4096);
}

static void give_frames(struct fixture *f, unsigned queue,
			const uint32_t *frames, uint32_t n)
{
	struct vring *v = &f->rings[queue];
	uint32_t head, written;

	memcpy(ram_at(&f->m.ram, DATA_GPA), frames, 4 * n);
	vring_desc(v, v->desc, 0, DATA_GPA, 4 * n, 0, 0);
	vring_add(v, 0);
	driver_notify(&f->d, queue);
	assert_true(driver_wait(&f->d, v, &head, &written));
	assert_int_equal(written, 0);
}

static void test_config(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(cfg_read(&f->m, DEVFN, PCI_REG_DEVICE, 2), 0x1045);
	assert_int_equal(driver_offered(&f->d),
			 1ull << 32 | 3ull << 28 | STATS_VQ | OOM | REPORTING);
	assert_int_equal(mmio_read(&f->m, f->d.device, 8), 0);
	/* Only `actual`, and only whole. */
	mmio_write(&f->m, f->d.device, 4, 7);
	mmio_write(&f->m, f->d.device + 4, 2, 7);
	mmio_write(&f->m, f->d.device + 5, 4, 7);
	mmio_write(&f->m, f->d.device, 8, 7);
	assert_int_equal(mmio_read(&f->m, f->d.device, 8), 0);
	mmio_write(&f->m, f->d.device + 4, 4, 7);
	assert_int_equal(mmio_read(&f->m, f->d.device, 8), 7ull << 32);
}

static void test_target(void **state)
{
	struct fixture *f = *state;
	struct virtio_balloon_state s;

	virtio_balloon_set_target(f->dev, RAM_BYTES - 10 * 4096);
	assert_int_equal(mmio_read(&f->m, f->d.device, 4), 10);
	mmio_write(&f->m, f->d.device + 4, 4, 9);
	assert_int_equal(f->reached, 0);
	mmio_write(&f->m, f->d.device + 4, 4, 10);
	mmio_write(&f->m, f->d.device + 4, 4, 10);
	assert_int_equal(f->reached, 1);
	assert_int_equal(f->reached_bytes, RAM_BYTES - 10 * 4096);
	virtio_balloon_state(f->dev, &s);
	assert_true(s.driver);
	assert_int_equal(s.actual_bytes, s.target_bytes);
	/* It is still asked for after a reset, and reached anew. */
	driver_set_status(&f->d, 0);
	virtio_balloon_state(f->dev, &s);
	assert_false(s.driver);
	assert_int_equal(s.actual_bytes, RAM_BYTES);
	assert_int_equal(mmio_read(&f->m, f->d.device, 4), 10);
	mmio_write(&f->m, f->d.device + 4, 4, 10);
	assert_int_equal(f->reached, 2);
	/* More than there is, given or asked for. */
	mmio_write(&f->m, f->d.device + 4, 4, UINT32_MAX);
	virtio_balloon_set_target(f->dev, 2 * RAM_BYTES);
	virtio_balloon_state(f->dev, &s);
	assert_int_equal(s.actual_bytes, 0);
	assert_int_equal(s.target_bytes, RAM_BYTES);
}

static void test_inflate_and_deflate(void **state)
{
	struct fixture *f = *state;
	const uint32_t frames[] = {
		frame(3), frame(4), frame(5),	frame(9),  frame(8),
		frame(7), 0,	    UINT32_MAX, frame(12),
	};

	fill_pages(f);
	give_frames(f, INFLATE, frames, ARRAY_SIZE(frames));
	for (unsigned i = 0; i < 16; i++) {
		bool given = (i >= 3 && i <= 5) || (i >= 7 && i <= 9) ||
			     i == 12;

		assert_int_equal(*page(f, i), given ? 0 : 0xaa);
	}
	fill_pages(f);
	give_frames(f, DEFLATE, frames, ARRAY_SIZE(frames));
	assert_int_equal(*page(f, 3), 0xaa);
}

static void test_reporting(void **state)
{
	struct fixture *f = *state;
	struct vring *v = &f->rings[REPORT];
	struct virtio_balloon_state s;
	uint32_t head, written;

	fill_pages(f);
	vring_desc(v, v->desc, 0, PAGES_GPA, 2 * 4096,
		   VIRTQ_DESC_WRITE | VIRTQ_DESC_NEXT, 1);
	/* Of a part of a page nothing is lost. */
	vring_desc(v, v->desc, 1, PAGES_GPA + 4 * 4096 + 8, 4096 + 4080,
		   VIRTQ_DESC_WRITE, 0);
	vring_add(v, 0);
	driver_notify(&f->d, REPORT);
	assert_true(driver_wait(&f->d, v, &head, &written));
	assert_int_equal(*page(f, 0), 0);
	assert_int_equal(*page(f, 1), 0);
	assert_int_equal(*page(f, 2), 0xaa);
	assert_int_equal(*page(f, 4), 0xaa);
	assert_int_equal(page(f, 4)[4095], 0xaa);
	virtio_balloon_state(f->dev, &s);
	assert_in_range(s.reported_bytes, 2 * 4096, 3 * 4096);
}

static void test_statistics(void **state)
{
	static const struct {
		uint16_t tag;
		uint64_t value;
	} __attribute__((packed))
	entries[] = {{BALLOON_TOTAL, 1000}, {BALLOON_FREE, 500}, {77, 1}};
	struct fixture *f = *state;
	struct vring *v = &f->rings[STATS];
	struct virtio_balloon_state s;
	uint32_t head, written;

	virtio_balloon_state(f->dev, &s);
	assert_true(s.stats[BALLOON_TOTAL] == BALLOON_UNKNOWN);
	virtio_balloon_ask(f->dev);
	memcpy(ram_at(&f->m.ram, DATA_GPA), entries, sizeof(entries));
	vring_desc(v, v->desc, 0, DATA_GPA, sizeof(entries), 0, 0);
	vring_add(v, 0);
	driver_notify(&f->d, STATS);
	driver_turn(&f->d);
	/* It stays here until we ask. */
	assert_false(vring_take(v, &head, &written));
	virtio_balloon_state(f->dev, &s);
	assert_int_equal(s.stats[BALLOON_TOTAL], 1000);
	assert_int_equal(s.stats[BALLOON_FREE], 500);
	assert_true(s.stats[BALLOON_SWAP_IN] == BALLOON_UNKNOWN);
	assert_true(s.stats_ns > 0);
	/* The driver is to announce the next one. */
	assert_int_equal(*vring_u16(v, v->used + 4 + 8 * v->size), v->added);
	virtio_balloon_ask(f->dev);
	assert_true(vring_take(v, &head, &written));
	virtio_balloon_ask(f->dev);
	assert_false(vring_take(v, &head, &written));
}

/* Without statistics the queue of reports is the third. */
static void test_queues_move_up(void **state)
{
	struct fixture *f = *state;
	struct vring *v = &f->rings[2];
	uint32_t head, written;

	driver_start(&f->d, 3ull << 28 | REPORTING, f->rings, 3);
	fill_pages(f);
	vring_desc(v, v->desc, 0, PAGES_GPA, 4096, VIRTQ_DESC_WRITE, 0);
	vring_add(v, 0);
	driver_notify(&f->d, 2);
	assert_true(driver_wait(&f->d, v, &head, &written));
	assert_int_equal(*page(f, 0), 0);
	assert_int_equal(*page(f, 1), 0xaa);
}

static void test_malformed(void **state)
{
	static const struct {
		unsigned queue;
		struct virtq_desc desc;
	} rows[] = {
		{INFLATE, {DATA_GPA, 64, VIRTQ_DESC_WRITE, 0}},
		{INFLATE, {DATA_GPA, 0, 0, 0}},
		{INFLATE, {0, 64, 0, 0}},
		{DEFLATE, {DATA_GPA, 64, VIRTQ_DESC_WRITE, 0}},
		{REPORT, {PAGES_GPA, 4096, 0, 0}},
		{REPORT,
		 {RAM_GPA + RAM_BYTES - 4096, 8192, VIRTQ_DESC_WRITE, 0}},
		{REPORT,
		 {PAGES_GPA, 4096, VIRTQ_DESC_WRITE | VIRTQ_DESC_NEXT, 0}},
		{STATS, {0, 10, 0, 0}},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct vring *v = &f->rings[rows[i].queue];

		driver_start(&f->d, 3ull << 28 | STATS_VQ | REPORTING, f->rings,
			     4);
		memcpy(ram_at(&f->m.ram, v->desc), &rows[i].desc,
		       sizeof(rows[i].desc));
		vring_add(v, 0);
		driver_notify(&f->d, rows[i].queue);
		driver_turn(&f->d);
		if (driver_status(&f->d) != 0x4f)
			fail_msg("row %zu: status %#x", i,
				 (unsigned)driver_status(&f->d));
	}
}

/* A buffer of any size, and odd ones, is a bounded amount of work. */
static void test_long_and_odd_buffers(void **state)
{
	struct fixture *f = *state;
	static uint32_t frames[5001];
	struct vring *v = &f->rings[INFLATE];
	uint32_t head, written;

	for (size_t i = 0; i < ARRAY_SIZE(frames); i++)
		frames[i] = UINT32_MAX - (uint32_t)i * 3;
	give_frames(f, INFLATE, frames, ARRAY_SIZE(frames));
	vring_desc(v, v->desc, 1, DATA_GPA, 7, 0, 0);
	vring_add(v, 1);
	driver_notify(&f->d, INFLATE);
	assert_true(driver_wait(&f->d, v, &head, &written));
	assert_int_equal(driver_status(&f->d), 15);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_config),
		TEST(test_target),
		TEST(test_inflate_and_deflate),
		TEST(test_reporting),
		TEST(test_statistics),
		TEST(test_queues_move_up),
		TEST(test_malformed),
		TEST(test_long_and_odd_buffers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
