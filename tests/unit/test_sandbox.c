/*
 * What a sandboxed process can and cannot do any more. Each case runs in a
 * child: the filter stays for the life of a process. The steps that need root
 * (own uid, namespaces) are tested where root is to be had.
 */
#include <fcntl.h>
#include <liburing.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <uv.h>

#include "supervisor/sandbox.h"

#define DENIED 100 /* exit status: the call failed, the process lives */

typedef int attempt_fn(void);

/* Runs `attempt` behind the filter; returns the child's wait status. */
static int run_filtered(attempt_fn *attempt)
{
	int status = 0;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		struct rlimit none = {0};

		setrlimit(RLIMIT_CORE, &none);
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		    seccomp_enter(SECCOMP_KILL, NULL) < 0)
			_exit(99);
		_exit(attempt());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static int try_socket(void)
{
	return syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0) < 0 ? DENIED : 0;
}

static int try_execve(void)
{
	char program[] = "/bin/true";
	char *const argv[] = {program, NULL};

	syscall(SYS_execve, argv[0], argv, argv + 1);
	return DENIED;
}

static int try_ptrace(void)
{
	return syscall(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0) < 0 ? DENIED : 0;
}

static int try_fork(void)
{
	return syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) < 0 ? DENIED : 0;
}

static int try_thread_in_namespace(void)
{
	syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
	return DENIED;
}

static int try_unknown_ioctl(void)
{
	return syscall(SYS_ioctl, 0, TIOCSTI, "x") < 0 ? DENIED : 0;
}

static int try_exec_memory(void)
{
	syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_EXEC,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return DENIED;
}

static int try_make_executable(void)
{
	static char page[8192];
	char *at = (char *)ALIGN_UP((uintptr_t)page, 4096);

	syscall(SYS_mprotect, at, 4096, PROT_READ | PROT_EXEC);
	return DENIED;
}

static int try_kill_other(void)
{
	syscall(SYS_tgkill, 1, 1, 0);
	return DENIED;
}

static int try_set_limit(void)
{
	struct rlimit limit = {1, 1};

	syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, &limit, NULL);
	return DENIED;
}

static int try_mount(void)
{
	syscall(SYS_mount, "none", "/", "tmpfs", 0, NULL);
	return DENIED;
}

static int try_setuid(void)
{
	syscall(SYS_setuid, 0);
	return DENIED;
}

static void test_kills(void **state)
{
	attempt_fn *const attempts[] = {
		try_socket,
		try_execve,
		try_ptrace,
		try_fork,
		try_thread_in_namespace,
		try_unknown_ioctl,
		try_exec_memory,
		try_make_executable,
		try_kill_other,
		try_set_limit,
		try_mount,
		try_setuid,
	};

	for (size_t i = 0; i < ARRAY_SIZE(attempts); i++) {
		int status = run_filtered(attempts[i]);

		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
			fail_msg("attempt %zu: wait status %#x", i,
				 (unsigned)status);
	}
}

static int try_open(void)
{
	long r = syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY);

	return r < 0 && errno == EACCES ? DENIED : 0;
}

static int try_clone3(void)
{
	return syscall(SYS_clone3, NULL, 0) < 0 && errno == ENOSYS ? DENIED : 0;
}

static void test_refuses(void **state)
{
	attempt_fn *const attempts[] = {try_open, try_clone3};

	for (size_t i = 0; i < ARRAY_SIZE(attempts); i++) {
		int status = run_filtered(attempts[i]);

		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), DENIED);
	}
}

/* Raw calls where the sanitizers would add calls of their own. */
static int use_memory(void)
{
	long p = syscall(SYS_mmap, NULL, 8192, PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == -1 ||
	    syscall(SYS_mprotect, p, 4096, PROT_READ | PROT_WRITE) < 0 ||
	    syscall(SYS_munmap, p, 8192) < 0)
		return 1;
	return 0;
}

static int use_files(void)
{
	int fd = memfd_create("x", MFD_CLOEXEC);
	char byte = 'x';

	if (fd < 0 || ftruncate(fd, 4096) < 0 || pwrite(fd, &byte, 1, 9) != 1 ||
	    pread(fd, &byte, 1, 9) != 1 || fdatasync(fd) < 0 ||
	    fcntl(fd, F_DUPFD_CLOEXEC, 10) < 0)
		return 1;
	return isatty(fd); /* an ioctl that is allowed */
}

static int use_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return 1;
	return syscall(SYS_tgkill, getpid(), gettid(), SIGUSR1) < 0;
}

static void *thread_main(void *arg)
{
	*(int *)arg = 0;
	return NULL;
}

/* vCPUs: glibc tries clone3, is refused, and uses clone. */
static int use_threads(void)
{
	pthread_t thread;
	int result = 1;

	if (pthread_create(&thread, NULL, thread_main, &result) != 0)
		return 2;
	return pthread_join(thread, NULL) ? 3 : result;
}

static void on_work(uv_work_t *work)
{
	*(int *)work->data = 0;
}

static void on_worked(uv_work_t *work, int status)
{
}

/* The main thread, and blockdev where the host forbids io_uring. */
static int use_loop(void)
{
	int result = 1;
	uv_work_t work = {.data = &result};
	uv_loop_t loop;

	if (uv_loop_init(&loop) < 0 ||
	    uv_queue_work(&loop, &work, on_work, on_worked) < 0)
		return 2;
	uv_run(&loop, UV_RUN_DEFAULT);
	return result;
}

static int use_io_uring(void)
{
	struct io_uring ring;
	struct io_uring_cqe *cqe;
	int r = io_uring_queue_init(8, &ring, 0);

	if (r == -ENOSYS || r == -EPERM)
		return 0; /* the host forbids it, not the filter */
	if (r < 0)
		return 1;
	io_uring_prep_nop(io_uring_get_sqe(&ring));
	r = io_uring_submit_and_wait(&ring, 1) != 1 ||
	    io_uring_peek_cqe(&ring, &cqe) < 0;
	io_uring_queue_exit(&ring);
	return r;
}

static void test_lets_work(void **state)
{
	attempt_fn *const attempts[] = {
		use_memory,  use_files, use_signals,
		use_threads, use_loop,	use_io_uring,
	};

	for (size_t i = 0; i < ARRAY_SIZE(attempts); i++) {
		int status = run_filtered(attempts[i]);

		if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
			fail_msg("use %zu: wait status %#x", i,
				 (unsigned)status);
	}
}

static void test_root_needs_a_uid(void **state)
{
	const struct sandbox_params params = {.vm = "x", .uid = 0};
	struct error e = ERROR_INIT;

	if (geteuid() != 0)
		skip();
	assert_int_equal(sandbox_enter(&params, &e), -EINVAL);
	assert_non_null(strstr(e.message, "--uid 0"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kills),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_lets_work),
		cmocka_unit_test(test_root_needs_a_uid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
