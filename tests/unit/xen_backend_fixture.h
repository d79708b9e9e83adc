/*
 * A machine through lib/vmm/vmm.h on a Xen, a xenstore and a kernel in memory.
 */
#ifndef TESTS_UNIT_XEN_BACKEND_FIXTURE_H
#define TESTS_UNIT_XEN_BACKEND_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "lib/host/chardev.h"
#include "tests/unit/fake_dom0.h"
#include "tests/unit/fake_xl.h"
#include "tests/unit/kernel_maker.h"
#include "vmm-xen/backend.h"

#define UUID "7c3e9a0e-1111-2222-3333-444455556666"
struct fixture {
	uv_loop_t loop;
	struct vm_config config;
	struct chardev *console, *pv;
	struct vmm *vmm;
	unsigned events[VMM_EVENT_FATAL + 1];
	char detail[ERROR_MESSAGE_MAX];
	bool adopt;
};

static inline void on_event(void *cookie, enum vmm_event_kind kind,
			    const char *detail)
{
	struct fixture *f = cookie;

	f->events[kind]++;
	snprintf(f->detail, sizeof(f->detail), "%s", detail);
}

static const struct vmm_events events = {.event = on_event};

static inline int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	fake_dom0_begin();
	xen = (struct fake_xen){.free_kb = 4 * FAKE_KB};
	f->config = (struct vm_config){
		.name = (char *)"web",
		.uuid = (char *)UUID,
		.kernel = (char *)"/vmlinuz",
		.cmdline = (char *)"quiet",
		.vcpus = 3,
		.memory_bytes = FAKE_KB * UINT64_C(1024),
	};
	assert_int_equal(uv_loop_init(&f->loop), 0);
	assert_int_equal(chardev_new(&f->loop, &f->console), 0);
	assert_int_equal(chardev_new(&f->loop, &f->pv), 0);
	*state = f;
	return 0;
}

static inline void turns(struct fixture *f, unsigned ms)
{
	uint64_t end = uv_hrtime() + ms * UINT64_C(1000000);

	do {
		uv_run(&f->loop, UV_RUN_NOWAIT);
		usleep(500);
	} while (uv_hrtime() < end);
}

static inline bool comes(struct fixture *f, enum vmm_event_kind kind)
{
	for (unsigned i = 0; i < 4000 && f->events[kind] == 0; i++)
		turns(f, 1);
	return f->events[kind] > 0;
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	vmm_xen_ops.destroy(f->vmm);
	chardev_free(f->console);
	chardev_free(f->pv);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	assert_int_equal(xen.contexts, 0);
	assert_int_equal(xen.stores, 0);
	assert_int_equal(xen.watches, 0);
	assert_int_equal(xen.events, 0);
	assert_int_equal(fake.n_watches, 0);
	close(fake.fd);
	free(f);
	return 0;
}

static inline int image_fd(void)
{
	_cleanup_free_ uint8_t *image = kernel_maker_image(0, KIB(200));

	return packing_file(image, KERNEL_MAKER_SIZE, UNPACK_PLAIN);
}

static inline int create(struct fixture *f, struct error *e)
{
	struct vmm_params p = {
		.config = &f->config,
		.loop = &f->loop,
		.events = &events,
		.cookie = f,
		.hypervisor_fd = -1,
		.firmware_fd = -1,
		.kernel_fd = image_fd(),
		.initrd_fd = -1,
		.nvram_fd = memfd_create("nvram", MFD_CLOEXEC),
		.snapshot_fd = -1,
		.vsock_fd = -1,
		.console = f->console,
		.virtio_console = f->pv,
		.adopt = f->adopt,
	};

	for (size_t i = 0; i < VM_FILESYSTEMS_MAX; i++)
		p.filesystems[i] = -1;
	return vmm_xen_ops.create(&p, &f->vmm, e);
}

static inline void run(struct fixture *f)
{
	assert_int_equal(create(f, NULL), 0);
	assert_int_equal(vmm_xen_ops.start(f->vmm, NULL), 0);
	assert_true(comes(f, VMM_EVENT_RUNNING));
}

#endif
