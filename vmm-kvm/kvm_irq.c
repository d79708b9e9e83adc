#include <linux/kvm.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>

#include "lib/base/fd.h"
#include "vmm-kvm/kvm_irq.h"

/* Half of what KVM routes (KVM_MAX_IRQ_ROUTES), and 40 devices of 50. */
#define VECTORS_MAX 2048
#define FIRST_SPI   32

/*
 * A vector is also a GSI: its number in KVM's routing table.
 * Life: free → used (has an eventfd) → routed (has a message) ⇄ open (bound to
 * KVM). While it is not open, its eventfd keeps what was written to it, and
 * KVM delivers that when it is bound again.
 */
struct vector {
	bool used, routed, open;
	int fd;
	uint64_t address;
	uint32_t data, device_id;
};

struct kvm_irq {
	struct kvm_vm *vm;
	struct vector *vectors;
	size_t n_vectors;
	struct kvm_irq_routing *table; /* room for n_vectors entries */
	struct kvm_irq_v2m v2m;	       /* no SPIs: messages go to the ITS */
	struct msi_sink msi;
	struct doorbell_sink doorbells;
};

static int vector_grow(struct kvm_irq *irq)
{
	size_t n = irq->n_vectors ? irq->n_vectors * 2 : 64;
	struct kvm_irq_routing *table;
	struct vector *vectors;

	if (n > VECTORS_MAX)
		return -ENOSPC;
	vectors = reallocarray(irq->vectors, n, sizeof(*vectors));
	if (!vectors)
		return -ENOMEM;
	irq->vectors = vectors;
	table = realloc(irq->table,
			sizeof(*table) + n * sizeof(table->entries[0]));
	if (!table)
		return -ENOMEM;
	irq->table = table;
	memset(vectors + irq->n_vectors, 0,
	       (n - irq->n_vectors) * sizeof(*vectors));
	irq->n_vectors = n;
	return 0;
}

static int vector_new(void *cookie, uint32_t *ret_vector, int *ret_fd)
{
	struct kvm_irq *irq = cookie;
	size_t i = 0;
	int r, fd;

	while (i < irq->n_vectors && irq->vectors[i].used)
		i++;
	if (i == irq->n_vectors) {
		r = vector_grow(irq);
		if (r)
			return r;
	}
	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	irq->vectors[i] = (struct vector){.used = true, .fd = fd};
	*ret_vector = (uint32_t)i;
	*ret_fd = fd;
	return 0;
}

/* NULL for a vector that was never made: a caller's mistake, not fatal. */
static struct vector *vector_get(struct kvm_irq *irq, uint32_t i)
{
	if (i >= irq->n_vectors || !irq->vectors[i].used)
		return NULL;
	return &irq->vectors[i];
}

static int vector_bind(struct kvm_irq *irq, uint32_t i, bool bind)
{
	struct kvm_irqfd irqfd = {
		.fd = (uint32_t)irq->vectors[i].fd,
		.gsi = i,
		.flags = bind ? 0 : KVM_IRQFD_FLAG_DEASSIGN,
	};

	if (irq->vectors[i].open == bind)
		return 0;
	if (ioctl(irq->vm->fd, KVM_IRQFD, &irqfd))
		return -errno;
	irq->vectors[i].open = bind;
	return 0;
}

static struct kvm_irq_routing_entry route_to_its(uint32_t gsi,
						 const struct vector *v)
{
	return (struct kvm_irq_routing_entry){
		.gsi = gsi,
		.type = KVM_IRQ_ROUTING_MSI,
		/* The ITS tells devices apart by their id. */
		.flags = KVM_MSI_VALID_DEVID,
		.u.msi.address_lo = (uint32_t)v->address,
		.u.msi.address_hi = (uint32_t)(v->address >> 32),
		.u.msi.data = v->data,
		.u.msi.devid = v->device_id,
	};
}

/* KVM counts the pins of a GIC from its first SPI. */
static struct kvm_irq_routing_entry route_to_spi(uint32_t gsi,
						 const struct vector *v)
{
	return (struct kvm_irq_routing_entry){
		.gsi = gsi,
		.type = KVM_IRQ_ROUTING_IRQCHIP,
		.u.irqchip.pin = v->data - FIRST_SPI,
	};
}

/* Does anything take this message? On hardware it would be a write to
 * wherever the guest says; ours reach no other place. */
static bool message_arrives(const struct kvm_irq *irq, uint64_t address,
			    uint32_t data)
{
	const struct kvm_irq_v2m *v2m = &irq->v2m;

	return !v2m->n_intids ||
	       (address == v2m->setspi_gpa && data >= v2m->first_intid &&
		data - v2m->first_intid < v2m->n_intids);
}

static int routes_write(struct kvm_irq *irq)
{
	struct kvm_irq_routing *table = irq->table;

	memset(table, 0, sizeof(*table));
	for (uint32_t i = 0; i < irq->n_vectors; i++) {
		const struct vector *v = &irq->vectors[i];

		if (!v->routed)
			continue;
		table->entries[table->nr++] = irq->v2m.n_intids
						      ? route_to_spi(i, v)
						      : route_to_its(i, v);
	}
	return ioctl(irq->vm->fd, KVM_SET_GSI_ROUTING, table) ? -errno : 0;
}

