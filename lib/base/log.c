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
} log_config = {.program = "armvm", .max = LOG_LEVEL_INFO};

void log_open(const char *program, enum log_level max)
{
	log_config.program = program;
	log_config.max = max;
	/* journald takes a leading <N> as the priority of the line. */
	log_config.journal = getenv("JOURNAL_STREAM") != NULL;
}

void log_vm(enum log_level level, const char *vm, const char *fmt, ...)
{
	char line[LOG_LINE_MAX];
	size_t at = 0;
	va_list ap;
	int n;

	if (level > log_config.max)
		return;
	if (log_config.journal)
		n = snprintf(line, sizeof(line), "<%d>%s%s", (int)level,
			     vm ? vm : "", vm ? ": " : "");
	else
		n = snprintf(line, sizeof(line), "%s: %s%s", log_config.program,
			     vm ? vm : "", vm ? ": " : "");
	if (n > 0)
		at = MIN((size_t)n, sizeof(line) - 2);
	va_start(ap, fmt);
	n = vsnprintf(line + at, sizeof(line) - 1 - at, fmt, ap);
	va_end(ap);
	if (n > 0)
		at = MIN(at + (size_t)n, sizeof(line) - 2);
	/* A quoted value must not start a line (or priority) of its own. */
	for (size_t i = 0; i < at; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = '?';
	line[at++] = '\n';
	/* A log that cannot be written has nobody to tell. */
	if (write(STDERR_FILENO, line, at) < 0)
		return;
}
