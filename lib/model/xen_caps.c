#include "lib/model/xen_caps.h"

#define CAP(member) offsetof(struct xen_caps, member)

const struct json_field xen_caps_fields[] = {
	{.name = "version",
	 .kind = JSON_STRING,
	 .offset = CAP(version),
	 .flags = JSON_REQUIRED,
	 .doc = "of the hypervisor"},
	{.name = "vcpus_max",
	 .kind = JSON_U32,
	 .offset = CAP(vcpus_max),
	 .flags = JSON_REQUIRED,
	 .doc = "virtual CPUs of one guest"},
	{.name = "memory_max",
	 .kind = JSON_U64,
	 .offset = CAP(memory_max),
	 .flags = JSON_REQUIRED,
	 .doc = "bytes of memory a guest may have"},
	{.name = "memory",
	 .kind = JSON_U64,
	 .offset = CAP(memory),
	 .doc = "bytes of memory of the host"},
	{.name = "memory_available",
	 .kind = JSON_U64,
	 .offset = CAP(available),
	 .doc = "bytes of it no domain had when armvmd started"},
	{.name = "gic_v2",
	 .kind = JSON_BOOL,
	 .offset = CAP(gic_v2),
	 .doc = "guests may have a GICv2"},
	{.name = "gic_v3",
	 .kind = JSON_BOOL,
	 .offset = CAP(gic_v3),
	 .doc = "guests may have a GICv3"},
	{.name = "aarch32",
	 .kind = JSON_BOOL,
	 .offset = CAP(aarch32),
	 .doc = "guests may start in AArch32"},
	JSON_END,
};

static int refuse(struct error *e, const char *field, const char *why)
{
	return error_set(e, -EOPNOTSUPP, "%s: %s (hypervisor \"xen\")", field,
			 why);
}

static int check_machine(const struct vm_config *c, struct error *e)
{
	if (!c->kernel)
		return refuse(e, "kernel",
			      "Xen guests have no UEFI firmware here; give a "
			      "kernel to start, with initrd and cmdline");
	/* Before what they need, which nobody asked for. */
	if (c->n_filesystems)
		return refuse(e, "filesystems",
			      "Xen on ARM has no virtio devices; use a disk or "
			      "the network");
	if (c->memory_backing != VM_MEMORY_ANONYMOUS)
		return refuse(e, "memory_backing",
			      "a guest's memory is Xen's own; leave it out");
	if (c->free_page_reporting)
		return refuse(e, "free_page_reporting",
			      "Xen's balloon has no such thing; use balloon "
			      "targets");
	if (c->ring != VM_RING_SPLIT)
		return refuse(e, "ring",
			      "Xen's devices are not virtio; leave it out");
	if (c->buses.rng || c->buses.console || c->buses.balloon ||
	    c->buses.vsock)
		return refuse(e, "buses",
			      "Xen's devices are on its own bus; leave it out");
	if (c->vsock.cid)
		return refuse(e, "vsock",
			      "Xen on ARM has no virtio devices; use a "
			      "network interface");
	return 0;
}

static int check_features(const struct vm_features *f, struct error *e)
{
	const struct {
		const char *name;
		int wanted;
	} features[] = {
		{"features.pmu", f->pmu},
		{"features.sve", f->sve},
		{"features.pauth", f->pauth},
		{"features.mte", f->mte},
		{"features.steal_time", f->steal_time},
	};

	for (size_t i = 0; i < ARRAY_SIZE(features); i++)
		if (features[i].wanted == VM_FEATURE_ON)
			return refuse(e, features[i].name,
				      "Xen gives its guests none; use auto or "
				      "off");
	return 0;
}

static int check_disks(const struct vm_config *c, struct error *e)
{
	for (size_t i = 0; i < c->n_disks; i++) {
		const struct disk_config *d = &c->disks[i];

		if (d->bus != VM_DEVICE_BUS_PCIE)
			return refuse(e, "disks[].bus",
				      "Xen's disks are on its own bus; leave "
				      "it out");
		if (d->on_error == VM_ON_ERROR_PAUSE)
			return refuse(e, "disks[].on_error",
				      "dom0's kernel serves disks and reports "
				      "errors to the guest; use report");
	}
	return 0;
}

static int check_nics(const struct vm_config *c, struct error *e)
{
	for (size_t i = 0; i < c->n_nics; i++) {
		const struct nic_config *n = &c->nics[i];

		if (!n->bridge || n->tap || n->user)
			return refuse(e,
				      n->tap	? "nics[].tap"
				      : n->user ? "nics[].user"
						: "nics[].bridge",
				      "Xen's network interfaces join a "
				      "bridge; give its name as bridge");
		if (n->bus != VM_DEVICE_BUS_PCIE)
			return refuse(e, "nics[].bus",
				      "Xen's network interfaces are on its "
				      "own bus; leave it out");
		if (n->vhost == VM_VHOST_ON)
			return refuse(e, "nics[].vhost",
				      "dom0's kernel moves the frames in its "
				      "own way; use auto or off");
	}
	return 0;
}

int xen_check(const struct vm_config *c, struct error *e)
{
	int r = check_machine(c, e);

	if (r == 0)
		r = check_features(&c->features, e);
	if (r == 0)
		r = check_disks(c, e);
	return r == 0 ? check_nics(c, e) : r;
}

static int check_host(const struct xen_caps *x, const struct vm_config *c,
		      struct error *e)
{
	bool v2 = c->gic == VM_GIC_V2, v3 = c->gic == VM_GIC_V3;
	char size[16], most[16];

	if (c->arch == VM_ARCH_AARCH32 && !x->aarch32)
		return refuse(e, "arch",
			      "the CPU of this host has no AArch32 at EL1, so "
			      "it runs no aarch32 guests; use aarch64");
	if ((v2 && !x->gic_v2) || (v3 && !x->gic_v3))
		return error_set(e, -EOPNOTSUPP,
				 "gic: Xen on this host gives guests no "
				 "GIC%s; use %s",
				 v2 ? "v2" : "v3", v2 ? "v3" : "v2");
	if ((v2 || !x->gic_v3) && c->vcpus > VM_GICV2_VCPUS_MAX)
		return error_set(e, -EINVAL,
				 "vcpus: %u are too many for a GICv2; it "
				 "serves at most %d",
				 c->vcpus, VM_GICV2_VCPUS_MAX);
	if (c->vcpus > x->vcpus_max)
		return error_set(e, -EINVAL,
				 "vcpus: %u are too many; Xen on this host "
				 "gives a guest at most %u",
				 c->vcpus, x->vcpus_max);
	if (c->memory_bytes > x->memory_max)
		return error_set(
			e, -EINVAL,
			"memory: %s is too much; Xen on this host has %s",
			format_size(c->memory_bytes, size, sizeof(size)),
			format_size(x->memory_max, most, sizeof(most)));
	return 0;
}

int xen_caps_check(const struct xen_caps *x, const struct vm_config *c,
		   struct error *e)
{
	int r = xen_check(c, e);

	return r == 0 ? check_host(x, c, e) : r;
}
