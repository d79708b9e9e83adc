#include "daemon/service.h"

#include <stdio.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-journal.h>

#include "lib/base/log.h"
#include "lib/base/util.h"

#define FIELD_MAX 2048

/* systemd.journal-fields(7); VM= and JOB= are ours. */
static void to_journal(enum log_level level, const char *vm, long long job,
		       const char *message)
{
	static char program[] = "SYSLOG_IDENTIFIER=armvmd";
	char text[2][FIELD_MAX], vm_field[FIELD_MAX], job_field[32];
	struct iovec fields[5];
	int n = 0;

	snprintf(text[0], FIELD_MAX, "MESSAGE=%s%s%s", vm ? vm : "",
		 vm ? ": " : "", message);
	snprintf(text[1], FIELD_MAX, "PRIORITY=%d", (int)level);
	fields[n++] = (struct iovec){text[0], strlen(text[0])};
	fields[n++] = (struct iovec){text[1], strlen(text[1])};
	fields[n++] = (struct iovec){program, sizeof(program) - 1};
	if (vm) {
		snprintf(vm_field, sizeof(vm_field), "VM=%s", vm);
		fields[n++] = (struct iovec){vm_field, strlen(vm_field)};
	}
	if (job) {
		snprintf(job_field, sizeof(job_field), "JOB=%lld", job);
		fields[n++] = (struct iovec){job_field, strlen(job_field)};
	}
	sd_journal_sendv(fields, n);
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

void service_keep(const char *name, int fd)
{
	char text[128];

	snprintf(text, sizeof(text), "FDSTORE=1\nFDNAME=%s", name);
	sd_pid_notify_with_fds(0, 0, text, &fd, 1);
}

void service_drop(const char *name)
{
	sd_notifyf(0, "FDSTOREREMOVE=1\nFDNAME=%s", name);
}

void service_kept_load(struct service_kept *ret)
{
	ret->n = sd_listen_fds_with_names(0, &ret->names);
}

int service_kept_take(struct service_kept *kept, const char *name)
{
	for (int i = 0; i < kept->n; i++)
		if (streq(kept->names[i], name)) {
			*kept->names[i] = '\0';
			return SD_LISTEN_FDS_START + i;
		}
	return -1;
}

void service_kept_done(struct service_kept *kept, const char *prefix)
{
	for (int i = 0; i < kept->n; i++) {
		if (strncmp(kept->names[i], prefix, strlen(prefix)) == 0) {
			service_drop(kept->names[i]);
			close(SD_LISTEN_FDS_START + i);
		}
		free(kept->names[i]);
	}
	if (kept->n > 0)
		free(kept->names);
	*kept = (struct service_kept){0};
}
