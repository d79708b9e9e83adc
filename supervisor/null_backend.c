#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "lib/base/fd.h"
#include "lib/host/chardev.h"
#include "supervisor/null_backend.h"
#include "supervisor/null_devices.h"
#include "supervisor/null_nvram.h"
#include "supervisor/null_save.h"

#define LINE_MAX_BYTES 1024
#define INPUT_BYTES    256
#define FLOOD_LINE     64
#define FLOOD_MAX      MIB(64)
/* As long as a guest that shuts down quickly: long enough to be seen. */
#define SHUTDOWN_MS 50

struct vmm {
	const struct vm_config *config;
	const struct vmm_events *events;
	void *cookie;
	uv_loop_t *loop;
	struct chardev *console; /* borrowed */
	struct null_memory memory;
	struct null_save *save; /* NULL: none is under way */
	struct vmm_save saving; /* then, the owner's */
	bool restored, start_paused;
	struct null_devices *devices;
	uint8_t *nvram; /* shared with the daemon; NULL for none */
	uint64_t nvram_size;
	uv_timer_t timer; /* announces `next` */
	enum vmm_event_kind next;
	/* Typed and not yet read: a guest that stands still reads on later. */
	uint8_t input[INPUT_BYTES];
	size_t input_size;
	char line[LINE_MAX_BYTES];
	size_t line_size;
	bool running, paused;
	bool ignoring; /* the power button */
	bool held;     /* a commit is under way: the guest stands still */
	uint64_t bytes_in;
};

printf_like(2, 3) static void say(struct vmm *v, const char *fmt, ...)
{
	char text[LINE_MAX_BYTES + 64];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n > 0)
		chardev_write(v->console, (uint8_t *)text,
			      MIN((size_t)n, sizeof(text) - 1));
}

#define FULL "disk \"null\": write failed: No space left on device"

/* The line that makes the guest do it, and what is told of it. */
static const struct {
	const char *word, *detail;
} words[] = {
	[VMM_EVENT_IO_ERROR] = {"io-error", FULL},
	[VMM_EVENT_IO_HELD] = {"io-held", FULL},
	[VMM_EVENT_POWEROFF] = {"poweroff", "the guest powered off"},
	[VMM_EVENT_RESET] = {"reboot", ""},
	[VMM_EVENT_PANIC] = {"panic", "the null guest panicked"},
	[VMM_EVENT_DEGRADED] = {"degraded", "the null host lacks something"},
	[VMM_EVENT_FATAL] = {"fatal", "the null guest asked for a fatal error"},
};

/* Ends, reboots and panics are told from the loop, as a real backend does:
 * never from inside the call that caused them. */
static void on_timer(uv_timer_t *timer)
{
	struct vmm *v = timer->data;
	const char *detail = words[v->next].detail;

	if (v->next == VMM_EVENT_RUNNING) {
		v->running = true;
		say(v, "null: VM %s %s%s\n", v->config->name,
		    v->restored ? "goes on: " : "started",
		    v->restored ? v->memory.note : "");
		chardev_guest_ready(v->console);
	} else if (v->next == VMM_EVENT_RESET) {
		v->line_size = 0;
	} else {
		v->running &= v->next != VMM_EVENT_POWEROFF &&
			      v->next != VMM_EVENT_FATAL;
	}
	v->events->event(v->cookie, v->next, detail ? detail : "");
	if (v->next == VMM_EVENT_RESET)
		say(v, "null: VM %s restarted\n", v->config->name);
	if (v->next == VMM_EVENT_RUNNING && v->start_paused)
		v->events->event(v->cookie, VMM_EVENT_PAUSED, "");
}

static void announce(struct vmm *v, enum vmm_event_kind kind, uint64_t ms)
{
	v->next = kind;
	uv_timer_start(&v->timer, on_timer, ms, 0);
}

static void run_nvram(struct vmm *v, char *args)
{
	uint8_t bytes[LINE_MAX_BYTES / 2];
	char *end = NULL;
	uint64_t offset;
	size_t n;

	errno = 0;
	offset = strtoull(args, &end, 0);
	if (errno || end == args || *end != ' ') {
		say(v, "usage: nvram OFFSET HEX\n");
		return;
	}
	n = null_nvram_hex(end + 1, bytes, sizeof(bytes));
	if (n == 0 || n > v->nvram_size || offset > v->nvram_size - n) {
		say(v, "nvram: no bytes, or outside of the %llu of the store\n",
		    (unsigned long long)v->nvram_size);
		return;
	}
	memcpy(v->nvram + offset, bytes, n);
	v->held = true;
	v->events->nvram_commit(v->cookie, offset, n);
}

