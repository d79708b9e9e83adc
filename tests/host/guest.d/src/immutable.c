/*
 * immutable +|- FILE: sets or clears the immutable flag, which efivarfs puts
 * on variables that it does not know. Busybox has no chattr.
 */
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>

int main(int argc, char **argv)
{
	long flags;
	int fd;

	if (argc != 3 || (argv[1][0] != '+' && argv[1][0] != '-')) {
		fprintf(stderr, "Usage: immutable +|- FILE\n");
		return 2;
	}
	fd = open(argv[2], O_RDONLY | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0) {
		perror(argv[2]);
		return 1;
	}
	if (argv[1][0] == '+')
		flags |= FS_IMMUTABLE_FL;
	else
		flags &= ~FS_IMMUTABLE_FL;
	if (ioctl(fd, FS_IOC_SETFLAGS, &flags) < 0) {
		perror(argv[2]);
		return 1;
	}
	return 0;
}
