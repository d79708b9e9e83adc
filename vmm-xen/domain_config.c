#include "vmm-xen/domain_config.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/cpu_list.h"

#define XEN_WEIGHT_USUAL   256
#define XEN_WEIGHT_MAX	   65535
#define SYSTEMD_WEIGHT	   100
#define CMDLINE_CONSOLE_64 "console=ttyAMA0"

int domain_config_weight(uint32_t cpu_weight)
{
	uint64_t weight = (uint64_t)cpu_weight * XEN_WEIGHT_USUAL /
			  SYSTEMD_WEIGHT;

	return (int)MIN(MAX(weight, 1u), XEN_WEIGHT_MAX);
}

/*
 * libxl's device tree names no console (stdout-path), and Linux on Xen then
 * takes the paravirtual one; so the one the definition has first is named on
 * the command line unless that names one itself.
 */
static char *cmdline_text(const struct vm_config *c)
{
	const char *own = c->cmdline ? c->cmdline : "";
	char *text = NULL;

	if (c->console == VM_CONSOLE_VIRTIO || strstr(own, "console="))
		return strdup(own);
	return asprintf(&text, "%s%s" CMDLINE_CONSOLE_64, own,
			*own ? " " : "") < 0
		       ? NULL
		       : text;
}

static char *fd_path(int fd)
{
	char *path = NULL;

	return asprintf(&path, "/proc/self/fd/%d", fd) < 0 ? NULL : path;
}

/* As libxl_bitmap_alloc() and _set() do, which take a context for it. */
static int all_vcpus(libxl_bitmap *map, uint32_t n)
{
	map->size = DIV_ROUND_UP(n, 8);
	map->map = calloc(map->size, 1);
	if (!map->map)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		map->map[i / 8] |= (uint8_t)(1u << (i % 8));
	return 0;
}

/* Each of its CPUs on any of these. */
static int fill_affinity(const struct vm_config *c, libxl_domain_build_info *b)
{
	struct cpu_list list;

	if (!c->host_cpus)
		return 0;
	if (cpu_list_parse(c->host_cpus, &list) < 0)
		return -EINVAL;
	/* libxl would choose other CPUs by itself. */
	libxl_defbool_set(&b->numa_placement, false);
	b->vcpu_hard_affinity = calloc(c->vcpus, sizeof(libxl_bitmap));
	if (!b->vcpu_hard_affinity)
		return -ENOMEM;
	for (uint32_t i = 0; i < c->vcpus; i++) {
		libxl_bitmap *map = &b->vcpu_hard_affinity[i];

		b->num_vcpu_hard_affinity = (int)i + 1;
		libxl_bitmap_init(map);
		map->map = malloc(sizeof(list.bits));
		if (!map->map)
			return -ENOMEM;
		memcpy(map->map, list.bits, sizeof(list.bits));
		map->size = sizeof(list.bits);
	}
	return 0;
}

static int fill_build(const struct vm_config *c, const struct domain_boot *boot,
		      libxl_domain_build_info *b)
{
	static const libxl_gic_version gics[] = {
		[VM_GIC_AUTO] = LIBXL_GIC_VERSION_DEFAULT,
		[VM_GIC_V2] = LIBXL_GIC_VERSION_V2,
		[VM_GIC_V3] = LIBXL_GIC_VERSION_V3,
	};

	libxl_domain_build_info_init_type(b, LIBXL_DOMAIN_TYPE_PVH);
	b->max_vcpus = (int)c->vcpus;
	b->max_memkb = b->target_memkb = c->memory_bytes / 1024;
	/* Else libxl_set_memory_target() runs into an assertion. */
	libxl_defbool_set(&b->acpi, false);
	b->arch_arm.gic_version = gics[c->gic];
	if (c->console != VM_CONSOLE_VIRTIO)
		b->arch_arm.vuart = LIBXL_VUART_TYPE_SBSA_UART;
	if (c->cpu_weight)
		b->sched_params.weight = domain_config_weight(c->cpu_weight);
	b->kernel = fd_path(boot->kernel_fd);
	b->cmdline = cmdline_text(c);
	if (boot->initrd_fd >= 0)
		b->ramdisk = fd_path(boot->initrd_fd);
	if (!b->kernel || !b->cmdline || (boot->initrd_fd >= 0 && !b->ramdisk))
		return -ENOMEM;
	return fill_affinity(c, b) < 0 ? -ENOMEM
				       : all_vcpus(&b->avail_vcpus, c->vcpus);
}

int domain_config_fill(const struct vm_config *c,
		       const struct domain_boot *boot, libxl_domain_config *ret,
		       struct error *e)
{
	int r;

	libxl_domain_config_init(ret);
	ret->c_info.type = LIBXL_DOMAIN_TYPE_PVH;
	/* Devices are our own affair. */
	libxl_defbool_set(&ret->c_info.run_hotplug_scripts, false);
	ret->c_info.name = strdup(c->name);
	r = ret->c_info.name ? 0 : -ENOMEM;
	if (r == 0 && libxl_uuid_from_string(&ret->c_info.uuid, c->uuid) < 0)
		return error_set(e, -EINVAL, "\"%s\" is no uuid", c->uuid);
	if (r == 0)
		r = fill_build(c, boot, &ret->b_info);
	return r < 0 ? error_set(e, r, "out of memory") : 0;
}
