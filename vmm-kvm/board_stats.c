#include "lib/host/blockdev.h"
#include "lib/host/netdev.h"
#include "vmm-kvm/board_internal.h"
#include "vmm-kvm/devices/virtio_net.h"

static int add_mmio(struct board *b, struct vm_stats *ret)
{
	struct bus_tally tallies[BUS_TALLIES_MAX];
	size_t n = bus_tallies(b->bus, tallies);

	_Static_assert(BUS_TALLIES_MAX <= VM_STATS_MMIO_MAX &&
			       sizeof(tallies[0].name) <= VM_STATS_NAME_MAX + 1,
		       "all of them can be told");
	for (size_t i = 0; i < n; i++) {
		struct vm_stats_mmio *m;

		if (tallies[i].reads + tallies[i].writes == 0)
			continue;
		m = vm_stats_add_mmio(ret, tallies[i].name);
		if (!m)
			return -ENOMEM;
		m->reads = tallies[i].reads;
		m->writes = tallies[i].writes;
	}
	return 0;
}

static int add_disk(const struct board_device *d, struct vm_stats *ret)
{
	struct vm_stats_disk *disk = vm_stats_add_disk(ret, d->id);
	struct blockdev_stats s;

	if (!disk)
		return -ENOMEM;
	blockdev_stats(d->blockdev, &s);
	disk->in_flight = s.in_flight;
	disk->read = s.read;
	disk->write = s.write;
	disk->flush = s.flush;
	disk->discard = s.discard;
	return 0;
}

static int add_nic(const struct board_device *d, struct vm_stats *ret)
{
	struct vm_stats_nic *nic = vm_stats_add_nic(ret, d->id);
	const char *tap = virtio_net_vhost_tap(d->virtio);
	struct netdev_stats s;

	if (!nic)
		return -ENOMEM;
	virtio_net_stats(d->virtio, &s);
	nic->rx = s.received;
	nic->tx = s.sent;
	nic->kernel = tap;
	if (!tap || !*tap)
		return 0;
	nic->tap = strdup(tap);
	return nic->tap ? 0 : -ENOMEM;
}

static int add_device(const struct board_device *d, struct vm_stats *ret)
{
	return d->kind == VM_DEVICE_DISK ? add_disk(d, ret) : add_nic(d, ret);
}

static uint64_t known(const struct virtio_balloon_state *s,
		      enum virtio_balloon_stat i)
{
	return s->stats[i] == BALLOON_UNKNOWN ? 0 : s->stats[i];
}

static void add_balloon(struct board *b, struct vm_stats *ret)
{
	struct virtio_balloon_state s;

	virtio_balloon_state(b->balloon, &s);
	virtio_balloon_ask(b->balloon);
	ret->balloon = (struct vm_stats_balloon){
		.driver = s.driver,
		.target = s.target_bytes,
		.actual = s.actual_bytes,
		.reported = s.reported_bytes,
		.guest_ns = s.stats_ns,
		.free = known(&s, BALLOON_FREE),
		.total = known(&s, BALLOON_TOTAL),
		.available = known(&s, BALLOON_AVAILABLE),
		.caches = known(&s, BALLOON_CACHES),
		.swap_in = known(&s, BALLOON_SWAP_IN),
		.swap_out = known(&s, BALLOON_SWAP_OUT),
		.major_faults = known(&s, BALLOON_MAJOR_FAULTS),
		.minor_faults = known(&s, BALLOON_MINOR_FAULTS),
	};
}

int board_stats(struct board *b, struct vm_stats *ret)
{
	int r = add_mmio(b, ret);

	for (unsigned i = 0; !r && i < b->n_slots; i++)
		if (b->slots[i].function)
			r = add_device(&b->slots[i].device, ret);
	for (unsigned i = 0; !r && i < b->n_mmio; i++)
		if (*b->mmio_devices[i].id)
			r = add_device(&b->mmio_devices[i], ret);
	if (b->balloon)
		add_balloon(b, ret);
	return r;
}
