/* Network interfaces of a definition. */
#include <arpa/inet.h>
#include <stdio.h>

#include "lib/model/vm_config_internal.h"

#define INTERFACE_NAME_MAX 15 /* IFNAMSIZ - 1 */

const char *const vm_device_buses[] = {"pcie", "mmio", NULL};
static const char *const links[] = {"up", "down", NULL};
static const char *const choices[] = {"auto", "on", "off", NULL};
static const char *const on_errors[] = {"report", "pause", NULL};
static const char *const protocols[] = {"tcp", "udp", NULL};

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9');
}

bool vm_is_word(const char *text)
{
	if (!is_alnum(*text))
		return false;
	while (is_alnum(*text) || (*text && strchr("._-", *text)))
		text++;
	return *text == '\0';
}

const char *vm_device_id_check(const char *id)
{
	if (vm_is_word(id) && strlen(id) <= VM_DEVICE_ID_MAX)
		return NULL;
	return "an id: up to 20 letters, digits, '.', '_' or '-', first a "
	       "letter or digit";
}

/* What the kernel takes (dev_valid_name), less what would need quoting. */
static const char *interface_check(const char *name)
{
	if (vm_is_word(name) && strlen(name) <= INTERFACE_NAME_MAX)
		return NULL;
	return "a network interface name: up to 15 letters, digits, '.', '_' "
	       "or '-'";
}

static const char *address_check(const char *address)
{
	uint8_t bytes[16];

	if (inet_pton(AF_INET, address, bytes) == 1 ||
	    inet_pton(AF_INET6, address, bytes) == 1)
		return NULL;
	return "an IPv4 or IPv6 address";
}

#define FORWARD(member) offsetof(struct forward_config, member)
#define NIC(member)	offsetof(struct nic_config, member)

static const struct json_field forward_fields[] = {
	{.name = "protocol",
	 .kind = JSON_ENUM,
	 .offset = FORWARD(protocol),
	 .names = protocols,
	 .doc = "default tcp"},
	{.name = "address",
	 .kind = JSON_STRING,
	 .offset = FORWARD(address),
	 .flags = JSON_OMIT_EMPTY,
	 .check = address_check,
	 .doc = "of the host; default any"},
	{.name = "host_port",
	 .kind = JSON_U32,
	 .offset = FORWARD(host_port),
	 .flags = JSON_REQUIRED,
	 .min = 1,
	 .max = 65535,
	 .doc = "where the host listens"},
	{.name = "guest_port",
	 .kind = JSON_U32,
	 .offset = FORWARD(guest_port),
	 .flags = JSON_OMIT_EMPTY,
	 .min = 1,
	 .max = 65535,
	 .doc = "default the host's"},
	JSON_END,
};

const struct json_field vm_nic_fields[] = {
	{.name = "id",
	 .kind = JSON_STRING,
	 .offset = NIC(id),
	 .check = vm_device_id_check,
	 .doc = "unique in the VM; default nic0, nic1, ...",
	 .example = "\"lan\""},
	{.name = "tap",
	 .kind = JSON_STRING,
	 .offset = NIC(tap),
	 .flags = JSON_OMIT_EMPTY,
	 .check = interface_check,
	 .doc = "tap interface to use; made when it does not exist",
	 .example = "\"tap-web\""},
	{.name = "bridge",
	 .kind = JSON_STRING,
	 .offset = NIC(bridge),
	 .flags = JSON_OMIT_EMPTY,
	 .check = interface_check,
	 .doc = "bridge that a fresh tap interface joins",
	 .example = "\"br0\""},
	{.name = "user",
	 .kind = JSON_BOOL,
	 .offset = NIC(user),
	 .flags = JSON_OMIT_EMPTY,
	 .doc = "through passt: the guest reaches what a process of the host "
		"does, and needs no interface there"},
	{.name = "forward",
	 .kind = JSON_ARRAY,
	 .offset = NIC(forwards),
	 .flags = JSON_OMIT_EMPTY,
	 .max = VM_NIC_FORWARDS_MAX,
	 .sub = forward_fields,
	 .element_size = sizeof(struct forward_config),
	 .count_offset = NIC(n_forwards),
	 .doc = "ports of the host that lead to the guest; only with user"},
	{.name = "mac",
	 .kind = JSON_STRING,
	 .offset = NIC(mac),
	 .doc = "unicast; default derived from the VM's uuid and the id",
	 .example = "\"52:54:00:12:34:56\""},
	{.name = "bus",
	 .kind = JSON_ENUM,
	 .offset = NIC(bus),
	 .flags = JSON_OMIT_EMPTY,
	 .names = vm_device_buses,
	 .doc = "how the guest reaches it; default pcie"},
	{.name = "queues",
	 .kind = JSON_U32,
	 .offset = NIC(queues),
	 .flags = JSON_OMIT_EMPTY,
	 .min = 1,
	 .max = VM_NIC_QUEUES_MAX,
	 .doc = "pairs of queues, at best one per vCPU; default 1"},
	{.name = "mtu",
	 .kind = JSON_U32,
	 .offset = NIC(mtu),
	 .flags = JSON_OMIT_EMPTY,
	 .min = VM_NIC_MTU_MIN,
	 .max = VM_NIC_MTU_MAX,
	 .doc = "what the guest is told to use, and its host interface has to "
		"carry; default: nothing is told, with user 65520"},
	{.name = "link",
	 .kind = JSON_ENUM,
	 .offset = NIC(link),
	 .flags = JSON_OMIT_EMPTY,
	 .names = links,
	 .doc = "whether the cable is in; default up"},
	{.name = "vhost",
	 .kind = JSON_ENUM,
	 .offset = NIC(vhost),
	 .flags = JSON_OMIT_EMPTY,
	 .names = choices,
	 .doc = "the host's kernel moves its frames; auto: if it can"},
	{.name = "on_error",
	 .kind = JSON_ENUM,
	 .offset = NIC(on_error),
	 .flags = JSON_OMIT_EMPTY,
	 .names = on_errors,
	 .doc = "what follows when its host end is gone for good (a tap that "
		"was deleted, a passt that ended), besides an event and a "
		"link that is down: report: nothing; pause: the VM is paused; "
		"default report"},
	{.name = "slot",
	 .kind = JSON_U32,
	 .offset = NIC(slot),
	 .flags = JSON_OMIT_EMPTY,
	 .min = 1,
	 .max = VM_SLOTS_MAX,
	 .doc = "where it is plugged in; default the lowest one free"},
	JSON_END,
};

