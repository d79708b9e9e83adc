#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/manager.h"
#include "daemon/service.h"
#include "lib/base/log.h"

#define DEFAULT_STATE_DIR   "/var/lib/armvmd"
#define DEFAULT_RUNTIME_DIR "/run/armvmd"
#define DEFAULT_CONFIG	    "/etc/armvmd/armvmd.conf"
#ifndef ARMVM_LIBEXEC_DIR
#define ARMVM_LIBEXEC_DIR "/usr/local/libexec/armvmd"
#endif

static const char usage[] =
	"Usage: armvmd [OPTION]...\n"
	"Keep virtual machines: definitions and UEFI variables in SQLite, one\n"
	"supervisor process per running VM. Talk to it with armvmctl.\n"
	"\n"
	"  --state-dir DIR      definitions and variables "
	"(default " DEFAULT_STATE_DIR ")\n"
	"  --runtime-dir DIR    sockets (default " DEFAULT_RUNTIME_DIR ")\n"
	"  --supervisor PATH    program to run for each VM (default: beside\n"
	"                       armvmd, then " ARMVM_LIBEXEC_DIR ")\n"
	"  --config FILE        see armvmd.conf(5) (default " DEFAULT_CONFIG
	",\n"
	"                       if it exists)\n"
	"  --group GROUP        may do everything (default armvm-admin)\n"
	"  --http-listen ADDRESS:PORT\n"
	"                       HTTP over TLS, beside http.sock\n"
	"  --tls-cert FILE, --tls-key FILE, --tls-client-ca FILE\n"
	"                       PEM; what TLS needs, of both sides\n"
	"  --debug              log more\n"
	"  --help, --version\n"
	"\n"
	"Example, everything in one place and nothing installed:\n"
	"  armvmd --state-dir /tmp/armvm/state --runtime-dir /tmp/armvm/run\n";

struct arguments {
	struct manager_params params;
	const char *config;
	/* What replaces the configuration's own, in the order of options. */
	const char *http_listen, *tls_cert, *tls_key, *tls_client_ca;
	enum log_level level;
};

/* 0 to go on, 1 when the program is done, -1 on an error (printed). */
static int parse_arguments(int argc, char **argv, struct arguments *a)
{
	enum { DEBUG = 256, HELP, VERSION, TEXTS };
	static const struct option options[] = {
		{"state-dir", required_argument, NULL, TEXTS},
		{"runtime-dir", required_argument, NULL, TEXTS + 1},
		{"supervisor", required_argument, NULL, TEXTS + 2},
		{"group", required_argument, NULL, TEXTS + 3},
		{"config", required_argument, NULL, TEXTS + 4},
		{"http-listen", required_argument, NULL, TEXTS + 5},
		{"tls-cert", required_argument, NULL, TEXTS + 6},
		{"tls-key", required_argument, NULL, TEXTS + 7},
		{"tls-client-ca", required_argument, NULL, TEXTS + 8},
		{"debug", no_argument, NULL, DEBUG},
		{"help", no_argument, NULL, HELP},
		{"version", no_argument, NULL, VERSION},
		{NULL, 0, NULL, 0},
	};
	const char **texts[] = {
		&a->params.state_dir,
		&a->params.runtime_dir,
		&a->params.supervisor,
		&a->params.admin_group,
		&a->config,
		&a->http_listen,
		&a->tls_cert,
		&a->tls_key,
		&a->tls_client_ca,
	};
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) >= 0) {
		switch (c) {
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
		case '?':
			fputs("Try: armvmd --help\n", stderr);
			return -1;
		default:
			*texts[c - TEXTS] = optarg;
			break;
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

static int replace(char **field, const char *text, struct error *e)
{
	if (!text)
		return 0;
	free(*field);
	*field = strdup(text);
	return *field ? 0 : error_set(e, -ENOMEM, "out of memory");
}

/* The file, if there is one or one was asked for, and what replaces it. */
static int read_config(const struct arguments *a, struct conf *ret,
		       struct error *e)
{
	int r = conf_read(a->config ? a->config : DEFAULT_CONFIG, ret, e);

	if (r == -ENOENT && !a->config)
		r = 0;
	if (r == 0)
		r = replace(&ret->http_listen, a->http_listen, e);
	if (r == 0)
		r = replace(&ret->tls_cert, a->tls_cert, e);
	if (r == 0)
		r = replace(&ret->tls_key, a->tls_key, e);
	if (r == 0)
		r = replace(&ret->tls_client_ca, a->tls_client_ca, e);
	conf_defaults(ret);
	return r;
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

/* Each turn of the loop takes and gives back the memory of many answers; the
 * kernel need not hear of it. */
static void keep_memory(void)
{
	mallopt(M_TRIM_THRESHOLD, (int)MIB(4));
	mallopt(M_MMAP_THRESHOLD, (int)MIB(1));
}

static int serve(const struct manager_params *params, struct error *e)
{
	uv_signal_t term, interrupt;
	struct service service;
	struct manager *m = NULL;
	uv_loop_t loop;
	int r = uv_loop_init(&loop);

	if (r < 0)
		return error_set(e, r, "cannot make an event loop: %s",
				 uv_strerror(r));
	r = manager_new(&loop, params, &m, e);
	if (r == 0)
		r = manager_startup(m, e);
	if (r == 0) {
		uv_signal_init(&loop, &term);
		uv_signal_start(&term, signal_cb, SIGTERM);
		uv_signal_init(&loop, &interrupt);
		uv_signal_start(&interrupt, signal_cb, SIGINT);
		log_info("ready on %s/armvmd.sock", params->runtime_dir);
		service_ready(&service, &loop);
		uv_run(&loop, UV_RUN_DEFAULT);
		service_stopping(&service);
	}
	manager_free(m);
	/* libwebsockets closes its handles by itself, within a few turns. */
	for (int i = 0; i < 32; i++)
		uv_run(&loop, UV_RUN_NOWAIT);
	uv_walk(&loop, close_cb, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
	return r;
}

int main(int argc, char **argv)
{
	struct arguments a = {
		.params = {.state_dir = DEFAULT_STATE_DIR,
			   .runtime_dir = DEFAULT_RUNTIME_DIR},
		.level = LOG_LEVEL_INFO,
	};
	_cleanup_free_ char *supervisor = NULL;
	struct error e = ERROR_INIT;
	struct conf conf = {0};
	int r = parse_arguments(argc, argv, &a);

	if (r != 0)
		return r > 0 ? EXIT_SUCCESS : error_code_exit(ERROR_INVALID);
	if (!a.params.supervisor)
		a.params.supervisor = supervisor = find_supervisor();
	a.params.conf = &conf;
	log_open("armvmd", a.level);
	service_log();
	signal(SIGPIPE, SIG_IGN);
	umask(0022);
	raise_limits();
	keep_memory();
	r = read_config(&a, &conf, &e);
	if (r == 0)
		r = serve(&a.params, &e);
	conf_done(&conf);
	if (r == 0)
		return EXIT_SUCCESS;
	log_error("%s", e.message);
	return error_code_exit(e.code);
}
