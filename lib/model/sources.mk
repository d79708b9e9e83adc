SRCS += lib/model/guest_info.c lib/model/host_caps.c lib/model/vm_config.c \
	lib/model/vm_config_check.c lib/model/vm_config_disk.c lib/model/vm_config_nic.c \
	lib/model/vm_config_slots.c \
	lib/model/vm_device.c lib/model/vm_state.c lib/model/vm_stats.c \
	lib/model/vm_stats_totals.c
TESTS += tests/unit/test_host_caps.c tests/unit/test_vm_config.c \
	tests/unit/test_vm_device.c tests/unit/test_vm_state.c \
	tests/unit/test_vm_stats.c
SRCS += lib/model/vm_config_shared.c
SRCS += lib/model/vm_config_live.c
SRCS += lib/model/xen_caps.c
TESTS += tests/unit/test_xen_caps.c
