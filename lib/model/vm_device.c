#include "lib/model/vm_device.h"

static const char *const states[VM_DEVICE_STATE_COUNT] = {
#define X(state, name) name,
	VM_DEVICE_STATE_TABLE(X)
#undef X
};

static const char *const kinds[VM_DEVICE_KIND_COUNT] = {"disk", "nic"};

const char *vm_device_state_name(enum vm_device_state state)
{
	return states[state];
}

int vm_device_state_by_name(const char *name, enum vm_device_state *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(states); i++)
		if (streq(states[i], name)) {
			*ret = (enum vm_device_state)i;
			return 0;
		}
	return -EINVAL;
}

const char *vm_device_kind_name(enum vm_device_kind kind)
{
	return kinds[kind];
}

int vm_device_kind_by_name(const char *name, enum vm_device_kind *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (streq(kinds[i], name)) {
			*ret = (enum vm_device_kind)i;
			return 0;
		}
	return -EINVAL;
}
