/*
 * Definitions: made, changed, renamed, cloned, deleted.
 */
#include "daemon/resource.h"
#include "daemon/rpc.h"
#include "daemon/vm.h"
#include "daemon/vm_files.h"
#include "daemon/vm_nvram.h"
#include "daemon/vm_vsock.h"

static void answer(struct api_call *c, struct vm *vm, int r,
		   const struct error *e)
{
	if (r < 0)
		api_call_fail(c, e);
	else
		api_call_reply(c, vm_to_json(vm, true), -1);
}

/* What a new definition has to be; *ret_text is what is stored. `before` is
 * what it replaces, or NULL. */
static int judge(struct manager *m, json_object *config,
		 const struct vm_config *before, struct vm_config *ret,
		 json_object **ret_text, struct error *e)
{
	int r = vm_config_from_json(config, ret, e);

	if (r == 0)
		r = vm_vsock_choose(m, ret, before ? before->vsock.cid : 0, e);
	if (r == 0)
		r = resources_check(m, ret, e);
	if (r < 0)
		return r;
	*ret_text = vm_config_to_json(ret);
	return *ret_text ? 0 : error_set(e, -ENOMEM, "out of memory");
}

static int define(struct manager *m, json_object *config, struct vm **ret,
		  struct error *e)
{
	_cleanup_vm_config_ struct vm_config parsed = {0};
	_cleanup_json_ json_object *canonical = NULL;
	int64_t id;
	int r;

	r = judge(m, config, NULL, &parsed, &canonical, e);
	if (r == 0)
		r = store_vm_add(m->store, parsed.uuid, parsed.name,
				 json_text(canonical), &id, e);
	if (r == 0)
		r = vm_defined(m, id, &parsed, ret, e);
	return r < 0 ? r : manager_event(m, *ret, "defined", NULL);
}

void rpc_vm_define(void *cookie, struct api_call *c)
{
	const struct api_define_params *p = api_call_params(c);
	struct vm *vm = NULL;
	struct error e = ERROR_INIT;
	int r = define(cookie, p->config, &vm, &e);

	answer(c, vm, r, &e);
}

int vm_check_revision(const struct vm *vm, int64_t revision, struct error *e)
{
	if (revision == vm->revision)
		return 0;
	return error_set_code(e, ERROR_CONFLICT,
			      "%s was changed in the meantime: it has revision "
			      "%lld, not %lld; read it again",
			      vm->config.name, (long long)vm->revision,
			      (long long)revision);
}

/* The uuid is the VM's identity, the name has its own method. */
static int check_same(const struct vm *vm, const struct vm_config *next,
		      struct error *e)
{
	const char *field;

	if (!streq(vm->config.uuid, next->uuid))
		return error_set(e, -EINVAL,
				 "uuid: cannot be changed; %s is %s",
				 vm->config.name, vm->config.uuid);
	if (!streq(vm->config.name, next->name))
		return error_set(e, -EINVAL,
				 "name: use vm.rename (armvmctl rename %s %s)",
				 vm->config.name, next->name);
	if (!vm_state_active(vm->state))
		return 0;
	field = vm_config_live_difference(&vm->config, next);
	if (!field)
		return 0;
	return error_set_code(e, ERROR_STATE,
			      "%s is %s: \"%s\" can only be changed when it is "
			      "stopped or crashed",
			      vm->config.name, vm_state_name(vm->state), field);
}

/* Store `config`, whose text is `canonical`, as the VM's next revision. */
static int replace(struct vm *vm, struct vm_config *config,
		   json_object *canonical, const char *kind,
		   json_object *fields, struct error *e)
{
	struct manager *m = vm->manager;
	int64_t revision;
	int r = store_vm_update(m->store, vm->id, config->name,
				json_text(canonical), &revision, e);

	if (r < 0) {
		json_object_put(fields);
		return r;
	}
	vm_redefine(vm, config, revision);
	json_object_object_add(fields, "revision",
			       json_object_new_int64(revision));
	return manager_event(m, vm, kind, fields);
}

