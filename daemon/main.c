#include <getopt.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "daemon/manager.h"
#include "lib/base/log.h"

#define DEFAULT_STATE_DIR   "/var/lib/armvmd"
#define DEFAULT_RUNTIME_DIR "/run/armvmd"
#define DEFAULT_GROUP	    "armvm-admin"
#ifndef ARMVM_LIBEXEC_DIR
#define ARMVM_LIBEXEC_DIR "/usr/local/libexec/armvmd"
#endif

static const char usage[] =
	"Usage: armvmd [OPTION]...\n"
	"Keep virtual machines: definitions and UEFI variables in SQLite, one\n"
	"supervisor process per running VM. Talk to it with armvmctl.\n"
	"\n"
	"  --state-dir DIR     definitions and variables "
	"(default " DEFAULT_STATE_DIR ")\n"
	"  --runtime-dir DIR   sockets (default " DEFAULT_RUNTIME_DIR ")\n"
	"  --supervisor PATH   program to run for each VM (default: beside\n"
	"                      armvmd, then " ARMVM_LIBEXEC_DIR ")\n"
	"  --group GROUP       may use the API socket (default " DEFAULT_GROUP
	", if it exists)\n"
	"  --debug             log more\n"
	"  --help, --version\n"
	"\n"
	"Example, everything in one place and nothing installed:\n"
	"  armvmd --state-dir /tmp/armvm/state --runtime-dir /tmp/armvm/run\n";

struct arguments {
	struct manager_params params;
	enum log_level level;
};

/* 0 to go on, 1 when the program is done, -1 on an error (printed). */
static int parse_arguments(int argc, char **argv, struct arguments *a)
{
	enum { STATE = 256, RUNTIME, SUPERVISOR, GROUP, DEBUG, HELP, VERSION };
	static const struct option options[] = {
		{"state-dir", required_argument, NULL, STATE},
		{"runtime-dir", required_argument, NULL, RUNTIME},
		{"supervisor", required_argument, NULL, SUPERVISOR},
		{"group", required_argument, NULL, GROUP},
		{"debug", no_argument, NULL, DEBUG},
		{"help", no_argument, NULL, HELP},
		{"version", no_argument, NULL, VERSION},
		{NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) >= 0) {
		switch (c) {
		case STATE:
			a->params.state_dir = optarg;
			break;
		case RUNTIME:
			a->params.runtime_dir = optarg;
			break;
		case SUPERVISOR:
			a->params.supervisor = optarg;
			break;
		case GROUP:
			a->params.socket_group = optarg;
			break;
		case DEBUG:
			a->level = LOG_LEVEL_DEBUG;
			break;
		case HELP:
		case 'h':
			fputs(usage, stdout);
			return 1;
		case VERSION:
			puts("armvmd " ARMVM_VERSION);
			return 1;
		default:
			fputs("Try: armvmd --help\n", stderr);
			return -1;
		}
	}
	if (optind < argc) {
		fprintf(stderr,
			"armvmd: unexpected argument \"%s\"; try: "
			"armvmd --help\n",
			argv[optind]);
		return -1;
	}
	return 0;
}

/* Beside this program in a build tree, in libexec when installed. */
static char *find_supervisor(void)
{
	char self[4096], *path = NULL, *slash;
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n > 0) {
		self[n] = '\0';
		slash = strrchr(self, '/');
		if (slash &&
		    asprintf(&path, "%.*s/armvm-supervisor",
			     (int)(slash - self), self) > 0 &&
		    access(path, X_OK) == 0)
			return path;
		free(path);
	}
	return strdup(ARMVM_LIBEXEC_DIR "/armvm-supervisor");
}

static void signal_cb(uv_signal_t *handle, int signum)
{
	log_info("stopping; running VMs go on");
	uv_stop(handle->loop);
}

static void close_cb(uv_handle_t *handle, void *cookie)
{
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

/* As many descriptors as are allowed: clients and VMs cost one each or more. */
static void raise_limits(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static int serve(const struct arguments *a)
{
	uv_signal_t term, interrupt;
	struct manager *m = NULL;
	struct error e = ERROR_INIT;
	uv_loop_t loop;
	int r;

	if (uv_loop_init(&loop) < 0)
		return EXIT_FAILURE;
	r = manager_new(&loop, &a->params, &m, &e);
	if (r == 0)
		r = manager_startup(m, &e);
	if (r == 0) {
		uv_signal_init(&loop, &term);
		uv_signal_start(&term, signal_cb, SIGTERM);
		uv_signal_init(&loop, &interrupt);
		uv_signal_start(&interrupt, signal_cb, SIGINT);
		log_info("ready on %s/armvmd.sock", a->params.runtime_dir);
		sd_notify(0, "READY=1");
		uv_run(&loop, UV_RUN_DEFAULT);
		sd_notify(0, "STOPPING=1");
	} else {
		log_error("%s", e.message);
	}
	manager_free(m);
	uv_walk(&loop, close_cb, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
	return r == 0 ? EXIT_SUCCESS : error_code_exit(e.code);
}

int main(int argc, char **argv)
{
	struct arguments a = {
		.params = {.state_dir = DEFAULT_STATE_DIR,
			   .runtime_dir = DEFAULT_RUNTIME_DIR},
		.level = LOG_LEVEL_INFO,
	};
	_cleanup_free_ char *supervisor = NULL;
	int r = parse_arguments(argc, argv, &a);

	if (r != 0)
		return r > 0 ? EXIT_SUCCESS : error_code_exit(ERROR_INVALID);
	if (!a.params.supervisor)
		a.params.supervisor = supervisor = find_supervisor();
	if (!a.params.socket_group && getgrnam(DEFAULT_GROUP))
		a.params.socket_group = DEFAULT_GROUP;
	log_open("armvmd", a.level);
	signal(SIGPIPE, SIG_IGN);
	umask(0022);
	raise_limits();
	return serve(&a);
}
