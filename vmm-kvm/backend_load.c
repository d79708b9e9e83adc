/*
 * A machine of what was saved, in the order it depends on each other: what it
 * is made of, memory, interrupt controller, devices, CPUs. Nothing in the file
 * is trusted: it is judged as a guest is.
 */
#include "vmm-kvm/backend_internal.h"
#include "vmm-kvm/board_layout.h"

static int get_machine(struct vmm *v, struct kvm_load *l,
		       const struct board_space *space, struct error *e)
{
	const struct vm_config *c = v->params.config;
	uint64_t *vls = v->machine.env.vls;
	uint64_t ram_size;
	uint32_t ipa_bits, n_vcpus;
	struct state_in r;
	int err = state_open(&l->state, BACKEND_STATE_NAME,
			     BACKEND_STATE_VERSION, &r, e);

	if (err)
		return err;
	ram_size = state_get_u64(&r);
	ipa_bits = state_get_u8(&r);
	n_vcpus = state_get_u32(&r);
	l->n_slots = state_get_u16(&r);
	l->abi.gic = state_get_u8(&r);
	l->abi.aarch32 = state_get_bool(&r);
	l->abi.pmu = state_get_bool(&r);
	l->abi.sve = state_get_bool(&r);
	l->abi.pauth = state_get_bool(&r);
	l->abi.mte = state_get_bool(&r);
	l->abi.steal_time = state_get_bool(&r);
	for (unsigned i = 0; i < 8; i++)
		vls[i] = state_get_u64(&r);
	l->code = state_get_bool(&r);
	l->code_crc = state_get_u32(&r);
	err = state_close(&r, e);
	if (err)
		return err;
	if (ram_size != c->memory_bytes || n_vcpus != c->vcpus ||
	    l->abi.aarch32 != (c->arch == VM_ARCH_AARCH32) ||
	    l->code != (v->params.firmware_fd >= 0) ||
	    l->n_slots < vm_config_slots_used(c) || l->n_slots > VM_SLOTS_MAX)
		return state_bad(&r, e, "is not of this definition");
	if (ipa_bits != space->ipa_bits)
		return error_set(e, -EOPNOTSUPP,
				 "the guest was given %u address bits; this "
				 "host gives it %u",
				 ipa_bits, space->ipa_bits);
	v->machine.env.vls_set = l->abi.sve;
	return 0;
}

int backend_load_begin(struct vmm *v, const struct host_caps *caps,
		       const struct board_space *space, struct kvm_load **ret,
		       struct error *e)
{
	struct kvm_load *l = calloc(1, sizeof(*l));
	struct snapshot_header header;
	struct snapshot_section s;
	int r;

	if (!l)
		return error_set(e, -ENOMEM, "out of memory");
	*ret = l;
	r = snapshot_reader_init(&l->reader, v->params.snapshot_fd, &header, e);
	/* The daemon's part, which it has read. */
	for (int type = SNAPSHOT_META; !r && type < SNAPSHOT_MACHINE; type++)
		r = snapshot_expect(&l->reader, type, &s, e);
	if (!r)
		r = snapshot_expect(&l->reader, SNAPSHOT_MACHINE, &s, e);
	if (!r)
		r = snapshot_payload(&l->reader, &s, &l->bytes, e);
	if (!r) {
		l->state = state_in(l->bytes, s.length);
		r = get_machine(v, l, space, e);
	}
	if (!r)
		r = host_caps_provide(caps, &l->abi, e);
	if (r) {
		*ret = NULL;
		return backend_load_end(v, l, r, e);
	}
	return 0;
}

/* Where a piece of memory goes; NULL when the machine has none there. */
static void *place_of(const struct board *b, const struct snapshot_section *s)
{
	for (int i = 0; i < BOARD_BANK_COUNT; i++) {
		const struct board_bank_memory *m = board_bank(b, i);

		if (m->hva && !m->device && s->address >= m->gpa &&
		    s->size <= m->size_bytes &&
		    s->address - m->gpa <= m->size_bytes - s->size)
			return (uint8_t *)m->hva + (s->address - m->gpa);
	}
	return NULL;
}

/* Firmware that is the same here stays the one all machines share. */
static int prepare_code(struct vmm *v, const struct kvm_load *l, bool *ret_own,
			struct error *e)
{
	const struct board_bank_memory *code = board_bank(v->board,
							  BOARD_BANK_CODE);

	*ret_own = l->code &&
		   snapshot_sum(code->hva, code->size_bytes) != l->code_crc;
	return *ret_own ? board_own_code(v->board, e) : 0;
}

static int load_memory(struct vmm *v, struct kvm_load *l, struct error *e)
{
	const struct board_bank_memory *vars = board_bank(v->board,
							  BOARD_BANK_VARS);
	struct snapshot_section s;
	bool own_code;
	int r = prepare_code(v, l, &own_code, e);

	/* What is not recorded is zero; all else is so already. */
	if (!r && vars->hva)
		memset(vars->hva, 0, vars->size_bytes);
	while (!r) {
		void *at;

		r = snapshot_next(&l->reader, &s, e);
		if (r || s.type == SNAPSHOT_END)
			return r;
		at = place_of(v->board, &s);
		if (!at)
			return error_set(e, -EBADMSG,
					 "the snapshot has memory at %#llx, "
					 "where the machine has none",
					 (unsigned long long)s.address);
		if (s.flags & SNAPSHOT_TAGS)
			r = backend_read_tags(v, &l->reader, &s, e);
		else if (own_code || s.address >= BOARD_FLASH_VARS_BASE)
			r = snapshot_run(&l->reader, &s, at, e);
	}
	return r;
}

int backend_load_end(struct vmm *v, struct kvm_load *l, int r, struct error *e)
{
	if (!r)
		r = load_memory(v, l, e);
	if (!r)
		r = machine_load_gic(&v->machine, &l->state, e);
	if (!r)
		r = board_load(v->board, &l->state, e);
	if (!r)
		r = machine_load_cpus(&v->machine, &l->state, e);
	if (!r)
		r = state_close(&l->state, e);
	snapshot_reader_done(&l->reader);
	free(l->bytes);
	free(l);
	return r;
}
