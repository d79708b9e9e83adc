#include "tests/unit/virtio_blk_fixture.h"

static void test_config(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(cfg_read(&f->m, DEVFN, PCI_REG_DEVICE, 2), 0x1042);
	assert_int_equal(driver_offered(&f->d),
			 1ull << 32 | 3ull << 28 | 1 << 14 | 1 << 13 | 1 << 11 |
				 1 << 10 | 1 << 9 | 1 << 6 | 1 << 2);
	assert_int_equal(mmio_read(&f->m, f->d.device, 8), SECTORS);
	assert_int_equal(mmio_read(&f->m, f->d.device + 12, 4), 254);
	assert_int_equal(mmio_read(&f->m, f->d.device + 20, 4), 512);
	/* Topology: 8 sectors to a physical block, and the least to write. */
	assert_int_equal(mmio_read(&f->m, f->d.device + 24, 4), 0x00080003);
	assert_int_equal(mmio_read(&f->m, f->d.device + 32, 1), 1);
	assert_int_equal(mmio_read(&f->m, f->d.device + 34, 2), 1);
	assert_int_equal(mmio_read(&f->m, f->d.device + 36, 4), 4194304);
	assert_int_equal(mmio_read(&f->m, f->d.device + 40, 4), 1);
	assert_int_equal(mmio_read(&f->m, f->d.device + 48, 4), 65536);
	assert_int_equal(mmio_read(&f->m, f->d.device + 56, 1), 1);
	assert_int_equal(mmio_read(&f->m, f->d.device + 60, 4), 0);
}

static void test_write_read(void **state)
{
	struct fixture *f = *state;
	uint8_t *buffer = ram_at(&f->m.ram, BUFFER_GPA);
	uint8_t disk[1024];
	uint32_t written;

	for (int i = 0; i < 1024; i++)
		buffer[i] = (uint8_t)(i * 7);
	assert_int_equal(request(f, OUT, 3, 1024, &written), OK);
	assert_int_equal(written, 1);
	assert_int_equal(request(f, FLUSH, 0, 0, &written), OK);
	assert_int_equal(fd_pread_full(f->fd, disk, 1024, 3 * 512), 0);
	assert_memory_equal(disk, buffer, 1024);

	memset(disk, 0x5a, sizeof(disk));
	assert_int_equal(fd_pwrite_full(f->fd, disk, 512, 63 * 512), 0);
	assert_int_equal(request(f, IN, 63, 512, &written), OK);
	assert_int_equal(written, 513);
	assert_memory_equal(buffer, disk, 512);
	assert_int_equal(buffer[512], (uint8_t)(512 * 7));
}

/* Many odd segments, header split, status behind data (2.7.4). */
static void test_any_layout(void **state)
{
	struct fixture *f = *state;
	struct vring *v = &f->ring;
	const uint64_t table = DATA_GPA + 0x800;
	const unsigned next = VIRTQ_DESC_NEXT, in = VIRTQ_DESC_WRITE;
	uint32_t head, written;
	uint8_t disk[512];

	for (int i = 0; i < 512; i++)
		disk[i] = (uint8_t)(i * 3);
	assert_int_equal(fd_pwrite_full(f->fd, disk, 512, 512), 0);
	header(f, IN, 1);
	vring_desc(v, table, 0, HEADER_GPA, 5, next, 1);
	vring_desc(v, table, 1, HEADER_GPA + 5, 11, next, 2);
	vring_desc(v, table, 2, BUFFER_GPA, 1, next | in, 3);
	vring_desc(v, table, 3, BUFFER_GPA + 1, 500, next | in, 4);
	/* The last 11 bytes and the status in one buffer. */
	vring_desc(v, table, 4, BUFFER_GPA + 501, 12, in, 0);
	vring_desc(v, v->desc, 6, table, 5 * 16, VIRTQ_DESC_INDIRECT, 0);
	vring_add(v, 6);
	driver_notify(&f->d, 0);
	assert_true(driver_wait(&f->d, v, &head, &written));
	assert_int_equal(head, 6);
	assert_int_equal(written, 513);
	assert_memory_equal(ram_at(&f->m.ram, BUFFER_GPA), disk, 512);
	assert_int_equal(*(uint8_t *)ram_at(&f->m.ram, BUFFER_GPA + 512), OK);
}

