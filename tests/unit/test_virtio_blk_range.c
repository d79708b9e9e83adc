#include "tests/unit/virtio_blk_fixture.h"

/* A request is answered in the queue it came by. */
static void test_queues(void **state)
{
	struct fixture *f = *state;
	struct vring rings[3];
	uint32_t head, written;

	assert_true(driver_offered(&f->d) & 1 << 12);
	assert_int_equal(mmio_read(&f->m, f->d.device + 34, 2), 3);
	driver_start(&f->d, 3ull << 28 | 1 << 12 | 1 << 9, rings, 3);
	for (unsigned q = 0; q < 3; q++) {
		struct vring *v = &rings[q];

		header(f, q == 1 ? 99 : FLUSH, 0);
		vring_desc(v, v->desc, 0, HEADER_GPA, 16, VIRTQ_DESC_NEXT, 1);
		vring_desc(v, v->desc, 1, STATUS_GPA, 1, VIRTQ_DESC_WRITE, 0);
		vring_add(v, 0);
		driver_notify(&f->d, q);
		assert_true(driver_wait(&f->d, v, &head, &written));
		assert_int_equal(status(f), q == 1 ? UNSUPP : OK);
		for (unsigned other = 0; other < 3; other++)
			assert_int_equal(vring_used_index(&rings[other]),
					 other <= q);
	}
}

static void test_discard_and_zeroes(void **state)
{
	struct fixture *f = *state;
	uint8_t disk[1024], zero[512] = {0};

	memset(disk, 0xff, sizeof(disk));
	assert_int_equal(fd_pwrite_full(f->fd, disk, 1024, 7 * 512), 0);
	assert_int_equal(range(f, ZEROES, 8, 1, 0), OK);
	assert_int_equal(fd_pread_full(f->fd, disk, 1024, 7 * 512), 0);
	assert_int_equal(disk[511], 0xff);
	assert_memory_equal(disk + 512, zero, 512);
	assert_int_equal(range(f, ZEROES, 7, 1, 1), OK);
	assert_int_equal(fd_pread_full(f->fd, disk, 512, 7 * 512), 0);
	assert_memory_equal(disk, zero, 512);
	assert_int_equal(range(f, DISCARD, 0, 8, 0), OK);
}

static void test_ranges_are_judged(void **state)
{
	struct fixture *f = *state;
	const struct {
		uint32_t type;
		uint64_t sector;
		uint32_t sectors, flags;
		uint8_t status;
	} rows[] = {
		{DISCARD, 0, 8, 1, UNSUPP},
		{ZEROES, 0, 8, 2, UNSUPP},
		{DISCARD, SECTORS, 1, 0, IOERR},
		{ZEROES, SECTORS - 1, 2, 0, IOERR},
		{ZEROES, UINT64_MAX, 2, 1, IOERR},
		{ZEROES, 0, UINT32_MAX, 1, IOERR},
		{DISCARD, 0, UINT32_MAX, 0, IOERR},
		{DISCARD, 1ull << 55, 8, 0, IOERR},
	};
	uint32_t written;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (range(f, rows[i].type, rows[i].sector, rows[i].sectors,
			  rows[i].flags) != rows[i].status)
			fail_msg("row %zu: status %u", i, status(f));
	/* Less than a segment, and more than the one that was offered. */
	header(f, DISCARD, 0);
	memset(ram_at(&f->m.ram, BUFFER_GPA), 0, 32);
	for (uint32_t bytes = 0; bytes <= 32; bytes += 8) {
		struct vring *v = &f->ring;
		uint32_t head;

		if (bytes == 16)
			continue;
		header(f, DISCARD, 0);
		vring_desc(v, v->desc, 0, HEADER_GPA, 16, VIRTQ_DESC_NEXT,
			   bytes ? 1 : 2);
		vring_desc(v, v->desc, 1, BUFFER_GPA, bytes, VIRTQ_DESC_NEXT,
			   2);
		vring_desc(v, v->desc, 2, STATUS_GPA, 1, VIRTQ_DESC_WRITE, 0);
		vring_add(v, 0);
		driver_notify(&f->d, 0);
		assert_true(driver_wait(&f->d, v, &head, &written));
		assert_int_equal(status(f), IOERR);
	}
	assert_int_equal(driver_status(&f->d), 15);
}

static void test_writeback_is_the_drivers_choice(void **state)
{
	struct fixture *f = *state;
	uint32_t written;

	/* Not negotiated: the register keeps its value. */
	mmio_write(&f->m, f->d.device + 32, 1, 0);
	assert_int_equal(mmio_read(&f->m, f->d.device + 32, 1), 1);
	driver_start(&f->d, 3ull << 28 | 1 << 11 | 1 << 9, &f->ring, 1);
	mmio_write(&f->m, f->d.device + 32, 1, 0);
	mmio_write(&f->m, f->d.device, 4, 0); /* the capacity is not his */
	assert_int_equal(mmio_read(&f->m, f->d.device + 32, 1), 0);
	assert_int_equal(mmio_read(&f->m, f->d.device, 8), SECTORS);
	assert_int_equal(request(f, OUT, 0, 512, &written), OK);
	assert_int_equal(range(f, ZEROES, 0, 8, 0), OK);
	driver_set_status(&f->d, 0);
	assert_int_equal(mmio_read(&f->m, f->d.device + 32, 1), 1);
	/* A driver that knows no flush gets the same. */
	driver_start(&f->d, 3ull << 28, &f->ring, 1);
	assert_int_equal(request(f, OUT, 0, 512, &written), OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_discard_and_zeroes),
		TEST_THREADS(test_discard_and_zeroes),
		TEST(test_ranges_are_judged),
		TEST(test_writeback_is_the_drivers_choice),
		TEST_THREADS(test_writeback_is_the_drivers_choice),
		cmocka_unit_test_setup_teardown(test_queues, setup_queues,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
