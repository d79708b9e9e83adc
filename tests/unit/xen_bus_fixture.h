/*
 * A bus of paravirtual devices on a xenstore and a kernel in memory, and the
 * two ends of a device, which are these functions: dom0's backend and the
 * guest's driver.
 */
#ifndef TESTS_UNIT_XEN_BUS_FIXTURE_H
#define TESTS_UNIT_XEN_BUS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "tests/unit/fake_dom0.h"
#include "vmm-xen/xen_bus_internal.h"

#define EVENTS 32
#define DOMID  5

struct fixture {
	uv_loop_t loop;
	struct xen_bus *bus;
	struct vmm_device_status events[EVENTS];
	char details[EVENTS][128];
	unsigned n_events, read_events, lost;
};

static inline void on_device(void *cookie,
			     const struct vmm_device_status *status,
			     const char *detail)
{
	struct fixture *f = cookie;

	assert_true(f->n_events < EVENTS);
	snprintf(f->details[f->n_events], sizeof(f->details[0]), "%s", detail);
	f->events[f->n_events++] = *status;
}

static inline void on_bus_lost(void *cookie)
{
	((struct fixture *)cookie)->lost++;
}

static const struct xen_bus_events bus_events = {on_device, on_bus_lost};

/* Until nothing is left to be done at once. */
static inline void turn(struct fixture *f)
{
	for (int i = 0; i < 20; i++)
		uv_run(&f->loop, UV_RUN_NOWAIT);
}

/* Past a timer of the bus. */
static inline void wait_turn(struct fixture *f)
{
	uv_sleep(12);
	uv_update_time(&f->loop);
	turn(f);
}

static inline int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	fake_dom0_begin();
	uv_loop_init(&f->loop);
	assert_int_equal(xen_bus_new(&f->loop, &bus_events, f, &f->bus, NULL),
			 0);
	*state = f;
	return 0;
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	dom0.backends_stay = false;
	xen_bus_free(f->bus);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	assert_int_equal(fake.n_watches, 0);
	close(fake.fd);
	free(f);
	return 0;
}

static inline int file_of(uint64_t size)
{
	int fd = memfd_create("disk", MFD_CLOEXEC);

	assert_true(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
	return fd;
}

static inline int add_disk(struct fixture *f, const char *id, uint32_t slot,
			   struct error *e)
{
	struct disk_config disk = {.id = (char *)id, .slot = slot};
	struct vmm_device device = {
		.kind = VM_DEVICE_DISK,
		.disk = &disk,
		.fd = file_of(4096),
	};
	uint32_t got;

	return xen_bus_add(f->bus, &device, &got, e);
}

static inline int add_nic(struct fixture *f, const char *id, const char *bridge,
			  struct error *e)
{
	struct nic_config nic = {
		.id = (char *)id,
		.bridge = (char *)bridge,
		.mac = (char *)"52:54:00:00:00:01",
	};
	struct vmm_device device = {
		.kind = VM_DEVICE_NIC,
		.nic = &nic,
		.fd = -1,
	};
	uint32_t got;

	return xen_bus_add(f->bus, &device, &got, e);
}

/* The disk in slot 1, unless said otherwise. */
#define VBD   "vbd/5/51712"
#define FRONT "/local/domain/5/device/vbd/51712"
#define BACK  "/local/domain/0/backend/vbd/5/51712"

static inline void put_state(const char *dir, const char *text)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/state", dir);
	fake_put(path, text, strlen(text));
}

/* The next event, which must be this one. */
static const char *expect(struct fixture *f, const char *id,
			  enum vm_device_state state)
{
	if (f->read_events == f->n_events)
		fail_msg("no event, but %s %s was to come", id,
			 vm_device_state_name(state));
	assert_string_equal(f->events[f->read_events].id, id);
	assert_string_equal(
		vm_device_state_name(f->events[f->read_events].state),
		vm_device_state_name(state));
	return f->details[f->read_events++];
}

static inline void expect_silence(struct fixture *f)
{
	if (f->read_events < f->n_events)
		fail_msg("unexpected: %s %s", f->events[f->read_events].id,
			 vm_device_state_name(f->events[f->read_events].state));
}

static inline void offer(struct fixture *f, const char *id)
{
	assert_int_equal(xen_bus_connect(f->bus, DOMID, NULL), 0);
	assert_int_equal(add_disk(f, id, 1, NULL), 0);
	turn(f);
	expect_silence(f);
	put_state(BACK, "2");
	turn(f);
	expect(f, id, VM_DEVICE_OFFERED);
}

static inline void use(struct fixture *f, const char *id)
{
	offer(f, id);
	put_state(FRONT, "3");
	turn(f);
	expect(f, id, VM_DEVICE_ACKNOWLEDGED);
	put_state(BACK, "4");
	put_state(FRONT, "4");
	turn(f);
	expect(f, id, VM_DEVICE_ACTIVE);
	expect_silence(f);
}

static inline void give_up(struct fixture *f, const char *id, const char *word)
{
	struct error why = ERROR_INIT;

	xen_bus_give_up(f->bus, id, &why);
	assert_int_equal(why.err, ETIMEDOUT);
	if (!strstr(why.message, word))
		fail_msg("\"%s\" is not in: %s", word, why.message);
}

/* Nodes below the top folders of devices, of the domain. */
static inline unsigned nodes_left(void)
{
	static const char *const tops[] = {"/local/domain/5/device/vbd/",
					   "/local/domain/5/device/vif/",
					   "/local/domain/0/backend/vbd/5/",
					   "/local/domain/0/backend/vif/5/",
					   "/libxl/5/device/vbd/",
					   "/libxl/5/device/vif/"};
	unsigned n = 0;

	for (size_t i = 0; i < fake.tree.n; i++)
		for (size_t k = 0; k < ARRAY_SIZE(tops); k++)
			n += strncmp(fake.tree.nodes[i].path, tops[k],
				     strlen(tops[k])) == 0;
	return n;
}

#endif
