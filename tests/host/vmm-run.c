/*
 * A developer's tool: runs the KVM backend by itself, without daemon and
 * supervisor, with the guest's console on standard input and output.
 *
 *   vmm-run --firmware FILE --disk FILE [--disk FILE…] [--nvram FILE]
 *           [--memory SIZE] [--vcpus N] [--tap NAME] [--kvm PATH]
 *           [--pause-every MS] [--press-power-after MS] [--reset-after MS]
 *
 * Variables live in FILE, made if missing, or only in memory. What the backend
 * reports goes to standard error. Ends when the guest turns itself off (0),
 * crashes or cannot go on (1), or on Ctrl-] (0).
 */
#include <fcntl.h>
#include <getopt.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>

#include "lib/base/fd.h"
#include "lib/host/chardev.h"
#include "lib/uefi/varstore.h"
#include "vmm-kvm/backend.h"

#define ESCAPE	      0x1d /* Ctrl-] */
#define VNET_HDR_SIZE 12

struct run {
	uv_loop_t loop;
	struct vmm *vmm;
	struct vm_config config;
	struct disk_config disks[VM_DISKS_MAX];
	struct nic_config nics[1];
	struct vmm_params params;
	const char *nvram_path;
	uint8_t *nvram;
	uint64_t commits, committed_bytes, resets;
	uint64_t pause_every, press_after, reset_after; /* ms; 0: never */
	bool paused;
	int console; /* our end of the console's socket */
	uv_poll_t input, output;
	uv_timer_t pause_timer, press_timer, reset_timer;
	int status;
	bool over;
};

static struct termios terminal_before;
static bool terminal_raw;

static void terminal_restore(void)
{
	if (terminal_raw)
		tcsetattr(STDIN_FILENO, TCSANOW, &terminal_before);
}

static void terminal_setup(void)
{
	struct termios raw;

	if (tcgetattr(STDIN_FILENO, &terminal_before))
		return;
	raw = terminal_before;
	cfmakeraw(&raw);
	terminal_raw = !tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	atexit(terminal_restore);
}

static void die(const char *what, const char *why)
{
	fprintf(stderr, "vmm-run: %s: %s\r\n", what, why);
	exit(1);
}

static int open_or_die(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);

	if (fd < 0)
		die(path, strerror(errno));
	return fd;
}

static void finish(struct run *r, int status)
{
	struct vm_stats s = {0};
	struct error e = ERROR_INIT;
	uint64_t exits = 0, vcpu_ns = 0;

	if (r->over)
		return;
	r->over = true;
	r->status = status;
	if (vmm_kvm_ops.stats(r->vmm, &s, &e))
		die("statistics", e.message);
	for (size_t i = 0; i < s.n_vcpus; i++) {
		exits += s.vcpus[i].exits;
		vcpu_ns += s.vcpus[i].cpu_ns;
	}
	fprintf(stderr,
		"vmm-run: %llu exits, %llu of them mmio, %llu unanswered; "
		"%.1f s of vCPU time; %llu commits of %llu bytes, %llu resets"
		"\r\n",
		(unsigned long long)exits, (unsigned long long)s.exits.mmio,
		(unsigned long long)s.unanswered, (double)vcpu_ns / 1e9,
		(unsigned long long)r->commits,
		(unsigned long long)r->committed_bytes,
		(unsigned long long)r->resets);
	vm_stats_done(&s);
	vmm_kvm_ops.destroy(r->vmm);
	uv_close((uv_handle_t *)&r->input, NULL);
	uv_close((uv_handle_t *)&r->output, NULL);
	uv_close((uv_handle_t *)&r->pause_timer, NULL);
	uv_close((uv_handle_t *)&r->press_timer, NULL);
	uv_close((uv_handle_t *)&r->reset_timer, NULL);
	chardev_free(r->params.console);
}

static void on_event(void *cookie, enum vmm_event_kind kind, const char *detail)
{
	static const char *const names[] = {
		[VMM_EVENT_RUNNING] = "running",
		[VMM_EVENT_PAUSED] = "paused",
		[VMM_EVENT_RESUMED] = "resumed",
		[VMM_EVENT_POWEROFF] = "poweroff",
		[VMM_EVENT_RESET] = "reset",
		[VMM_EVENT_PANIC] = "panic",
		[VMM_EVENT_WATCHDOG] = "watchdog",
		[VMM_EVENT_BALLOON] = "balloon",
		[VMM_EVENT_IO_ERROR] = "io-error",
		[VMM_EVENT_IO_HELD] = "io-held",
		[VMM_EVENT_DEVICE_FAILED] = "device-failed",
		[VMM_EVENT_FATAL] = "fatal",
	};
	struct run *r = cookie;

	if (!r->pause_every ||
	    (kind != VMM_EVENT_PAUSED && kind != VMM_EVENT_RESUMED))
		fprintf(stderr, "vmm-run: event %s %s\r\n", names[kind],
			detail);
	r->resets += kind == VMM_EVENT_RESET;
	if (kind == VMM_EVENT_POWEROFF)
		finish(r, 0);
	if (kind == VMM_EVENT_PANIC || kind == VMM_EVENT_FATAL)
		finish(r, 1);
}

