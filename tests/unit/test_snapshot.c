#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "lib/base/fd.h"
#include "lib/snapshot/snapshot.h"

#define PAGE   4096
#define MEMORY (3 * SNAPSHOT_RUN_MAX)

/* A whole snapshot in memory: the daemon's part and a machine with some pages
 * of memory, among them a run longer than one section holds. */
static int make(bool compress, uint8_t *memory)
{
	static const struct snapshot_header header = {.created_ms = 42,
						      .id = "an id"};
	struct snapshot_section s = {.version = 1};
	_cleanup_buf_ struct buf lead = {0};
	struct error e = ERROR_INIT;
	struct snapshot_writer w;
	int fd = memfd_create("snapshot", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(snapshot_put_header(&lead, &header), 0);
	for (s.type = SNAPSHOT_META; s.type < SNAPSHOT_MACHINE; s.type++)
		assert_int_equal(snapshot_put_section(&lead, &s, "text", 4), 0);
	assert_int_equal(fd_write_full(fd, lead.data, lead.size), 0);
	memory[PAGE] = 1;
	memory[2 * PAGE + 17] = 2;
	memset(memory + SNAPSHOT_RUN_MAX, 0xa5, SNAPSHOT_RUN_MAX + PAGE);
	assert_int_equal(snapshot_writer_init(&w, fd, compress, &e), 0);
	assert_int_equal(snapshot_write_machine(&w, "state", 5, &e), 0);
	assert_int_equal(snapshot_write_memory(&w, GIB(1), memory, MEMORY, &e),
			 0);
	assert_int_equal(snapshot_write_end(&w, &e), 0);
	snapshot_writer_done(&w);
	return fd;
}

/* All of it, into `memory`; *ret_sections counts pieces of memory. */
static int read_all(int fd, uint8_t *memory, unsigned *ret_sections,
		    struct error *e)
{
	_cleanup_snapshot_reader_ struct snapshot_reader r = {0};
	struct snapshot_header header;
	struct snapshot_section s;
	int err = snapshot_reader_init(&r, fd, &header, e);

	for (int type = SNAPSHOT_META; !err && type <= SNAPSHOT_MACHINE;
	     type++) {
		_cleanup_free_ void *payload = NULL;

		err = snapshot_expect(&r, (enum snapshot_type)type, &s, e);
		if (!err)
			err = snapshot_payload(&r, &s, &payload, e);
	}
	while (!err) {
		err = snapshot_next(&r, &s, e);
		if (err || s.type == SNAPSHOT_END)
			break;
		if (s.address < GIB(1) || s.address - GIB(1) > MEMORY - s.size)
			return -ERANGE;
		++*ret_sections;
		err = snapshot_run(&r, &s, memory + (s.address - GIB(1)), e);
	}
	return err;
}

static void test_memory_comes_back(void **state)
{
	for (int compress = 0; compress < 2; compress++) {
		_cleanup_free_ uint8_t *memory = calloc(1, MEMORY);
		_cleanup_free_ uint8_t *copy = calloc(1, MEMORY);
		_cleanup_close_ int fd = make(compress, memory);
		struct error e = ERROR_INIT;
		unsigned sections = 0;

		if (read_all(fd, copy, &sections, &e))
			fail_msg("%s", e.message);
		assert_memory_equal(copy, memory, MEMORY);
		/* Two pages, a whole run and what is left of it: no zeroes. */
		assert_int_equal(sections, 3);
		assert_true((uint64_t)lseek(fd, 0, SEEK_END) <
			    (compress ? 8192 : 4 * PAGE + SNAPSHOT_RUN_MAX));
	}
}

/* The next piece of memory: its size, 0 at the end. */
static uint64_t next_run(struct snapshot_reader *r, uint16_t *ret_flags,
			 uint64_t *ret_address, void *out)
{
	struct error e = ERROR_INIT;
	struct snapshot_section s;

	if (snapshot_next(r, &s, &e))
		fail_msg("%s", e.message);
	if (s.type == SNAPSHOT_END)
		return 0;
	if (snapshot_run(r, &s, out, &e))
		fail_msg("%s", e.message);
	*ret_flags = s.flags & SNAPSHOT_TAGS;
	*ret_address = s.address;
	return s.size;
}

/* Reads up to the machine of a file that holds only pieces of memory. */
static void begin_runs(struct snapshot_reader *r, int fd)
{
	struct snapshot_header header;
	struct error e = ERROR_INIT;
	struct snapshot_section s;

	assert_int_equal(snapshot_reader_init(r, fd, &header, &e), 0);
	for (int type = SNAPSHOT_META; type <= SNAPSHOT_MACHINE; type++)
		assert_int_equal(
			snapshot_expect(r, (enum snapshot_type)type, &s, &e),
			0);
}

static int begin_file(struct snapshot_writer *w, bool compress)
{
	static const struct snapshot_header header = {.created_ms = 1};
	struct snapshot_section s = {.version = 1};
	_cleanup_buf_ struct buf lead = {0};
	struct error e = ERROR_INIT;
	int fd = memfd_create("snapshot", MFD_CLOEXEC);

	assert_int_equal(snapshot_put_header(&lead, &header), 0);
	for (s.type = SNAPSHOT_META; s.type < SNAPSHOT_MACHINE; s.type++)
		assert_int_equal(snapshot_put_section(&lead, &s, "text", 4), 0);
	assert_int_equal(fd_write_full(fd, lead.data, lead.size), 0);
	assert_int_equal(snapshot_writer_init(w, fd, compress, &e), 0);
	assert_int_equal(snapshot_write_machine(w, "state", 5, &e), 0);
	return fd;
}

/* 256 MiB of a memfd of which two pages are there: they are all that is read,
 * and they are all that there is afterwards. */
static void test_holes_stay_holes(void **state)
{
	const size_t size = MIB(256), offset = MIB(2);
	int memory = memfd_create("ram", MFD_CLOEXEC);
	_cleanup_snapshot_reader_ struct snapshot_reader r = {0};
	_cleanup_free_ uint8_t *run = malloc(SNAPSHOT_RUN_MAX);
	struct error e = ERROR_INIT;
	struct snapshot_writer w;
	uint64_t address;
	struct stat st;
	uint16_t flags;
	uint8_t *ram;
	int fd = begin_file(&w, false);

	assert_int_equal(ftruncate(memory, (off_t)(offset + size)), 0);
	ram = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, memory,
		   (off_t)offset);
	assert_true(ram != MAP_FAILED);
	ram[5 * PAGE + 1] = 1;
	ram[size - PAGE] = 2;
	assert_int_equal(snapshot_write_mapped(&w, GIB(1), ram, size, memory,
					       offset, &e),
			 0);
	/* As the backend does it, in steps; here one with nothing in it. */
	assert_int_equal(snapshot_write_mapped(&w, GIB(1), ram + MIB(16),
					       MIB(16), memory,
					       offset + MIB(16), &e),
			 0);
	assert_int_equal(snapshot_write_end(&w, &e), 0);
	assert_int_equal(fstat(memory, &st), 0);
	assert_int_equal(st.st_blocks, 2 * PAGE / 512);
	begin_runs(&r, fd);
	assert_int_equal(next_run(&r, &flags, &address, run), PAGE);
	assert_int_equal(address, GIB(1) + 5 * PAGE);
	assert_int_equal(run[1], 1);
	assert_int_equal(next_run(&r, &flags, &address, run), PAGE);
	assert_int_equal(address, GIB(1) + size - PAGE);
	assert_int_equal(run[0], 2);
	assert_int_equal(next_run(&r, &flags, &address, run), 0);
	snapshot_writer_done(&w);
	munmap(ram, size);
	fd_close(memory);
	fd_close(fd);
}

