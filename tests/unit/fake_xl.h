/*
 * A Xen of nothing but memory, in the place of vmm-xen/xl_calls.c: it counts
 * domains, watches and connections, and fails the call it is told to.
 */
#ifndef TESTS_UNIT_FAKE_XL_H
#define TESTS_UNIT_FAKE_XL_H

#include <stdio.h>
#include <stdlib.h>

#include "vmm-xen/xl_calls.h"

#define FAKE_DOMAINS 4
#define FAKE_KB	     (512 * 1024)

struct fake_domain {
	bool exists, paused, shutdown;
	libxl_shutdown_reason reason;
	libxl_uuid uuid;
	uint64_t memory_kb;
	int weight;
	unsigned pinned; /* vCPUs */
	uint8_t cpus;	 /* of the first of them: 0 to 7 */
	char kernel[64], ramdisk[64], cmdline[128];
	libxl_vuart_type vuart;
	libxl_gic_version gic;
};

static struct fake_xen {
	int fail_in; /* the call that fails, counted down; 0: none */
	int calls;
	struct fake_domain domains[FAKE_DOMAINS];
	uint32_t next; /* domid 1 is domains[0] */
	int contexts, stores, watches, events;
	int raw;		 /* changes past libxl */
	void (*in_create)(void); /* after which it fails half-way */
	const libxl_event_hooks *hooks;
	void *hooks_user;
	char tty[64], feature[4], written[64];
	uint64_t free_kb;
	libxl_version_info version;
	xentoollog_logger *log;
} xen;

static int ctx_memory;
#define FAKE_CTX ((libxl_ctx *)&ctx_memory)

/* libxl tells its logger why. */
static void complain(const char *fmt, ...)
{
	va_list al;

	va_start(al, fmt);
	xen.log->vmessage(xen.log, XTL_ERROR, -1, "libxl", fmt, al);
	va_end(al);
}

static bool fails(const char *what)
{
	xen.calls++;
	if (xen.fail_in == 0 || --xen.fail_in > 0)
		return false;
	if (xen.log)
		complain("%s does not work today", what);
	return true;
}

static inline struct fake_domain *domain_of(uint32_t domid)
{
	struct fake_domain *d = domid >= 1 && domid <= FAKE_DOMAINS
					? &xen.domains[domid - 1]
					: NULL;

	return d && d->exists ? d : NULL;
}

static inline unsigned domains_alive(void)
{
	unsigned n = 0;

	for (size_t i = 0; i < FAKE_DOMAINS; i++)
		n += xen.domains[i].exists;
	return n;
}

static int fake_ctx_alloc(libxl_ctx **ret, xentoollog_logger *log)
{
	xen.log = log;
	if (fails("ctx_alloc"))
		return ERROR_FAIL;
	xen.contexts++;
	*ret = FAKE_CTX;
	return 0;
}

static int fake_ctx_free(libxl_ctx *ctx)
{
	xen.contexts--;
	xen.log = NULL;
	return 0;
}

static void fake_hooks(libxl_ctx *ctx, const libxl_osevent_hooks *hooks,
		       void *user)
{
}

static void fake_event_callbacks(libxl_ctx *ctx, const libxl_event_hooks *hooks,
				 void *user)
{
	xen.hooks = hooks;
	xen.hooks_user = user;
}

static void fake_event_free(libxl_ctx *ctx, libxl_event *event)
{
	xen.events--;
	free(event);
}

/* As libxl does: from within any call, or from the loop. */
static inline void fake_event(uint32_t domid, libxl_event_type type,
			      libxl_shutdown_reason reason)
{
	libxl_event *event = calloc(1, sizeof(*event));

	xen.events++;
	event->type = type;
	event->domid = domid;
	if (type == LIBXL_EVENT_TYPE_DOMAIN_SHUTDOWN)
		event->u.domain_shutdown.shutdown_reason = (uint8_t)reason;
	xen.hooks->event_occurs(xen.hooks_user, event);
}

static void fake_occurred_fd(libxl_ctx *ctx, void *for_libxl, int fd,
			     short events, short revents)
{
}

