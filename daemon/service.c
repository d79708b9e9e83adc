#include "daemon/service.h"

#include <stdio.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-journal.h>

#include "lib/base/log.h"

static void to_journal(enum log_level level, const char *vm,
		       const char *message)
{
	if (vm)
		sd_journal_send("MESSAGE=%s: %s", vm, message, "PRIORITY=%d",
				(int)level, "SYSLOG_IDENTIFIER=armvmd", "VM=%s",
				vm, NULL);
	else
		sd_journal_send("MESSAGE=%s", message, "PRIORITY=%d",
				(int)level, "SYSLOG_IDENTIFIER=armvmd", NULL);
}

/* systemd.exec(5): JOURNAL_STREAM is "device:inode" of the stream that was
 * connected; standard error may since have become something else. */
static bool journal_is_stderr(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
	       fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device &&
	       st.st_ino == inode;
}

void service_log(void)
{
	if (journal_is_stderr())
		log_to(to_journal);
}

static void on_watchdog(uv_timer_t *timer)
{
	sd_notify(0, "WATCHDOG=1");
}

void service_ready(struct service *s, uv_loop_t *loop)
{
	uint64_t usec = 0;

	uv_timer_init(loop, &s->watchdog);
	/* Half of the time, as sd_watchdog_enabled(3) recommends. */
	if (sd_watchdog_enabled(0, &usec) > 0)
		uv_timer_start(&s->watchdog, on_watchdog, 0, usec / 2000);
	sd_notify(0, "READY=1");
}

void service_stopping(struct service *s)
{
	sd_notify(0, "STOPPING=1");
	uv_close((uv_handle_t *)&s->watchdog, NULL);
}