static void test_get_id(void **state)
{
	struct fixture *f = *state;
	uint32_t written;

	assert_int_equal(request(f, GET_ID, 0, 20, &written), OK);
	assert_int_equal(written, 21);
	assert_memory_equal(ram_at(&f->m.ram, BUFFER_GPA),
			    "disk-serial-01234567", 20);
	assert_int_equal(request(f, GET_ID, 0, 19, &written), IOERR);
}

static void test_errors(void **state)
{
	struct fixture *f = *state;
	const struct {
		uint32_t type;
		uint64_t sector;
		uint32_t bytes;
		uint8_t status;
	} rows[] = {
		{IN, SECTORS, 512, IOERR},
		{OUT, SECTORS - 1, 1024, IOERR},
		{IN, UINT64_MAX, 512, IOERR},
		{OUT, UINT64_MAX / 512, 1024, IOERR},
		{IN, 1ull << 55, 512, IOERR},
		{IN, 0, 511, IOERR},
		{OUT, 0, 513, IOERR},
		{IN, 0, 0, IOERR},
		{OUT, 0, 0, IOERR},
		{2, 0, 512, UNSUPP},
		{11, 0, 512, IOERR},
		{12, 0, 512, UNSUPP},
		{0xffffffff, 0, 512, UNSUPP},
	};
	uint32_t written;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint8_t got = request(f, rows[i].type, rows[i].sector,
				      rows[i].bytes, &written);

		if (got != rows[i].status)
			fail_msg("row %zu: status %u", i, got);
	}
	assert_int_equal(driver_status(&f->d), 15);
}

static void test_readonly(void **state)
{
	struct fixture *f = *state;
	uint32_t written;

	assert_true(driver_offered(&f->d) & 1 << 5);
	assert_int_equal(request(f, OUT, 0, 512, &written), IOERR);
	assert_int_equal(request(f, IN, 0, 512, &written), OK);
	assert_int_equal(request(f, FLUSH, 0, 0, &written), OK);
	assert_false(driver_offered(&f->d) & 3 << 13);
	assert_int_equal(range(f, DISCARD, 0, 8, 0), IOERR);
	assert_int_equal(range(f, ZEROES, 0, 8, 0), IOERR);
}

/* Chains that hold no request: NEEDS_RESET, and a reset cures it. */
static void test_malformed(void **state)
{
	struct fixture *f = *state;
	const unsigned next = VIRTQ_DESC_NEXT, in = VIRTQ_DESC_WRITE;
	const struct virtq_desc rows[][2] = {
		{{HEADER_GPA, 16, 0, 0}}, /* no status */
		{{STATUS_GPA, 1, in, 0}}, /* no header */
		{{HEADER_GPA, 15, next, 1}, {STATUS_GPA, 1, in, 0}},
		{{HEADER_GPA, 16, next, 0}}, /* loop */
		{{0x1000, 16, next, 1}, {STATUS_GPA, 1, in, 0}},
		{{HEADER_GPA, 16, next, 1}, {0x1000, 1, in, 0}},
	};
	uint32_t written;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		driver_start(&f->d, 3ull << 28, &f->ring, 1);
		header(f, IN, 0);
		memcpy(ram_at(&f->m.ram, f->ring.desc), rows[i],
		       sizeof(rows[i]));
		vring_add(&f->ring, 0);
		driver_notify(&f->d, 0);
		driver_turn(&f->d);
		assert_int_equal(driver_status(&f->d), 0x4f);
		assert_int_equal(status(f), 0xee);
	}
	driver_start(&f->d, 3ull << 28, &f->ring, 1);
	assert_int_equal(request(f, IN, 0, 512, &written), OK);
}

static void count_fences(void *cookie, bool up)
{
	*(int *)cookie += up ? 1 : -1;
}

/* After a reset a request under way must not touch status or rings, and the
 * driver does not go on before it has ended: until then it fills memory. */
