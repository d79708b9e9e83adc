# Built where Xen's libraries are (libxen-dev), and linked into
# armvm-supervisor-xen alone.
XEN_SRCS += vmm-xen/backend.c vmm-xen/backend_devices.c \
	vmm-xen/backend_probe.c vmm-xen/backend_stats.c vmm-xen/console.c \
	vmm-xen/domain.c vmm-xen/domain_config.c vmm-xen/guest_end.c \
	vmm-xen/guest_lost.c vmm-xen/kernel_file.c vmm-xen/session.c \
	vmm-xen/store_guard.c vmm-xen/xen_adopt.c vmm-xen/xen_block.c \
	vmm-xen/xen_bus.c vmm-xen/xen_changes.c \
	vmm-xen/xen_device.c vmm-xen/xen_host.c vmm-xen/xen_host_left.c \
	vmm-xen/xen_hotplug.c vmm-xen/xen_in_use.c vmm-xen/xen_net.c \
	vmm-xen/xen_store.c vmm-xen/xl_calls.c vmm-xen/xl_loop.c vmm-xen/xs_calls.c
XEN_TESTS += tests/unit/test_xen_backend.c tests/unit/test_xen_bus.c \
	tests/unit/test_xen_bus_faults.c tests/unit/test_xen_probe.c \
	tests/unit/test_xen_guard.c tests/unit/test_xen_lost.c \
	tests/unit/test_xl_loop.c