/* 2 MiB and a last page, tagged at both ends and nowhere else. */
static void test_tags_come_back(void **state)
{
	const uint64_t size = MIB(2) + PAGE;
	const uint64_t unit = SNAPSHOT_TAGS_UNIT / SNAPSHOT_GRANULE;
	_cleanup_free_ uint8_t *tags = calloc(1, size / SNAPSHOT_GRANULE);
	_cleanup_free_ uint8_t *run = malloc(SNAPSHOT_RUN_MAX);

	tags[unit + 3] = 0xa;
	tags[size / SNAPSHOT_GRANULE - 1] = 0x5;
	for (int compress = 0; compress < 2; compress++) {
		_cleanup_snapshot_reader_ struct snapshot_reader r = {0};
		struct error e = ERROR_INIT;
		struct snapshot_writer w;
		_cleanup_close_ int fd = begin_file(&w, compress);
		uint64_t address;
		uint16_t flags;

		assert_int_equal(
			snapshot_write_tags(&w, GIB(1), tags, size, &e), 0);
		assert_int_equal(snapshot_write_end(&w, &e), 0);
		snapshot_writer_done(&w);
		begin_runs(&r, fd);
		assert_int_equal(next_run(&r, &flags, &address, run),
				 SNAPSHOT_TAGS_UNIT);
		assert_int_equal(flags, SNAPSHOT_TAGS);
		assert_int_equal(address, GIB(1) + SNAPSHOT_TAGS_UNIT);
		assert_memory_equal(run, tags + unit, unit);
		assert_int_equal(next_run(&r, &flags, &address, run), PAGE);
		assert_int_equal(address, GIB(1) + MIB(2));
		assert_int_equal(run[PAGE / SNAPSHOT_GRANULE - 1], 0x5);
		assert_int_equal(next_run(&r, &flags, &address, run), 0);
	}
}

