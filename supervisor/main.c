#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/parse.h"
#include "lib/model/vm_config.h"
#include "lib/wire/messages.h"
#include "supervisor/backends.h"
#include "supervisor/probe.h"
#include "supervisor/sandbox.h"
#include "supervisor/share.h"
#include "supervisor/supervisor.h"

static const char usage[] =
	"Usage: armvm-supervisor --control-fd 3 --uid N --name VM\n"
	"                        [--log-level error|warning|info|debug]\n"
	"                        [--seccomp kill|log]\n"
	"       armvm-supervisor --probe\n"
	"       armvm-supervisor --share PATH --server PROGRAM [--readonly]\n"
	"\n"
	"Runs one VM. Started by armvmd, which binds the control socket and\n"
	"hands over everything else through it; not meant to be run by hand.\n"
	"--probe prints what the hypervisor (KVM: at descriptor 3) can do.\n"
	"--share becomes the server of a folder, on the socket at descriptor "
	"3.\n";

/*
 * Sanitized builds: the leak check at the end traces its own process, which
 * the filter would answer with death, and reads /proc, which an empty root
 * does not have: there it is left out.
 */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#include <sanitizer/lsan_interface.h>

int __lsan_is_turned_off(void)
{
	return access("/proc/self/task", F_OK) < 0;
}
#define SECCOMP_DEFAULT SECCOMP_REPORT
#else
#define SECCOMP_DEFAULT SECCOMP_KILL
#endif

struct options {
	const char *name;
	uint64_t uid;
	enum log_level log_level;
	enum seccomp_mode seccomp;
	bool probe;
	struct share_params share;
};

static int parse_log_level(const char *text, enum log_level *ret,
			   struct error *e)
{
	static const struct {
		const char *name;
		enum log_level level;
	} levels[] = {
		{"error", LOG_LEVEL_ERROR},
		{"warning", LOG_LEVEL_WARNING},
		{"info", LOG_LEVEL_INFO},
		{"debug", LOG_LEVEL_DEBUG},
	};

	for (size_t i = 0; i < ARRAY_SIZE(levels); i++) {
		if (!streq(text, levels[i].name))
			continue;
		*ret = levels[i].level;
		return 0;
	}
	return error_set(e, -EINVAL,
			 "--log-level %s is not accepted: error, warning, info "
			 "and debug are",
			 text);
}

static int parse_seccomp(const char *text, enum seccomp_mode *ret,
			 struct error *e)
{
	if (!streq(text, "kill") && !streq(text, "log"))
		return error_set(e, -EINVAL,
				 "--seccomp %s is not accepted: kill and log "
				 "are",
				 text);
	*ret = streq(text, "kill") ? SECCOMP_KILL : SECCOMP_REPORT;
	return 0;
}

static int parse_option(struct options *o, int option, const char *value,
			struct error *e)
{
	uint64_t fd;

	switch (option) {
	case 'c':
		return parse_u64(value, "--control-fd", WIRE_CONTROL_FD,
				 WIRE_CONTROL_FD, &fd, e);
	case 'u':
		return parse_u64(value, "--uid", 0, UINT32_MAX - 1, &o->uid, e);
	case 'n':
		o->name = value;
		return 0;
	case 'l':
		return parse_log_level(value, &o->log_level, e);
	case 's':
		return parse_seccomp(value, &o->seccomp, e);
	case 'p':
		o->probe = true;
		return 0;
	case 'f':
		o->share.path = value;
		return 0;
	case 'v':
		o->share.program = value;
		return 0;
	case 'r':
		o->share.readonly = true;
		return 0;
	default:
		return error_set(e, -EINVAL, "unknown or incomplete option");
	}
}

