#include <stdio.h>

#include "lib/base/fd.h"
#include "vmm-kvm/backend.h"
#include "vmm-kvm/backend_internal.h"
#include "vmm-kvm/board_layout.h"
#include "vmm-kvm/board_slots.h"
#include "vmm-kvm/kvm_coalesced.h"
#include "vmm-kvm/kvm_features.h"

/* Called by the board and the vCPUs, on any thread. */

static void post_stop(void *cookie, enum kvm_vcpu_stop why, const char *detail)
{
	struct vmm *v = cookie;

	notes_stop(&v->notes, why, detail);
	uv_async_send(&v->async);
}

void backend_fatal(struct vmm *v, const char *why)
{
	run_gate_close(&v->machine.gate);
	post_stop(v, KVM_VCPU_FATAL, why);
}

static void on_set_mapped(void *cookie, enum board_bank bank, bool mapped)
{
	struct error e = ERROR_INIT;
	struct vmm *v = cookie;

	if (machine_set_mapped(&v->machine, bank, mapped, &e))
		backend_fatal(v, e.message);
}

static void on_delay(void *cookie, uint64_t gpa, uint64_t size, bool on)
{
	struct vmm *v = cookie;

	/* None after a reset that failed: its zones went with it. */
	if (v->machine.vm)
		kvm_coalesced_zone(v->machine.vm, gpa, size, on);
}

static void on_commit(void *cookie, uint64_t offset, uint64_t size)
{
	struct vmm *v = cookie;

	nvram_commits_add(&v->commits, offset, size);
	uv_async_send(&v->async);
}

static void on_note(void *cookie, enum board_note note, uint64_t value)
{
	struct vmm *v = cookie;

	notes_leave(&v->notes, note, value);
	uv_async_send(&v->async);
}

static void on_fence(void *cookie, bool up)
{
	struct vmm *v = cookie;

	run_gate_fence(&v->machine.gate, up);
}

static void on_io_error(void *cookie, const char *what, bool held)
{
	struct vmm *v = cookie;

	notes_io_error(&v->notes, what, held);
	uv_async_send(&v->async);
}

static void on_slots_changed(void *cookie)
{
	struct vmm *v = cookie;

	uv_async_send(&v->async);
}

/* On the loop: what the threads left behind, in the order it is told. */

static void tell(struct vmm *v, enum vmm_event_kind kind, const char *detail)
{
	/* The owner may have destroyed us in the event before. */
	if (v->phase != PHASE_DEAD)
		v->params.events->event(v->params.cookie, kind, detail);
}

static void on_device(void *cookie, const struct vmm_device_status *status)
{
	struct vmm *v = cookie;

	if (v->phase != PHASE_DEAD)
		v->params.events->device(v->params.cookie, status);
}

static void on_nic_failed(void *cookie, const char *id, const char *why)
{
	struct vmm *v = cookie;

	if (v->phase != PHASE_DEAD)
		v->params.events->nic_failed(v->params.cookie, id, why);
}

static void tell_announcements(struct vmm *v)
{
	struct announcements a = v->announce;

	v->announce = (struct announcements){.poweroff = a.poweroff};
	if (a.running)
		tell(v, VMM_EVENT_RUNNING, "");
	if (a.paused)
		tell(v, VMM_EVENT_PAUSED, "");
	if (a.resumed)
		tell(v, VMM_EVENT_RESUMED, "");
}

static void on_again(uv_timer_t *timer)
{
	struct vmm *v = timer->data;

	uv_async_send(&v->async);
}

static void tell_notes(struct vmm *v)
{
	char detail[ERROR_MESSAGE_MAX];
	enum vmm_event_kind kind;
	uint64_t wait_ms;

	while (v->phase < PHASE_RESTING && notes_take(&v->notes, &kind, detail))
		tell(v, kind, detail);
	if (v->phase >= PHASE_RESTING)
		return;
	if (notes_take_io(&v->notes, uv_hrtime(), &kind, detail, &wait_ms))
		tell(v, kind, detail);
	else if (wait_ms)
		uv_timer_start(&v->again, on_again, wait_ms, 0);
}

static void start_commit(struct vmm *v)
{
	uint64_t offset, size;

	if (v->phase != PHASE_DEAD &&
	    nvram_commits_next(&v->commits, &offset, &size))
		v->params.events->nvram_commit(v->params.cookie, offset, size);
}

