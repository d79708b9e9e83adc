#include "vmm-xen/console.h"

#include <fcntl.h>
#include <termios.h>

#include "lib/base/fd.h"

#define INPUT_BYTES  4096
#define READ_BYTES   16384
#define READS_A_TURN 16
/* xenconsoled makes the terminal when it hears of the domain. */
#define TTY_POLL_MS 20
#define TTY_WAIT_MS 30000
/* Once that was told. */
#define TTY_LATE_MS 1000
#define TTY_DIR	    "/dev/pts/"

/* An open terminal. libuv wants the memory of a handle until it is closed. */
struct tty {
	uv_poll_t poll;
	struct console *console;
	int fd;
};

struct console {
	struct console_params p;
	struct domain *domain; /* NULL: closed */
	struct tty *tty;       /* NULL: waited for, or closed */
	uv_timer_t timer;      /* while it is waited for */
	uint64_t since_ms;     /* then */
	bool told;
	/* Typed and not yet taken by the terminal. */
	uint8_t input[INPUT_BYTES];
	size_t input_size;
};

static void wait_for_tty(struct console *c);
static void on_poll(uv_poll_t *poll, int status, int events);

static void tty_closed_cb(uv_handle_t *handle)
{
	free(handle->data);
}

static void tty_close(struct console *c)
{
	struct tty *t = TAKE_PTR(c->tty);

	if (!t)
		return;
	uv_poll_stop(&t->poll);
	fd_close(t->fd);
	uv_close((uv_handle_t *)&t->poll, tty_closed_cb);
}

/* xenconsoled ended, or was started anew. */
static void tty_lost(struct console *c)
{
	tty_close(c);
	if (c->domain)
		wait_for_tty(c);
}

/* False: nothing more for now, or the terminal is lost. */
static bool read_some(struct console *c)
{
	uint8_t bytes[READ_BYTES];
	ssize_t n = read(c->tty->fd, bytes, sizeof(bytes));

	if (n > 0)
		chardev_write(c->p.chardev, bytes, (size_t)n);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		tty_lost(c);
	return n > 0;
}

static void poll_again(struct console *c)
{
	int events = UV_READABLE | (c->input_size ? UV_WRITABLE : 0);

	uv_poll_start(&c->tty->poll, events, on_poll);
}

static void write_input(struct console *c)
{
	ssize_t n = 0;

	if (!c->tty)
		return;
	if (c->input_size)
		n = write(c->tty->fd, c->input, c->input_size);
	if (n > 0) {
		c->input_size -= (size_t)n;
		memmove(c->input, c->input + n, c->input_size);
	}
	poll_again(c);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct console *c = ((struct tty *)poll->data)->console;

	if (status < 0) {
		tty_lost(c);
		return;
	}
	for (unsigned i = 0; i < READS_A_TURN; i++)
		if (!read_some(c))
			break;
	if (c->tty && (events & UV_WRITABLE)) {
		write_input(c);
		chardev_guest_ready(c->p.chardev);
	}
}

/* Bytes as they are, whoever had it open before. */
static int open_raw(const char *path)
{
	_cleanup_close_ int fd = -1;
	struct termios t;

	if (strncmp(path, TTY_DIR, strlen(TTY_DIR)) != 0 || strstr(path, ".."))
		return -EINVAL;
	fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || tcgetattr(fd, &t) < 0)
		return -errno;
	cfmakeraw(&t);
	if (tcsetattr(fd, TCSANOW, &t) < 0)
		return -errno;
	return TAKE_FD(fd);
}

static int tty_open(struct console *c, const char *path)
{
	struct tty *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return -ENOMEM;
	t->fd = open_raw(path);
	r = t->fd < 0 ? t->fd : uv_poll_init(c->p.loop, &t->poll, t->fd);
	if (r < 0) {
		fd_close(t->fd);
		free(t);
		return r;
	}
	t->poll.data = t;
	t->console = c;
	c->tty = t;
	poll_again(c);
	return 0;
}

static void on_timer(uv_timer_t *timer)
{
	static const char *const nodes[] = {
		[CONSOLE_PV] = "console/tty",
		[CONSOLE_VUART] = "vuart/0/tty",
	};
	struct console *c = timer->data;
	const char *node = nodes[c->p.kind];
	_cleanup_free_ char *path = domain_read(c->domain, node);
	int r = path ? tty_open(c, path) : 0;

	if (c->tty) {
		uv_timer_stop(timer);
		c->told = false;
		chardev_guest_ready(c->p.chardev);
		return;
	}
	/* Its number may be somebody else's terminal next. xenconsoled writes
	 * another when it is started again. */
	if (r == -ENOENT)
		(void)!domain_write(c->domain, node, "", NULL);
	if (c->told || uv_now(c->p.loop) - c->since_ms < TTY_WAIT_MS)
		return;
	c->told = true;
	uv_timer_set_repeat(timer, TTY_LATE_MS);
	c->p.failed(c->p.cookie,
		    "xenconsoled offers no terminal for the console; is it "
		    "running?");
}

static void wait_for_tty(struct console *c)
{
	c->since_ms = uv_now(c->p.loop);
	uv_timer_start(&c->timer, on_timer, 0, TTY_POLL_MS);
}

static size_t can_receive(void *cookie)
{
	struct console *c = cookie;

	return sizeof(c->input) - c->input_size;
}

static void receive(void *cookie, const uint8_t *data, size_t size)
{
	struct console *c = cookie;

	size = MIN(size, sizeof(c->input) - c->input_size);
	memcpy(c->input + c->input_size, data, size);
	c->input_size += size;
	write_input(c);
}

static const struct chardev_guest guest = {
	.can_receive = can_receive,
	.receive = receive,
};

int console_new(const struct console_params *params, struct console **ret,
		struct error *e)
{
	struct console *c = calloc(1, sizeof(*c));

	if (!c)
		return error_set(e, -ENOMEM, "out of memory");
	c->p = *params;
	uv_timer_init(c->p.loop, &c->timer);
	c->timer.data = c;
	chardev_set_guest(c->p.chardev, &guest, c);
	*ret = c;
	return 0;
}

void console_open(struct console *c, struct domain *d)
{
	c->domain = d;
	c->input_size = 0;
	c->told = false;
	wait_for_tty(c);
}

void console_close(struct console *c)
{
	c->domain = NULL;
	uv_timer_stop(&c->timer);
	for (unsigned i = 0; i < READS_A_TURN && c->tty; i++)
		if (!read_some(c))
			break;
	tty_close(c);
}

static void console_free_cb(uv_handle_t *handle)
{
	free(handle->data);
}

struct console *console_free(struct console *c)
{
	if (!c)
		return NULL;
	console_close(c);
	chardev_set_guest(c->p.chardev, NULL, NULL);
	uv_close((uv_handle_t *)&c->timer, console_free_cb);
	return NULL;
}
