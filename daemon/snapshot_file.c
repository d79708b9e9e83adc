#include "daemon/snapshot_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fd.h"

#define MODE 0600 /* it holds all the guest's memory */

/* Of an absolute path: where its last component begins; NULL: none. */
static const char *base_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return path[0] == '/' && slash[1] ? slash + 1 : NULL;
}

static char *part_of(const char *path)
{
	const char *base = base_of(path);
	char *part = NULL;

	return base && asprintf(&part, ".%s.part", base) > 0 ? part : NULL;
}

static int dir_open(const char *path)
{
	_cleanup_free_ char *dir = strndup(path,
					   (size_t)(base_of(path) - path));
	int fd = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	return fd < 0 ? -errno : fd;
}

/* 0, or -EEXIST. */
static int check_free(const struct snapshot_file *f, struct error *e)
{
	struct stat st;

	if (fstatat(f->dir_fd, base_of(f->path), &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	if (f->overwrite && S_ISREG(st.st_mode))
		return 0;
	return error_set(e, -EEXIST,
			 f->overwrite ? "%s exists and is no regular file"
				      : "%s exists already; with overwrite it "
					"is replaced",
			 f->path);
}

static int file_open(struct snapshot_file *f)
{
	f->fd = openat(f->dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, MODE);
	if (f->fd >= 0)
		return 0;
	if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
		return -errno;
	f->fd = openat(f->dir_fd, f->part,
		       O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		       MODE);
	f->named = f->fd >= 0;
	return f->named ? 0 : -errno;
}

int snapshot_file_open(const char *path, bool overwrite,
		       struct snapshot_file *ret, struct error *e)
{
	struct snapshot_file f = {.fd = -1, .dir_fd = -1};
	int r = 0;

	if (!base_of(path))
		return error_set(e, -EINVAL,
				 "path: \"%s\" is not the absolute path of a "
				 "file",
				 path);
	f.overwrite = overwrite;
	f.path = strdup(path);
	f.part = part_of(path);
	if (!f.path || !f.part)
		r = error_set(e, -ENOMEM, "out of memory");
	if (r == 0) {
		f.dir_fd = dir_open(path);
		r = f.dir_fd < 0
			    ? error_set(e, f.dir_fd, "the directory of %s: %s",
					path, strerror(-f.dir_fd))
			    : check_free(&f, e);
	}
	if (r == 0) {
		r = file_open(&f);
		if (r < 0)
			error_set(e, r, "cannot make %s: %s", path,
				  strerror(-r));
	}
	if (r < 0)
		snapshot_file_done(&f);
	else
		*ret = f;
	return r;
}

/* A name for one that has none; an existing name is replaced at once, so it
 * takes another one first. */
static int give_name(struct snapshot_file *f, const char *name)
{
	char link[64];

	snprintf(link, sizeof(link), "/proc/self/fd/%d", f->fd);
	return linkat(AT_FDCWD, link, f->dir_fd, name, AT_SYMLINK_FOLLOW) < 0
		       ? -errno
		       : 0;
}

static int take_name(struct snapshot_file *f)
{
	const char *base = base_of(f->path);
	int r;

	if (!f->named && !f->overwrite)
		return give_name(f, base);
	if (!f->named) {
		(void)unlinkat(f->dir_fd, f->part, 0);
		r = give_name(f, f->part);
		if (r < 0)
			return r;
		f->named = true;
	}
	if (renameat2(f->dir_fd, f->part, f->dir_fd, base,
		      f->overwrite ? 0 : RENAME_NOREPLACE) < 0)
		return -errno;
	f->named = false;
	return 0;
}

int snapshot_file_publish(struct snapshot_file *f, struct error *e)
{
	int r = take_name(f);

	if (r == 0 && fsync(f->dir_fd) < 0) {
		r = -errno;
		(void)unlinkat(f->dir_fd, base_of(f->path), 0);
	}
	return r < 0 ? error_set(e, r, "cannot give %s its name: %s", f->path,
				 strerror(-r))
		     : 0;
}

void snapshot_file_done(struct snapshot_file *f)
{
	if (f->named)
		(void)unlinkat(f->dir_fd, f->part, 0);
	f->fd = fd_close(f->fd);
	f->dir_fd = fd_close(f->dir_fd);
	free(f->path);
	free(f->part);
	*f = (struct snapshot_file){.fd = -1, .dir_fd = -1};
}

void snapshot_file_remove_part(const char *path)
{
	_cleanup_free_ char *part = part_of(path);
	_cleanup_close_ int dir = part ? dir_open(path) : -1;

	if (dir >= 0)
		(void)unlinkat(dir, part, 0);
}
