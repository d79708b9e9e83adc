/*
 * What a guest says about itself by its agent, as the supervisor reports it and
 * vm.guest shows it. All of it is the guest's word.
 *
 *   { "agent": true, "version": "7.2.0", "hostname": "web",
 *     "interfaces": [ { "name": "eth0", "mac": "52:54:00:…", "addresses":
 *                       [ { "address": "10.0.0.2", "prefix": 24 } ] } ] }
 *
 * Ownership: by json_release(guest_info_fields, …).
 */
#ifndef LIB_MODEL_GUEST_INFO_H
#define LIB_MODEL_GUEST_INFO_H

#include "lib/base/json.h"

#define GUEST_INTERFACES_MAX 64
#define GUEST_ADDRESSES_MAX  8
#define GUEST_TEXT_MAX	     64 /* bytes of any of its strings */

struct guest_address {
	char *address;
	uint32_t prefix;
};

struct guest_interface {
	char *name, *mac;
	struct guest_address *addresses;
	size_t n_addresses;
};

struct guest_info {
	bool agent;   /* one answered; nothing else is there if not */
	char *reason; /* why none did */
	char *version, *hostname;
	struct guest_interface *interfaces;
	size_t n_interfaces;
};

extern const struct json_field guest_info_fields[];

#endif