static void guest_reset(struct vmm *v)
{
	struct error e = ERROR_INIT;

	if (machine_rebuild(&v->machine, &e)) {
		v->phase = PHASE_RESTING;
		tell(v, VMM_EVENT_FATAL, e.message);
		return;
	}
	notes_drop(&v->notes);
	tell(v, VMM_EVENT_RESET, "");
	if (v->phase == PHASE_RUNNING)
		machine_open(&v->machine);
}

static void handle_stop(struct vmm *v, const struct notes_stop *stop)
{
	machine_halt(&v->machine);
	if (stop->why == KVM_VCPU_RESET) {
		guest_reset(v);
		return;
	}
	v->phase = PHASE_RESTING;
	board_sync(v->board);
	switch (stop->why) {
	case KVM_VCPU_POWEROFF:
		v->announce.poweroff = true;
		break;
	case KVM_VCPU_CRASH:
		tell(v, VMM_EVENT_PANIC, stop->detail);
		break;
	default:
		tell(v, VMM_EVENT_FATAL, stop->detail);
	}
}

static void on_async(uv_async_t *async)
{
	struct vmm *v = async->data;
	struct notes_stop stop;

	tell_announcements(v);
	tell_notes(v);
	if (v->phase != PHASE_DEAD && v->phase != PHASE_RESTING &&
	    notes_take_stop(&v->notes, &stop))
		handle_stop(v, &stop);
	start_commit(v);
	backend_tell_filesystems(v);
	if (backend_alive(v))
		board_slots_poll(v->board);
	backend_save_turn(v);
	/* A machine is off when its last variable is safe. */
	if (v->phase != PHASE_DEAD && v->announce.poweroff &&
	    !nvram_commits_busy(&v->commits)) {
		v->announce.poweroff = false;
		tell(v, VMM_EVENT_POWEROFF, "");
	}
}

/* Operations. */

static void kvm_nvram_committed(struct vmm *v)
{
	nvram_commits_end(&v->commits);
	/* For the next one, or for what waited for this one. */
	uv_async_send(&v->async);
}

static void on_again_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void on_async_closed(uv_handle_t *handle)
{
	struct vmm *v = handle->data;

	uv_close((uv_handle_t *)&v->again, on_again_closed);
}

static void kvm_destroy(struct vmm *v)
{
	if (!v || v->phase == PHASE_DEAD)
		return;
	backend_save_drop(v);
	v->phase = PHASE_DEAD;
	if (v->machine_made)
		machine_end_vcpus(&v->machine);
	board_free(v->board);
	if (v->machine_made) {
		nvram_commits_done(&v->commits);
		machine_done(&v->machine);
	}
	notes_done(&v->notes);
	vmm_params_close(&v->params);
	uv_timer_stop(&v->again);
	uv_close((uv_handle_t *)&v->async, on_async_closed);
}

static int build(struct vmm *v, struct error *e)
{
	struct vmm_params *p = &v->params;
	struct board_space space;
	struct host_caps caps;
	struct guest_abi abi;
	struct kvm_load *load = NULL;
	struct board_params board = {
		.vmm = p,
		.space = &space,
		.abi = &abi,
		.set_mapped = on_set_mapped,
		.commit = on_commit,
		.io_error = on_io_error,
		.note = on_note,
		.device_failed = backend_device_failed,
		.filesystem_lost = backend_filesystem_lost,
		.slots_changed = on_slots_changed,
		.device_event = on_device,
		.nic_failed = on_nic_failed,
		.cookie = v,
	};
	const struct bus_fence fence = {on_fence, v};
	const struct bus_delay delay = {on_delay, v};
	unsigned ipa_bits;
	int r = backend_check_params(p, e);

	if (!r)
		r = kvm_check_host(p->hypervisor_fd, &ipa_bits, e);
	if (!r)
		r = board_space_plan(p->config->memory_bytes, ipa_bits, &space,
				     e);
	if (!r)
		r = kvm_vcpu_signal_init(e);
	if (r)
		return r;
	/* 32-bit firmware and kernels without LPAE reach only the lowest
	 * 4 GiB; a definition has no more RAM than fits below, too. */
	if (p->config->arch == VM_ARCH_AARCH32)
		space.mmio64_size = 0;
	r = machine_init(&v->machine, TAKE_FD(p->hypervisor_fd), space.ipa_bits,
			 p->config->vcpus, post_stop, v, e);
	v->machine_made = true;
	nvram_commits_init(&v->commits, &v->machine.gate);
	if (r)
		return r;
	kvm_features_probe(v->machine.kvm_fd, v->machine.vm->fd, &caps);
	caps.memory_max = board_space_ram_max(caps.ipa_bits);
	r = host_caps_choose(&caps, p->config, &abi, e);
	if (!r && p->snapshot_fd >= 0)
		r = backend_load_begin(v, &caps, &space, &load, e);
	if (r)
		return r;
	if (load)
		abi = load->abi;
	board.n_slots = load ? load->n_slots : 0;
	machine_choose(&v->machine, &abi);
	board.line = kvm_irq_line(v->machine.irq, 0);
	board.msi = kvm_irq_msi(v->machine.irq);
	board.doorbells = kvm_irq_doorbells(v->machine.irq);
	board.reg_page = backend_reg_page(v);
	r = board_new(&board, &v->board, e);
	if (!r) {
		bus_use_fence(board_bus(v->board), &fence);
		bus_use_delay(board_bus(v->board), &delay);
		r = machine_assemble(&v->machine, v->board, !load, e);
	}
	if (load)
		r = backend_load_end(v, load, r, e);
	return r;
}

