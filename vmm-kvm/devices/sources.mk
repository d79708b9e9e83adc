SRCS += vmm-kvm/devices/pci_mirror.c vmm-kvm/devices/reg_page.c \
	vmm-kvm/devices/virtio_pci_shown.c
TESTS += tests/unit/test_pci_mirror.c
SRCS += vmm-kvm/devices/pvpanic.c vmm-kvm/devices/sp805.c
TESTS += tests/unit/test_pvpanic.c tests/unit/test_sp805.c
SRCS += vmm-kvm/devices/bus.c vmm-kvm/devices/guest_mem.c \
	vmm-kvm/devices/pl011.c vmm-kvm/devices/pl031.c \
	vmm-kvm/devices/pl061.c vmm-kvm/devices/cfi_flash.c \
	vmm-kvm/devices/cfi_flash_delay.c vmm-kvm/devices/cfi_flash_journal.c vmm-kvm/devices/cfi_flash_view.c \
	vmm-kvm/devices/fw_cfg.c \
	vmm-kvm/devices/gicv2m.c
TESTS += tests/unit/test_bus.c tests/unit/test_guest_mem.c \
	tests/unit/test_pl011.c tests/unit/test_pl031.c \
	tests/unit/test_pl061.c tests/unit/test_cfi_flash.c \
	tests/unit/test_cfi_flash_delay.c tests/unit/test_cfi_flash_journal.c tests/unit/test_cfi_flash_view.c \
	tests/unit/test_fw_cfg.c \
	tests/unit/test_gicv2m.c
SRCS += vmm-kvm/devices/virtio_balloon.c
TESTS += tests/unit/test_virtio_balloon.c
SRCS += vmm-kvm/devices/msix.c vmm-kvm/devices/pci.c \
	vmm-kvm/devices/pci_host.c vmm-kvm/devices/pcie_port.c \
	vmm-kvm/devices/virtio.c \
	vmm-kvm/devices/virtio_blk.c vmm-kvm/devices/virtio_blk_batch.c vmm-kvm/devices/virtio_blk_requests.c vmm-kvm/devices/virtio_console.c \
	vmm-kvm/devices/virtio_net.c vmm-kvm/devices/virtio_net_ctrl.c \
	vmm-kvm/devices/virtio_net_filter.c vmm-kvm/devices/virtio_net_rx.c \
	vmm-kvm/devices/virtio_net_tx.c \
	vmm-kvm/devices/virtio_mmio.c vmm-kvm/devices/virtio_mmio_regs.c \
	vmm-kvm/devices/virtio_pci.c vmm-kvm/devices/virtio_pci_kicks.c vmm-kvm/devices/virtio_pci_regs.c \
	vmm-kvm/devices/virtio_rng.c vmm-kvm/devices/virtqueue.c
TESTS += tests/unit/test_msix.c tests/unit/test_pci.c \
	tests/unit/test_pcie_port.c \
	tests/unit/test_virtio_blk.c tests/unit/test_virtio_blk_batch.c tests/unit/test_virtio_blk_errors.c tests/unit/test_virtio_blk_range.c \
	tests/unit/test_virtio_console.c \
	tests/unit/test_virtio_net.c tests/unit/test_virtio_net_ctrl.c tests/unit/test_virtio_net_state.c tests/unit/test_virtio_net_times.c \
	tests/unit/test_virtio_mmio.c \
	tests/unit/test_virtio_pci.c tests/unit/test_virtio_pci_regs.c tests/unit/test_virtio_pci_shown.c \
	tests/unit/test_virtio_rng.c \
	tests/unit/test_virtqueue.c
SRCS += vmm-kvm/devices/cfi_flash_state.c vmm-kvm/devices/virtio_mmio_state.c \
	vmm-kvm/devices/virtio_net_state.c vmm-kvm/devices/virtio_pci_state.c vmm-kvm/devices/virtio_state.c
SRCS += vmm-kvm/devices/virtio_vhost.c vmm-kvm/devices/virtio_vsock.c
TESTS += tests/unit/test_virtio_vsock.c
SRCS += vmm-kvm/devices/virtio_fs.c
TESTS += tests/unit/test_virtio_fs.c
SRCS += vmm-kvm/devices/virtqueue_packed.c vmm-kvm/devices/virtqueue_state.c
TESTS += tests/unit/test_virtqueue_packed.c tests/unit/test_virtqueue_state.c