static int update(struct vm *vm, const struct api_update_params *p,
		  struct error *e)
{
	_cleanup_vm_config_ struct vm_config next = {0};
	_cleanup_json_ json_object *canonical = NULL;
	int r = p->revision == 0 ? 0 : vm_check_revision(vm, p->revision, e);

	/* A definition as create takes it may leave both out. */
	if (r == 0 && json_object_is_type(p->config, json_type_object)) {
		json_object *given = NULL;

		if (!json_object_object_get_ex(p->config, "uuid", &given))
			json_object_object_add(
				p->config, "uuid",
				json_object_new_string(vm->config.uuid));
		if (!json_object_object_get_ex(p->config, "name", &given))
			json_object_object_add(
				p->config, "name",
				json_object_new_string(vm->config.name));
	}
	if (r == 0)
		r = judge(vm->manager, p->config, &vm->config, &next,
			  &canonical, e);
	if (r == 0)
		r = check_same(vm, &next, e);
	return r < 0 ? r
		     : replace(vm, &next, canonical, "updated",
			       json_object_new_object(), e);
}

void rpc_vm_update(void *cookie, struct api_call *c)
{
	const struct api_update_params *p = api_call_params(c);
	struct error e = ERROR_INIT;
	struct vm *vm = vm_find(cookie, p->name, &e);
	int r = vm ? update(vm, p, &e) : -e.err;

	answer(c, vm, r, &e);
}

static int copy_config(const struct vm *vm, const char *name, json_object **ret,
		       struct error *e)
{
	json_object *config = vm_config_to_json(&vm->config);

	if (!config)
		return error_set(e, -ENOMEM, "out of memory");
	json_object_object_add(config, "name", json_object_new_string(name));
	*ret = config;
	return 0;
}

static int rename_vm(struct vm *vm, const char *name, struct error *e)
{
	_cleanup_vm_config_ struct vm_config next = {0};
	_cleanup_json_ json_object *config = NULL;
	json_object *fields;
	int r = vm_request_check(vm->config.name, vm->state, VM_REQUEST_RENAME,
				 e);

	if (r == 0)
		r = copy_config(vm, name, &config, e);
	if (r == 0)
		r = vm_config_from_json(config, &next, e);
	if (r < 0)
		return r;
	fields = json_object_new_object();
	json_object_object_add(fields, "previous_name",
			       json_object_new_string(vm->config.name));
	return replace(vm, &next, config, "renamed", fields, e);
}

void rpc_vm_rename(void *cookie, struct api_call *c)
{
	const struct api_rename_params *p = api_call_params(c);
	struct error e = ERROR_INIT;
	struct vm *vm = vm_find(cookie, p->name, &e);
	int r = vm ? rename_vm(vm, p->new_name, &e) : -e.err;

	answer(c, vm, r, &e);
}

/* Other images for the clone's disks, in their order. */
static int set_disks(json_object *config, json_object *paths, struct error *e)
{
	json_object *disks = NULL, *path;
	size_t n;

	json_object_object_get_ex(config, "disks", &disks);
	n = disks ? json_object_array_length(disks) : 0;
	if (!json_object_is_type(paths, json_type_array) ||
	    json_object_array_length(paths) != n)
		return error_set(e, -EINVAL,
				 "disks: is not a list of %zu paths, one for "
				 "each disk",
				 n);
	for (size_t i = 0; i < n; i++) {
		path = json_object_array_get_idx(paths, i);
		json_object_object_add(json_object_array_get_idx(disks, i),
				       "path", json_object_get(path));
	}
	return 0;
}

/* The guest must be another one to its network, too. */
static void drop_identity(json_object *config)
{
	json_object *nics = NULL, *vsock = NULL;

	json_object_object_del(config, "uuid");
	if (json_object_object_get_ex(config, "vsock", &vsock))
		json_object_object_add(vsock, "cid",
				       json_object_new_string("auto"));
	json_object_object_get_ex(config, "nics", &nics);
	for (size_t i = 0; nics && i < json_object_array_length(nics); i++)
		json_object_object_del(json_object_array_get_idx(nics, i),
				       "mac");
}