static int kvm_create(const struct vmm_params *params, struct vmm **ret,
		      struct error *e)
{
	struct vmm_params p = *params;
	struct vmm *v = calloc(1, sizeof(*v));
	int r = v ? uv_async_init(p.loop, &v->async, on_async) : -ENOMEM;

	if (r) {
		free(v);
		vmm_params_close(&p);
		return error_set(e, r, "out of memory");
	}
	uv_timer_init(p.loop, &v->again);
	v->params = p;
	v->again.data = v->async.data = v;
	notes_init(&v->notes);
	r = build(v, e);
	if (r) {
		kvm_destroy(v);
		return r;
	}
	/* Mapped by now; the page cache keeps what they name. */
	v->params.firmware_fd = fd_close(v->params.firmware_fd);
	v->params.nvram_fd = fd_close(v->params.nvram_fd);
	v->params.snapshot_fd = fd_close(v->params.snapshot_fd);
	*ret = v;
	return 0;
}

static int kvm_start(struct vmm *v, struct error *e)
{
	int r = backend_check_phase(v, PHASE_CREATED, "start", e);

	if (!r)
		r = machine_start(&v->machine, e);
	if (r)
		return r;
	v->phase = v->params.paused ? PHASE_PAUSED : PHASE_RUNNING;
	v->announce.running = true;
	v->announce.paused = v->params.paused;
	uv_async_send(&v->async);
	/* One that was saved has waited for this. */
	board_still(v->board, false);
	board_hold(v->board, v->params.paused);
	if (!v->params.paused)
		machine_open(&v->machine);
	return 0;
}

static int kvm_pause(struct vmm *v, struct error *e)
{
	int r = backend_check_phase(v, PHASE_RUNNING, "pause", e);

	if (r)
		return r;
	machine_halt(&v->machine);
	board_hold(v->board, true);
	v->phase = PHASE_PAUSED;
	v->announce.paused = true;
	v->announce.resumed = false;
	uv_async_send(&v->async);
	return 0;
}

static int kvm_resume(struct vmm *v, struct error *e)
{
	int r = backend_check_phase(v, PHASE_PAUSED, "resume", e);

	if (r)
		return r;
	board_hold(v->board, false);
	board_retry(v->board);
	v->phase = PHASE_RUNNING;
	v->announce.resumed = true;
	v->announce.paused = false;
	uv_async_send(&v->async);
	/* A guest that stopped itself just before it was paused stays so. */
	if (!notes_stopped(&v->notes))
		machine_open(&v->machine);
	return 0;
}

static int kvm_reset(struct vmm *v, struct error *e)
{
	if (v->phase != PHASE_RUNNING && v->phase != PHASE_PAUSED)
		return backend_check_phase(v, PHASE_RUNNING, "reset", e);
	/* Goes the way a guest's own reset goes. */
	run_gate_close(&v->machine.gate);
	post_stop(v, KVM_VCPU_RESET, "");
	return 0;
}

const struct vmm_ops vmm_kvm_ops = {
	.name = "kvm",
	.create = kvm_create,
	.start = kvm_start,
	.pause = kvm_pause,
	.resume = kvm_resume,
	.shutdown = backend_shutdown,
	.button_heard = backend_button_heard,
	.reset = kvm_reset,
	.resize = backend_resize,
	.set_balloon = backend_set_balloon,
	.nvram_committed = kvm_nvram_committed,
	.stats = backend_stats,
	.attach = backend_attach,
	.detach = backend_detach,
	.give_up = backend_give_up,
	.set_link = backend_set_link,
	.device_status = backend_device_status,
	.set_filesystem = backend_set_filesystem,
	.save = backend_save,
	.save_progress = backend_save_progress,
	.destroy = kvm_destroy,
};
