#include "lib/model/guest_info.h"

#define ADDRESS(member)	  offsetof(struct guest_address, member)
#define INTERFACE(member) offsetof(struct guest_interface, member)
#define INFO(member)	  offsetof(struct guest_info, member)

static const struct json_field address_fields[] = {
	{.name = "address",
	 .kind = JSON_STRING,
	 .offset = ADDRESS(address),
	 .max = GUEST_TEXT_MAX},
	{.name = "prefix",
	 .kind = JSON_U32,
	 .offset = ADDRESS(prefix),
	 .max = 128},
	JSON_END,
};

static const struct json_field interface_fields[] = {
	{.name = "name",
	 .kind = JSON_STRING,
	 .offset = INTERFACE(name),
	 .max = GUEST_TEXT_MAX},
	{.name = "mac",
	 .kind = JSON_STRING,
	 .offset = INTERFACE(mac),
	 .max = GUEST_TEXT_MAX},
	{.name = "addresses",
	 .kind = JSON_ARRAY,
	 .offset = INTERFACE(addresses),
	 .max = GUEST_ADDRESSES_MAX,
	 .sub = address_fields,
	 .element_size = sizeof(struct guest_address),
	 .count_offset = INTERFACE(n_addresses)},
	JSON_END,
};

const struct json_field guest_info_fields[] = {
	{.name = "agent", .kind = JSON_BOOL, .offset = INFO(agent)},
	{.name = "reason",
	 .kind = JSON_STRING,
	 .offset = INFO(reason),
	 .flags = JSON_OMIT_EMPTY},
	{.name = "version",
	 .kind = JSON_STRING,
	 .offset = INFO(version),
	 .flags = JSON_OMIT_EMPTY,
	 .max = GUEST_TEXT_MAX},
	{.name = "hostname",
	 .kind = JSON_STRING,
	 .offset = INFO(hostname),
	 .flags = JSON_OMIT_EMPTY,
	 .max = GUEST_TEXT_MAX},
	{.name = "interfaces",
	 .kind = JSON_ARRAY,
	 .offset = INFO(interfaces),
	 .max = GUEST_INTERFACES_MAX,
	 .sub = interface_fields,
	 .element_size = sizeof(struct guest_interface),
	 .count_offset = INFO(n_interfaces)},
	JSON_END,
};
