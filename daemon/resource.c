#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "daemon/nic_host.h"
#include "daemon/resource.h"
#include "daemon/vm_fs.h"
#include "daemon/vm_log.h"
#include "daemon/vm_nvram.h"
#include "daemon/vm_vsock.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/image/image.h"

void resources_done(struct resources *r)
{
	for (size_t i = 0; i < r->count; i++)
		r->list[i].fd = fd_close(r->list[i].fd);
	r->count = 0;
	while (r->n_passts > 0)
		passt_forget(r->passts[--r->n_passts]);
}

int resources_find(const struct resources *r, const char *role)
{
	for (size_t i = 0; i < r->count; i++)
		if (streq(r->list[i].role, role))
			return r->list[i].fd;
	return -1;
}

void resources_add(struct resources *r, const char *role, const char *id,
		   int fd)
{
	struct resource *at = &r->list[r->count++];

	snprintf(at->role, sizeof(at->role), "%s%s", role, id);
	at->fd = fd;
}

static int kvm_open(int *ret, struct error *e)
{
	int fd = -1;

#ifdef __aarch64__
	fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return error_set(e, -ENODEV,
				 "this host has no usable /dev/kvm: %s; a VM "
				 "needs an ARM host whose kernel runs at EL2",
				 strerror(errno));
#else
	return error_set(e, -ENODEV,
			 "KVM for ARM guests needs an AArch64 host; this is "
			 "not one (the hypervisor \"null\" runs anywhere)");
#endif
	*ret = fd;
	return 0;
}

static int find_kvm(const struct manager *m, struct error *e)
{
	_cleanup_close_ int fd = -1;

	return kvm_open(&fd, e);
}

static int find_xen(const struct manager *m, struct error *e)
{
	int r = manager_find_xen(m, e);

	return r < 0 ? error_prefix(e, r, "hypervisor \"xen\"") : 0;
}

static int find_null(const struct manager *m, struct error *e)
{
	return 0;
}

static int (*const finders[])(const struct manager *m, struct error *e) = {
	[VM_HYPERVISOR_KVM] = find_kvm,
	[VM_HYPERVISOR_XEN] = find_xen,
	[VM_HYPERVISOR_NULL] = find_null,
};

/* Under Xen there is no KVM, so the order says nothing. */
static int find_any(const struct manager *m, int *ret, struct error *e)
{
	struct error kvm = ERROR_INIT, xen = ERROR_INIT;

	*ret = VM_HYPERVISOR_KVM;
	if (find_kvm(m, &kvm) == 0)
		return 0;
	*ret = VM_HYPERVISOR_XEN;
	if (manager_find_xen(m, &xen) == 0)
		return 0;
	return error_set(e, -ENODEV, "%s; nor is there Xen: %s", kvm.message,
			 xen.message);
}

int resources_hypervisor(const struct manager *m, int wanted, int *ret,
			 struct error *e)
{
	int found = wanted, r;

	r = wanted == VM_HYPERVISOR_AUTO ? find_any(m, &found, e)
					 : finders[wanted](m, e);
	if (r == 0)
		*ret = found;
	return r;
}

