SRCS += vmm-kvm/board_state.c
ARM_SRCS += vmm-kvm/backend_save.c vmm-kvm/backend_load.c vmm-kvm/backend_memory.c vmm-kvm/kvm_gic_state.c \
	vmm-kvm/kvm_vcpu_state.c vmm-kvm/machine_state.c
SRCS += vmm-kvm/notes.c vmm-kvm/board.c vmm-kvm/board_memory.c vmm-kvm/board_mmio.c \
	vmm-kvm/board_pci.c \
	vmm-kvm/board_nic.c vmm-kvm/board_slots.c vmm-kvm/board_stats.c vmm-kvm/board_hotplug.c vmm-kvm/boot.c \
	vmm-kvm/boot_kernel.c vmm-kvm/nvram_commits.c \
	vmm-kvm/run_gate.c
ARM_SRCS += vmm-kvm/backend.c vmm-kvm/backend_devices.c \
	vmm-kvm/backend_params.c vmm-kvm/backend_probe.c vmm-kvm/kvm_coalesced.c vmm-kvm/kvm_counters.c \
	vmm-kvm/kvm_features.c vmm-kvm/kvm_gic.c \
	vmm-kvm/kvm_ioctls.c vmm-kvm/kvm_irq.c vmm-kvm/kvm_vcpu.c \
	vmm-kvm/kvm_vm.c vmm-kvm/machine.c
TESTS += tests/unit/test_boot.c tests/unit/test_board.c \
	tests/unit/test_board_hotplug.c tests/unit/test_board_memory.c \
	tests/unit/test_boot_kernel.c \
	tests/unit/test_notes.c tests/unit/test_nvram_commits.c \
	tests/unit/test_run_gate.c

# A developer's tool, for AArch64: the backend without daemon and supervisor.
TOOLS += vmm-run
MAIN_vmm-run := tests/host/vmm-run.c
LIBS_vmm-run := libuv json-c liburing zlib libzstd
SRCS += vmm-kvm/board_filesystem.c
TESTS += tests/unit/test_board_state.c
