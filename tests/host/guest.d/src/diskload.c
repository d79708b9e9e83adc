/*
 * diskload read|write DEVICE...
 * A process for each goes on reading or writing it, past the cache, until that
 * fails; the command itself ends at once.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE	 65536
#define PAUSE_US 40000 /* many of them leave a CPU some time */

static void work(const char *path, int writes)
{
	int fd = open(path, O_DIRECT | (writes ? O_WRONLY : O_RDONLY));
	off_t size = lseek(fd, 0, SEEK_END);
	ssize_t n = PIECE;
	void *piece;

	if (fd < 0 || size < PIECE || posix_memalign(&piece, 4096, PIECE))
		return;
	memset(piece, 0x5a, PIECE);
	for (off_t at = 0; n == PIECE; at = (at + PIECE) % (size - PIECE + 1)) {
		at -= at % PIECE;
		n = writes ? pwrite(fd, piece, PIECE, at)
			   : pread(fd, piece, PIECE, at);
		usleep(PAUSE_US);
	}
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	for (int i = 2; i < argc; i++)
		if (fork() == 0) {
			work(argv[i], strcmp(argv[1], "write") == 0);
			_exit(0);
		}
	return 0;
}
