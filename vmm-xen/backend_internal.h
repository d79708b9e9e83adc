/*
 * The state of a machine on Xen, shared by backend.c (what is asked of it),
 * guest_end.c (how its guest came to an end, and what follows) and guest_lost.c
 * (how it goes on without xenstored).
 */
#ifndef VMM_XEN_BACKEND_INTERNAL_H
#define VMM_XEN_BACKEND_INTERNAL_H

#include "lib/model/xen_caps.h"
#include "lib/vmm/vmm.h"
#include "vmm-xen/console.h"
#include "vmm-xen/domain.h"
#include "vmm-xen/xen_bus.h"

struct vmm {
	const struct vm_config *config;
	const struct vmm_events *events;
	void *cookie;
	uv_loop_t *loop;
	struct session *session;
	struct domain domain;
	int kernel_fd, initrd_fd; /* for the next boot, too; -1: none */
	struct console *console, *vuart;
	struct xen_bus *bus;

	uv_timer_t soon; /* tells what a call below has caused */
	bool starting, was_reset;
	uv_timer_t end; /* the guest's last words are still on their way */
	bool ended, gone;
	libxl_shutdown_reason reason;
	bool paused, adopted;

	uv_timer_t look; /* once it is lost */
	bool lost, lost_told;

	uv_timer_t balloon;
	uint64_t balloon_target; /* 0: as it was made */
	uint64_t balloon_since_ms;
	bool balloon_driver; /* it was seen to work */

	unsigned handles; /* still open */
};

/* What a session tells; cookie is the vmm. */
extern const struct session_events vmm_xen_session_events;

/* A new domain in place of the one there is, or was. */
int vmm_xen_remake(struct vmm *v, struct error *e) must_check;
/* Timer callback of v->end. */
void vmm_xen_end_cb(uv_timer_t *timer);
/* backend_probe.c: what Xen itself says; `ret` as by vmm_xen_probe(). */
int vmm_xen_ask(struct session *s, struct xen_caps *ret,
		struct error *e) must_check;
/* backend_stats.c: as in struct vmm_ops. */
int vmm_xen_set_balloon(struct vmm *v, uint64_t bytes,
			struct error *e) must_check;
int vmm_xen_stats(struct vmm *v, struct vm_stats *ret,
		  struct error *e) must_check;
/* guest_end.c: it has shut down, by one of enum libxl_shutdown_reason; its
 * domain is there no more. What follows is told from the loop. */
void vmm_xen_ended(struct vmm *v, libxl_shutdown_reason reason);
void vmm_xen_gone(struct vmm *v);
/* guest_lost.c: xenstored has ended. Told from the loop; also from within
 * libxl. */
void vmm_xen_lost(struct vmm *v);
/* A sentence for whoever sees how the guest is; "": it is not lost. */
const char *vmm_xen_lost_why(const struct vmm *v);
/* -ENODEV: what is asked for takes xenstored. */
int vmm_xen_check_store(const struct vmm *v, struct error *e) must_check;
/* backend_devices.c: v->bus, with all that the definition has but for a
 * machine that is adopted. */
int vmm_xen_new_devices(struct vmm *v, const struct vmm_params *p,
			struct error *e) must_check;
/* A new domain, not started yet, with all devices; on failure there is none. */
int vmm_xen_build(struct vmm *v, const struct domain_boot *boot,
		  struct error *e) must_check;
/* Devices first: libxl would wait for each of them. */
int vmm_xen_unbuild(struct vmm *v, struct error *e) must_check;
/* As in struct vmm_ops. */
int vmm_xen_attach(struct vmm *v, const struct vmm_device *device,
		   uint32_t *ret_slot, struct error *e) must_check;
int vmm_xen_detach(struct vmm *v, const char *id, bool force,
		   struct error *e) must_check;
void vmm_xen_give_up(struct vmm *v, const char *id, struct error *why);
int vmm_xen_set_link(struct vmm *v, const char *id, bool up,
		     struct error *e) must_check;
int vmm_xen_resize(struct vmm *v, const char *id, struct error *e) must_check;
void vmm_xen_keep_devices(struct vmm *v,
			  bool (*known)(void *cookie, const char *id),
			  void *cookie);
int vmm_xen_device_status(struct vmm *v, const char *id,
			  struct vmm_device_status *ret) must_check;
/* Consoles are those of the domain that is there now, or are closed. */
void vmm_xen_open_consoles(struct vmm *v);
void vmm_xen_close_consoles(struct vmm *v);

#endif
