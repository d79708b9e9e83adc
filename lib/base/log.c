#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/base/log.h"

#define LOG_LINE_MAX 1024

/* Written once by log_open() before any thread starts, then only read. */
static struct {
	const char *program;
	enum log_level max;
	bool journal;
	log_sink *sink;
} log_config = {.program = "armvm", .max = LOG_LEVEL_INFO};

void log_open(const char *program, enum log_level max)
{
	log_config.program = program;
	log_config.max = max;
	/* journald takes a leading <N> as the priority of the line. */
	log_config.journal = getenv("JOURNAL_STREAM") != NULL;
}

void log_to(log_sink *sink)
{
	log_config.sink = sink;
}

static _Thread_local struct {
	log_job_of *of;
	void *cookie;
} log_job_source;

void log_jobs(log_job_of *job_of, void *cookie)
{
	log_job_source.of = job_of;
	log_job_source.cookie = cookie;
}

/* What stands in front of the message. */
static size_t line_begin(char *line, size_t size, enum log_level level,
			 const char *vm)
{
	int n = 0;

	if (log_config.sink)
		return 0;
	if (log_config.journal)
		n = snprintf(line, size, "<%d>%s%s", (int)level, vm ? vm : "",
			     vm ? ": " : "");
	else
		n = snprintf(line, size, "%s: %s%s", log_config.program,
			     vm ? vm : "", vm ? ": " : "");
	return n > 0 ? MIN((size_t)n, size - 2) : 0;
}

static void write_line(enum log_level level, const char *vm, long long job,
		       const char *fmt, va_list ap)
{
	char line[LOG_LINE_MAX];
	size_t at;
	int n;

	at = line_begin(line, sizeof(line), level, vm);
	n = vsnprintf(line + at, sizeof(line) - 1 - at, fmt, ap);
	if (n > 0)
		at = MIN(at + (size_t)n, sizeof(line) - 2);
	/* A quoted value must not start a line (or priority) of its own. */
	for (size_t i = 0; i < at; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = '?';
	if (log_config.sink) {
		line[at] = '\0';
		log_config.sink(level, vm, job, line);
		return;
	}
	line[at++] = '\n';
	/* A log that cannot be written has nobody to tell. */
	if (write(STDERR_FILENO, line, at) < 0)
		return;
}

void log_vm(enum log_level level, const char *vm, const char *fmt, ...)
{
	long long job = 0;
	va_list ap;

	if (level > log_config.max)
		return;
	if (vm && log_job_source.of)
		job = log_job_source.of(log_job_source.cookie, vm);
	va_start(ap, fmt);
	write_line(level, vm, job, fmt, ap);
	va_end(ap);
}

void log_job(enum log_level level, const char *vm, long long job,
	     const char *fmt, ...)
{
	va_list ap;

	if (level > log_config.max)
		return;
	va_start(ap, fmt);
	write_line(level, vm, job, fmt, ap);
	va_end(ap);
}
