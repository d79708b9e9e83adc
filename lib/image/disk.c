#include "lib/image/disk.h"

#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fd.h"

int disk_init(struct disk *d, int fd, const char *path, struct error *e)
{
	struct stat st;
	off_t size;

	if (fstat(fd, &st) < 0)
		return error_set(e, -errno, "cannot look at disk \"%s\": %s",
				 path, strerror(errno));
	if (S_ISDIR(st.st_mode))
		return error_set(e, -EINVAL,
				 "disk \"%s\" is a directory; name a raw disk "
				 "image or a block device",
				 path);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return error_set(e, -EINVAL,
				 "disk \"%s\" is neither a file nor a block "
				 "device",
				 path);
	size = lseek(fd, 0, SEEK_END);
	if (size < 0)
		return error_set(e, -errno, "cannot size disk \"%s\": %s", path,
				 strerror(errno));
	if (size == 0)
		return error_set(e, -EBADMSG,
				 "disk \"%s\" is empty; name a raw disk image",
				 path);
	*d = (struct disk){
		.fd = fd, .size_bytes = (uint64_t)size, .path = path};
	return 0;
}

int disk_read(const struct disk *d, uint64_t at, void *buf, size_t size)
{
	if (at > d->size_bytes || size > d->size_bytes - at)
		return -ERANGE;
	return fd_pread_full(d->fd, buf, size, (off_t)at);
}
