#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "supervisor/sandbox.h"

/* A guest of 512 vCPUs with 32 devices, each with its eventfds, fits. */
#define FDS_MAX	    4096
#define THREADS_MAX 2048

/* Any directory every Linux has: it is covered for us alone. */
#define COVERED "/proc"

static int set_limit(int resource, rlim_t value)
{
	struct rlimit limit;

	if (getrlimit((__rlimit_resource_t)resource, &limit) < 0)
		return -errno;
	/* Only root may raise the hard limit; a lower one is kept. */
	if (geteuid() != 0 && limit.rlim_max < value)
		value = limit.rlim_max;
	limit = (struct rlimit){value, value};
	return setrlimit((__rlimit_resource_t)resource, &limit) < 0 ? -errno
								    : 0;
}

static int enter_limits(bool own_uid, struct error *e)
{
	int r = set_limit(RLIMIT_CORE, 0);

	if (r == 0)
		r = set_limit(RLIMIT_NOFILE, FDS_MAX);
	/* Counted per uid, so only where the uid is the VM's own. */
	if (r == 0 && own_uid)
		r = set_limit(RLIMIT_NPROC, THREADS_MAX);
	return r < 0 ? error_set(e, r, "sandbox: setrlimit: %s", strerror(-r))
		     : 0;
}

/* Make the current directory the root and forget the old one. */
static int switch_root(void)
{
	/* Both in the same place (pivot_root(2), NOTES): the old root is then
	 * stacked on the new one and taken away. */
	if (syscall(SYS_pivot_root, ".", ".") == 0)
		return umount2(".", MNT_DETACH) < 0 ? -errno : 0;
	if (errno != EINVAL)
		return -errno;
	/* An initramfs cannot be pivoted away from: cover it. */
	if (mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0)
		return -errno;
	return 0;
}

/* Every folder above and the last name itself, in the root to be. */
static int make_place(const char *path, bool folder)
{
	char at[PATH_MAX];
	int fd;

	snprintf(at, sizeof(at), "%s", path + 1);
	for (char *slash = strchr(at, '/'); slash;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(at, 0755) < 0 && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	if (folder)
		return mkdir(at, 0755) < 0 && errno != EEXIST ? -errno : 0;
	fd = open(at, O_CREAT | O_RDONLY | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

/* In the root to be, which is the current directory. */
static int bind_paths(const char *const *paths)
{
	for (; *paths; paths++) {
		struct stat st;
		int r;

		if (stat(*paths, &st) < 0)
			continue;
		r = make_place(*paths, S_ISDIR(st.st_mode));
		if (r < 0)
			return r;
		if (mount(*paths, *paths + 1, NULL, MS_BIND | MS_REC, NULL) < 0)
			return -errno;
	}
	/* libxl names files by their descriptors; nobody's processes but its
	 * own are to be seen. */
	if (mkdir("proc", 0555) < 0 ||
	    mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		  "hidepid=ptraceable,subset=pid") < 0)
		return -errno;
	return 0;
}

static int enter_root(const struct sandbox_needs *needs)
{
	const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
	int r;

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("empty", COVERED, "tmpfs", flags,
		  needs ? "size=64k,nr_inodes=64,mode=0555"
			: "size=4k,nr_inodes=2,mode=0555") < 0 ||
	    chdir(COVERED) < 0)
		return -errno;
	r = needs ? bind_paths(needs->paths) : 0;
	if (r == 0)
		r = switch_root();
	if (r < 0)
		return r;
	if (chdir("/") < 0 ||
	    mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | flags,
		  NULL) < 0)
		return -errno;
	return 0;
}

static int enter_namespaces(const struct sandbox_needs *needs, struct error *e)
{
	int spaces = CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS, r;

	if (!needs || !needs->network)
		spaces |= CLONE_NEWNET;
	if (unshare(spaces) < 0)
		return error_set(e, -errno, "sandbox: unshare: %s",
				 strerror(errno));
	r = enter_root(needs);
	return r < 0 ? error_set(e, r, "sandbox: cannot make its root: %s",
				 strerror(-r))
		     : 0;
}

