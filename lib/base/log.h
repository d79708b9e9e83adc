/*
 * Logging, for programs only (libraries return errors instead). One line per
 * call to standard error, prefixed with "<N>" priorities when journald reads
 * it. Name the VM in the message or with log_vm().
 *
 * Thread: any; a line is written with one write(2).
 */
#ifndef LIB_BASE_LOG_H
#define LIB_BASE_LOG_H

#include <stdbool.h>

#include "lib/base/util.h"

/* syslog(3) priorities, the subset we use. */
enum log_level {
	LOG_LEVEL_ERROR = 3,
	LOG_LEVEL_WARNING = 4,
	LOG_LEVEL_INFO = 6,
	LOG_LEVEL_DEBUG = 7,
};

/* `program` is borrowed for the life of the process. */
void log_open(const char *program, enum log_level max);

/* Lines go there instead, without a newline or the VM's name in front; `job` is
 * 0 when the line belongs to none. */
typedef void log_sink(enum log_level level, const char *vm, long long job,
		      const char *message);
void log_to(log_sink *sink);

/* Which job a line about a VM belongs to; 0: none. Asked for lines of the
 * thread that said so, alone. NULL: nobody knows. */
typedef long long log_job_of(void *cookie, const char *vm);
void log_jobs(log_job_of *job_of, void *cookie);

/* vm may be NULL: then the line names no VM. */
void log_vm(enum log_level level, const char *vm, const char *fmt, ...)
	printf_like(3, 4);

/* A line about a job, and its VM (may be NULL). */
void log_job(enum log_level level, const char *vm, long long job,
	     const char *fmt, ...) printf_like(4, 5);

#define log_error(...)	 log_vm(LOG_LEVEL_ERROR, NULL, __VA_ARGS__)
#define log_warning(...) log_vm(LOG_LEVEL_WARNING, NULL, __VA_ARGS__)
#define log_info(...)	 log_vm(LOG_LEVEL_INFO, NULL, __VA_ARGS__)
#define log_debug(...)	 log_vm(LOG_LEVEL_DEBUG, NULL, __VA_ARGS__)

#endif
