#include <fcntl.h>
#include <linux/fs.h>
#include <linux/if_tun.h>
#include <linux/vhost.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "supervisor/backends.h"
#include "supervisor/seccomp.h"

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif

/* Allowed with any arguments. */
static const int plain[] = {
	/* the loop (libuv): waiting, waking, its threads' pipe */
	SCMP_SYS(epoll_create1),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(eventfd2),
	SCMP_SYS(pipe2),
	SCMP_SYS(ppoll),
	/* control socket, consoles: connected peers only, socket() is not */
	SCMP_SYS(accept4),
	SCMP_SYS(recvmsg),
	SCMP_SYS(sendmsg),
	SCMP_SYS(recvfrom),
	SCMP_SYS(sendto),
	SCMP_SYS(shutdown),
	SCMP_SYS(getsockname),
	SCMP_SYS(getpeername),
	/* every descriptor we were handed: console log, tap, disks */
	SCMP_SYS(read),
	SCMP_SYS(write),
	SCMP_SYS(readv),
	SCMP_SYS(writev),
	SCMP_SYS(close),
	SCMP_SYS(dup),
	SCMP_SYS(dup3),
	SCMP_SYS(fstat),
	SCMP_SYS(newfstatat), /* glibc's fstat(); the root is empty */
	SCMP_SYS(statx),      /* libuv's uv_fs_fstat(), likewise */
	SCMP_SYS(lseek),
	/* blockdev's thread pool; nvram's spill file */
	SCMP_SYS(pread64),
	SCMP_SYS(pwrite64),
	SCMP_SYS(preadv),
	SCMP_SYS(pwritev),
	SCMP_SYS(preadv2),
	SCMP_SYS(pwritev2),
	SCMP_SYS(fsync),
	SCMP_SYS(fdatasync),
	SCMP_SYS(fallocate),
	SCMP_SYS(ftruncate),
	/* blockdev and the loop's waiting on io_uring: it opens nothing either
	 * in an empty root without capabilities, where no path leads
	 * anywhere */
	SCMP_SYS(io_uring_setup),
	SCMP_SYS(io_uring_enter),
	SCMP_SYS(io_uring_register),
	/* memory; mmap and mprotect are below */
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(brk),
	SCMP_SYS(madvise),
	SCMP_SYS(memfd_create), /* guest memory that can be shared */
	/* threads: vCPUs, the pool; clone is below */
	SCMP_SYS(futex),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(rseq),
	SCMP_SYS(sched_yield),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(gettid),
	SCMP_SYS(getpid),
	SCMP_SYS(getcpu),
	/* signals: SIGTERM by libuv, kicking a vCPU out of the guest, abort */
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(restart_syscall),
	/* clocks: the loop's time, the guest's RTC, stats of vCPU threads */
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_getres),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(nanosleep),
	SCMP_SYS(getrusage),
	/* virtio-rng, hash seeds of json-c */
	SCMP_SYS(getrandom),
	/* questions libuv and glibc ask about the machine and themselves */
	SCMP_SYS(uname),
	SCMP_SYS(sysinfo),
	SCMP_SYS(getuid),
	SCMP_SYS(geteuid),
	SCMP_SYS(getgid),
	SCMP_SYS(getegid),
/* glibc's way of the same where the machine still has the old call */
#ifdef __NR_epoll_wait
	SCMP_SYS(epoll_wait),
#endif
#ifdef __NR_poll
	SCMP_SYS(poll),
#endif
};

/* Refused with an errno instead of death: libraries try these and go on. */
static const struct {
	int nr, err;
} refused[] = {
	/* glibc falls back to clone, whose flags a filter can see */
	{SCMP_SYS(clone3), ENOSYS},
	/* glibc: message catalogues, /proc and /sys look-ups */
	{SCMP_SYS(openat), EACCES},
	{SCMP_SYS(faccessat), EACCES},
	{SCMP_SYS(faccessat2), EACCES},
	{SCMP_SYS(readlinkat), EACCES},
#ifdef __NR_open
	{SCMP_SYS(open), EACCES},
	{SCMP_SYS(access), EACCES},
	{SCMP_SYS(readlink), EACCES},
#endif
};

#define ARG_IS(arg, value)                                                  \
	{                                                                   \
		arg, SCMP_CMP_MASKED_EQ, 0xffffffffU, (scmp_datum_t)(value) \
	}