/* Prints numbered lines, FLOOD_MAX bytes at most. */
static void run_flood(struct vmm *v, const char *args)
{
	unsigned long lines = MIN(strtoul(args, NULL, 10),
				  FLOOD_MAX / FLOOD_LINE);

	for (unsigned long i = 1; i <= lines; i++)
		say(v, "flood %057lu\n", i);
}

static void run_line(struct vmm *v)
{
	v->line[v->line_size] = '\0';
	v->line_size = 0;
	if (strncmp(v->line, "nvram ", 6) == 0)
		run_nvram(v, v->line + 6);
	if (strncmp(v->line, "flood ", 6) == 0)
		run_flood(v, v->line + 6);
	if (strncmp(v->line, "lose ", 5) == 0)
		v->events->nic_failed(v->cookie, v->line + 5,
				      "its host end is gone; its link is down");
	null_memory_word(&v->memory, v->line);
	if (streq(v->line, "ignore"))
		v->ignoring = true;
	if (streq(v->line, "hotplug on") || streq(v->line, "hotplug off"))
		null_devices_listen(v->devices, streq(v->line, "hotplug on"));
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (words[i].word && streq(v->line, words[i].word))
			announce(v, (enum vmm_event_kind)i, 0);
}

static bool standing_still(const struct vmm *v)
{
	return !v->running || v->paused || v->held;
}

/* Up to the end of a line, or of the input; returns how much was read. */
static size_t read_line(struct vmm *v)
{
	size_t n = 0;

	while (n < v->input_size) {
		char c = (char)v->input[n++];

		if (c == '\n' || c == '\r') {
			chardev_write(v->console, v->input, n);
			run_line(v);
			return n;
		}
		if (v->line_size < sizeof(v->line) - 1)
			v->line[v->line_size++] = c;
	}
	chardev_write(v->console, v->input, n);
	return n;
}

static void read_input(struct vmm *v)
{
	while (v->input_size > 0 && !standing_still(v)) {
		size_t n = read_line(v);

		v->bytes_in += n;
		v->input_size -= n;
		memmove(v->input, v->input + n, v->input_size);
	}
}

static size_t can_receive(void *cookie)
{
	struct vmm *v = cookie;

	return standing_still(v) ? 0 : sizeof(v->input) - v->input_size;
}

static void receive(void *cookie, const uint8_t *data, size_t size)
{
	struct vmm *v = cookie;

	size = MIN(size, sizeof(v->input) - v->input_size);
	memcpy(v->input + v->input_size, data, size);
	v->input_size += size;
	read_input(v);
}

static void go_on(struct vmm *v)
{
	read_input(v);
	chardev_guest_ready(v->console);
}

static const struct chardev_guest console_guest = {
	.can_receive = can_receive,
	.receive = receive,
};

static int null_create(const struct vmm_params *params, struct vmm **ret,
		       struct error *e)
{
	struct vmm *v = calloc(1, sizeof(*v));
	int r;

	if (!v) {
		null_devices_close(params, false);
		return error_set(e, -ENOMEM, "null backend: out of memory");
	}
	v->config = params->config;
	v->events = params->events;
	v->cookie = params->cookie;
	v->console = params->console;
	v->loop = params->loop;
	v->restored = params->snapshot_fd >= 0;
	v->paused = v->start_paused = params->paused;
	r = null_nvram_map(params->nvram_fd, params->nvram_size, &v->nvram,
			   &v->nvram_size, e);
	if (r == 0 && v->restored)
		r = null_load(params->snapshot_fd, &v->memory, e);
	if (r == 0)
		r = null_devices_new(params, &v->devices, e);
	null_devices_close(params, r == 0);
	if (r < 0) {
		if (v->nvram)
			munmap(v->nvram, v->nvram_size);
		free(v);
		return r;
	}
	uv_timer_init(params->loop, &v->timer);
	v->timer.data = v;
	chardev_set_guest(v->console, &console_guest, v);
	*ret = v;
	return 0;
}

static int null_start(struct vmm *v, struct error *e)
{
	announce(v, VMM_EVENT_RUNNING, 0);
	return 0;
}

static int null_pause(struct vmm *v, struct error *e)
{
	v->paused = true;
	v->events->event(v->cookie, VMM_EVENT_PAUSED, "");
	return 0;
}

static int null_resume(struct vmm *v, struct error *e)
{
	v->paused = false;
	v->events->event(v->cookie, VMM_EVENT_RESUMED, "");
	go_on(v);
	return 0;
}

