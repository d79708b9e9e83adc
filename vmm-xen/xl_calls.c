#include "vmm-xen/xl_calls.h"

#include <errno.h>
#include <string.h>
#include <xenctrl.h>

static int ctx_alloc(libxl_ctx **ret, xentoollog_logger *log)
{
	return libxl_ctx_alloc(ret, LIBXL_VERSION, 0, log);
}

static int need_memory(libxl_ctx *ctx, libxl_domain_config *config,
		       uint64_t *ret_kb)
{
	return libxl_domain_need_memory(ctx, config, INVALID_DOMID, ret_kb);
}

static int create(libxl_ctx *ctx, libxl_domain_config *config,
		  uint32_t *ret_domid)
{
	return libxl_domain_create_new(ctx, config, ret_domid, NULL, NULL);
}

static int destroy(libxl_ctx *ctx, uint32_t domid)
{
	return libxl_domain_destroy(ctx, domid, NULL);
}

static int pause_domain(libxl_ctx *ctx, uint32_t domid)
{
	return libxl_domain_pause(ctx, domid, NULL);
}

static int unpause(libxl_ctx *ctx, uint32_t domid)
{
	return libxl_domain_unpause(ctx, domid, NULL);
}

/* Enforced: the guest cannot grow above it either. */
static int set_memory_target(libxl_ctx *ctx, uint32_t domid, int64_t target_kb)
{
	return libxl_set_memory_target(ctx, domid, target_kb, 0, 1);
}

static int info(libxl_ctx *ctx, libxl_dominfo *ret, uint32_t domid)
{
	return libxl_domain_info(ctx, ret, domid);
}

static libxl_vcpuinfo *vcpus(libxl_ctx *ctx, uint32_t domid, int *ret_n)
{
	int cpus;

	return libxl_list_vcpu(ctx, domid, ret_n, &cpus);
}

static int watch_death(libxl_ctx *ctx, uint32_t domid,
		       libxl_evgen_domain_death **ret)
{
	return libxl_evenable_domain_death(ctx, domid, 0, ret);
}

/* Of the first domain from `first` on; 0: there is none. */
static uint32_t next_domain(xc_interface *xc, uint32_t first,
			    xc_domaininfo_t *ret)
{
	return xc_domain_getinfolist(xc, first, 1, ret) == 1 ? ret->domain : 0;
}

static int raw_find(const libxl_uuid *uuid, uint32_t *ret_domid)
{
	const uint8_t *bytes = libxl_uuid_bytearray_const(uuid);
	xc_interface *xc = xc_interface_open(NULL, NULL, 0);
	xc_domaininfo_t info;
	int r = xc ? -ENOENT : -errno;

	for (uint32_t domid = 0; xc && r == -ENOENT;) {
		domid = next_domain(xc, domid + 1, &info);
		if (domid == 0)
			break;
		if (memcmp(info.handle, bytes, sizeof(info.handle)) != 0 ||
		    (info.flags & XEN_DOMINF_dying))
			continue;
		*ret_domid = domid;
		r = 0;
	}
	if (xc)
		xc_interface_close(xc);
	return r;
}

static int raw_do(uint32_t domid, int (*call)(xc_interface *xc, uint32_t domid))
{
	xc_interface *xc = xc_interface_open(NULL, NULL, 0);
	int r = xc ? 0 : -errno;

	if (xc && call(xc, domid) < 0)
		r = -errno;
	if (xc)
		xc_interface_close(xc);
	return r;
}

static int raw_destroy(uint32_t domid)
{
	return raw_do(domid, xc_domain_destroy);
}

static int raw_unpause(uint32_t domid)
{
	return raw_do(domid, xc_domain_unpause);
}

static struct xs_handle *open_xs(void)
{
	return xs_open(0);
}

static void *read_xs(struct xs_handle *xs, const char *path, unsigned *ret_size)
{
	return xs_read(xs, XBT_NULL, path, ret_size);
}

static bool write_xs(struct xs_handle *xs, const char *path, const char *text)
{
	return xs_write(xs, XBT_NULL, path, text, (unsigned)strlen(text));
}

const struct xl_calls xl = {
	.ctx_alloc = ctx_alloc,
	.ctx_free = libxl_ctx_free,
	.osevent_hooks = libxl_osevent_register_hooks,
	.event_callbacks = libxl_event_register_callbacks,
	.event_free = libxl_event_free,
	.occurred_fd = libxl_osevent_occurred_fd,
	.occurred_timeout = libxl_osevent_occurred_timeout,
	.version = libxl_get_version_info,
	.physinfo = libxl_get_physinfo,
	.free_memory = libxl_get_free_memory,
	.need_memory = need_memory,
	.create = create,
	.destroy = destroy,
	.pause = pause_domain,
	.unpause = unpause,
	.set_memory_target = set_memory_target,
	.info = info,
	.list = libxl_list_domain,
	.vcpus = vcpus,
	.watch_death = watch_death,
	.unwatch_death = libxl_evdisable_domain_death,
	.raw_find = raw_find,
	.raw_destroy = raw_destroy,
	.raw_unpause = raw_unpause,
	.xs_open = open_xs,
	.xs_close = xs_close,
	.xs_read = read_xs,
	.xs_write = write_xs,
};
