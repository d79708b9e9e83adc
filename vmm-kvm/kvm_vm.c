#include <linux/kvm.h>
#include <sys/ioctl.h>

#include "lib/base/fd.h"
#include "vmm-kvm/kvm_vm.h"

/* KVM_CAP_ARM_VM_IPA_SIZE absent means this and no other. */
#define IPA_BITS_FIXED 40

static const struct {
	int cap;
	const char *name;
} needed_caps[] = {
	{KVM_CAP_ONE_REG, "KVM_CAP_ONE_REG"},
	{KVM_CAP_DEVICE_CTRL, "KVM_CAP_DEVICE_CTRL"},
	{KVM_CAP_ARM_PSCI_0_2, "KVM_CAP_ARM_PSCI_0_2"},
	{KVM_CAP_READONLY_MEM, "KVM_CAP_READONLY_MEM"},
	{KVM_CAP_IRQFD, "KVM_CAP_IRQFD"},
	{KVM_CAP_IOEVENTFD, "KVM_CAP_IOEVENTFD"},
	{KVM_CAP_IRQ_ROUTING, "KVM_CAP_IRQ_ROUTING"},
	{KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT"},
};

int kvm_check_host(int kvm_fd, unsigned *ret_ipa_bits, struct error *e)
{
	int version = ioctl(kvm_fd, KVM_GET_API_VERSION, 0);
	int bits;

	if (version < 0)
		return error_set(e, -errno,
				 "the hypervisor given is not KVM: %s",
				 strerror(errno));
	if (version != KVM_API_VERSION)
		return error_set(e, -EOPNOTSUPP,
				 "KVM on this host has API version %d, not %d",
				 version, KVM_API_VERSION);
	for (size_t i = 0; i < ARRAY_SIZE(needed_caps); i++)
		if (ioctl(kvm_fd, KVM_CHECK_EXTENSION, needed_caps[i].cap) <= 0)
			return error_set(e, -EOPNOTSUPP,
					 "KVM on this host has no %s",
					 needed_caps[i].name);
	bits = ioctl(kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_ARM_VM_IPA_SIZE);
	*ret_ipa_bits = bits > 0 ? (unsigned)bits : IPA_BITS_FIXED;
	return 0;
}

/*
 * Have accesses to nowhere that KVM cannot decode come to us, so that the
 * guest sees an abort; without this KVM_RUN would fail. Old kernels lack it.
 */
static void enable_nisv(int fd)
{
	struct kvm_enable_cap cap = {.cap = KVM_CAP_ARM_NISV_TO_USER};

	(void)ioctl(fd, KVM_ENABLE_CAP, &cap);
}

/*
 * Registering with the memory management (mm_take_all_locks()) gives up for any
 * signal, also for the one by which the kernel takes down an io_uring of ours
 * after its descriptor was closed, and which nobody else ever sees.
 */
static int create_vm(int kvm_fd, unsigned long type)
{
	int fd;

	do
		fd = ioctl(kvm_fd, KVM_CREATE_VM, type);
	while (fd < 0 && errno == EINTR);
	return fd;
}

int kvm_vm_new(int kvm_fd, unsigned ipa_bits, struct kvm_vm **ret,
	       struct error *e)
{
	/* Type 0 is the fixed size, which hosts without the choice know. */
	unsigned long type = ipa_bits == IPA_BITS_FIXED
				     ? 0
				     : KVM_VM_TYPE_ARM_IPA_SIZE(ipa_bits);
	_cleanup_close_ int fd = create_vm(kvm_fd, type);
	struct kvm_vm *vm;

	if (fd < 0)
		return error_set(
			e, -errno,
			"KVM cannot make a machine of %u address bits: %s",
			ipa_bits, strerror(errno));
	vm = malloc(sizeof(*vm));
	if (!vm)
		return error_set(e, -ENOMEM, "out of memory");
	enable_nisv(fd);
	*vm = (struct kvm_vm){.kvm_fd = kvm_fd, .fd = TAKE_FD(fd)};
	*ret = vm;
	return 0;
}

struct kvm_vm *kvm_vm_free(struct kvm_vm *vm)
{
	if (!vm)
		return NULL;
	fd_close(vm->fd);
	free(vm);
	return NULL;
}

/* KVM takes at most 2^31 - 1 pages at a time (KVM_MEM_MAX_NR_PAGES). What is
 * larger has several slots of KVM's, numbered beyond all of the caller's. */
#define PIECE_BYTES (4ull << 40)

static int set_piece(struct kvm_vm *vm, const struct kvm_memory *m,
		     uint64_t piece, bool mapped)
{
	uint64_t at = piece * PIECE_BYTES;
	struct kvm_userspace_memory_region region = {
		.slot = (uint32_t)(m->slot + piece * KVM_VM_SLOTS),
		.flags = m->readonly ? KVM_MEM_READONLY : 0,
		.guest_phys_addr = m->gpa + at,
		.memory_size = mapped ? MIN(m->size_bytes - at, PIECE_BYTES)
				      : 0,
		.userspace_addr = (uintptr_t)m->hva + at,
	};

	return ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region) ? -errno : 0;
}

static int set_region(struct kvm_vm *vm, const struct kvm_memory *m,
		      bool mapped)
{
	int r = 0;

	for (uint64_t i = 0; !r && i * PIECE_BYTES < m->size_bytes; i++)
		r = set_piece(vm, m, i, mapped);
	return r;
}

int kvm_vm_map(struct kvm_vm *vm, const struct kvm_memory *m, struct error *e)
{
	int r = set_region(vm, m, true);

	if (r)
		return error_set(e, r,
				 "KVM does not map %s (%#llx bytes at %#llx):"
				 " %s",
				 m->name, (unsigned long long)m->size_bytes,
				 (unsigned long long)m->gpa, strerror(-r));
	return 0;
}

int kvm_vm_unmap(struct kvm_vm *vm, const struct kvm_memory *m, struct error *e)
{
	int r = set_region(vm, m, false);

	if (r)
		return error_set(e, r, "KVM does not unmap %s: %s", m->name,
				 strerror(-r));
	return 0;
}

#define TAG_GRANULE 16

static int copy_tags(struct kvm_vm *vm, uint64_t gpa, uint64_t size,
		     uint8_t *tags, uint64_t flags, struct error *e)
{
	uint64_t done = 0;

	while (done < size) {
		struct kvm_arm_copy_mte_tags copy = {
			.guest_ipa = gpa + done,
			.length = size - done,
			.addr = tags + done / TAG_GRANULE,
			.flags = flags,
		};
		/* 0 for all of it, or how much of the memory was done. */
		int n = ioctl(vm->fd, KVM_ARM_MTE_COPY_TAGS, &copy);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_set(
				e, -errno,
				"KVM does not %s the tags of memory at "
				"%#llx: %s",
				flags == KVM_ARM_TAGS_FROM_GUEST ? "tell"
								 : "take",
				(unsigned long long)(gpa + done),
				strerror(errno));
		done += n ? (uint64_t)n : size - done;
	}
	return 0;
}

int kvm_vm_get_tags(struct kvm_vm *vm, uint64_t gpa, uint64_t size,
		    uint8_t *ret_tags, struct error *e)
{
	return copy_tags(vm, gpa, size, ret_tags, KVM_ARM_TAGS_FROM_GUEST, e);
}

int kvm_vm_set_tags(struct kvm_vm *vm, uint64_t gpa, uint64_t size,
		    const uint8_t *tags, struct error *e)
{
	/* Only read. */
	return copy_tags(vm, gpa, size, (uint8_t *)tags, KVM_ARM_TAGS_TO_GUEST,
			 e);
}
