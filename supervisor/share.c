#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "supervisor/share.h"

/* A mount namespace of our own, in which the tree is read-only: the server has
 * no say in it, and neither has who takes it over. */
static int make_readonly(const char *path, struct error *e)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};

	if (unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount(path, path, NULL, MS_BIND | MS_REC, NULL) < 0)
		return error_set(e, -errno, "a mount of \"%s\": %s", path,
				 strerror(errno));
	/* With all that is mounted below it. */
	if (mount_setattr(AT_FDCWD, path, AT_RECURSIVE, &attr, sizeof(attr)) <
	    0)
		return error_set(e, -errno,
				 "\"%s\" cannot be made read-only: %s", path,
				 strerror(errno));
	return 0;
}

/* Nothing the daemon had open by accident goes with it. */
static int keep_only(int fd, struct error *e)
{
	if (syscall(SYS_close_range, fd + 1, ~0U, 0) < 0 ||
	    fcntl(fd, F_SETFD, 0) < 0)
		return error_set(e, -errno, "descriptors: %s", strerror(errno));
	return 0;
}

int share_run(const struct share_params *p)
{
	struct error e = ERROR_INIT;
	char fd[32], *source = NULL;
	int r = keep_only(p->fd, &e);

	if (r == 0 && p->readonly)
		r = make_readonly(p->path, &e);
	if (r == 0 && asprintf(&source, "source=%s", p->path) < 0)
		r = error_set(&e, -ENOMEM, "out of memory");
	if (r == 0) {
		snprintf(fd, sizeof(fd), "--fd=%d", p->fd);
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		signal(SIGPIPE, SIG_DFL);
		/* Its own sandbox: mount, pid and network namespaces, the
		 * folder as its root, few capabilities, seccomp. */
		execl(p->program, "virtiofsd", fd, "-o", source, "-o",
		      "sandbox=namespace", "-o", "log_level=warn", NULL);
		error_set(&e, -errno, "cannot start %s: %s", p->program,
			  strerror(errno));
	}
	log_error("%s", e.message);
	return EXIT_FAILURE;
}