/* More memory is said to be there than there are tags for it. */
static void test_tags_that_do_not_fit(void **state)
{
	const struct snapshot_section lie = {.type = SNAPSHOT_MEMORY,
					     .flags = SNAPSHOT_TAGS,
					     .version = 1,
					     .address = GIB(1),
					     .size = MIB(1)};
	static const uint8_t tags[KIB(4)] = {1};
	_cleanup_snapshot_reader_ struct snapshot_reader r = {0};
	struct snapshot_section s;
	_cleanup_buf_ struct buf more = {0};
	struct error e = ERROR_INIT;
	struct snapshot_writer w;
	_cleanup_close_ int fd = begin_file(&w, false);

	assert_int_equal(snapshot_put_section(&more, &lie, tags, sizeof(tags)),
			 0);
	assert_int_equal(fd_write_full(fd, more.data, more.size), 0);
	snapshot_writer_done(&w);
	begin_runs(&r, fd);
	assert_int_equal(snapshot_next(&r, &s, &e), -EBADMSG);
	assert_non_null(strstr(e.message, "no possible size"));
}

static void test_header_and_order(void **state)
{
	_cleanup_free_ uint8_t *memory = calloc(1, MEMORY);
	_cleanup_snapshot_reader_ struct snapshot_reader r = {0};
	_cleanup_close_ int fd = make(false, memory);
	struct error e = ERROR_INIT;
	struct snapshot_header header;
	struct snapshot_section s;
	void *text;

	assert_int_equal(snapshot_reader_init(&r, fd, &header, &e), 0);
	assert_int_equal(header.created_ms, 42);
	assert_memory_equal(header.id, "an id", 5);
	assert_int_equal(snapshot_expect(&r, SNAPSHOT_META, &s, &e), 0);
	assert_int_equal(snapshot_payload(&r, &s, &text, &e), 0);
	assert_string_equal(text, "text");
	free(text);
	assert_int_equal(snapshot_expect(&r, SNAPSHOT_MACHINE, &s, &e),
			 -EBADMSG);
	assert_non_null(strstr(e.message, "MACHINE"));
}

/* Whatever byte is another, it is found before it is used. */
static void test_every_flip_is_found(void **state)
{
	_cleanup_free_ uint8_t *memory = calloc(1, MEMORY);
	_cleanup_free_ uint8_t *copy = calloc(1, MEMORY);
	_cleanup_close_ int fd = make(true, memory);
	off_t size = lseek(fd, 0, SEEK_END);

	for (off_t at = 0; at < size; at++) {
		struct error e = ERROR_INIT;
		unsigned sections = 0;
		uint8_t byte;
		int r;

		assert_int_equal(fd_pread_full(fd, &byte, 1, at), 0);
		byte ^= 0x40;
		assert_int_equal(fd_pwrite_full(fd, &byte, 1, at), 0);
		r = read_all(fd, copy, &sections, &e);
		assert_true(r == -EBADMSG || r == -EOPNOTSUPP);
		assert_true(e.message[0]);
		byte ^= 0x40;
		assert_int_equal(fd_pwrite_full(fd, &byte, 1, at), 0);
	}
}

static void test_every_truncation_is_found(void **state)
{
	_cleanup_free_ uint8_t *memory = calloc(1, MEMORY);
	_cleanup_free_ uint8_t *copy = calloc(1, MEMORY);
	_cleanup_close_ int fd = make(true, memory);
	off_t size = lseek(fd, 0, SEEK_END);

	while (size-- > 0) {
		struct error e = ERROR_INIT;
		unsigned sections = 0;

		assert_int_equal(ftruncate(fd, size), 0);
		assert_int_equal(read_all(fd, copy, &sections, &e), -EBADMSG);
		assert_true(e.message[0]);
	}
}

static void test_what_is_none(void **state)
{
	_cleanup_snapshot_reader_ struct snapshot_reader r = {0};
	struct snapshot_header header;
	struct error e = ERROR_INIT;
	int pair[2];

	assert_int_equal(pipe(pair), 0);
	assert_int_equal(snapshot_reader_init(&r, pair[0], &header, &e),
			 -EBADMSG);
	fd_close(pair[0]);
	fd_close(pair[1]);
}

/* A stream whose reader has gone is an error, not the end of us. */
static void test_write_fails(void **state)
{
	_cleanup_close_ int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	struct error e = ERROR_INIT;
	struct snapshot_writer w;

	assert_int_equal(snapshot_writer_init(&w, fd, false, &e), 0);
	assert_int_equal(snapshot_write_machine(&w, "state", 5, &e), -ENOSPC);
	assert_non_null(strstr(e.message, "No space"));
	snapshot_writer_done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory_comes_back),
		cmocka_unit_test(test_holes_stay_holes),
		cmocka_unit_test(test_tags_come_back),
		cmocka_unit_test(test_tags_that_do_not_fit),
		cmocka_unit_test(test_header_and_order),
		cmocka_unit_test(test_every_flip_is_found),
		cmocka_unit_test(test_every_truncation_is_found),
		cmocka_unit_test(test_what_is_none),
		cmocka_unit_test(test_write_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
