#include <stdio.h>
#include <time.h>

#include "daemon/job.h"
#include "daemon/scope.h"
#include "daemon/supervisor_link.h"
#include "daemon/turn.h"
#include "daemon/vm.h"
#include "daemon/vm_policy.h"
#include "lib/base/log.h"

#define NAMES_NEAR_MAX 256

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static struct vm **bucket(struct manager *m, int64_t id)
{
	return &m->by_id[(uint64_t)id % MANAGER_BUCKETS];
}

static void vm_join(struct manager *m, struct vm *vm)
{
	vm->manager = m;
	vm->next = m->vms;
	if (vm->next)
		vm->next->previous = vm;
	m->vms = vm;
	vm->next_in_bucket = *bucket(m, vm->id);
	*bucket(m, vm->id) = vm;
	vm_may_rest(vm);
}

static void vm_leave(struct vm *vm)
{
	struct manager *m = vm->manager;
	struct vm **at = bucket(m, vm->id);

	while (*at != vm)
		at = &(*at)->next_in_bucket;
	*at = vm->next_in_bucket;
	if (vm->previous)
		vm->previous->next = vm->next;
	else
		m->vms = vm->next;
	if (vm->next)
		vm->next->previous = vm->previous;
	for (at = &m->resting; vm->resting && *at; at = &(*at)->next_resting)
		if (*at == vm) {
			*at = vm->next_resting;
			break;
		}
}

/* Consumes `config` on success. */
static struct vm *vm_make(struct manager *m, int64_t id, int64_t revision,
			  struct vm_config *config, struct error *e)
{
	struct vm *vm = calloc(1, sizeof(*vm));

	if (!vm) {
		error_set(e, -ENOMEM, "out of memory");
		return NULL;
	}
	vm->id = id;
	vm->revision = revision;
	vm->config = *config;
	*config = (struct vm_config){0};
	vm->state = VM_STOPPED;
	uv_timer_init(m->loop, &vm->shutdown_timer);
	vm->shutdown_timer.data = vm;
	vm_join(m, vm);
	return vm;
}

int vm_load(struct manager *m, const struct store_vm *row, struct vm **ret,
	    struct error *e)
{
	_cleanup_vm_config_ struct vm_config config = {0};
	_cleanup_json_ json_object *json = NULL;
	struct vm *vm;
	int r;

	r = json_parse(row->config, strlen(row->config), &json, e);
	if (r < 0)
		return r;
	r = vm_config_from_json(json, &config, e);
	if (r < 0)
		return error_prefix(e, r, "%s: its stored definition",
				    row->name);
	vm = vm_make(m, row->id, row->revision, &config, e);
	if (!vm)
		return -ENOMEM;
	if (vm_state_by_name(row->state, &vm->state) < 0 ||
	    vm_state_active(vm->state))
		vm->state = VM_CRASHED;
	snprintf(vm->reason, sizeof(vm->reason), "%s", row->reason);
	*ret = vm;
	return 0;
}

int vm_defined(struct manager *m, int64_t id, struct vm_config *config,
	       struct vm **ret, struct error *e)
{
	int64_t revision;
	int r = store_vm_revision(m->store, id, &revision, e);

	if (r < 0)
		return r;
	*ret = vm_make(m, id, revision, config, e);
	return *ret ? 0 : -ENOMEM;
}

/* The definition is durable, or the stored one counts. */
static void redefined_cb(struct manager *m, const struct turn_note *note,
			 const struct error *why)
{
	struct vm *vm = vm_in_memory(m, note->vm_id);
	_cleanup_json_ json_object *json = NULL;
	struct vm_config config = {0};
	struct store_vm row = {0};

	if (vm && !why)
		scopes_update(m->scopes, vm);
	if (!vm || !why || store_vm_get_id(m->store, vm->id, &row, NULL) < 0)
		return;
	if (json_parse(row.config, strlen(row.config), &json, NULL) == 0 &&
	    vm_config_from_json(json, &config, NULL) == 0) {
		vm_config_done(&vm->config);
		vm->config = config;
		vm->revision = row.revision;
	}
	store_vm_done(&row);
}

void vm_redefine(struct vm *vm, struct vm_config *config, int64_t revision)
{
	struct turn_note note = {.vm_id = vm->id};

	vm_config_done(&vm->config);
	vm->config = *config;
	*config = (struct vm_config){0};
	vm->revision = revision;
	turn_after(vm->manager, redefined_cb, &note);
}

void vm_restore_state(struct vm *vm, const struct store_vm *row)
{
	vm->adopted = true;
	if (vm_state_by_name(row->state, &vm->state) < 0 ||
	    !vm_state_active(vm->state))
		vm_set_state(vm, VM_STARTING, "being taken over");
	else
		vm->started_ms = row->started_ms;
}

static void vm_free_cb(uv_handle_t *handle)
{
	struct vm *vm = handle->data;

	vm_config_done(&vm->config);
	free(vm);
}

void vm_unload(struct vm *vm)
{
	vm_leave(vm);
	vm_policy_forget(vm);
	uv_close((uv_handle_t *)&vm->shutdown_timer, vm_free_cb);
}

void vm_may_rest(struct vm *vm)
{
	struct manager *m = vm->manager;

	if (vm->resting)
		return;
	vm->resting = true;
	vm->next_resting = m->resting;
	m->resting = vm;
}

static bool vm_needed(const struct vm *vm)
{
	return vm->supervisor || vm->starting || vm->waiters || vm->pins ||
	       vm->unsaved || vm->saving;
}

