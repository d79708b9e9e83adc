/* The daemon's part of a snapshot: it comes back as it was, and not otherwise.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "daemon/snapshot_lead.h"
#include "lib/base/fd.h"

static int file_of(const struct buf *b)
{
	int fd = memfd_create("lead", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_full(fd, b->data, b->size), 0);
	return fd;
}

static void fill(struct snapshot_lead *l, struct buf *out)
{
	static struct snapshot_disk disk = {.id = (char *)"disk0",
					    .path = (char *)"/a",
					    .size = 512,
					    .modified_ns = 7};
	static struct uefi_var var = {
		.guid = "8be4df61-93ca-11d2-aa0d-00e098032b8c",
		.name = (char *)"Mark",
		.attributes = 7,
		.data = (uint8_t *)"data",
		.data_size = 4,
	};

	*l = (struct snapshot_lead){
		.header = {.created_ms = 1234},
		.meta = {.version = (char *)"1",
			 .hypervisor = (char *)"kvm",
			 .machine = (char *)"aarch64",
			 .kernel = (char *)"6",
			 .frozen = true,
			 .abi_known = true,
			 .abi = {.gic = VM_GIC_V3, .pmu = true},
			 .disks = &disk,
			 .n_disks = 1},
		.vars = {&var, 1},
	};
	l->definition = json_object_new_object();
	json_object_object_add(l->definition, "name",
			       json_object_new_string("web"));
	l->image = malloc(VARSTORE_SIZE);
	memset(l->image, 0xa5, VARSTORE_SIZE);
	assert_int_equal(snapshot_lead_put(l, out, NULL), 0);
	free(l->image);
	json_object_put(l->definition);
}

static void test_comes_back(void **state)
{
	_cleanup_snapshot_lead_ struct snapshot_lead back = {0};
	_cleanup_buf_ struct buf out = {0};
	_cleanup_close_ int fd = -1;
	struct snapshot_lead l;
	struct error e = ERROR_INIT;

	fill(&l, &out);
	fd = file_of(&out);
	if (snapshot_lead_read(fd, &back, &e) < 0)
		fail_msg("%s", e.message);
	assert_int_equal(back.header.created_ms, 1234);
	assert_true(back.meta.frozen && back.meta.abi_known);
	assert_int_equal(back.meta.abi.gic, VM_GIC_V3);
	assert_true(back.meta.abi.pmu && !back.meta.abi.sve);
	assert_int_equal(back.meta.n_disks, 1);
	assert_string_equal(back.meta.disks[0].path, "/a");
	assert_int_equal(back.meta.disks[0].modified_ns, 7);
	assert_int_equal(back.image[VARSTORE_SIZE - 1], 0xa5);
	assert_int_equal(back.vars.count, 1);
	assert_string_equal(back.vars.list[0].name, "Mark");
	assert_memory_equal(back.vars.list[0].data, "data", 4);
}

static void test_damage_is_found(void **state)
{
	_cleanup_buf_ struct buf out = {0};
	struct snapshot_lead l;

	fill(&l, &out);
	for (size_t at = 0; at < out.size; at += at < 2000 ? 7 : 9973) {
		_cleanup_snapshot_lead_ struct snapshot_lead back = {0};
		struct error e = ERROR_INIT;
		int fd;

		out.data[at] ^= 1;
		fd = file_of(&out);
		assert_true(snapshot_lead_read(fd, &back, &e) < 0);
		assert_true(e.message[0]);
		fd_close(fd);
		out.data[at] ^= 1;
	}
}

/* Behind a right sum, too: what somebody made up is judged. */
static void test_variables_are_judged(void **state)
{
	_cleanup_buf_ struct buf out = {0};
	struct snapshot_lead l;
	const size_t section = 48;
	struct buf vars = {0};

	fill(&l, &out);
	l.image = calloc(1, VARSTORE_SIZE);
	assert_int_equal(snapshot_vars_put(l.image, &l.vars, &vars, NULL), 0);
	for (size_t n = 0; n < vars.size - section; n += 1 + n / 50) {
		struct uefi_vars got = {0};
		struct error e = ERROR_INIT;
		uint8_t *image = NULL;

		assert_true(snapshot_vars_get(vars.data + section, n, &image,
					      &got, &e) < 0);
		assert_null(image);
	}
	free(l.image);
	buf_done(&vars);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_comes_back),
		cmocka_unit_test(test_damage_is_found),
		cmocka_unit_test(test_variables_are_judged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
