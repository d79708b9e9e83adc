#include "cli/terminal.h"

#include <sys/signalfd.h>

#include "lib/base/fd.h"

int terminal_open(struct terminal *ret, struct error *e)
{
	struct terminal t = {.signal_fd = -1};
	struct termios raw;
	sigset_t ending;

	t.raw = tcgetattr(STDIN_FILENO, &t.before) == 0;
	sigemptyset(&ending);
	sigaddset(&ending, SIGTERM);
	sigaddset(&ending, SIGHUP);
	sigaddset(&ending, SIGINT);
	sigaddset(&ending, SIGQUIT);
	sigprocmask(SIG_BLOCK, &ending, &t.mask_before);
	t.signal_fd = signalfd(-1, &ending, SFD_CLOEXEC | SFD_NONBLOCK);
	if (t.signal_fd < 0) {
		sigprocmask(SIG_SETMASK, &t.mask_before, NULL);
		return error_set(e, -errno, "no signal descriptor: %s",
				 strerror(errno));
	}
	if (t.raw) {
		raw = t.before;
		cfmakeraw(&raw);
		tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
	}
	*ret = t;
	return 0;
}

void terminal_close(struct terminal *t)
{
	if (t->raw)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &t->before);
	t->raw = false;
	t->signal_fd = fd_close(t->signal_fd);
	sigprocmask(SIG_SETMASK, &t->mask_before, NULL);
}

void terminal_die(struct terminal *t)
{
	struct signalfd_siginfo info = {.ssi_signo = SIGTERM};
	ssize_t n = read(t->signal_fd, &info, sizeof(info));

	(void)n; /* without one it is SIGTERM */
	terminal_close(t);
	raise((int)info.ssi_signo);
}