static void fake_occurred_timeout(libxl_ctx *ctx, void *for_libxl)
{
}

static const libxl_version_info *fake_version(libxl_ctx *ctx)
{
	return fails("version") ? NULL : &xen.version;
}

static int fake_physinfo(libxl_ctx *ctx, libxl_physinfo *ret)
{
	ret->total_pages = 1024;
	ret->free_pages = 512;
	return fails("physinfo") ? ERROR_FAIL : 0;
}

static int fake_free_memory(libxl_ctx *ctx, uint64_t *ret_kb)
{
	*ret_kb = xen.free_kb;
	return fails("free_memory") ? ERROR_FAIL : 0;
}

static int fake_need_memory(libxl_ctx *ctx, libxl_domain_config *config,
			    uint64_t *ret_kb)
{
	*ret_kb = config->b_info.max_memkb + 1024;
	return fails("need_memory") ? ERROR_FAIL : 0;
}

static int fake_create(libxl_ctx *ctx, libxl_domain_config *config,
		       uint32_t *ret_domid)
{
	struct fake_domain *d = &xen.domains[xen.next];
	const libxl_domain_build_info *b = &config->b_info;

	if (fails("create"))
		return ERROR_FAIL;
	*d = (struct fake_domain){
		.exists = true,
		.paused = true,
		.memory_kb = b->max_memkb,
		.weight = b->sched_params.weight,
		.vuart = b->arch_arm.vuart,
		.gic = b->arch_arm.gic_version,
		.pinned = (unsigned)b->num_vcpu_hard_affinity,
		.cpus = b->num_vcpu_hard_affinity
				? b->vcpu_hard_affinity[0].map[0]
				: 0xff,
	};
	libxl_uuid_copy(ctx, &d->uuid, &config->c_info.uuid);
	snprintf(d->kernel, sizeof(d->kernel), "%s", b->kernel);
	snprintf(d->ramdisk, sizeof(d->ramdisk), "%s",
		 b->ramdisk ? b->ramdisk : "");
	snprintf(d->cmdline, sizeof(d->cmdline), "%s", b->cmdline);
	*ret_domid = ++xen.next;
	if (xen.in_create)
		xen.in_create();
	return xen.in_create ? ERROR_FAIL : 0;
}

static int fake_destroy(libxl_ctx *ctx, uint32_t domid)
{
	if (fails("destroy"))
		return ERROR_FAIL;
	if (!domain_of(domid))
		return ERROR_DOMAIN_NOTFOUND;
	domain_of(domid)->exists = false;
	return 0;
}

static int fake_pause(libxl_ctx *ctx, uint32_t domid)
{
	if (fails("pause") || !domain_of(domid))
		return ERROR_FAIL;
	domain_of(domid)->paused = true;
	return 0;
}

static int fake_unpause(libxl_ctx *ctx, uint32_t domid)
{
	if (fails("unpause") || !domain_of(domid))
		return ERROR_FAIL;
	domain_of(domid)->paused = false;
	return 0;
}

static int fake_memory_target(libxl_ctx *ctx, uint32_t domid, int64_t target_kb)
{
	if (fails("set_memory_target") || !domain_of(domid))
		return ERROR_FAIL;
	domain_of(domid)->memory_kb = (uint64_t)target_kb;
	return 0;
}

static int fake_info(libxl_ctx *ctx, libxl_dominfo *ret, uint32_t domid)
{
	const struct fake_domain *d = domain_of(domid);

	if (fails("info") || !d)
		return ERROR_FAIL;
	ret->paused = d->paused;
	ret->shutdown = d->shutdown;
	ret->shutdown_reason = d->reason;
	ret->current_memkb = d->memory_kb;
	return 0;
}

static libxl_dominfo *fake_list(libxl_ctx *ctx, int *ret_n)
{
	libxl_dominfo *list;

	if (fails("list"))
		return NULL;
	list = calloc(FAKE_DOMAINS, sizeof(*list));
	*ret_n = 0;
	for (uint32_t i = 0; i < FAKE_DOMAINS; i++) {
		if (!xen.domains[i].exists)
			continue;
		libxl_dominfo_init(&list[*ret_n]);
		list[*ret_n].domid = i + 1;
		list[(*ret_n)++].uuid = xen.domains[i].uuid;
	}
	return list;
}