#define ARG_WITHOUT(arg, bits)                     \
	{                                          \
		arg, SCMP_CMP_MASKED_EQ, (bits), 0 \
	}

#define THREAD_FLAGS \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD)
#define NAMESPACE_FLAGS                                                \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | \
	 CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET)

/* Allowed when one argument is as said. Only the low 32 bits of a number
 * count, as in the kernel. */
static const struct {
	int nr;
	struct scmp_arg_cmp arg;
} conditional[] = {
	/* data is never code */
	{SCMP_SYS(mmap), ARG_WITHOUT(2, PROT_EXEC)},
	{SCMP_SYS(mprotect), ARG_WITHOUT(2, PROT_EXEC)},
	/* threads, never processes or namespaces */
	{SCMP_SYS(clone),
	 {0, SCMP_CMP_MASKED_EQ, THREAD_FLAGS | NAMESPACE_FLAGS, THREAD_FLAGS}},
	/* thread names; glibc naming its heaps */
	{SCMP_SYS(prctl), ARG_IS(0, PR_SET_NAME)},
	{SCMP_SYS(prctl), ARG_IS(0, PR_SET_VMA)},
	/* sysconf() reads limits, nobody sets them */
	{SCMP_SYS(prlimit64), {2, SCMP_CMP_EQ, 0}},
	/* fd.h, channel, libuv */
	{SCMP_SYS(fcntl), ARG_IS(1, F_GETFD)},
	{SCMP_SYS(fcntl), ARG_IS(1, F_SETFD)},
	{SCMP_SYS(fcntl), ARG_IS(1, F_GETFL)},
	{SCMP_SYS(fcntl), ARG_IS(1, F_SETFL)},
	{SCMP_SYS(fcntl), ARG_IS(1, F_DUPFD_CLOEXEC)},
	{SCMP_SYS(fcntl), ARG_IS(1, F_GET_SEALS)},
	{SCMP_SYS(fcntl), ARG_IS(1, F_ADD_SEALS)},
	/* who is the peer; buffer sizes */
	{SCMP_SYS(getsockopt), ARG_IS(1, SOL_SOCKET)},
	{SCMP_SYS(setsockopt), ARG_IS(1, SOL_SOCKET)},
	/* libuv: non-blocking mode, close on exec; isatty() of stderr */
	{SCMP_SYS(ioctl), ARG_IS(1, FIONBIO)},
	{SCMP_SYS(ioctl), ARG_IS(1, FIOCLEX)},
	{SCMP_SYS(ioctl), ARG_IS(1, TCGETS)},
	/* blockdev: size and geometry of a block device */
	{SCMP_SYS(ioctl), ARG_IS(1, BLKGETSIZE64)},
	{SCMP_SYS(ioctl), ARG_IS(1, BLKSSZGET)},
	{SCMP_SYS(ioctl), ARG_IS(1, BLKPBSZGET)},
	{SCMP_SYS(ioctl), ARG_IS(1, BLKROGET)},
	/* netdev: what the tap is and which offloads the guest took */
	{SCMP_SYS(ioctl), ARG_IS(1, TUNGETIFF)},
	{SCMP_SYS(ioctl), ARG_IS(1, TUNGETFEATURES)},
	{SCMP_SYS(ioctl), ARG_IS(1, TUNSETOFFLOAD)},
	{SCMP_SYS(ioctl), ARG_IS(1, TUNSETQUEUE)},
	{SCMP_SYS(ioctl), ARG_IS(1, TUNSETVNETHDRSZ)},
	{SCMP_SYS(ioctl), ARG_IS(1, TUNGETVNETHDRSZ)},
	/* vhost_kernel: our memory, rings and eventfds for a kernel thread of
	 * ours. Not the context id of vsock: the daemon has set it. */
	{SCMP_SYS(ioctl), ARG_IS(1, VHOST_SET_OWNER)},
	{SCMP_SYS(ioctl), ARG_IS(1, VHOST_GET_FEATURES)},
	{SCMP_SYS(ioctl), ARG_IS(1, VHOST_SET_FEATURES)},
	{SCMP_SYS(ioctl), ARG_IS(1, VHOST_SET_MEM_TABLE)},
	{SCMP_SYS(ioctl), ARG_IS(1, VHOST_SET_VRING_NUM)},
	{SCMP_SYS(ioctl), ARG_IS(1, VHOST_SET_VRING_BASE)},
	{SCMP_SYS(ioctl), ARG_IS(1, VHOST_GET_VRING_BASE)},
	{SCMP_SYS(ioctl), ARG_IS(1, VHOST_SET_VRING_ADDR)},
	{SCMP_SYS(ioctl), ARG_IS(1, VHOST_SET_VRING_KICK)},
	{SCMP_SYS(ioctl), ARG_IS(1, VHOST_SET_VRING_CALL)},
	{SCMP_SYS(ioctl), ARG_IS(1, VHOST_SET_VRING_ERR)},
	{SCMP_SYS(ioctl), ARG_IS(1, VHOST_VSOCK_SET_RUNNING)},
	/* vhost_net: the tap its rings belong to */
	{SCMP_SYS(ioctl), ARG_IS(1, VHOST_NET_SET_BACKEND)},
};

