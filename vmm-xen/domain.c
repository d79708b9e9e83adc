#include "vmm-xen/domain.h"

#include <stdio.h>

#include "lib/base/log.h"
#include "vmm-xen/domain_config.h"
#include "vmm-xen/xen_host.h"

/* Said early, for libxl finds out in the middle of building. */
static int check_memory(struct session *s, libxl_domain_config *config,
			struct error *e)
{
	uint64_t need_kb, free_kb;
	char need[16], have[16];
	int rc = xl.need_memory(s->ctx, config, &need_kb);

	if (rc == 0)
		rc = xl.free_memory(s->ctx, &free_kb);
	if (rc)
		return session_error(s, rc, e, "say how much memory it has");
	if (need_kb <= free_kb)
		return 0;
	return error_set(e, -ENOMEM,
			 "Xen has %s of memory to give away, and the VM takes "
			 "%s; stop another one, or give dom0 less (dom0_mem=)",
			 format_size(free_kb * 1024, have, sizeof(have)),
			 format_size(need_kb * 1024, need, sizeof(need)));
}

static int watch(struct domain *d, struct error *e)
{
	int rc = xl.watch_death(d->session->ctx, d->domid, &d->death);

	if (rc == 0)
		return 0;
	d->death = NULL;
	return session_error(d->session, rc, e, "watch the domain");
}

static int build(struct domain *d, const struct vm_config *config,
		 const struct domain_boot *boot, struct error *e)
{
	struct session *s = d->session;
	libxl_domain_config xl_config;
	int rc, r;

	r = domain_config_fill(config, boot, &xl_config, e);
	if (r == 0)
		r = check_memory(s, &xl_config, e);
	if (r == 0) {
		rc = xl.create(s->ctx, &xl_config, &d->domid);
		if (rc)
			r = session_error(s, rc, e, "make the domain");
		/* libxl takes back what it made, but not without xenstored. */
		if (rc && !session_has_store(s))
			(void)!domain_reap(config, -ENODEV, NULL);
	}
	libxl_domain_config_dispose(&xl_config);
	return r;
}

int domain_create(struct domain *d, struct session *session,
		  const struct vm_config *config,
		  const struct domain_boot *boot, struct error *e)
{
	int r;

	*d = (struct domain){.session = session};
	r = build(d, config, boot, e);
	if (r < 0)
		return r;
	d->exists = true;
	r = watch(d, e);
	if (r < 0 && domain_destroy(d, NULL) < 0)
		error_prefix(e, r, "domain %u is left behind", d->domid);
	session_calm(session);
	return r;
}

int domain_adopt(struct domain *d, struct session *session,
		 const struct vm_config *config, struct error *e)
{
	libxl_dominfo *list;
	libxl_uuid uuid;
	int n = 0;

	*d = (struct domain){.session = session};
	if (libxl_uuid_from_string(&uuid, config->uuid) < 0)
		return error_set(e, -EINVAL, "\"%s\" is no uuid", config->uuid);
	list = xl.list(session->ctx, &n);
	if (!list)
		return session_error(session, ERROR_FAIL, e,
				     "list its domains");
	for (int i = 0; i < n; i++)
		if (libxl_uuid_compare(&list[i].uuid, &uuid) == 0 &&
		    !list[i].dying) {
			d->exists = true;
			d->domid = list[i].domid;
		}
	libxl_dominfo_list_free(list, n);
	if (!d->exists)
		return error_set(e, -ENOENT, "its domain is gone");
	return watch(d, e);
}

void domain_leave(struct domain *d)
{
	if (d->death)
		xl.unwatch_death(d->session->ctx, TAKE_PTR(d->death));
	d->exists = false;
}

int domain_destroy(struct domain *d, struct error *e)
{
	int rc;

	if (!d->exists)
		return 0;
	if (d->death)
		xl.unwatch_death(d->session->ctx, TAKE_PTR(d->death));
	rc = xl.destroy(d->session->ctx, d->domid);
	if (rc && !session_has_store(d->session))
		return domain_kill(d, e);
	/* Somebody else was faster. */
	if (rc == ERROR_DOMAIN_NOTFOUND || rc == ERROR_DOMAIN_DESTROYED)
		rc = 0;
	if (rc)
		return session_error(d->session, rc, e, "destroy the domain");
	session_calm(d->session);
	d->exists = false;
	return 0;
}

static int raw_destroy(uint32_t domid, struct error *e)
{
	char left[160];
	int r = xl.raw_destroy(domid);

	if (r < 0 && r != -ESRCH)
		return error_set(e, r,
				 "Xen cannot destroy domain %u without "
				 "xenstored: %s",
				 domid, strerror(-r));
	xen_host.calm(domid, left, sizeof(left));
	if (*left)
		log_warning("without xenstored dom0's kernel keeps its ends of "
			    "what domain %u had, until the host is restarted: "
			    "%s",
			    domid, left);
	return 0;
}

int domain_kill(struct domain *d, struct error *e)
{
	int r;

	if (!d->exists)
		return 0;
	r = raw_destroy(d->domid, e);
	if (r < 0)
		return r;
	domain_leave(d);
	session_calm(d->session);
	return 0;
}

int domain_reap(const struct vm_config *config, int why, struct error *e)
{
	libxl_uuid uuid;
	uint32_t domid;
	int r;

	if (libxl_uuid_from_string(&uuid, config->uuid) < 0)
		return error_set(e, -EINVAL, "\"%s\" is no uuid", config->uuid);
	r = xl.raw_find(&uuid, &domid);
	if (r == -ENOENT)
		return error_set(e, r, "its domain is gone");
	if (r < 0)
		return error_set(e, r, "Xen cannot list its domains: %s",
				 strerror(-r));
	if (why == -ETIMEDOUT)
		return why;
	r = raw_destroy(domid, e);
	if (r < 0)
		return r;
	return error_set(e, -ENOENT,
			 "xenstored has ended, without which nobody can look "
			 "after its domain: it was destroyed");
}

int domain_info(struct domain *d, libxl_dominfo *ret, struct error *e)
{
	int rc;

	libxl_dominfo_init(ret);
	rc = xl.info(d->session->ctx, ret, d->domid);
	return rc ? session_error(d->session, rc, e, "say how the domain is")
		  : 0;
}

static void node_path(const struct domain *d, const char *node, char *out,
		      size_t size)
{
	snprintf(out, size, "/local/domain/%u/%s", d->domid, node);
}

char *domain_read(struct domain *d, const char *node)
{
	char path[128];
	unsigned size;

	node_path(d, node, path, sizeof(path));
	return xl.xs_read(d->session->xs, path, &size);
}

int domain_write(struct domain *d, const char *node, const char *text,
		 struct error *e)
{
	char path[128];

	node_path(d, node, path, sizeof(path));
	if (xl.xs_write(d->session->xs, path, text))
		return 0;
	return error_set(e, -EIO, "xenstore does not take %s: %m", path);
}