/* O_NONBLOCK: a FIFO or a device without medium must not hold the daemon. */
static int disk_open(const struct disk_config *d, int *ret, struct error *e)
{
	_cleanup_close_ int fd = open(
		d->path, (d->readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC |
				 O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0 && errno == EISDIR)
		return error_set(e, -EINVAL,
				 "disk \"%s\" is a directory; give a raw image "
				 "file or a block device",
				 d->path);
	if (fd < 0)
		return error_set(e, -errno, "cannot open disk \"%s\": %m",
				 d->path);
	if (fstat(fd, &st) < 0)
		return error_set(e, -errno, "disk \"%s\": %m", d->path);
	if (S_ISDIR(st.st_mode))
		return error_set(e, -EINVAL,
				 "disk \"%s\" is a directory; give a raw image "
				 "file or a block device",
				 d->path);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return error_set(e, -EINVAL,
				 "disk \"%s\" is neither a regular file nor a "
				 "block device",
				 d->path);
	*ret = TAKE_FD(fd);
	return 0;
}

/* On the open file description, which the supervisor shares: the lock lives
 * exactly as long as someone uses the disk, a crash included. */
static int disk_lock(int fd, const struct disk_config *d, struct error *e)
{
	struct flock lock = {.l_type = d->readonly ? F_RDLCK : F_WRLCK,
			     .l_whence = SEEK_SET};

	if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
		return 0;
	if (errno != EAGAIN && errno != EACCES)
		return error_set(e, -errno, "cannot lock disk \"%s\": %m",
				 d->path);
	return error_set(e, -EBUSY,
			 "disk \"%s\" is in use by a running VM; stop that "
			 "one, or give both the disk as readonly",
			 d->path);
}

int resources_disk_open(const struct disk_config *d, bool use, int *ret,
			struct error *e)
{
	_cleanup_close_ int fd = -1;
	int r = disk_open(d, &fd, e);

	if (r == 0 && use)
		r = disk_lock(fd, d, e);
	if (r == 0)
		*ret = TAKE_FD(fd);
	return r;
}

/* Whether two descriptors are one file, by whatever paths. */
static bool same_file(int a, int b)
{
	struct stat x, y;

	if (fstat(a, &x) < 0 || fstat(b, &y) < 0)
		return false;
	if (S_ISBLK(x.st_mode) || S_ISBLK(y.st_mode))
		return S_ISBLK(x.st_mode) && S_ISBLK(y.st_mode) &&
		       x.st_rdev == y.st_rdev;
	return x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* `fds` are of the disks before number `i`, and of that one. */
static int check_own_file(const struct vm_config *c, const int *fds, size_t i,
			  struct error *e)
{
	for (size_t j = 0; j < i; j++)
		if (!(c->disks[i].readonly && c->disks[j].readonly) &&
		    same_file(fds[i], fds[j]))
			return error_set(e, -EINVAL,
					 "disk \"%s\" is the same file as "
					 "disk \"%s\"; give it one of its own, "
					 "or make both readonly",
					 c->disks[i].path, c->disks[j].path);
	return 0;
}

/* They exist, and none is another. */
static int check_own_files(const struct vm_config *c, struct error *e)
{
	int fds[VM_DISKS_MAX], r = 0;
	size_t n = 0;

	while (r == 0 && n < c->n_disks) {
		r = disk_open(&c->disks[n], &fds[n], e);
		if (r == 0)
			r = check_own_file(c, fds, n++, e);
	}
	while (n > 0)
		fd_close(fds[--n]);
	return r;
}

/* That one can be booted from; with a kernel given, none need be. */
static int disks_check(const struct vm_config *c, struct error *e)
{
	bool aarch64 = c->arch == VM_ARCH_AARCH64;
	struct error first = ERROR_INIT;
	int own = check_own_files(c, e);

	if (own < 0)
		return own;

	for (size_t i = 0; i < c->n_disks; i++) {
		_cleanup_close_ int fd = -1;
		struct image_report report = {0};
		struct error why = ERROR_INIT;
		int r = disk_open(&c->disks[i], &fd, e);

		if (r == 0 && c->kernel)
			continue;
		if (r == 0)
			r = image_check(fd, c->disks[i].path, &report, e);
		if (r < 0)
			return r;
		if (image_report_bootable(&report, aarch64, c->disks[i].path,
					  &why) == 0)
			return 0;
		if (i == 0)
			first = why;
	}
	/* Without any disk the firmware's own shell is what boots. */
	if (c->n_disks == 0 || c->kernel)
		return 0;
	*e = first;
	return -first.err;
}

/* What a host can give is only known where the hypervisor could be asked when
 * the daemon started; the supervisor judges again. */
static int caps_check(const struct manager *m, const struct vm_config *c,
		      int hypervisor, struct error *e)
{
	struct guest_abi abi;

	if (hypervisor == VM_HYPERVISOR_XEN)
		return xen_caps_check(&m->xen, c, e);
	if (hypervisor != VM_HYPERVISOR_KVM || !m->caps_known)
		return 0;
	return host_caps_choose(&m->caps, c, &abi, e);
}

int resources_check(const struct manager *m, const struct vm_config *c,
		    struct error *e)
{
	_cleanup_resources_ struct resources opened = {0};
	int hypervisor, r;

	r = disks_check(c, e);
	if (r == 0)
		r = vm_fs_check(c, e);
	if (r == 0)
		r = resources_hypervisor(m, c->hypervisor, &hypervisor, e);
	if (r == 0)
		r = caps_check(m, c, hypervisor, e);
	return r == 0 ? resources_open_boot(c, hypervisor, &opened, e) : r;
}

static int disks_open(const struct vm_config *c, bool use,
		      struct resources *res, struct error *e)
{
	for (size_t i = 0; i < c->n_disks; i++) {
		const struct disk_config *d = &c->disks[i];
		int fd, r = resources_disk_open(d, use, &fd, e);

		if (r < 0)
			return r;
		resources_add(res, "disk:", d->id, fd);
	}
	return 0;
}

/* "nic:ID", "nic:ID/1", ..., then "vhost:ID" likewise. */
static void add_nic(struct resources *res, const struct nic_config *nic,
		    struct nic_host *host)
{
	unsigned queues = vm_nic_queues(nic);

	for (unsigned i = 0; i < host->fds.n; i++) {
		char id[VM_DEVICE_ID_MAX + 8];

		snprintf(id, sizeof(id), i % queues ? "%s/%u" : "%s", nic->id,
			 i % queues);
		resources_add(res, i < queues ? "nic:" : "vhost:", id,
			      host->fds.fds[i]);
	}
	host->fds.n = 0;
	if (host->passt)
		res->passts[res->n_passts++] = TAKE_PTR(host->passt);
}

/* Xen's are made where the rest of them is, by the backend. */
static int nics_open(struct vm *vm, const struct vm_config *c, int hypervisor,
		     struct resources *res, struct error *e)
{
	if (hypervisor == VM_HYPERVISOR_XEN)
		return 0;
	for (size_t i = 0; i < c->n_nics; i++) {
		const struct nic_config *n = &c->nics[i];
		struct nic_host host;
		int r = nic_host_open(n, vm, &host, e);

		if (r < 0)
			return r;
		add_nic(res, n, &host);
	}
	return 0;
}

/* What only a guest that really runs has a use for. */
static int host_open(struct vm *vm, const struct vm_config *c,
		     struct resources *res, struct error *e)
{
	int fd, r = kvm_open(&fd, e);

	if (r < 0)
		return r;
	resources_add(res, "kvm", "", fd);
	if (c->vsock.cid) {
		r = vm_vsock_open(c, &fd, e);
		if (r == 0)
			resources_add(res, "vsock", "", fd);
	}
	for (size_t i = 0; i < c->n_filesystems && r == 0; i++) {
		const struct filesystem_config *fs = &c->filesystems[i];

		r = vm_fs_open(vm, fs, &fd, e);
		if (r == 0)
			resources_add(res, "fs:", fs->tag, fd);
	}
	return r;
}

/* What a VM keeps: variables and the console's log. */
static int records_open(struct vm *vm, struct resources *res, struct error *e)
{
	int fd, r = vm_nvram_open(vm, &fd, e);

	if (r == 0) {
		resources_add(res, "nvram", "", fd);
		r = vm_nvram_spill_open(vm, &fd, e);
	}
	if (r == 0)
		resources_add(res, "spill", "", fd);
	if (r == 0)
		vm_log_open(vm, res);
	return r;
}

/* Each step adds to `res` what it opened, so that a failure closes it all. */
static int open_into(struct vm *vm, const struct vm_config *c, int hypervisor,
		     struct resources *res, struct error *e)
{
	int r = caps_check(vm->manager, c, hypervisor, e);

	if (r == 0)
		r = disks_check(c, e);
	if (r == 0)
		r = disks_open(c, true, res, e);
	if (r == 0)
		r = nics_open(vm, c, hypervisor, res, e);
	if (r == 0 && hypervisor == VM_HYPERVISOR_KVM)
		r = host_open(vm, c, res, e);
	if (r == 0)
		r = resources_open_boot(c, hypervisor, res, e);
	return r == 0 ? records_open(vm, res, e) : r;
}

int resources_open(struct vm *vm, const struct vm_config *c, int hypervisor,
		   struct resources *ret, struct error *e)
{
	int r = open_into(vm, c, hypervisor, ret, e);

	if (r < 0)
		resources_done(ret);
	return r;
}

int resources_reopen(struct vm *vm, int hypervisor, struct resources *ret,
		     struct error *e)
{
	struct error why = ERROR_INIT;
	int r = records_open(vm, ret, e);

	if (r < 0)
		resources_done(ret);
	else if (resources_open_boot(&vm->config, hypervisor, ret, &why) < 0)
		log_vm(LOG_LEVEL_WARNING, vm->config.name,
		       "it cannot be booted again: %s", why.message);
	return r;
}
