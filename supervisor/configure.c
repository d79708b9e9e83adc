#include <stdio.h>

#include "supervisor/supervisor.h"

static const char *const fixed_roles[] = {
	"kvm",	 "firmware",	  "kernel",	   "initrd", "nvram",
	"spill", "console-log:0", "console-log:1", "vsock",  "snapshot",
};

static bool role_is_known(const char *role)
{
	for (size_t i = 0; i < ARRAY_SIZE(fixed_roles); i++)
		if (streq(role, fixed_roles[i]))
			return true;
	return strncmp(role, "fs:", 3) == 0 || strncmp(role, "disk:", 5) == 0 ||
	       strncmp(role, "nic:", 4) == 0 || strncmp(role, "vhost:", 6) == 0;
}

int handover_add(struct handover *h, const char *role, int *fd, struct error *e)
{
	if (!role_is_known(role) || strlen(role) >= HANDOVER_ROLE_MAX)
		return error_set(
			e, -EINVAL,
			"role \"%.*s\" is not accepted: kvm, "
			"firmware, kernel, initrd, nvram, spill, "
			"console-log:0 and :1, vsock, snapshot, fs:TAG, "
			"disk:ID, nic:ID and vhost:ID are",
			HANDOVER_ROLE_MAX, role);
	for (size_t i = 0; i < h->n; i++)
		if (streq(h->items[i].role, role))
			return error_set(e, -EINVAL,
					 "role \"%s\" was given twice", role);
	if (h->n == HANDOVER_MAX)
		return error_set(e, -EINVAL,
				 "more than %d descriptors were handed over",
				 HANDOVER_MAX);
	snprintf(h->items[h->n].role, HANDOVER_ROLE_MAX, "%s", role);
	h->items[h->n++].fd = TAKE_FD(*fd);
	return 0;
}

int handover_take(struct handover *h, const char *prefix, const char *id)
{
	size_t length = strlen(prefix);

	for (size_t i = 0; i < h->n; i++)
		if (strncmp(h->items[i].role, prefix, length) == 0 &&
		    streq(h->items[i].role + length, id))
			return TAKE_FD(h->items[i].fd);
	return -1;
}

void handover_done(struct handover *h)
{
	for (size_t i = 0; i < h->n; i++)
		fd_close(h->items[i].fd);
	h->n = 0;
}

