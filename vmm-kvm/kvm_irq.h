/*
 * vmm-kvm/devices/irq.h over KVM: wires by KVM_IRQ_LINE, message signalled
 * interrupts by KVM_SET_GSI_ROUTING and KVM_IRQFD, doorbells by KVM_IOEVENTFD.
 *
 * It outlives the virtual machine: after a rebuild kvm_irq_rebind() names the
 * new one. Devices were reset before, so that nothing of theirs is left in the
 * old one.
 *
 * Thread: as irq.h says, with the device lock held; the functions below on the
 * loop thread while no vCPU runs.
 */
#ifndef VMM_KVM_KVM_IRQ_H
#define VMM_KVM_KVM_IRQ_H

#include "vmm-kvm/devices/irq.h"
#include "vmm-kvm/kvm_vm.h"

struct kvm_irq;

/* `vm` is borrowed until the next rebind. */
int kvm_irq_new(struct kvm_vm *vm, struct kvm_irq **ret) must_check;
struct kvm_irq *kvm_irq_free(struct kvm_irq *irq);
DEFINE_CLEANUP(kvm_irq_free, struct kvm_irq *)

/* The MSI frame of a GICv2: where its MSI_SETSPI is and which SPIs it has. */
struct kvm_irq_v2m {
	uint64_t setspi_gpa;
	uint32_t first_intid, n_intids;
};

/* Messages go to that frame instead of the ITS. Before the first vector. */
void kvm_irq_use_v2m(struct kvm_irq *irq, const struct kvm_irq_v2m *v2m);

void kvm_irq_rebind(struct kvm_irq *irq, struct kvm_vm *vm);

/* What to give to devices; lives as long as `irq`. */
const struct msi_sink *kvm_irq_msi(const struct kvm_irq *irq);
const struct doorbell_sink *kvm_irq_doorbells(const struct kvm_irq *irq);
struct irq_line kvm_irq_line(struct kvm_irq *irq, uint32_t intid);

#endif
