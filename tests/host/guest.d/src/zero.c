/* zero DEVICE OFFSET BYTES: have a disk write zeroes by itself. */
#include <fcntl.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>

int main(int argc, char **argv)
{
	uint64_t range[2];
	int fd;

	if (argc != 4)
		return 2;
	fd = open(argv[1], O_WRONLY | O_EXCL);
	range[0] = strtoull(argv[2], NULL, 0);
	range[1] = strtoull(argv[3], NULL, 0);
	if (fd < 0 || ioctl(fd, BLKZEROOUT, range) < 0) {
		perror(argv[1]);
		return 1;
	}
	return 0;
}
