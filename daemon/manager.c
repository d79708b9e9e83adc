#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "daemon/dbus_api.h"
#include "daemon/listen.h"
#include "daemon/job.h"
#include "daemon/manager.h"
#include "daemon/resource.h"
#include "daemon/rpc.h"
#include "daemon/scope.h"
#include "daemon/supervisor_link.h"
#include "daemon/tidy.h"
#include "daemon/turn.h"
#include "daemon/vm.h"
#include "daemon/vm_devices.h"
#include "daemon/vm_fs.h"
#include "daemon/vm_nvram.h"
#include "daemon/vm_save.h"
#include "daemon/vm_policy.h"
#include "daemon/vm_run.h"
#include "daemon/vm_wait.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"

#define START_CUT_OFF	 "armvmd ended while it was being started"
#define API_SOCKET_NAME	 "armvmd.sock"
#define HTTP_SOCKET_NAME "http.sock"

static char *path_join(const char *dir, const char *name, const char *suffix)
{
	char *path;

	if (asprintf(&path, "%s/%s%s", dir, name, suffix) < 0)
		return NULL;
	return path;
}

char *manager_socket_path(const struct manager *m, const char *uuid)
{
	return path_join(m->runtime_dir, uuid, ".sock");
}

char *manager_vm_dir(const struct manager *m, const char *uuid)
{
	return path_join(m->state_dir, "vms/", uuid);
}

static int make_dir(const char *path, mode_t mode, struct error *e)
{
	if (mkdir(path, mode) < 0 && errno != EEXIST)
		return error_set(e, -errno, "cannot make directory %s: %m",
				 path);
	return 0;
}

static int read_boot_id(char *out, size_t size)
{
	_cleanup_close_ int fd = open("/proc/sys/kernel/random/boot_id",
				      O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, out, size - 1);

	if (n < 0)
		return -errno;
	out[n] = '\0';
	out[strcspn(out, "\n")] = '\0';
	return 0;
}

int manager_new(uv_loop_t *loop, const struct manager_params *params,
		struct manager **ret, struct error *e)
{
	_cleanup_free_ char *vms = path_join(params->state_dir, "vms", "");
	struct manager *m = calloc(1, sizeof(*m));
	int r;

	if (!m || !vms) {
		free(m);
		return error_set(e, -ENOMEM, "out of memory");
	}
	m->loop = loop;
	m->state_dir = strdup(params->state_dir);
	m->runtime_dir = strdup(params->runtime_dir);
	m->supervisor_path = strdup(params->supervisor);
	if (asprintf(&m->supervisor_xen_path, "%s-xen", params->supervisor) < 0)
		m->supervisor_xen_path = NULL;
	m->conf = params->conf;
	r = read_boot_id(m->boot_id, sizeof(m->boot_id));
	if (r < 0)
		error_set(e, r, "cannot read this host's boot id");
	if (r == 0)
		r = access_new(m->conf, params->admin_group, &m->access, e);
	if (r == 0)
		r = dbus_new(loop, &m->dbus, e);
	if (r == 0)
		r = scopes_new(m, &m->scopes, e);
	if (r == 0 && !m->conf->dbus_off)
		r = dbus_api_new(m, m->dbus, &m->dbus_api, e);
	if (r == 0)
		r = make_dir(m->state_dir, 0700, e);
	if (r == 0)
		r = make_dir(vms, 0700, e);
	/* Searchable by all, so that clients can reach the sockets. */
	if (r == 0)
		r = make_dir(m->runtime_dir, 0755, e);
	if (r == 0)
		r = store_open(m->state_dir, &m->store, e);
	if (r == 0)
		r = turn_new(m, &m->turn, e);
	if (r < 0) {
		manager_free(m);
		return r;
	}
	*ret = m;
	return 0;
}

/* The runs of an earlier daemon, copied out: adopting writes to the store. */
struct run_list {
	struct store_run *runs;
	size_t count;
};

