SRCS += lib/model/vm_config.c lib/model/vm_config_check.c lib/model/vm_state.c \
	lib/model/vm_device.c lib/model/vm_config_slots.c
TESTS += tests/unit/test_vm_config.c tests/unit/test_vm_state.c \
	tests/unit/test_vm_device.c