void vm_sweep(struct manager *m)
{
	struct vm *vm = m->resting, *next;

	m->resting = NULL;
	for (; vm; vm = next) {
		next = vm->next_resting;
		vm->resting = false;
		/* What is active comes back here when it ends. */
		if (!vm_needed(vm))
			vm_unload(vm);
		else if (!vm->supervisor)
			vm_may_rest(vm);
	}
}

struct vm *vm_in_memory(struct manager *m, int64_t id)
{
	struct vm *vm = *bucket(m, id);

	while (vm && vm->id != id)
		vm = vm->next_in_bucket;
	return vm;
}

struct vm *vm_by_id(struct manager *m, int64_t id, struct error *e)
{
	struct vm *vm = vm_in_memory(m, id);
	struct store_vm row = {0};

	if (vm)
		return vm;
	if (store_vm_get_id(m->store, id, &row, e) < 0 ||
	    vm_load(m, &row, &vm, e) < 0)
		vm = NULL;
	store_vm_done(&row);
	return vm;
}

static void not_found(struct manager *m, const char *name, struct error *e)
{
	_cleanup_free_ char **names = store_vm_names_near(m->store, name,
							  NAMES_NEAR_MAX);
	const char *near =
		names ? parse_closest(name, (const char *const *)names) : NULL;

	if (near)
		error_set(e, -ENOENT,
			  "no VM named \"%s\"; did you mean \"%s\"?", name,
			  near);
	else
		error_set(e, -ENOENT, "no VM named \"%s\"; see: armvmctl list",
			  name);
}

struct vm *vm_find(struct manager *m, const char *name, struct error *e)
{
	struct store_vm row = {0};
	struct vm *vm;
	int r = store_vm_get(m->store, name, &row, e);

	if (r < 0) {
		if (r == -ENOENT)
			not_found(m, name, e);
		return NULL;
	}
	vm = vm_in_memory(m, row.id);
	if (!vm && vm_load(m, &row, &vm, e) < 0)
		vm = NULL;
	store_vm_done(&row);
	return vm;
}

/* The state as rows: what lists show, the event, and the end of a run. */
static int save(struct vm *vm, enum vm_state previous, struct error *e)
{
	struct manager *m = vm->manager;
	json_object *fields;
	int r = store_begin(m->store, e);

	if (r < 0)
		return r;
	r = store_vm_state(m->store, vm->id, vm_state_name(vm->state),
			   vm->reason, vm->started_ms, e);
	if (r == 0 && !vm_state_active(vm->state) && !vm->supervisor)
		r = store_run_clear(m->store, vm->id, e);
	fields = json_object_new_object();
	json_object_object_add(
		fields, "state",
		json_object_new_string(vm_state_name(vm->state)));
	json_object_object_add(fields, "previous",
			       json_object_new_string(vm_state_name(previous)));
	json_object_object_add(fields, "reason",
			       json_object_new_string(vm->reason));
	if (r == 0)
		r = manager_event(m, vm, "state", fields);
	else
		json_object_put(fields);
	if (r == 0)
		r = store_commit(m->store, e);
	if (r < 0)
		store_rollback(m->store);
	return r;
}

/* The state is what it is, whether it can be written down now or later. */
static void save_or_later(struct vm *vm, enum vm_state previous)
{
	struct error e = ERROR_INIT;

	if (!vm->unsaved)
		vm->unsaved_previous = previous;
	vm->unsaved = save(vm, vm->unsaved_previous, &e) < 0;
	vm->saving = !vm->unsaved;
	if (!vm->unsaved)
		return;
	log_vm(LOG_LEVEL_ERROR, vm->config.name,
	       "its state (%s) could not be stored yet: %s",
	       vm_state_name(vm->state), e.message);
	turn_retry_saves(vm->manager->turn);
}

void vm_saves_done(struct manager *m)
{
	for (struct vm *vm = m->vms; vm && m->saves > 0; vm = vm->next)
		vm->saving = false;
	m->saves = 0;
}

void vm_saves_lost(struct manager *m)
{
	for (struct vm *vm = m->vms; vm && m->saves > 0; vm = vm->next) {
		vm->unsaved |= vm->saving;
		vm->saving = false;
	}
	m->saves = 0;
	turn_retry_saves(m->turn);
}

size_t vm_save_again(struct manager *m)
{
	size_t left = 0;

	for (struct vm *vm = m->vms; vm; vm = vm->next) {
		if (vm->unsaved)
			save_or_later(vm, vm->unsaved_previous);
		left += vm->unsaved;
	}
	return left;
}

void vm_set_state(struct vm *vm, enum vm_state state, const char *reason)
{
	enum vm_state previous = vm->state;

	if (previous == state && streq(vm->reason, reason))
		return;
	vm->state = state;
	snprintf(vm->reason, sizeof(vm->reason), "%s", reason);
	if (!vm_state_active(state))
		vm->hypervisor = VM_HYPERVISOR_AUTO;
	if (!vm_state_active(state))
		vm->started_ms = 0;
	else if (!vm_state_active(previous))
		vm->started_ms = now_ms();
	vm->manager->saves++;
	save_or_later(vm, previous);
	vm_may_rest(vm);
	job_vm_changed(vm);
}

void vm_event(struct vm *vm, const char *kind, const char *detail)
{
	json_object *fields = json_object_new_object();

	json_object_object_add(fields, "detail",
			       json_object_new_string(detail));
	(void)!manager_event(vm->manager, vm, kind, fields);
}