static void test_reset_with_request_under_way(void **state)
{
	struct fixture *f = *state;
	int fences = 0, under_way;

	bus_use_fence(f->m.bus, &(struct bus_fence){count_fences, &fences});
	post(f, IN, 0, 512);
	uv_run(&f->m.loop, UV_RUN_NOWAIT);
	/* io_uring may have ended it at once; a thread has not told us yet. */
	under_way = status(f) == 0xee;
	assert_true(under_way || !getenv("ARMVM_BLOCKDEV"));
	driver_set_status(&f->d, 0);
	assert_int_equal(fences, under_way);
	driver_set_status(&f->d, 0);
	assert_int_equal(fences, under_way);
	while (fences)
		uv_run(&f->m.loop, UV_RUN_ONCE);
	memset(ram_at(&f->m.ram, BUFFER_GPA), 0xcc, 512);
	vring_init(&f->ring, &f->m.ram, 0, RING_SIZE);
	*(uint8_t *)ram_at(&f->m.ram, STATUS_GPA) = 0xdd;
	for (int i = 0; i < 20; i++) {
		uv_run(&f->m.loop, UV_RUN_NOWAIT);
		usleep(500);
	}
	assert_int_equal(status(f), 0xdd);
	assert_int_equal(vring_used_index(&f->ring), 0);
	assert_int_equal(*(uint8_t *)ram_at(&f->m.ram, BUFFER_GPA), 0xcc);
	/* With nothing under way there is nothing to wait for. */
	driver_set_status(&f->d, 0);
	assert_int_equal(fences, 0);
}

static void test_free_with_request_under_way(void **state)
{
	struct fixture *f = *state;

	post(f, OUT, 0, 512);
	uv_run(&f->m.loop, UV_RUN_NOWAIT);
	/* teardown frees, waits and checks for leaks */
}

static void test_queue_full(void **state)
{
	struct fixture *f = *state;
	struct vring *v = &f->ring;
	uint64_t table = DATA_GPA + 0x2000;
	uint32_t head, written, seen = 0;

	header(f, OUT, 5);
	for (unsigned i = 0; i < RING_SIZE; i++, table += 48) {
		vring_desc(v, table, 0, HEADER_GPA, 16, VIRTQ_DESC_NEXT, 1);
		vring_desc(v, table, 1, BUFFER_GPA, 512, VIRTQ_DESC_NEXT, 2);
		vring_desc(v, table, 2, STATUS_GPA, 1, VIRTQ_DESC_WRITE, 0);
		vring_desc(v, v->desc, i, table, 48, VIRTQ_DESC_INDIRECT, 0);
		vring_add(v, (uint16_t)i);
	}
	driver_notify(&f->d, 0);
	while (seen != 0xff) {
		assert_true(driver_wait(&f->d, v, &head, &written));
		seen |= 1u << head;
	}
}

static void test_resized(void **state)
{
	struct fixture *f = *state;
	uint64_t before = mmio_read(&f->m, f->d.common + 0x15, 1);

	mmio_read(&f->m, f->d.isr, 1);
	virtio_blk_resized(f->dev);
	assert_int_equal(mmio_read(&f->m, f->d.common + 0x15, 1), before + 1);
	assert_int_equal(mmio_read(&f->m, f->d.isr, 1), 2);
}

/* A driver on its own thread that starts and resets over and over, each start
 * finding one request in the ring. It touches registers only. */
static void *restless_vcpu(void *cookie)
{
	struct fixture *f = cookie;

	for (int i = 0; i < 300; i++) {
		driver_negotiate(&f->d, 1ull << 32);
		driver_queue(&f->d, 0, &f->ring);
		driver_set_status(&f->d, 15);
		mmio_write(&f->m, f->d.notify, 2, 0);
		mmio_read(&f->m, f->d.isr, 1);
		if (i % 8 == 0)
			usleep(200);
	}
	driver_set_status(&f->d, 0);
	return NULL;
}

static void test_two_doors(void **state)
{
	struct fixture *f = *state;
	pthread_t vcpu;

	driver_set_status(&f->d, 0);
	vring_init(&f->ring, &f->m.ram, 0, RING_SIZE);
	post(f, OUT, 0, 512);
	assert_int_equal(pthread_create(&vcpu, NULL, restless_vcpu, f), 0);
	while (pthread_tryjoin_np(vcpu, NULL) == EBUSY)
		uv_run(&f->m.loop, UV_RUN_NOWAIT);
	assert_int_equal(driver_status(&f->d), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_config),
		TEST(test_write_read),
		TEST_THREADS(test_write_read),
		TEST(test_any_layout),
		TEST(test_get_id),
		TEST(test_errors),
		cmocka_unit_test_setup_teardown(test_readonly, setup_readonly,
						teardown),
		TEST(test_malformed),
		TEST(test_reset_with_request_under_way),
		TEST_THREADS(test_reset_with_request_under_way),
		TEST(test_free_with_request_under_way),
		TEST_THREADS(test_free_with_request_under_way),
		TEST(test_queue_full),
		TEST(test_resized),
		TEST(test_two_doors),
		TEST_THREADS(test_two_doors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