unsigned vm_nic_queues(const struct nic_config *nic)
{
	return nic->queues ? nic->queues : 1;
}

uint32_t vm_nic_mtu(const struct nic_config *nic)
{
	return nic->user && !nic->mtu ? VM_NIC_USER_MTU : nic->mtu;
}

static int check_connection(const struct nic_config *nic, size_t i,
			    struct error *e)
{
	const char *both = nic->tap && nic->bridge ? "bridge" : "user";
	int n = !!nic->tap + !!nic->bridge + nic->user;

	if (n > 1)
		return error_set(e, -EINVAL,
				 "nics[%zu]: has both \"%s\" and \"%s\"; give "
				 "one of them",
				 i, nic->tap ? "tap" : "bridge", both);
	if (n < 1)
		return error_set(e, -EINVAL,
				 "nics[%zu]: needs \"tap\" (an interface), "
				 "\"bridge\" (which a fresh one joins) or "
				 "\"user\" (through passt)",
				 i);
	return 0;
}

/* What only one of the host's ends can do. */
static int check_end(const struct nic_config *nic, size_t i, struct error *e)
{
	if (!nic->user)
		return nic->n_forwards
			       ? error_set(e, -EINVAL,
					   "nics[%zu].forward: only a NIC with "
					   "\"user\" has ports of the host; "
					   "others are reached at the guest's "
					   "own address",
					   i)
			       : 0;
	if (nic->queues > 1)
		return error_set(e, -EINVAL,
				 "nics[%zu].queues: is %u, but passt has one "
				 "pair; leave it out",
				 i, nic->queues);
	if (nic->vhost == VM_VHOST_ON)
		return error_set(e, -EINVAL,
				 "nics[%zu].vhost: the kernel cannot serve a "
				 "NIC with \"user\"; leave it out",
				 i);
	return 0;
}

static bool forward_equal(const struct forward_config *a,
			  const struct forward_config *b)
{
	return a->protocol == b->protocol && a->host_port == b->host_port &&
	       streq(a->address ? a->address : "",
		     b->address ? b->address : "");
}

static int check_forwards(const struct nic_config *nic, size_t i,
			  struct error *e)
{
	for (size_t a = 1; a < nic->n_forwards; a++)
		for (size_t b = 0; b < a; b++)
			if (forward_equal(&nic->forwards[a], &nic->forwards[b]))
				return error_set(
					e, -EINVAL,
					"nics[%zu].forward[%zu].host_port: %u "
					"leads elsewhere already "
					"(forward[%zu])",
					i, a, nic->forwards[a].host_port, b);
	return 0;
}

int vm_config_check_nic(struct nic_config *nic, size_t i, struct error *e)
{
	char what[32];
	uint8_t mac[6];
	int r = check_connection(nic, i, e);

	if (r == 0)
		r = check_end(nic, i, e);
	if (r == 0)
		r = check_forwards(nic, i, e);
	if (r < 0 || !nic->mac)
		return r;
	for (char *c = nic->mac; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	snprintf(what, sizeof(what), "nics[%zu].mac", i);
	return parse_mac(nic->mac, what, mac, e);
}