/* A backend whose libraries do more by themselves. */
static bool is_needed(int nr)
{
	const struct backend *b;

	for (size_t i = 0; (b = backend_at(i)); i++)
		for (size_t n = 0; b->needs && n < b->needs->n_calls; n++)
			if (b->needs->calls[n] == nr)
				return true;
	return false;
}

static int add_refused(scmp_filter_ctx ctx)
{
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		uint32_t action = SCMP_ACT_ERRNO((uint32_t)refused[i].err);
		int r;

		if (is_needed(refused[i].nr))
			continue;
		r = seccomp_rule_add(ctx, action, refused[i].nr, 0);
		if (r < 0)
			return r;
	}
	return 0;
}

static int add_conditional(scmp_filter_ctx ctx)
{
	const struct scmp_arg_cmp self = ARG_IS(0, getpid());

	for (size_t i = 0; i < ARRAY_SIZE(conditional); i++) {
		int r = seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW,
					       conditional[i].nr, 1,
					       &conditional[i].arg);

		if (r < 0)
			return r;
	}
	/* pthread_kill() and abort(): our own threads, nobody else's. */
	return seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
				      &self);
}

static int add_needs(scmp_filter_ctx ctx, const struct sandbox_needs *needs)
{
	for (size_t i = 0; i < needs->n_calls; i++) {
		int r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, needs->calls[i],
					 0);

		if (r < 0)
			return r;
	}
	return 0;
}

static int add_backend(scmp_filter_ctx ctx, const struct backend *b)
{
	const unsigned long *requests;
	size_t n = 0;
	int r = b->needs ? add_needs(ctx, b->needs) : 0;

	if (r < 0 || !b->ioctls)
		return r;
	requests = b->ioctls(&n);
	for (size_t i = 0; i < n; i++) {
		const struct scmp_arg_cmp arg = ARG_IS(1, requests[i]);

		r = seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, SCMP_SYS(ioctl),
					   1, &arg);
		if (r < 0)
			return r;
	}
	return 0;
}

static int add_rules(scmp_filter_ctx ctx)
{
	const struct backend *b;
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(plain); i++) {
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, plain[i], 0);
		if (r < 0)
			return r;
	}
	r = add_refused(ctx);
	if (r == 0)
		r = add_conditional(ctx);
	for (size_t i = 0; r == 0 && (b = backend_at(i)); i++)
		r = add_backend(ctx, b);
	return r;
}

int seccomp_enter(enum seccomp_mode mode, struct error *e)
{
	scmp_filter_ctx ctx;
	int r;

	ctx = seccomp_init(mode == SECCOMP_KILL ? SCMP_ACT_KILL_PROCESS
						: SCMP_ACT_LOG);
	if (!ctx)
		return error_set(e, -ENOMEM, "seccomp: out of memory");
	/* A vCPU is in ioctl(KVM_RUN) again after every exit. */
	r = seccomp_syscall_priority(ctx, SCMP_SYS(ioctl), 255);
	if (r == 0)
		r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH,
				     SCMP_ACT_KILL_PROCESS);
	if (r == 0)
		r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	if (r == 0)
		r = add_rules(ctx);
	if (r == 0)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	if (r < 0)
		return error_set(e, r, "seccomp: cannot load the filter: %s",
				 strerror(-r));
	return 0;
}