static int clone_vm(struct vm *vm, const struct api_clone_params *p,
		    struct vm **ret, struct error *e)
{
	_cleanup_vm_config_ struct vm_config next = {0};
	_cleanup_json_ json_object *config = NULL, *canonical = NULL;
	struct manager *m = vm->manager;
	json_object *fields;
	int64_t id;
	int r = copy_config(vm, p->new_name, &config, e);

	if (r == 0 && p->disks)
		r = set_disks(config, p->disks, e);
	if (r < 0)
		return r;
	drop_identity(config);
	r = judge(m, config, NULL, &next, &canonical, e);
	if (r == 0)
		r = store_vm_clone(m->store, vm->id, next.uuid, next.name,
				   json_text(canonical), &id, e);
	if (r == 0)
		r = vm_defined(m, id, &next, ret, e);
	if (r < 0)
		return r;
	fields = json_object_new_object();
	json_object_object_add(fields, "from",
			       json_object_new_string(vm->config.uuid));
	return manager_event(m, *ret, "defined", fields);
}

void rpc_vm_clone(void *cookie, struct api_call *c)
{
	const struct api_clone_params *p = api_call_params(c);
	struct vm *copy = NULL;
	struct error e = ERROR_INIT;
	struct vm *vm = vm_find(cookie, p->name, &e);
	int r = vm ? clone_vm(vm, p, &copy, &e) : -e.err;

	answer(c, copy, r, &e);
}

static int delete_vm(struct vm *vm, bool keep, struct error *e)
{
	struct manager *m = vm->manager;
	json_object *fields = json_object_new_object();
	int r = vm_request_check(vm->config.name, vm->state, VM_REQUEST_DELETE,
				 e);

	/* What is still in the spill file belongs to what is kept. */
	if (r == 0 && keep)
		r = vm_nvram_replay(vm, e);
	if (r == 0)
		r = keep ? store_vm_keep(m->store, vm->id, e)
			 : store_vm_delete(m->store, vm->id, e);
	if (r < 0) {
		json_object_put(fields);
		return r;
	}
	vm_files_remove(vm);
	json_object_object_add(fields, "variables_kept",
			       json_object_new_boolean(keep));
	return manager_event(m, vm, "deleted", fields);
}

void rpc_vm_delete(void *cookie, struct api_call *c)
{
	const struct api_delete_params *p = api_call_params(c);
	struct error e = ERROR_INIT;
	struct vm *vm = vm_find(cookie, p->name, &e);
	int r = vm ? delete_vm(vm, p->keep_variables, &e) : -e.err;

	answer(c, vm, r, &e);
	if (r == 0)
		vm_unload(vm);
}

static int add_kept(void *cookie, const struct store_kept *kept)
{
	json_object *o = json_object_new_object();

	json_object_object_add(o, "uuid", json_object_new_string(kept->uuid));
	json_object_object_add(o, "name", json_object_new_string(kept->name));
	json_object_object_add(o, "kept_ms",
			       json_object_new_int64(kept->kept_ms));
	json_object_object_add(o, "variables",
			       json_object_new_int64(kept->variables));
	json_object_array_add(cookie, o);
	return 0;
}

void rpc_var_kept(void *cookie, struct api_call *c)
{
	struct manager *m = cookie;
	json_object *result = json_object_new_object();
	json_object *list = json_object_new_array();
	struct error e = ERROR_INIT;
	int r = store_kept_each(m->store, add_kept, list, &e);

	json_object_object_add(result, "kept", list);
	if (r == 0) {
		api_call_reply(c, result, -1);
		return;
	}
	json_object_put(result);
	api_call_fail(c, &e);
}

void rpc_var_forget(void *cookie, struct api_call *c)
{
	const struct api_uuid_params *p = api_call_params(c);
	struct manager *m = cookie;
	struct error e = ERROR_INIT;

	if (store_kept_forget(m->store, p->uuid, &e) < 0)
		api_call_fail(c, &e);
	else
		api_call_reply(c, json_object_new_object(), -1);
}