static void ask(struct vmm *v, const char *what, enum vmm_event_kind kind)
{
	say(v, "null: %s\n", what);
	if (!v->ignoring)
		announce(v, kind, SHUTDOWN_MS);
}

static int null_shutdown(struct vmm *v, struct error *e)
{
	ask(v, "power button pressed", VMM_EVENT_POWEROFF);
	return 0;
}

static int null_reboot(struct vmm *v, struct error *e)
{
	ask(v, "asked to reboot", VMM_EVENT_RESET);
	return 0;
}

static bool null_button_heard(struct vmm *v)
{
	return true;
}

static int null_reset(struct vmm *v, struct error *e)
{
	announce(v, VMM_EVENT_RESET, 0);
	return 0;
}

static int null_resize(struct vmm *v, const char *id, struct error *e)
{
	struct vmm_device_status unused;

	return null_devices_status(v->devices, id, &unused) < 0
		       ? error_set(e, -ENOENT, "no disk \"%s\" is attached", id)
		       : 0;
}

static int null_set_balloon(struct vmm *v, uint64_t bytes, struct error *e)
{
	return error_set(e, -EOPNOTSUPP,
			 "the null backend has no memory to give back");
}

static void null_nvram_committed(struct vmm *v)
{
	v->held = false;
	say(v, "committed\n");
	go_on(v);
}

/* So that something moves, each byte typed is an exit of the first vCPU. */
static int null_stats(struct vmm *v, struct vm_stats *ret, struct error *e)
{
	struct vm_stats_mmio *console;

	ret->vcpus = calloc(v->config->vcpus, sizeof(*ret->vcpus));
	console = ret->vcpus ? vm_stats_add_mmio(ret, "console") : NULL;
	if (!console || null_devices_stats(v->devices, ret) < 0)
		return error_set(e, -ENOMEM, "out of memory for statistics");
	ret->n_vcpus = v->config->vcpus;
	ret->vcpus[0].exits = ret->exits.mmio = v->bytes_in;
	console->reads = v->bytes_in;
	ret->balloon.target = ret->balloon.actual = v->config->memory_bytes;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void null_destroy(struct vmm *v)
{
	if (!v)
		return;
	null_save_drop(v->save);
	chardev_set_guest(v->console, NULL, NULL);
	null_devices_free(v->devices);
	if (v->nvram)
		munmap(v->nvram, v->nvram_size);
	uv_close((uv_handle_t *)&v->timer, on_closed);
}

static void on_saved(void *cookie, const struct error *e)
{
	struct vmm *v = cookie;

	v->save = NULL;
	v->saving.done(v->saving.cookie, e);
}

static int null_save(struct vmm *v, const struct vmm_save *params,
		     struct error *e)
{
	struct vmm_save own = *params;

	own.done = on_saved;
	own.cookie = v;
	v->saving = *params;
	return null_save_begin(v->loop, &v->memory, &own, &v->save, e);
}

static bool null_progress(struct vmm *v, uint64_t *ret_done,
			  uint64_t *ret_total)
{
	if (v->save)
		null_save_progress(v->save, ret_done, ret_total);
	return v->save;
}

static int null_attach(struct vmm *v, const struct vmm_device *device,
		       uint32_t *ret_slot, struct error *e)
{
	return null_devices_attach(v->devices, device, ret_slot, e);
}

static int null_detach(struct vmm *v, const char *id, bool force,
		       struct error *e)
{
	return null_devices_detach(v->devices, id, force, e);
}

static void null_give_up(struct vmm *v, const char *id, struct error *why)
{
	null_devices_give_up(v->devices, id, why);
}

/* Of any name: it has no network. */
static int null_set_link(struct vmm *v, const char *id, bool up,
			 struct error *e)
{
	return 0;
}

static int null_device_status(struct vmm *v, const char *id,
			      struct vmm_device_status *ret)
{
	return null_devices_status(v->devices, id, ret);
}

const struct vmm_ops null_vmm_ops = {
	.name = "null",
	.create = null_create,
	.start = null_start,
	.pause = null_pause,
	.resume = null_resume,
	.shutdown = null_shutdown,
	.reboot = null_reboot,
	.button_heard = null_button_heard,
	.reset = null_reset,
	.resize = null_resize,
	.set_balloon = null_set_balloon,
	.nvram_committed = null_nvram_committed,
	.stats = null_stats,
	.attach = null_attach,
	.detach = null_detach,
	.give_up = null_give_up,
	.set_link = null_set_link,
	.device_status = null_device_status,
	.save = null_save,
	.save_progress = null_progress,
	.destroy = null_destroy,
};