static int take_roles(struct handover *h, const struct configure_request *q,
		      struct error *e)
{
	if (!json_object_is_type(q->roles, json_type_array) ||
	    json_object_array_length(q->roles) != q->n_fds)
		return error_set(e, -EINVAL,
				 "roles must be an array with one role for "
				 "each of the %zu descriptors",
				 q->n_fds);
	for (size_t i = 0; i < q->n_fds; i++) {
		json_object *role = json_object_array_get_idx(q->roles, i);
		int r;

		if (!json_object_is_type(role, json_type_string))
			return error_set(e, -EINVAL,
					 "roles[%zu] must be a string", i);
		r = handover_add(h, json_object_get_string(role), &q->fds[i],
				 e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* One more for each queue is called ID/1, ID/2, ... */
static bool take_queue(struct fd_list *fds, struct handover *h,
		       const char *prefix, const char *id, unsigned queue)
{
	char name[VM_DEVICE_ID_MAX + 8];
	int fd;

	snprintf(name, sizeof(name), queue ? "%s/%u" : "%s", id, queue);
	fd = handover_take(h, prefix, name);
	if (fd >= 0)
		fds->fds[fds->n++] = fd;
	return fd >= 0;
}

/* Those of vhost come for all queues or for none. */
static int take_nic(struct vmm_nic *nic, const struct nic_config *config,
		    struct handover *h, struct error *e)
{
	unsigned n = vm_nic_queues(config), n_vhost = 0;

	for (unsigned i = 0; i < n; i++)
		if (!take_queue(&nic->fds, h, "nic:", config->id, i))
			return error_set(e, -EINVAL,
					 "no descriptor came for queue %u of "
					 "network interface \"%s\"",
					 i, config->id);
	for (unsigned i = 0; i < n; i++)
		n_vhost += take_queue(&nic->fds, h, "vhost:", config->id, i);
	if (n_vhost == 0 || n_vhost == n)
		return 0;
	return error_set(e, -EINVAL,
			 "network interface \"%s\" has %u queues, but vhost "
			 "came for %u",
			 config->id, n, n_vhost);
}

/* Every role to its place; on failure `p` owns what it got so far. */
static int params_fill(struct vmm_params *p, struct handover *h, bool nics,
		       struct error *e)
{
	const struct vm_config *config = p->config;

	p->hypervisor_fd = handover_take(h, "kvm", "");
	p->firmware_fd = handover_take(h, "firmware", "");
	p->kernel_fd = handover_take(h, "kernel", "");
	p->initrd_fd = handover_take(h, "initrd", "");
	p->nvram_fd = handover_take(h, "nvram", "");
	p->snapshot_fd = handover_take(h, "snapshot", "");
	p->vsock_fd = handover_take(h, "vsock", "");
	for (size_t i = 0; i < VM_FILESYSTEMS_MAX; i++)
		p->filesystems[i] = -1;
	/* The null backend has none. */
	for (size_t i = 0; i < config->n_filesystems; i++)
		p->filesystems[i] = handover_take(
			h, "fs:", config->filesystems[i].tag);
	for (size_t i = 0; i < VM_DISKS_MAX; i++)
		p->disks[i].fd = -1;
	/* What is there has its devices open already. */
	if (p->adopt)
		return 0;
	for (size_t i = 0; i < config->n_disks; i++) {
		const char *id = config->disks[i].id;

		p->disks[i].fd = handover_take(h, "disk:", id);
		if (p->disks[i].fd < 0)
			return error_set(e, -EINVAL,
					 "no descriptor came for disk \"%s\"",
					 id);
	}
	for (size_t i = 0; nics && i < config->n_nics; i++) {
		int r = take_nic(&p->nics[i], &config->nics[i], h, e);

		if (r < 0)
			return r;
	}
	return 0;
}

static int open_nvram(struct supervisor *s, const struct vmm_params *p,
		      struct error *e)
{
	int spill_fd = handover_take(&s->handover, "spill", "");
	int r;

	if (p->nvram_fd < 0 || spill_fd < 0) {
		bool none = p->nvram_fd < 0 && spill_fd < 0;

		fd_close(spill_fd);
		return none ? 0
			    : error_set(e, -EINVAL,
					"the roles nvram and spill come "
					"together or not at all");
	}
	r = nvram_new(&s->loop, p->nvram_fd, p->nvram_size, spill_fd,
		      &supervisor_nvram_events, s, s->name, &s->nvram, e);
	if (r == 0)
		nvram_connected(s->nvram);
	return r;
}

static int open_log(struct supervisor *s, const struct configure_request *q,
		    struct error *e)
{
	struct console_log_params p = {
		.console = supervisor_console(s, CONSOLE_DEFAULT),
		.part_bytes = q->console_log_bytes,
		.goes_on = q->adopt,
		.event = supervisor_log_event,
		.now_ms = supervisor_now_ms,
		.cookie = s,
	};

	p.fds[0] = handover_take(&s->handover, "console-log:", "0");
	p.fds[1] = handover_take(&s->handover, "console-log:", "1");
	if (p.fds[0] < 0 && p.fds[1] < 0)
		return 0;
	if (p.fds[0] >= 0 && p.fds[1] >= 0)
		return console_log_new(&p, &s->console_log, e);
	fd_close(p.fds[0]);
	fd_close(p.fds[1]);
	return error_set(e, -EINVAL,
			 "the roles console-log:0 and console-log:1 come "
			 "together or not at all");
}

static int open_console(struct supervisor *s, const struct configure_request *q,
			struct error *e)
{
	int r = chardev_new(&s->loop, &s->console);

	if (r == 0 && s->config.console != VM_CONSOLE_PL011)
		r = chardev_new(&s->loop, &s->virtio_console);
	if (r < 0)
		return error_set(e, r, "console: %s", strerror(-r));
	chardev_on_writer(s->console, supervisor_console_writer, s);
	if (s->virtio_console)
		chardev_on_writer(s->virtio_console, supervisor_console_writer,
				  s);
	return open_log(s, q, e);
}

static int create_backend(struct supervisor *s,
			  const struct configure_request *q, struct error *e)
{
	const struct backend *backend;
	struct vmm_params p = {
		.config = &s->config,
		.loop = &s->loop,
		.events = &supervisor_vmm_events,
		.cookie = s,
		.nvram_size = q->nvram_size,
		.paused = q->paused,
		.adopt = q->adopt,
	};
	int r;

	r = backend_find(s->config.hypervisor, &backend, e);
	if (r == 0 && q->adopt && !backend->outlives)
		r = error_set(e, -EOPNOTSUPP,
			      "a machine on %s ended with its supervisor",
			      backend->ops->name);
	if (r < 0)
		return r;
	r = params_fill(&p, &s->handover, !backend->ops->makes_nics, e);
	if (r == 0)
		r = open_nvram(s, &p, e);
	if (r == 0)
		r = open_console(s, q, e);
	if (r == 0)
		r = agent_new(&s->loop, s->name, &s->agent, e);
	if (r < 0) {
		vmm_params_close(&p);
		return r;
	}
	s->ops = backend->ops;
	p.console = s->console;
	p.virtio_console = s->virtio_console;
	p.agent = agent_chardev(s->agent);
	return s->ops->create(&p, &s->vmm, e); /* consumes the descriptors */
}

static int configure_whole(struct supervisor *s,
			   const struct configure_request *q, struct error *e)
{
	int r;

	if (!q->config)
		return error_set(e, -EINVAL, "configure without a config");
	r = vm_config_from_json(q->config, &s->config, e);
	if (r < 0)
		return r;
	if (!streq(s->config.name, s->name))
		return error_set(e, -EINVAL,
				 "config is of VM %s, but this is the "
				 "supervisor of %s",
				 s->config.name, s->name);
	return create_backend(s, q, e);
}

int supervisor_configure(struct supervisor *s,
			 const struct configure_request *q, struct error *e)
{
	int r;

	if (s->configured || s->at_rest)
		return error_set_code(e, ERROR_STATE,
				      "VM %s is configured already", s->name);
	r = take_roles(&s->handover, q, e);
	if (r == 0 && q->more)
		return 0;
	if (r == 0)
		r = configure_whole(s, q, e);
	handover_done(&s->handover);
	if (r == 0)
		r = devices_init(s, e);
	if (r == 0 && q->adopt)
		r = devices_adopt(s, q->live, e);
	if (r < 0) {
		devices_done(s);
		if (s->vmm)
			s->ops->destroy(TAKE_PTR(s->vmm));
		s->console_log = console_log_free(s->console_log);
		s->console = chardev_free(s->console);
		s->virtio_console = chardev_free(s->virtio_console);
		s->agent = agent_free(s->agent);
		s->nvram = nvram_free(s->nvram);
		vm_config_done(&s->config);
		return r;
	}
	s->configured = true;
	/* It runs, whatever becomes of the daemon from here on. */
	s->started = q->adopt;
	return q->adopt ? s->ops->start(s->vmm, e) : 0;
}