static int collect_run(void *cookie, const struct store_run *run)
{
	struct run_list *l = cookie;
	struct store_run *grown;

	grown = reallocarray(l->runs, l->count + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	l->runs = grown;
	l->runs[l->count++] = *run;
	return 0;
}

/* The process is gone; what it looked after may be there still. */
static bool adopt_machine(struct vm *vm, const struct store_vm *row)
{
	if (vm->hypervisor != VM_HYPERVISOR_XEN)
		return false;
	vm_restore_state(vm, row);
	vm->hypervisor = VM_HYPERVISOR_XEN;
	return vm_adopt(vm, "its supervisor ended while armvmd was away");
}

/* What ran, runs no more. */
static void adopt_failed(struct vm *vm, bool same_boot,
			 const struct store_vm *row)
{
	bool starting = streq(row->state, vm_state_name(VM_STARTING));
	bool ending = streq(row->state, vm_state_name(VM_STOPPING)) ||
		      streq(row->state, vm_state_name(VM_SHUTTING_DOWN));
	struct error e = ERROR_INIT;

	if (vm_nvram_replay(vm, &e) < 0)
		log_vm(LOG_LEVEL_ERROR, vm->config.name, "%s", e.message);
	if (same_boot && starting)
		vm_set_state(vm, VM_STOPPED, START_CUT_OFF);
	else if (same_boot && ending)
		vm_set_state(vm, VM_STOPPED,
			     "it ended as asked while armvmd was away");
	else if (same_boot)
		vm_set_state(vm, VM_CRASHED,
			     "its supervisor ended while armvmd was away");
	else
		vm_set_state(vm, VM_STOPPED, "the host was restarted");
	vm_policy_ended(vm, same_boot && !starting && !ending);
}

static void adopt_one(struct manager *m, const struct store_run *run)
{
	struct store_vm row = {0};
	struct error e = ERROR_INIT;
	struct vm *vm = NULL;
	int hypervisor;

	if (store_vm_get_id(m->store, run->vm_id, &row, &e) < 0 ||
	    vm_load(m, &row, &vm, &e) < 0) {
		log_error("a running VM cannot be taken over: %s", e.message);
		store_vm_done(&row);
		return;
	}
	/* Nothing else runs VMs where it is. */
	if (resources_hypervisor(m, vm->config.hypervisor, &hypervisor, NULL) ==
		    0 &&
	    hypervisor == VM_HYPERVISOR_XEN)
		vm->hypervisor = hypervisor;
	if (link_adopt(vm, run, &row, &e) == 0) {
		log_vm(LOG_LEVEL_INFO, vm->config.name,
		       "adopted its running supervisor, process %lld",
		       (long long)run->pid);
	} else if (!streq(run->boot_id, m->boot_id) ||
		   !adopt_machine(vm, &row)) {
		log_vm(LOG_LEVEL_WARNING, vm->config.name,
		       "not running any more: %s", e.message);
		adopt_failed(vm, streq(run->boot_id, m->boot_id), &row);
	}
	store_vm_done(&row);
}

/* Its state says it runs, but there was no process yet, or no more. */
static int left_one(void *cookie, const struct store_vm *row)
{
	struct manager *m = cookie;
	struct error e = ERROR_INIT;
	struct vm *vm;

	if (vm_load(m, row, &vm, &e) < 0)
		log_error("%s", e.message);
	else
		vm_set_state(vm, VM_STOPPED, START_CUT_OFF);
	return 0;
}

static int load_and_adopt(struct manager *m, struct error *e)
{
	struct run_list runs = {0};
	int r = store_run_each(m->store, collect_run, &runs, e);

	service_kept_load(&m->kept);
	if (r == 0)
		for (size_t i = 0; i < runs.count; i++)
			adopt_one(m, &runs.runs[i]);
	if (r == 0)
		service_kept_done(&m->kept, LINK_KEPT_PREFIX);
	free(runs.runs);
	if (r == 0)
		r = store_vm_each(m->store, STORE_VM_LEFT, left_one, m, e);
	turn_end(m->turn);
	return r;
}

static int serve_http(struct manager *m, struct error *e)
{
	_cleanup_free_ char *path = path_join(m->runtime_dir, HTTP_SOCKET_NAME,
					      "");
	const struct conf *c = m->conf;
	struct api_http_params p = {.unix_fd = -1,
				    .tcp_fd = -1,
				    .tls_cert = c->tls_cert,
				    .tls_key = c->tls_key,
				    .tls_client_ca = c->tls_client_ca};
	int r;

	if (!path)
		return error_set(e, -ENOMEM, "out of memory");
	if (c->http_listen && (!p.tls_cert || !p.tls_key || !p.tls_client_ca))
		return error_set(e, -EINVAL,
				 "to listen on %s takes tls-cert, tls-key and "
				 "tls-client-ca: over TCP both sides show a "
				 "certificate",
				 c->http_listen);
	r = listen_unix(path, &p.unix_fd, e);
	if (r == 0 && c->http_listen)
		r = listen_tcp(c->http_listen, &p.tcp_fd, e);
	if (r < 0) {
		fd_close(p.unix_fd);
		return r;
	}
	return api_server_http(m->server, &p, e);
}

int manager_startup(struct manager *m, struct error *e)
{
	_cleanup_free_ char *path = path_join(m->runtime_dir, API_SOCKET_NAME,
					      "");
	struct api_handlers handlers, inner;
	int fd, r;

	if (!path)
		return error_set(e, -ENOMEM, "out of memory");
	manager_probe_host(m);
	store_batch(m->store);
	rpc_handlers(m, &handlers, &inner);
	r = jobs_new(m, &inner, &m->jobs, e);
	if (r == 0)
		r = load_and_adopt(m, e);
	if (r < 0)
		return r;
	job_startup(m);
	tidy_begin(m);
	r = listen_unix(path, &fd, e);
	if (r < 0)
		return r;
	r = api_server_new(m->loop, fd, &handlers, &m->server, e);
	if (r == 0)
		r = serve_http(m, e);
	if (r < 0)
		return r;
	if (m->scopes || m->dbus_api)
		dbus_start(m->dbus);
	vm_policy_autostart(m);
	return 0;
}

struct manager *manager_free(struct manager *m)
{
	struct error stopping = ERROR_INIT;

	if (!m)
		return NULL;
	jobs_stop(m->jobs);
	vm_fs_forget(m);
	error_set_code(&stopping, ERROR_CANCELLED,
		       "armvmd is stopping; what was begun goes on");
	/* Calls are answered while there is a server to answer them. */
	for (struct vm *vm = m->vms; vm; vm = vm->next) {
		vm_save_abandon(vm);
		if (vm->supervisor)
			link_abandon(vm->supervisor);
		vm_start_ended(vm, ERROR_CANCELLED, "armvmd is stopping");
		vm_devices_end(vm, &stopping);
		vm_wait_cancel(vm);
	}
	m->jobs = jobs_free(m->jobs);
	vm_policy_stop(m);
	tidy_stop(m);
	m->turn = turn_free(m->turn);
	m->server = api_server_free(m->server);
	while (m->vms)
		vm_unload(m->vms);
	store_close(m->store);
	free(m->state_dir);
	free(m->runtime_dir);
	free(m->supervisor_path);
	free(m->supervisor_xen_path);
	json_release(xen_caps_fields, &m->xen);
	access_free(m->access);
	dbus_api_free(m->dbus_api);
	scopes_free(m->scopes);
	dbus_free(m->dbus);
	free(m);
	return NULL;
}

int manager_event(struct manager *m, const struct vm *vm, const char *kind,
		  json_object *fields)
{
	_cleanup_json_ json_object *event = fields ? fields
						   : json_object_new_object();
	int64_t seq = 0, time_ms = 0;
	const char *uuid = vm ? vm->config.uuid : "";
	struct error e = ERROR_INIT;
	int r;

	if (vm)
		json_object_object_add(event, "name",
				       json_object_new_string(vm->config.name));
	/* Who may see only some VMs is judged by the event alone, also when
	 * the VM has long gone. */
	if (vm && vm->config.labels)
		json_object_object_add(event, "labels",
				       json_object_get(vm->config.labels));
	r = store_event_add(m->store, uuid, kind, json_text(event), &seq,
			    &time_ms, &e);
	if (r < 0) {
		log_vm(LOG_LEVEL_ERROR, vm ? vm->config.name : NULL,
		       "event \"%s\" could not be stored: %s", kind, e.message);
		return r;
	}
	json_object_object_add(event, "seq", json_object_new_int64(seq));
	json_object_object_add(event, "time_ms",
			       json_object_new_int64(time_ms));
	json_object_object_add(event, "vm", json_object_new_string(uuid));
	json_object_object_add(event, "kind", json_object_new_string(kind));
	if (m->server)
		api_server_notify(m->server, event);
	return 0;
}