static void on_commit(void *cookie, uint64_t offset, uint64_t size)
{
	struct run *r = cookie;

	r->commits++;
	r->committed_bytes += size;
	if (r->nvram_path) {
		int fd = open_or_die(r->nvram_path, O_WRONLY);

		if (fd_pwrite_full(fd, r->nvram + offset, size,
				   (off_t)offset) ||
		    fdatasync(fd))
			die(r->nvram_path, "cannot be written");
		close(fd);
	}
	vmm_kvm_ops.nvram_committed(r->vmm);
}

static const struct vmm_events events = {on_event, on_commit};

static void on_input(uv_poll_t *p, int status, int mask)
{
	struct run *r = p->data;
	char buf[256];
	ssize_t n = read(STDIN_FILENO, buf, sizeof(buf));

	if (n > 0 && memchr(buf, ESCAPE, (size_t)n)) {
		finish(r, 0);
		return;
	}
	if (n <= 0 || fd_write_full(r->console, buf, (size_t)n))
		uv_poll_stop(p);
}

static void on_output(uv_poll_t *p, int status, int mask)
{
	struct run *r = p->data;
	char buf[4096];
	ssize_t n = read(r->console, buf, sizeof(buf));

	if (n <= 0 || fd_write_full(STDOUT_FILENO, buf, (size_t)n))
		uv_poll_stop(p);
}

static void must(int r, const char *what, const struct error *e)
{
	if (r)
		die(what, e && e->message[0] ? e->message : strerror(-r));
}

static void on_pause_timer(uv_timer_t *t)
{
	struct run *r = t->data;
	struct error e = ERROR_INIT;

	must(r->paused ? vmm_kvm_ops.resume(r->vmm, &e)
		       : vmm_kvm_ops.pause(r->vmm, &e),
	     "pause or resume", &e);
	r->paused = !r->paused;
}

static void on_press_timer(uv_timer_t *t)
{
	struct run *r = t->data;
	struct error e = ERROR_INIT;

	must(vmm_kvm_ops.shutdown(r->vmm, &e), "shutdown", &e);
}

static void on_reset_timer(uv_timer_t *t)
{
	struct run *r = t->data;
	struct error e = ERROR_INIT;

	must(vmm_kvm_ops.reset(r->vmm, &e), "reset", &e);
}

static int open_tap(const char *name)
{
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	int fd = open_or_die("/dev/net/tun", O_RDWR | O_NONBLOCK);
	int header = VNET_HDR_SIZE;

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (ioctl(fd, TUNSETIFF, &ifr) || ioctl(fd, TUNSETVNETHDRSZ, &header))
		die(name, strerror(errno));
	return fd;
}

static void open_nvram(struct run *r)
{
	int fd = memfd_create("nvram", MFD_CLOEXEC);
	struct error e = ERROR_INIT;
	struct stat st;

	if (fd < 0 || ftruncate(fd, VARSTORE_SIZE))
		die("nvram", strerror(errno));
	r->nvram = mmap(NULL, VARSTORE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
			fd, 0);
	if (r->nvram == MAP_FAILED)
		die("nvram", strerror(errno));
	must(varstore_write(NULL, r->nvram, VARSTORE_SIZE, &e), "nvram", &e);
	r->params.nvram_fd = fd;
	r->params.nvram_size = VARSTORE_SIZE;
	if (!r->nvram_path)
		return;
	fd = open_or_die(r->nvram_path, O_RDWR | O_CREAT);
	if (!fstat(fd, &st) && st.st_size == VARSTORE_SIZE)
		must(fd_pread_full(fd, r->nvram, VARSTORE_SIZE, 0),
		     r->nvram_path, NULL);
	else
		must(fd_pwrite_full(fd, r->nvram, VARSTORE_SIZE, 0),
		     r->nvram_path, NULL);
	close(fd);
}

