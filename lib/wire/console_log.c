#include "lib/wire/console_log.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "lib/base/fd.h"

#define FORMAT "armvmd console log from %020" PRIu64 " boot %020" PRIu64 " \n"

int console_log_part_read(int fd, struct console_log_part *ret)
{
	char have[CONSOLE_LOG_HEADER + 1] = "", want[CONSOLE_LOG_HEADER + 1];
	struct console_log_part part;
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	r = fd_pread_full(fd, have, CONSOLE_LOG_HEADER, 0);
	if (r < 0)
		return r;
	if (sscanf(have,
		   "armvmd console log from %20" SCNu64 " boot %20" SCNu64,
		   &part.from, &part.boot) != 2)
		return -ENODATA;
	/* Exactly as it would have been written, or not at all. */
	snprintf(want, sizeof(want), FORMAT, part.from, part.boot);
	if (memcmp(have, want, CONSOLE_LOG_HEADER) != 0)
		return -ENODATA;
	part.size = (uint64_t)MAX(st.st_size, CONSOLE_LOG_HEADER) -
		    CONSOLE_LOG_HEADER;
	/* Positions stay far from where they would wrap around. */
	if (part.from > INT64_MAX / 2 || part.size > INT64_MAX / 2)
		return -ENODATA;
	*ret = part;
	return 0;
}

int console_log_part_write(int fd, const struct console_log_part *part)
{
	char text[CONSOLE_LOG_HEADER + 1];

	snprintf(text, sizeof(text), FORMAT, part->from, part->boot);
	return fd_pwrite_full(fd, text, CONSOLE_LOG_HEADER, 0);
}
