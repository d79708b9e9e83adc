#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "vmm-kvm/kvm_counters.h"

/* Kernels have some 30, with names in 48 bytes. */
#define DESCRIPTORS_MAX 256
#define NAME_BYTES_MAX	64

#define COUNTER(text, member)                                \
	{                                                    \
		text, offsetof(struct vm_stats_vcpu, member) \
	}

/* As the kernel's virt/kvm and arch/arm64/kvm/guest.c name them. */
static const struct {
	const char *name;
	size_t offset;
} counters[KVM_COUNTERS] = {
	COUNTER("exits", kvm_exits),
	COUNTER("hvc_exit_stat", hvc),
	COUNTER("wfi_exit_stat", wfi),
	COUNTER("wfe_exit_stat", wfe),
	COUNTER("mmio_exit_user", mmio_user),
	COUNTER("mmio_exit_kernel", mmio_kernel),
	COUNTER("signal_exits", signals),
};

static bool read_at(int fd, void *to, size_t size, uint64_t offset)
{
	return pread(fd, to, size, (off_t)offset) == (ssize_t)size;
}

static void find_one(struct kvm_counters *c, int fd,
		     const struct kvm_stats_header *header, uint32_t i)
{
	const size_t fixed = sizeof(struct kvm_stats_desc);
	char bytes[sizeof(struct kvm_stats_desc) + NAME_BYTES_MAX + 1] = {0};
	struct kvm_stats_desc desc;

	if (!read_at(fd, bytes, fixed + header->name_size,
		     header->desc_offset +
			     (uint64_t)i * (fixed + header->name_size)))
		return;
	memcpy(&desc, bytes, fixed);
	for (size_t k = 0; k < KVM_COUNTERS; k++)
		if (desc.size == 1 && streq(counters[k].name, bytes + fixed))
			c->at[k] = (uint64_t)header->data_offset + desc.offset;
}

void kvm_counters_open(struct kvm_counters *c, int vcpu_fd)
{
	_cleanup_close_ int fd = ioctl(vcpu_fd, KVM_GET_STATS_FD, NULL);
	struct kvm_stats_header header;

	*c = (struct kvm_counters){.fd = -1};
	if (fd < 0 || !read_at(fd, &header, sizeof(header), 0) ||
	    header.name_size > NAME_BYTES_MAX)
		return;
	for (uint32_t i = 0; i < MIN(header.num_desc, DESCRIPTORS_MAX); i++)
		find_one(c, fd, &header, i);
	c->fd = TAKE_FD(fd);
}

void kvm_counters_close(struct kvm_counters *c)
{
	c->fd = fd_close(c->fd);
}

void kvm_counters_add(const struct kvm_counters *c, struct vm_stats_vcpu *sum)
{
	for (size_t k = 0; c->fd >= 0 && k < KVM_COUNTERS; k++) {
		uint64_t value;

		if (c->at[k] && read_at(c->fd, &value, sizeof(value), c->at[k]))
			*(uint64_t *)((char *)sum +
				      counters[k].offset) += value;
	}
}