static int parse_options(int argc, char **argv, struct options *o,
			 struct error *e)
{
	static const struct option longs[] = {
		{"control-fd", required_argument, NULL, 'c'},
		{"uid", required_argument, NULL, 'u'},
		{"name", required_argument, NULL, 'n'},
		{"log-level", required_argument, NULL, 'l'},
		{"seccomp", required_argument, NULL, 's'},
		{"probe", no_argument, NULL, 'p'},
		{"share", required_argument, NULL, 'f'},
		{"server", required_argument, NULL, 'v'},
		{"readonly", no_argument, NULL, 'r'},
		{"help", no_argument, NULL, 'h'},
		{NULL},
	};
	int option;

	while ((option = getopt_long(argc, argv, "h", longs, NULL)) >= 0) {
		int r;

		if (option == 'h') {
			fputs(usage, stdout);
			exit(EXIT_SUCCESS);
		}
		r = parse_option(o, option, optarg, e);
		if (r < 0)
			return r;
	}
	if (optind < argc)
		return error_set(e, -EINVAL, "unexpected argument \"%s\"",
				 argv[optind]);
	if (!o->share.path != !o->share.program)
		return error_set(e, -EINVAL,
				 "--share and --server come "
				 "together");
	if (!o->probe && !o->share.path && (!o->name || vm_name_check(o->name)))
		return error_set(e, -EINVAL, "--name needs the name of a VM");
	return 0;
}

/*
 * Nothing the daemon had open by accident stays with a process that faces a
 * guest; and 0 to 2 exist, so that no descriptor we are handed lands there.
 */
static int settle_descriptors(struct error *e)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
		if (fd < 0)
			return error_set(e, -errno, "/dev/null: %s",
					 strerror(errno));
	} while (fd <= STDERR_FILENO);
	if (fd <= WIRE_CONTROL_FD)
		return error_set(e, -EBADF,
				 "descriptor %d is not open: armvm-supervisor "
				 "is started by armvmd",
				 WIRE_CONTROL_FD);
	if (syscall(SYS_close_range, WIRE_CONTROL_FD + 1, ~0U, 0) < 0)
		return error_set(e, -errno, "close_range: %s", strerror(errno));
	if (fcntl(WIRE_CONTROL_FD, F_SETFD, FD_CLOEXEC) < 0)
		return error_set(e, -errno, "control descriptor: %s",
				 strerror(errno));
	return 0;
}

/* What libuv gives each thread of its pool is this limit, 8 MiB by default: a
 * stack that large may be given huge pages of 2 MiB. */
static void limit_stacks(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_STACK, &limit))
		return;
	limit.rlim_cur = MIN(limit.rlim_cur, (rlim_t)MIB(1));
	(void)setrlimit(RLIMIT_STACK, &limit);
}

/* A VM outlives the daemon and its terminal. */
static void leave_session(void)
{
	setsid(); /* fails when we lead one already: fine */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGINT, SIG_IGN); /* until supervisor/signals.h */
}

int main(int argc, char **argv)
{
	struct options o = {
		.log_level = LOG_LEVEL_INFO,
		.seccomp = SECCOMP_DEFAULT,
	};
	struct error e = ERROR_INIT;
	uid_t owner = geteuid();
	int r;

	log_open("armvm-supervisor", LOG_LEVEL_INFO);
	r = parse_options(argc, argv, &o, &e);
	if (r < 0) {
		log_error("%s", e.message);
		return error_code_exit(e.code);
	}
	log_open("armvm-supervisor", o.log_level);
	if (o.probe)
		return probe_run(WIRE_CONTROL_FD);
	o.share.fd = WIRE_CONTROL_FD;
	if (o.share.path)
		return share_run(&o.share);
	leave_session();
	limit_stacks();
	r = settle_descriptors(&e);
	if (r == 0) {
		const struct sandbox_params params = {
			.vm = o.name,
			.uid = (uid_t)o.uid,
			.seccomp = o.seccomp,
			.needs = supervisor_backends[0].needs,
		};

		r = sandbox_enter(&params, &e);
	}
	if (r < 0) {
		log_vm(LOG_LEVEL_ERROR, o.name, "%s", e.message);
		return EXIT_FAILURE;
	}
	return supervisor_run(o.name, WIRE_CONTROL_FD, owner);
}