static libxl_vcpuinfo *fake_vcpus(libxl_ctx *ctx, uint32_t domid, int *ret_n)
{
	libxl_vcpuinfo *list = fails("vcpus") ? NULL : calloc(1, sizeof(*list));

	if (!list)
		return NULL;
	libxl_vcpuinfo_init(list);
	list->vcpu_time = 1234567;
	*ret_n = 1;
	return list;
}

static int fake_watch(libxl_ctx *ctx, uint32_t domid,
		      libxl_evgen_domain_death **ret)
{
	if (fails("watch_death"))
		return ERROR_FAIL;
	xen.watches++;
	*ret = (libxl_evgen_domain_death *)&ctx_memory;
	return 0;
}

static void fake_unwatch(libxl_ctx *ctx, libxl_evgen_domain_death *evgen)
{
	xen.watches--;
}

static int fake_raw_find(const libxl_uuid *uuid, uint32_t *ret_domid)
{
	for (uint32_t i = 0; i < FAKE_DOMAINS; i++)
		if (xen.domains[i].exists &&
		    libxl_uuid_compare(&xen.domains[i].uuid, uuid) == 0) {
			*ret_domid = i + 1;
			return 0;
		}
	return -ENOENT;
}

static int fake_raw_destroy(uint32_t domid)
{
	if (!domain_of(domid))
		return -ESRCH;
	domain_of(domid)->exists = false;
	xen.raw++;
	return 0;
}

static int fake_raw_unpause(uint32_t domid)
{
	if (!domain_of(domid))
		return -ESRCH;
	domain_of(domid)->paused = false;
	xen.raw++;
	return 0;
}

static struct xs_handle *fake_xs_open(void)
{
	if (fails("xs_open")) {
		errno = ECONNREFUSED;
		return NULL;
	}
	xen.stores++;
	return (struct xs_handle *)&ctx_memory;
}

static void fake_xs_close(struct xs_handle *xs)
{
	xen.stores--;
}

static void *fake_xs_read(struct xs_handle *xs, const char *path,
			  unsigned *ret_size)
{
	const char *value = strstr(path, "/tty")	       ? xen.tty
			    : strstr(path, "feature-poweroff") ? xen.feature
							       : "";

	*ret_size = (unsigned)strlen(value);
	return *value ? strdup(value) : NULL;
}

static bool fake_xs_write(struct xs_handle *xs, const char *path,
			  const char *text)
{
	if (fails("xs_write")) {
		errno = EIO;
		return false;
	}
	snprintf(xen.written, sizeof(xen.written), "%.40s=%.20s", path, text);
	return true;
}

const struct xl_calls xl = {
	.ctx_alloc = fake_ctx_alloc,
	.ctx_free = fake_ctx_free,
	.osevent_hooks = fake_hooks,
	.event_callbacks = fake_event_callbacks,
	.event_free = fake_event_free,
	.occurred_fd = fake_occurred_fd,
	.occurred_timeout = fake_occurred_timeout,
	.version = fake_version,
	.physinfo = fake_physinfo,
	.free_memory = fake_free_memory,
	.need_memory = fake_need_memory,
	.create = fake_create,
	.destroy = fake_destroy,
	.pause = fake_pause,
	.unpause = fake_unpause,
	.set_memory_target = fake_memory_target,
	.info = fake_info,
	.list = fake_list,
	.vcpus = fake_vcpus,
	.watch_death = fake_watch,
	.unwatch_death = fake_unwatch,
	.raw_find = fake_raw_find,
	.raw_destroy = fake_raw_destroy,
	.raw_unpause = fake_raw_unpause,
	.xs_open = fake_xs_open,
	.xs_close = fake_xs_close,
	.xs_read = fake_xs_read,
	.xs_write = fake_xs_write,
};

#endif
