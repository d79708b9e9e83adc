#include <stdio.h>

#include "lib/base/fd.h"
#include "vmm-kvm/backend_internal.h"
#include "vmm-kvm/board_slots.h"

bool backend_alive(const struct vmm *v)
{
	return v->phase == PHASE_RUNNING || v->phase == PHASE_PAUSED;
}

int backend_check_phase(const struct vmm *v, enum phase wanted,
			const char *what, struct error *e)
{
	static const char *const names[] = {"not started", "running", "paused",
					    "at rest", "gone"};

	if (v->phase == wanted)
		return 0;
	return error_set_code(e, ERROR_STATE, "cannot %s a machine that is %s",
			      what, names[v->phase]);
}

int backend_attach(struct vmm *v, const struct vmm_device *device,
		   uint32_t *ret_slot, struct error *e)
{
	if (!backend_alive(v)) {
		vmm_device_close(device);
		return backend_check_phase(v, PHASE_RUNNING, "attach to", e);
	}
	return board_attach(v->board, device, ret_slot, e);
}

int backend_detach(struct vmm *v, const char *id, bool force, struct error *e)
{
	return backend_alive(v) ? board_detach(v->board, id, force, e)
				: backend_check_phase(v, PHASE_RUNNING,
						      "detach from", e);
}

void backend_give_up(struct vmm *v, const char *id, struct error *why)
{
	board_give_up(v->board, id, why);
}

int backend_set_link(struct vmm *v, const char *id, bool up, struct error *e)
{
	return backend_alive(v)
		       ? board_set_link(v->board, id, up, e)
		       : backend_check_phase(v, PHASE_RUNNING, "plug into", e);
}

int backend_device_status(struct vmm *v, const char *id,
			  struct vmm_device_status *ret)
{
	return board_device_status(v->board, id, ret);
}

void backend_device_failed(void *cookie, const char *why)
{
	struct vmm *v = cookie;

	notes_device_failed(&v->notes, why);
	uv_async_send(&v->async);
}

void backend_filesystem_lost(void *cookie, size_t index, const char *why)
{
	struct vmm *v = cookie;

	snprintf(v->lost[index], sizeof(v->lost[index]), "%s", why);
	uv_async_send(&v->async);
}

void backend_tell_filesystems(struct vmm *v)
{
	for (size_t i = 0; i < VM_FILESYSTEMS_MAX; i++) {
		char why[sizeof(v->lost[i])];

		/* The owner may have destroyed us in the event before. */
		if (!v->lost[i][0] || v->phase == PHASE_DEAD)
			continue;
		memcpy(why, v->lost[i], sizeof(why));
		v->lost[i][0] = '\0';
		v->params.events->filesystem_lost(v->params.cookie, i, why);
	}
}

int backend_set_filesystem(struct vmm *v, size_t index, int fd, struct error *e)
{
	if (v->phase == PHASE_RESTING || v->phase == PHASE_DEAD) {
		fd_close(fd);
		return backend_check_phase(v, PHASE_RUNNING,
					   "set a filesystem of", e);
	}
	return board_set_filesystem(v->board, index, fd, e);
}

static int show_page(void *cookie, uint64_t gpa, void *page)
{
	struct error why = ERROR_INIT; /* for nobody: reads are exits, then */
	struct vmm *v = cookie;

	return machine_set_page(&v->machine, gpa, page, true, &why);
}

static void hide_page(void *cookie, uint64_t gpa, void *page)
{
	struct error e = ERROR_INIT;
	struct vmm *v = cookie;

	if (machine_set_page(&v->machine, gpa, page, false, &e))
		backend_fatal(v, e.message);
}

struct reg_page_sink backend_reg_page(struct vmm *v)
{
	return (struct reg_page_sink){show_page, hide_page, v};
}

int backend_shutdown(struct vmm *v, struct error *e)
{
	int r = backend_check_phase(v, PHASE_RUNNING, "shut down", e);

	if (!r)
		board_press_power(v->board);
	return r;
}

bool backend_button_heard(struct vmm *v)
{
	return board_power_watched(v->board);
}

int backend_stats(struct vmm *v, struct vm_stats *ret, struct error *e)
{
	int r = machine_stats(&v->machine, ret);

	if (!r)
		r = board_stats(v->board, ret);
	return r ? error_set(e, r, "out of memory for statistics") : 0;
}

int backend_resize(struct vmm *v, const char *id, struct error *e)
{
	return backend_alive(v) ? board_resize(v->board, id, e)
				: backend_check_phase(v, PHASE_RUNNING,
						      "resize a disk of", e);
}

int backend_set_balloon(struct vmm *v, uint64_t bytes, struct error *e)
{
	if (v->phase != PHASE_RUNNING && v->phase != PHASE_PAUSED)
		return backend_check_phase(v, PHASE_RUNNING, "balloon", e);
	board_set_balloon(v->board, bytes);
	return 0;
}
