#include "lib/model/host_caps.h"

#define CAP(member) offsetof(struct host_caps, member)

const struct json_field host_caps_fields[] = {
	{.name = "ipa_bits",
	 .kind = JSON_U32,
	 .offset = CAP(ipa_bits),
	 .flags = JSON_REQUIRED,
	 .doc = "width of a guest physical address"},
	{.name = "vcpus_max",
	 .kind = JSON_U32,
	 .offset = CAP(vcpus_max),
	 .flags = JSON_REQUIRED,
	 .doc = "virtual CPUs of one guest"},
	{.name = "memory_max",
	 .kind = JSON_U64,
	 .offset = CAP(memory_max),
	 .flags = JSON_REQUIRED,
	 .doc = "bytes of memory that fit a guest's address space"},
	{.name = "gic_v2",
	 .kind = JSON_BOOL,
	 .offset = CAP(gic_v2),
	 .doc = "guests may have a GICv2"},
	{.name = "gic_v3",
	 .kind = JSON_BOOL,
	 .offset = CAP(gic_v3),
	 .doc = "guests may have a GICv3"},
	{.name = "its",
	 .kind = JSON_BOOL,
	 .offset = CAP(its),
	 .doc = "with an ITS for message signalled interrupts"},
	{.name = "aarch32",
	 .kind = JSON_BOOL,
	 .offset = CAP(aarch32),
	 .doc = "guests may start in AArch32"},
	{.name = "pmu",
	 .kind = JSON_BOOL,
	 .offset = CAP(pmu),
	 .doc = "performance counters"},
	{.name = "sve",
	 .kind = JSON_BOOL,
	 .offset = CAP(sve),
	 .doc = "scalable vectors"},
	{.name = "pauth",
	 .kind = JSON_BOOL,
	 .offset = CAP(pauth),
	 .doc = "pointer authentication"},
	{.name = "mte",
	 .kind = JSON_BOOL,
	 .offset = CAP(mte),
	 .doc = "memory tagging"},
	{.name = "steal_time",
	 .kind = JSON_BOOL,
	 .offset = CAP(steal_time),
	 .doc = "guests are told of time others had their CPUs"},
	JSON_END,
};

static int choose_arch(const struct host_caps *h, const struct vm_config *c,
		       struct guest_abi *abi, struct error *e)
{
	abi->aarch32 = c->arch == VM_ARCH_AARCH32;
	if (abi->aarch32 && !h->aarch32)
		return error_set(e, -EOPNOTSUPP,
				 "arch: the CPU of this host has no AArch32 at "
				 "EL1, so it runs no aarch32 guests; use "
				 "aarch64");
	return 0;
}

static int choose_gic(const struct host_caps *h, const struct vm_config *c,
		      struct guest_abi *abi, struct error *e)
{
	bool v3 = c->gic == VM_GIC_V3 || (c->gic == VM_GIC_AUTO && h->gic_v3);

	if (v3 ? !h->gic_v3 : !h->gic_v2)
		return error_set(e, -EOPNOTSUPP,
				 "gic: this host gives guests no GIC%s; use %s",
				 v3 ? "v3" : "v2", v3 ? "v2" : "v3");
	if (v3 && !h->its)
		return error_set(e, -EOPNOTSUPP,
				 "gic: the GICv3 of this host has no ITS, "
				 "without which there are no MSIs; use v2");
	if (!v3 && c->vcpus > VM_GICV2_VCPUS_MAX)
		return error_set(e, -EINVAL,
				 "vcpus: %u are too many for a GICv2%s; it "
				 "serves at most %d",
				 c->vcpus,
				 c->gic == VM_GIC_AUTO ? ", all this host has"
						       : "",
				 VM_GICV2_VCPUS_MAX);
	abi->gic = v3 ? VM_GIC_V3 : VM_GIC_V2;
	return 0;
}

static int check_size(const struct host_caps *h, const struct vm_config *c,
		      struct error *e)
{
	char size[16], most[16];

	if (c->vcpus > h->vcpus_max)
		return error_set(e, -EINVAL,
				 "vcpus: %u are too many; KVM on this host "
				 "gives a guest at most %u",
				 c->vcpus, h->vcpus_max);
	if (c->memory_bytes > h->memory_max)
		return error_set(
			e, -EINVAL,
			"memory: %s is too much; at most %s fit the %u "
			"address bits a guest has on this host",
			format_size(c->memory_bytes, size, sizeof(size)),
			format_size(h->memory_max, most, sizeof(most)),
			h->ipa_bits);
	return 0;
}

static int choose_features(const struct host_caps *h, const struct vm_config *c,
			   struct guest_abi *abi, struct error *e)
{
	const struct {
		const char *name;
		int wanted;
		bool present, only64, by_default, *ret;
	} features[] = {
		{"pmu", c->features.pmu, h->pmu, false, true, &abi->pmu},
		{"sve", c->features.sve, h->sve, true, true, &abi->sve},
		{"pauth", c->features.pauth, h->pauth, true, true, &abi->pauth},
		{"mte", c->features.mte, h->mte, true, false, &abi->mte},
		{"steal_time", c->features.steal_time, h->steal_time, true,
		 true, &abi->steal_time},
	};

	for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
		bool on = features[i].wanted == VM_FEATURE_ON;
		bool possible = features[i].present &&
				!(features[i].only64 && abi->aarch32);

		if (on && !possible)
			return error_set(e, -EOPNOTSUPP,
					 "features.%s: %s; use auto or off",
					 features[i].name,
					 features[i].present
						 ? "AArch32 guests have none"
						 : "this host has none");
		*features[i].ret = on ||
				   (possible && features[i].by_default &&
				    features[i].wanted == VM_FEATURE_AUTO);
	}
	return 0;
}

int host_caps_choose(const struct host_caps *h, const struct vm_config *c,
		     struct guest_abi *ret, struct error *e)
{
	struct guest_abi abi = {0};
	int r = choose_arch(h, c, &abi, e);

	if (r == 0)
		r = choose_gic(h, c, &abi, e);
	if (r == 0)
		r = check_size(h, c, e);
	if (r == 0)
		r = choose_features(h, c, &abi, e);
	if (r == 0)
		*ret = abi;
	return r;
}

int host_caps_provide(const struct host_caps *h, const struct guest_abi *abi,
		      struct error *e)
{
	bool v2 = abi->gic == VM_GIC_V2;
	const struct {
		const char *name;
		bool needed, present;
	} needs[] = {
		{"AArch32 at EL1 (arch)", abi->aarch32, h->aarch32},
		{"a GICv2 (gic)", v2, h->gic_v2},
		{"a GICv3 with ITS (gic)", !v2, h->gic_v3 && h->its},
		{"features.pmu", abi->pmu, h->pmu},
		{"features.sve", abi->sve, h->sve},
		{"features.pauth", abi->pauth, h->pauth},
		{"features.mte", abi->mte, h->mte},
		{"features.steal_time", abi->steal_time, h->steal_time},
	};

	if (!v2 && abi->gic != VM_GIC_V3)
		return error_set(e, -EBADMSG,
				 "the guest has no possible interrupt "
				 "controller");
	for (size_t i = 0; i < ARRAY_SIZE(needs); i++)
		if (needs[i].needed && !needs[i].present)
			return error_set(e, -EOPNOTSUPP,
					 "the guest has %s, which this host "
					 "cannot give it",
					 needs[i].name);
	return 0;
}
