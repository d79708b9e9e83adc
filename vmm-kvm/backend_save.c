/*
 * Saving a machine that is paused. On the loop, at once: what its devices,
 * interrupt controller and CPUs know, once the last variable is durable. Then
 * a thread writes that and the memory, which nobody changes meanwhile.
 */
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "lib/base/fd.h"
#include "vmm-kvm/backend_internal.h"

struct kvm_save {
	struct vmm *v;
	struct vmm_save params;
	bool writing; /* the thread is there */
	struct state_out state;
	pthread_t thread;
	atomic_uint_least64_t done; /* bytes of memory looked at */
	uint64_t total;
	atomic_bool ended;
	struct error error; /* of the thread, once it has ended */
};

/* A bank that is part of the machine's state; NULL: it is not. */
static const struct board_bank_memory *recorded(const struct kvm_save *s,
						enum board_bank bank)
{
	const struct board_bank_memory *m = board_bank(s->v->board, bank);

	return m->hva && !m->device ? m : NULL;
}

static int write_all(struct kvm_save *s, struct snapshot_writer *w)
{
	int r = snapshot_write_machine(w, s->state.buf.data, s->state.buf.size,
				       &s->error);

	for (int i = 0; !r && i < BOARD_BANK_COUNT; i++)
		if (recorded(s, i))
			r = backend_write_bank(s->v, i, w, &s->done, &s->error);
	return r ? r : snapshot_write_end(w, &s->error);
}

static void *thread_main(void *arg)
{
	struct kvm_save *s = arg;
	struct snapshot_writer w;

	prctl(PR_SET_NAME, "save");
	if (snapshot_writer_init(&w, s->params.fd, s->params.compress,
				 &s->error) == 0)
		(void)!write_all(s, &w);
	snapshot_writer_done(&w);
	shutdown(s->params.fd, SHUT_WR);
	atomic_store(&s->ended, true);
	uv_async_send(&s->v->async);
	return NULL;
}

static void put_machine(struct vmm *v, struct state_out *out,
			const uint64_t vls[8])
{
	const struct board_bank_memory *code = board_bank(v->board,
							  BOARD_BANK_CODE);
	const struct guest_abi *abi = &v->machine.env.abi;
	size_t began = state_begin(out, BACKEND_STATE_NAME,
				   BACKEND_STATE_VERSION);

	state_put_u64(out, v->params.config->memory_bytes);
	state_put_u8(out, (uint8_t)v->machine.ipa_bits);
	state_put_u32(out, v->machine.n_vcpus);
	state_put_u16(out, (uint16_t)board_slots_count(v->board));
	state_put_u8(out, (uint8_t)abi->gic);
	state_put_u8(out, abi->aarch32);
	state_put_u8(out, abi->pmu);
	state_put_u8(out, abi->sve);
	state_put_u8(out, abi->pauth);
	state_put_u8(out, abi->mte);
	state_put_u8(out, abi->steal_time);
	for (unsigned i = 0; i < 8; i++)
		state_put_u64(out, vls[i]);
	state_put_u8(out, code->hva != NULL);
	state_put_u32(out, code->hva ? snapshot_sum(code->hva, code->size_bytes)
				     : 0);
	state_end(out, began);
}

/* Memory last: what the interrupt controller keeps there is written down
 * first. */
static int collect(struct kvm_save *s)
{
	struct vmm *v = s->v;
	uint64_t vls[8];
	int r = kvm_vcpu_vls(v->machine.vcpus[0], vls, &s->error);

	if (r)
		return r;
	put_machine(v, &s->state, vls);
	r = machine_save_gic(&v->machine, &s->state, &s->error);
	if (r)
		return r;
	board_save(v->board, &s->state);
	r = machine_save_cpus(&v->machine, &s->state, &s->error);
	if (!r && s->state.failed)
		r = error_set(&s->error, -ENOMEM, "out of memory");
	return r;
}

static int begin(struct kvm_save *s)
{
	sigset_t all, before;
	int r;

	for (int i = 0; i < BOARD_BANK_COUNT; i++)
		if (recorded(s, i))
			s->total += recorded(s, i)->size_bytes;
	board_still(s->v->board, true);
	/* What had to end first may have failed. */
	r = board_snapshot_check(s->v->board, &s->error);
	if (!r)
		r = collect(s);
	if (r)
		return r;
	/* Signals are the loop thread's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = -pthread_create(&s->thread, NULL, thread_main, s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	s->writing = !r;
	return r ? error_set(&s->error, r, "cannot start a thread: %s",
			     strerror(-r))
		 : 0;
}

static void save_free(struct kvm_save *s)
{
	fd_close(s->params.fd);
	state_out_done(&s->state);
	free(s);
}

static void finish(struct kvm_save *s)
{
	struct vmm *v = s->v;
	struct vmm_save params = s->params;
	struct error e = s->error;

	if (s->writing)
		pthread_join(s->thread, NULL);
	board_still(v->board, false);
	v->save = NULL;
	save_free(s);
	params.done(params.cookie, e.err ? &e : NULL);
}

void backend_save_turn(struct vmm *v)
{
	struct kvm_save *s = v->save;

	if (!s || v->phase == PHASE_DEAD)
		return;
	if (s->writing) {
		if (atomic_load(&s->ended))
			finish(s);
		return;
	}
	if (v->phase != PHASE_PAUSED)
		error_set_code(&s->error, ERROR_STATE,
			       "the guest ended while it was to be saved");
	/* The guest waits in the middle of an update until it is durable. */
	else if (nvram_commits_busy(&v->commits))
		return;
	else if (begin(s) == 0)
		return;
	finish(s);
}

static int check(struct vmm *v, struct error *e)
{
	int r = backend_check_phase(v, PHASE_PAUSED, "save", e);

	if (r)
		return r;
	if (v->save || notes_stopped(&v->notes))
		return error_set(e, -EBUSY,
				 v->save ? "the machine is being saved already"
					 : "the guest is just turning itself "
					   "off, or starting over");
	return board_snapshot_check(v->board, e);
}

int backend_save(struct vmm *v, const struct vmm_save *params, struct error *e)
{
	struct kvm_save *s = NULL;
	int r = check(v, e);

	if (!r)
		s = calloc(1, sizeof(*s));
	if (!s) {
		fd_close(params->fd);
		return r ? r : error_set(e, -ENOMEM, "out of memory");
	}
	s->v = v;
	s->params = *params;
	v->save = s;
	uv_async_send(&v->async);
	return 0;
}

bool backend_save_progress(struct vmm *v, uint64_t *ret_done,
			   uint64_t *ret_total)
{
	if (!v->save)
		return false;
	*ret_done = atomic_load(&v->save->done);
	*ret_total = v->save->total;
	return true;
}

void backend_save_drop(struct vmm *v)
{
	struct kvm_save *s = v->save;

	if (!s)
		return;
	/* What it writes fails from now on. */
	shutdown(s->params.fd, SHUT_RDWR);
	if (s->writing)
		pthread_join(s->thread, NULL);
	v->save = NULL;
	save_free(s);
}