static void parse(struct run *r, int argc, char **argv)
{
	static const struct option options[] = {
		{"firmware", 1, NULL, 'f'},
		{"disk", 1, NULL, 'd'},
		{"nvram", 1, NULL, 'n'},
		{"memory", 1, NULL, 'm'},
		{"vcpus", 1, NULL, 'c'},
		{"tap", 1, NULL, 't'},
		{"kvm", 1, NULL, 'k'},
		{"pause-every", 1, NULL, 'p'},
		{"press-power-after", 1, NULL, 'P'},
		{"reset-after", 1, NULL, 'r'},
		{NULL},
	};
	const char *kvm = "/dev/kvm";
	struct error e = ERROR_INIT;
	size_t n;
	int c;

	r->params.firmware_fd = -1;
	r->params.kernel_fd = r->params.initrd_fd = -1;
	r->params.snapshot_fd = -1;
	r->config.memory_bytes = MIB(512);
	r->config.vcpus = 1;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'f':
			r->params.firmware_fd = open_or_die(optarg, O_RDONLY);
			break;
		case 'd':
			n = r->config.n_disks++;
			if (n >= VM_DISKS_MAX)
				die("--disk", "too many");
			r->params.disks[n].fd = open_or_die(optarg, O_RDWR);
			r->disks[n].id = strdup("disk0");
			r->disks[n].id[4] = (char)('0' + n);
			break;
		case 'n':
			r->nvram_path = optarg;
			break;
		case 'm':
			must(parse_size(optarg, "--memory",
					&r->config.memory_bytes, &e),
			     "--memory", &e);
			break;
		case 'c':
			r->config.vcpus = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		case 't':
			r->params.nics[0].fds.fds[0] = open_tap(optarg);
			r->params.nics[0].fds.n = 1;
			r->nics[0].mac = strdup("52:54:00:12:34:56");
			r->nics[0].id = strdup("nic0");
			r->config.n_nics = 1;
			break;
		case 'k':
			kvm = optarg;
			break;
		case 'p':
			r->pause_every = strtoul(optarg, NULL, 10);
			break;
		case 'P':
			r->press_after = strtoul(optarg, NULL, 10);
			break;
		case 'r':
			r->reset_after = strtoul(optarg, NULL, 10);
			break;
		default:
			exit(2);
		}
	}
	r->params.hypervisor_fd = open_or_die(kvm, O_RDWR);
}

static void add_timer(struct run *r, uv_timer_t *t, uv_timer_cb cb,
		      uint64_t after, uint64_t repeat)
{
	uv_timer_init(&r->loop, t);
	t->data = r;
	if (after)
		uv_timer_start(t, cb, after, repeat);
}

static void start(struct run *r)
{
	struct error e = ERROR_INIT;
	int pair[2];

	must(chardev_new(&r->loop, &r->params.console), "console", NULL);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		die("socketpair", strerror(errno));
	r->console = pair[0];
	must(chardev_attach(r->params.console, pair[1],
			    &(struct chardev_seat){.who = "us"}, &e),
	     "console", &e);
	must(vmm_kvm_ops.create(&r->params, &r->vmm, &e), "create", &e);
	terminal_setup();
	if (uv_poll_init(&r->loop, &r->input, STDIN_FILENO) ||
	    uv_poll_init(&r->loop, &r->output, r->console))
		die("poll", "standard input must be a terminal or a pipe");
	r->input.data = r->output.data = r;
	uv_poll_start(&r->input, UV_READABLE, on_input);
	uv_poll_start(&r->output, UV_READABLE, on_output);
	add_timer(r, &r->pause_timer, on_pause_timer, r->pause_every,
		  r->pause_every);
	add_timer(r, &r->press_timer, on_press_timer, r->press_after, 0);
	add_timer(r, &r->reset_timer, on_reset_timer, r->reset_after, 0);
	must(vmm_kvm_ops.start(r->vmm, &e), "start", &e);
}

int main(int argc, char **argv)
{
	static struct run r;

	signal(SIGPIPE, SIG_IGN);
	uv_loop_init(&r.loop);
	r.config.name = strdup("vmm-run");
	r.config.disks = r.disks;
	r.config.nics = r.nics;
	r.params.config = &r.config;
	r.params.loop = &r.loop;
	r.params.events = &events;
	r.params.cookie = &r;
	parse(&r, argc, argv);
	open_nvram(&r);
	start(&r);
	uv_run(&r.loop, UV_RUN_DEFAULT);
	if (uv_loop_close(&r.loop))
		fprintf(stderr, "vmm-run: a handle was left open\r\n");
	return r.status;
}
