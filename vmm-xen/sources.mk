# Built where Xen's libraries are (libxen-dev).
XEN_SRCS += vmm-xen/xen_adopt.c \
	vmm-xen/xen_block.c \
	vmm-xen/xen_bus.c \
	vmm-xen/xen_changes.c \
	vmm-xen/xen_device.c \
	vmm-xen/xen_host.c \
	vmm-xen/xen_hotplug.c \
	vmm-xen/xen_in_use.c \
	vmm-xen/xen_net.c \
	vmm-xen/xen_store.c \
	vmm-xen/xs_calls.c
XEN_TESTS += tests/unit/test_xen_bus.c \
	tests/unit/test_xen_bus_faults.c
