/*
 * Every call this backend makes into libxl that can fail or change something,
 * as one table: the product's is xl_calls.c, and a unit test has another in
 * its place, which fails the call it likes. What only fills or empties
 * structures (libxl_..._init and _dispose) is called directly.
 *
 * Errors are libxl's: 0 or a negative ERROR_ of libxl_error. Operations that
 * libxl can do in the background are done at once here (ao_how NULL) unless
 * said otherwise: they take milliseconds, and the order in which things are
 * made and unmade is then the order of the calls.
 *
 * Thread: the loop thread.
 */
#ifndef VMM_XEN_XL_CALLS_H
#define VMM_XEN_XL_CALLS_H

/* As far as libxl 4.17 counts. */
#define LIBXL_API_VERSION 0x041400
#include <libxl.h>
#include <libxl_event.h>
#include <libxl_utils.h>
#include <xenstore.h>

struct xl_calls {
	int (*ctx_alloc)(libxl_ctx **ret, xentoollog_logger *log);
	int (*ctx_free)(libxl_ctx *ctx);
	void (*osevent_hooks)(libxl_ctx *ctx, const libxl_osevent_hooks *hooks,
			      void *user);
	void (*event_callbacks)(libxl_ctx *ctx, const libxl_event_hooks *hooks,
				void *user);
	void (*event_free)(libxl_ctx *ctx, libxl_event *event);
	void (*occurred_fd)(libxl_ctx *ctx, void *for_libxl, int fd,
			    short events, short revents);
	void (*occurred_timeout)(libxl_ctx *ctx, void *for_libxl);

	const libxl_version_info *(*version)(libxl_ctx *ctx);
	int (*physinfo)(libxl_ctx *ctx, libxl_physinfo *ret);
	int (*free_memory)(libxl_ctx *ctx, uint64_t *ret_kb);
	int (*need_memory)(libxl_ctx *ctx, libxl_domain_config *config,
			   uint64_t *ret_kb);

	int (*create)(libxl_ctx *ctx, libxl_domain_config *config,
		      uint32_t *ret_domid);
	int (*destroy)(libxl_ctx *ctx, uint32_t domid);
	int (*pause)(libxl_ctx *ctx, uint32_t domid);
	int (*unpause)(libxl_ctx *ctx, uint32_t domid);
	int (*set_memory_target)(libxl_ctx *ctx, uint32_t domid,
				 int64_t target_kb);
	int (*info)(libxl_ctx *ctx, libxl_dominfo *ret, uint32_t domid);
	/* NULL when it fails; to be given back to libxl_dominfo_list_free()
	 * and libxl_vcpuinfo_list_free(). */
	libxl_dominfo *(*list)(libxl_ctx *ctx, int *ret_n);
	libxl_vcpuinfo *(*vcpus)(libxl_ctx *ctx, uint32_t domid, int *ret_n);
	int (*watch_death)(libxl_ctx *ctx, uint32_t domid,
			   libxl_evgen_domain_death **ret);
	void (*unwatch_death)(libxl_ctx *ctx, libxl_evgen_domain_death *evgen);

	/* The hypervisor's own calls (libxenctrl), for when there is no
	 * xenstored, without which libxl does nothing; 0 or -errno. */
	int (*raw_find)(const libxl_uuid *uuid, uint32_t *ret_domid);
	int (*raw_destroy)(uint32_t domid);
	int (*raw_unpause)(uint32_t domid);

	/* libxenstore; false and errno. */
	struct xs_handle *(*xs_open)(void);
	void (*xs_close)(struct xs_handle *xs);
	void *(*xs_read)(struct xs_handle *xs, const char *path,
			 unsigned *ret_size);
	bool (*xs_write)(struct xs_handle *xs, const char *path,
			 const char *text);
};

extern const struct xl_calls xl;

#endif
