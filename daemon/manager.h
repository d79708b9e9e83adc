/*
 * The daemon as a whole: its directories, the store, the API server and the
 * list of VMs. Start: manager_new → manager_startup (load, adopt what runs,
 * listen) → the loop → manager_free, which leaves running VMs alone.
 *
 * Thread: the loop thread.
 */
#ifndef DAEMON_MANAGER_H
#define DAEMON_MANAGER_H

#include <uv.h>

#include "api/api.h"
#include "daemon/access.h"
#include "daemon/service.h"
#include "lib/model/host_caps.h"
#include "lib/model/xen_caps.h"
#include "store/store.h"

struct vm;
struct turn;
struct scopes;
struct dbus;
struct dbus_api;
struct autostart;
struct jobs;
struct tidy;
struct fs_server;
struct check;

/* Buckets of the table of VMs in memory; a power of two. */
#define MANAGER_BUCKETS 4096

struct manager_params {
	const char *state_dir;	 /* definitions, variables: survives reboots */
	const char *runtime_dir; /* sockets: gone with a reboot */
	const char *supervisor;	 /* path of armvm-supervisor */
	const char *admin_group; /* NULL: armvm-admin */
	const struct conf *conf; /* borrowed while the manager lives */
};

struct manager {
	uv_loop_t *loop;
	char *state_dir, *runtime_dir, *supervisor_path, *supervisor_xen_path;
	char boot_id[40];
	const struct conf *conf;
	struct access *access;
	struct dbus *dbus;
	struct dbus_api *dbus_api; /* NULL when it is switched off */
	struct scopes *scopes;	   /* NULL without systemd */
	struct store *store;
	struct service_kept kept; /* while runs are taken over */
	struct api_server *server;
	/* The VMs in memory: those that are active, and those that are being
	 * worked with now. All others are rows of the store. */
	struct vm *vms;
	struct vm *by_id[MANAGER_BUCKETS];
	struct vm *resting; /* those that may leave memory */
	size_t saves;	    /* states stored since the last flush */
	struct jobs *jobs;
	struct fs_server *fs_servers; /* vm_fs.c: our children */
	struct tidy *tidy;	      /* while it is under way */
	struct check *check;	      /* of the database, the same */
	struct autostart *autostart;  /* while it is under way */
	struct turn *turn;     /* NULL only in manager_new and manager_free */
	bool caps_known;       /* there was KVM, and it could be asked */
	struct host_caps caps; /* of KVM */
	bool xen_known;	       /* there was Xen, and it could be asked */
	struct xen_caps xen;
	struct error xen_why; /* it could not */
};

int manager_new(uv_loop_t *loop, const struct manager_params *params,
		struct manager **ret, struct error *e) must_check;
int manager_startup(struct manager *m, struct error *e) must_check;
struct manager *manager_free(struct manager *m);

/*
 * host_probe.c: fills m->caps and m->xen, by supervisors that ask. It waits for
 * that, so only before the loop runs. What is not there is logged.
 */
void manager_probe_host(struct manager *m);
/* Whether Xen can be used now: what was found then, and xenstored is there
 * still. -ENODEV. */
int manager_find_xen(const struct manager *m, struct error *e) must_check;

/* Paths below the two directories; the result is owned by the caller. */
char *manager_socket_path(const struct manager *m, const char *uuid);
char *manager_vm_dir(const struct manager *m, const char *uuid);

/*
 * Store an event and announce it once it is durable; `kind` is one of those in
 * api/events.h; `fields` (may be NULL) is
 * consumed. Without a VM they have a "name" of their own. When it cannot be
 * stored that is logged and nobody is told; the error is returned for those who
 * can try again.
 */
int manager_event(struct manager *m, const struct vm *vm, const char *kind,
		  json_object *fields);

#endif
