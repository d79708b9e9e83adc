#include "vmm-kvm/backend.h"
#include "vmm-kvm/board_layout.h"
#include "vmm-kvm/board_memory.h"
#include "vmm-kvm/kvm_features.h"
#include "vmm-kvm/kvm_vm.h"

int vmm_kvm_probe(int kvm_fd, struct host_caps *ret, struct error *e)
{
	_cleanup_(kvm_vm_freep) struct kvm_vm *vm = NULL;
	unsigned ipa_bits;
	int r = kvm_check_host(kvm_fd, &ipa_bits, e);

	if (!r)
		r = kvm_vm_new(kvm_fd, MIN(ipa_bits, BOARD_IPA_BITS), &vm, e);
	if (r)
		return r;
	kvm_features_probe(kvm_fd, vm->fd, ret);
	ret->memory_max = board_space_ram_max(ret->ipa_bits);
	return 0;
}
