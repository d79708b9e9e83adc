/* --nic and the operand of `nic add`. */
#include "cli/cli.h"

#include "lib/base/parse.h"

/* "[ADDRESS]:" or, of IPv4, "ADDRESS:" in front of ports; the rest. */
static char *take_address(char *text, json_object *forward)
{
	char *colon = strchr(text, ':'), *dot = strchr(text, '.');
	char *end = *text == '[' ? strstr(text, "]:") : NULL;

	if (end) {
		*end++ = '\0';
		text++;
	} else if (colon && dot && dot < colon) {
		end = colon;
	} else {
		return text;
	}
	*end = '\0';
	json_object_object_add(forward, "address",
			       json_object_new_string(text));
	return end + 1;
}

static int add_port(json_object *forward, const char *key, const char *text,
		    struct error *e)
{
	uint64_t port;
	int r = parse_u64(text, "--nic forward=", 1, 65535, &port, e);

	if (r == 0)
		json_object_object_add(forward, key,
				       json_object_new_uint64(port));
	return r;
}

/* [tcp:|udp:][ADDRESS:]PORT[:GUEST-PORT] */
static int parse_forward(const char *value, json_object *list, struct error *e)
{
	_cleanup_free_ char *copy = strdup(value);
	json_object *forward = json_object_new_object();
	char *at = copy, *guest;
	int r;

	json_object_array_add(list, forward);
	if (!copy)
		return error_set(e, -ENOMEM, "out of memory");
	if (strncmp(at, "tcp:", 4) == 0 || strncmp(at, "udp:", 4) == 0) {
		at[3] = '\0';
		json_object_object_add(forward, "protocol",
				       json_object_new_string(at));
		at += 4;
	}
	at = take_address(at, forward);
	guest = strchr(at, ':');
	if (guest)
		*guest++ = '\0';
	r = add_port(forward, "host_port", at, e);
	if (r == 0 && guest)
		r = add_port(forward, "guest_port", guest, e);
	return r < 0 ? error_prefix(e, r,
				    "\"%s\" is not [udp:][ADDRESS:]PORT"
				    "[:GUEST-PORT]",
				    value)
		     : 0;
}

static int parse_part(json_object *nic, const char *part, struct error *e)
{
	static const char *const accepted[] = {
		"tap=",	  "bridge=",   "user",	  "forward=", "mac=",
		"id=",	  "bus=",      "queues=", "mtu=",     "link=",
		"vhost=", "on_error=", NULL};
	json_object *list = NULL;

	if (strncmp(part, "forward=", 8) != 0)
		return cli_set_part(nic, "nic", part, accepted, e);
	if (!json_object_object_get_ex(nic, "forward", &list)) {
		list = json_object_new_array();
		json_object_object_add(nic, "forward", list);
	}
	return parse_forward(part + 8, list, e);
}

static int judge(json_object *nic, const char *value, struct error *e)
{
	uint8_t mac[6];
	int r = 0;

	if (field_get(nic, "mac"))
		r = parse_mac(field_text(nic, "mac"), "--nic mac=", mac, e);
	if (r == 0 && field_get(nic, "queues"))
		r = cli_part_to_number(nic, "queues", "--nic queues=", e);
	if (r == 0 && field_get(nic, "mtu"))
		r = cli_part_to_number(nic, "mtu", "--nic mtu=", e);
	if (r == 0 && !field_get(nic, "tap") && !field_get(nic, "bridge") &&
	    !field_get(nic, "user"))
		r = error_set(e, -EINVAL,
			      "--nic \"%s\" is connected to nothing: --nic "
			      "tap=IF, --nic bridge=IF or --nic user",
			      value);
	return r;
}

int cli_parse_nic(const char *value, json_object *nic, struct error *e)
{
	_cleanup_free_ char *copy = strdup(value);
	char *rest = copy;
	int r = 0;

	if (!copy)
		return error_set(e, -ENOMEM, "out of memory");
	while (r == 0 && rest)
		r = parse_part(nic, cli_next_part(&rest), e);
	return r == 0 ? judge(nic, value, e) : r;
}