/* Until the kernel knows no capability of that number. */
static int drop_bounding_set(uint64_t kept)
{
	for (unsigned long cap = 0; cap < 64; cap++) {
		if (kept >> cap & 1)
			continue;
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0)
			continue;
		return errno == EINVAL && cap > CAP_SETPCAP ? 0 : -errno;
	}
	return 0;
}

static int capabilities(int call, struct __user_cap_data_struct data[2])
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};

	return syscall(call, &header, data) < 0 ? -errno : 0;
}

static int drop_privileges(uid_t uid)
{
	struct __user_cap_data_struct none[2] = {{0}};
	gid_t gid = (gid_t)uid;
	int r;

	r = drop_bounding_set(0);
	if (r < 0)
		return r;
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 ||
	    setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 ||
	    setresuid(uid, uid, uid) < 0)
		return -errno;
	return capabilities(SYS_capset, none);
}

/* Believe the kernel, not our own calls. */
static bool privileges_are_gone(uid_t uid)
{
	struct __user_cap_data_struct have[2] = {{~0U, ~0U, ~0U}};
	uid_t ids[6];

	if (getresuid(&ids[0], &ids[1], &ids[2]) < 0 ||
	    getresgid(&ids[3], &ids[4], &ids[5]) < 0)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
		if (ids[i] != uid)
			return false;
	if (capabilities(SYS_capget, have) < 0)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(have); i++)
		if (have[i].effective | have[i].permitted | have[i].inheritable)
			return false;
	return getgroups(0, NULL) == 0 && setuid(0) < 0;
}

static int enter_uid(uid_t uid, struct error *e)
{
	int r = drop_privileges(uid);

	if (r < 0)
		return error_set(e, r, "sandbox: cannot become uid %u: %s",
				 (unsigned)uid, strerror(-r));
	if (!privileges_are_gone(uid))
		return error_set(e, -EPERM,
				 "sandbox: privileges are left after becoming "
				 "uid %u",
				 (unsigned)uid);
	return 0;
}

/* Root in name, with what is listed alone. */
static int keep_needs(uint64_t kept, struct error *e)
{
	uint32_t low = (uint32_t)kept, high = (uint32_t)(kept >> 32);
	struct __user_cap_data_struct some[2] = {{low, low, 0},
						 {high, high, 0}};
	struct __user_cap_data_struct have[2] = {{~0U, ~0U, ~0U}};
	int r = drop_bounding_set(kept);

	if (r == 0 &&
	    (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 ||
	     setgroups(0, NULL) < 0))
		r = -errno;
	if (r == 0)
		r = capabilities(SYS_capset, some);
	if (r == 0)
		r = capabilities(SYS_capget, have);
	if (r < 0)
		return error_set(e, r, "sandbox: cannot drop privileges: %s",
				 strerror(-r));
	if (have[0].permitted != low || have[1].permitted != high)
		return error_set(e, -EPERM, "sandbox: privileges are left");
	return 0;
}

int sandbox_enter(const struct sandbox_params *params, struct error *e)
{
	bool root = geteuid() == 0;
	int r;

	if (root && params->uid == 0)
		return error_set(e, -EINVAL,
				 "sandbox: --uid 0 is not accepted: a VM runs "
				 "under a uid of its own");
	r = enter_limits(root && !params->needs, e);
	if (r < 0)
		return r;
	if (root) {
		r = enter_namespaces(params->needs, e);
		if (r == 0)
			r = params->needs
				    ? keep_needs(params->needs->capabilities, e)
				    : enter_uid(params->uid, e);
		if (r < 0)
			return r;
	} else {
		log_vm(LOG_LEVEL_WARNING, params->vm,
		       "not started by root: no own uid and no namespaces, "
		       "the sandbox is the system call filter alone");
	}
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_set(e, -errno, "sandbox: prctl: %s",
				 strerror(errno));
	return seccomp_enter(params->seccomp, e);
}
