/*
 * virtio memory balloon device: VIRTIO 1.2, 5.5, with statistics, deflation
 * when the guest runs out of memory, and free page reporting. What the guest
 * gives up goes back to the host at once (guest_mem_discard()); what it takes
 * back reads as zero.
 *
 * The guest is asked, not made: it may be slow, refuse, or have no driver.
 */
#ifndef VMM_KVM_DEVICES_VIRTIO_BALLOON_H
#define VMM_KVM_DEVICES_VIRTIO_BALLOON_H

#include "vmm-kvm/devices/virtio.h"

struct virtio_balloon_params {
	const struct guest_mem *mem; /* borrowed */
	uint64_t ram_bytes;
	bool reporting; /* offer free page reporting */
	/* The guest reached the target after it was set. A vCPU thread, with
	 * the device lock held. */
	void (*reached)(void *cookie, uint64_t bytes);
	void *cookie;
};

/* In the order of 5.5.6.4; bytes but for the counts of faults. */
enum virtio_balloon_stat {
	BALLOON_SWAP_IN,
	BALLOON_SWAP_OUT,
	BALLOON_MAJOR_FAULTS,
	BALLOON_MINOR_FAULTS,
	BALLOON_FREE,
	BALLOON_TOTAL,
	BALLOON_AVAILABLE,
	BALLOON_CACHES,
	BALLOON_STATS
};
#define BALLOON_UNKNOWN UINT64_MAX

struct virtio_balloon_state {
	bool driver;		 /* one is there */
	uint64_t target_bytes;	 /* left to the guest, as asked */
	uint64_t actual_bytes;	 /* left to the guest, as it says */
	uint64_t reported_bytes; /* given back by reporting, ever */
	/* As the guest last said, by virtio_balloon_ask(), and when (of
	 * uv_hrtime(); 0: never). */
	uint64_t stats_ns;
	uint64_t stats[BALLOON_STATS];
};

/* *ret is for a transport's _new. Loop thread, before the guest runs. */
int virtio_balloon_new(const struct virtio_balloon_params *params,
		       struct virtio_dev **ret, struct error *e) must_check;

/* All on the loop thread, lock not held. */

/* What the guest shall make do with: up to its RAM, which is what it has at
 * first. Stays asked for across its resets. */
void virtio_balloon_set_target(struct virtio_dev *d, uint64_t bytes);
void virtio_balloon_state(struct virtio_dev *d,
			  struct virtio_balloon_state *ret);
/* Ask the guest for new statistics; they are there some milliseconds later. */
void virtio_balloon_ask(struct virtio_dev *d);

#endif