static int vector_set(void *cookie, uint32_t i, uint64_t address, uint32_t data,
		      uint32_t device_id)
{
	struct kvm_irq *irq = cookie;
	struct vector *v = vector_get(irq, i);
	int r;

	if (!v)
		return -EINVAL;
	if (!message_arrives(irq, address, data))
		return vector_bind(irq, i, false);
	/* Masking and unmasking come far more often than new messages. */
	if (!v->routed || v->address != address || v->data != data ||
	    v->device_id != device_id) {
		v->address = address;
		v->data = data;
		v->device_id = device_id;
		v->routed = true;
		r = routes_write(irq);
		if (r) {
			v->routed = false;
			return r;
		}
	}
	return vector_bind(irq, i, true);
}

static void vector_mask(void *cookie, uint32_t i)
{
	struct kvm_irq *irq = cookie;

	if (vector_get(irq, i))
		/* Unbinding cannot fail for what was bound. */
		(void)vector_bind(irq, i, false);
}

static void vector_free(void *cookie, uint32_t i)
{
	struct kvm_irq *irq = cookie;
	struct vector *v = vector_get(irq, i);

	if (!v)
		return;
	(void)vector_bind(irq, i, false);
	fd_close(v->fd);
	/* Its route stays in KVM's table until the next is written: unbound,
	 * it can do nothing. */
	*v = (struct vector){.used = false};
}

static int doorbell_ioctl(struct kvm_irq *irq, uint64_t gpa, unsigned size,
			  int64_t match, int fd, uint32_t flags)
{
	struct kvm_ioeventfd doorbell = {
		.addr = gpa,
		.len = size,
		.fd = fd,
		.flags = flags,
	};

	if (match >= 0) {
		doorbell.datamatch = (uint64_t)match;
		doorbell.flags |= KVM_IOEVENTFD_FLAG_DATAMATCH;
	}
	return ioctl(irq->vm->fd, KVM_IOEVENTFD, &doorbell) ? -errno : 0;
}

static int doorbell_add(void *cookie, uint64_t gpa, unsigned size,
			int64_t match, int fd)
{
	return doorbell_ioctl(cookie, gpa, size, match, fd, 0);
}

static void doorbell_remove(void *cookie, uint64_t gpa, unsigned size,
			    int64_t match, int fd)
{
	(void)doorbell_ioctl(cookie, gpa, size, match, fd,
			     KVM_IOEVENTFD_FLAG_DEASSIGN);
}

static void line_set(void *cookie, uint32_t intid, bool level)
{
	struct kvm_irq *irq = cookie;
	struct kvm_irq_level line = {
		.irq = KVM_ARM_IRQ_TYPE_SPI << KVM_ARM_IRQ_TYPE_SHIFT | intid,
		.level = level,
	};

	/* Fails only for a number the GIC was not made with. */
	(void)ioctl(irq->vm->fd, KVM_IRQ_LINE, &line);
}

int kvm_irq_new(struct kvm_vm *vm, struct kvm_irq **ret)
{
	struct kvm_irq *irq = calloc(1, sizeof(*irq));

	if (!irq)
		return -ENOMEM;
	irq->vm = vm;
	irq->msi = (struct msi_sink){
		.vector_new = vector_new,
		.vector_free = vector_free,
		.vector_set = vector_set,
		.vector_mask = vector_mask,
		.cookie = irq,
	};
	irq->doorbells = (struct doorbell_sink){
		.add = doorbell_add,
		.remove = doorbell_remove,
		.cookie = irq,
	};
	*ret = irq;
	return 0;
}

struct kvm_irq *kvm_irq_free(struct kvm_irq *irq)
{
	if (!irq)
		return NULL;
	for (uint32_t i = 0; i < irq->n_vectors; i++)
		vector_free(irq, i);
	free(irq->vectors);
	free(irq->table);
	free(irq);
	return NULL;
}

void kvm_irq_use_v2m(struct kvm_irq *irq, const struct kvm_irq_v2m *v2m)
{
	irq->v2m = *v2m;
}

void kvm_irq_rebind(struct kvm_irq *irq, struct kvm_vm *vm)
{
	irq->vm = vm;
	for (size_t i = 0; i < irq->n_vectors; i++)
		irq->vectors[i].routed = irq->vectors[i].open = false;
}

const struct msi_sink *kvm_irq_msi(const struct kvm_irq *irq)
{
	return &irq->msi;
}

const struct doorbell_sink *kvm_irq_doorbells(const struct kvm_irq *irq)
{
	return &irq->doorbells;
}

struct irq_line kvm_irq_line(struct kvm_irq *irq, uint32_t intid)
{
	return (struct irq_line){
		.set = line_set, .cookie = irq, .intid = intid};
}
