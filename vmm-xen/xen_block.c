/* Disks: blkback on a block device, or on a loop device over a file. */
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "lib/base/fd.h"
#include "vmm-xen/xen_bus_internal.h"

#define SECTOR 512

/* The guest's name of the disk, and its number (xen-vbd-interface.7): xvda is
 * the disk in slot 1, xvdaa the one in slot 27. */
static uint32_t block_number(uint32_t slot)
{
	uint32_t index = slot - 1;

	return index < 16 ? 202u << 8 | index << 4 : 1u << 28 | index << 8;
}

static void block_name(uint32_t slot, char buf[8])
{
	unsigned index = slot - 1;

	if (index < 26)
		snprintf(buf, 8, "xvd%c", 'a' + (char)index);
	else
		snprintf(buf, 8, "xvd%c%c", 'a' + (char)(index / 26 - 1),
			 'a' + (char)(index % 26));
}

int xen_block_init(struct xen_device *d, const struct vmm_device *device,
		   struct error *e)
{
	const struct disk_config *disk = device->disk;
	struct stat st;
	int r;

	d->readonly = disk->readonly;
	if (fstat(device->fd, &st) < 0)
		return error_set(e, -errno, "disk \"%s\": %m", disk->id);
	r = xen_block_check_free(d->bus, &st, d->readonly, e);
	if (r < 0)
		return error_prefix(e, r, "disk \"%s\"", disk->id);
	if (S_ISBLK(st.st_mode)) {
		d->dev = st.st_rdev;
		/* Held, with its lock, for as long as the device is there. */
		d->device_fd = fcntl(device->fd, F_DUPFD_CLOEXEC, 0);
		return d->device_fd < 0 ? error_set(e, -errno,
						    "disk \"%s\": %m", disk->id)
					: 0;
	}
	if (!S_ISREG(st.st_mode))
		return error_set(e, -EINVAL,
				 "disk \"%s\" is neither a regular file nor a "
				 "block device",
				 disk->id);
	d->file_dev = st.st_dev;
	d->file_ino = st.st_ino;
	if (xen_host.loop_make(device->fd, d->readonly, &d->loop_fd, &d->dev,
			       e) < 0)
		return error_prefix(e, -EIO, "disk \"%s\"", disk->id);
	return 0;
}

static void block_backend_nodes(const struct xen_device *d,
				struct xen_changes *c, const char *dir)
{
	char name[8];

	block_name(d->slot, name);
	xen_changes_write(c, dir, "removable", "1");
	xen_changes_write(c, dir, "bootable", "1");
	xen_changes_write(c, dir, "dev", "%s", name);
	xen_changes_write(c, dir, "type", "phy");
	xen_changes_write(c, dir, "mode", d->readonly ? "r" : "w");
	xen_changes_write(c, dir, "device-type", "disk");
	xen_changes_write(c, dir, "discard-enable", d->readonly ? "0" : "1");
	xen_changes_write(c, dir, "params", "/dev/block/%u:%u", major(d->dev),
			  minor(d->dev));
	xen_changes_write(c, dir, "hotplug-status", "connected");
	xen_changes_write(c, dir, "physical-device", "%x:%x", major(d->dev),
			  minor(d->dev));
	if (d->file_ino)
		xen_changes_write(c, dir, "armvm-file", "%llx:%llx",
				  (unsigned long long)d->file_dev,
				  (unsigned long long)d->file_ino);
}

static void block_guest_nodes(const struct xen_device *d, struct xen_changes *c,
			      const char *dir)
{
	xen_changes_write(c, dir, "virtual-device", "%u",
			  block_number(d->slot));
	xen_changes_write(c, dir, "device-type", "disk");
}

static int block_backend_ready(struct xen_device *d, struct error *e)
{
	return 0;
}

/* -EBADMSG: it is no loop device. A guest can make blkback let go of one; with
 * its supervisor's end nothing held it then. */
static int loop_adopt(struct xen_device *d, const char *dir)
{
	char path[XEN_PATH_MAX + 24], text[XEN_VALUE_MAX];
	unsigned long long file_dev, file_ino;
	dev_t now_dev;
	ino_t now_ino;
	int r = xen_host.loop_open(d->dev, &d->loop_fd);

	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "%s/armvm-file", dir);
	r = xen_store_read(d->bus->store, path, text, sizeof(text));
	if (r < 0 || sscanf(text, "%llx:%llx", &file_dev, &file_ino) != 2)
		return r < 0 ? r : -EIO;
	d->file_dev = (dev_t)file_dev;
	d->file_ino = (ino_t)file_ino;
	d->lost = xen_host.loop_file(d->dev, &now_dev, &now_ino) < 0 ||
		  now_dev != d->file_dev || now_ino != d->file_ino;
	if (d->lost)
		d->loop_fd = fd_close(d->loop_fd);
	return 0;
}

/* libxl's folder: dom0 alone can write it. */
static int block_adopt(struct xen_device *d, const char *dir, struct error *e)
{
	char path[XEN_PATH_MAX + 24], text[XEN_VALUE_MAX];
	unsigned major_number, minor_number;
	int r;

	snprintf(path, sizeof(path), "%s/physical-device", dir);
	r = xen_store_read(d->bus->store, path, text, sizeof(text));
	if (r < 0 || sscanf(text, "%x:%x", &major_number, &minor_number) != 2)
		return error_set(e, r < 0 ? r : -EBADMSG,
				 "disk \"%s\": xenstore's %s is no device",
				 d->id, path);
	d->dev = makedev(major_number, minor_number);
	snprintf(path, sizeof(path), "%s/mode", dir);
	d->readonly = xen_store_read(d->bus->store, path, text, sizeof(text)) ==
			      0 &&
		      streq(text, "r");
	r = loop_adopt(d, dir);
	if (r == -EBADMSG)
		r = xen_host.device_open(d->dev, d->readonly, &d->device_fd);
	if (r < 0)
		return error_set(e, r, "disk \"%s\": its device: %s", d->id,
				 strerror(-r));
	return 0;
}

static uint64_t block_counter(const char *kernel, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "bus/xen-backend/devices/%s/statistics/%s",
		 kernel, name);
	return xen_host.counter(path);
}

static int block_stats(const struct xen_device *d, struct vm_stats *ret)
{
	struct vm_stats_disk *s = vm_stats_add_disk(ret, d->id);
	struct xen_paths p;

	if (!s)
		return -ENOMEM;
	xen_device_paths(d, &p);
	s->read.requests = block_counter(p.kernel, "rd_req");
	s->read.bytes = block_counter(p.kernel, "rd_sect") * SECTOR;
	s->write.requests = block_counter(p.kernel, "wr_req");
	s->write.bytes = block_counter(p.kernel, "wr_sect") * SECTOR;
	s->flush.requests = block_counter(p.kernel, "f_req");
	s->discard.requests = block_counter(p.kernel, "ds_req");
	return 0;
}

static void block_host_done(struct xen_device *d)
{
	d->loop_fd = fd_close(d->loop_fd);
	d->device_fd = fd_close(d->device_fd);
}

const struct xen_device_class xen_block_class = {
	.name = "vbd",
	.driver = "xen-blkfront",
	.number = block_number,
	.backend_nodes = block_backend_nodes,
	.guest_nodes = block_guest_nodes,
	.backend_ready = block_backend_ready,
	.adopt = block_adopt,
	.stats = block_stats,
	.host_done = block_host_done,
};
