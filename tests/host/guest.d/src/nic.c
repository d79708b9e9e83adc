/*
 * What ethtool says of a network interface, for guests without one:
 *   nic IF                 features ("tso on"), then channels ("combined 2 of
 * 4") nic IF combined N      use N channels
 */
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static const struct {
	unsigned command;
	const char *name;
} features[] = {
	{ETHTOOL_GRXCSUM, "rx-checksum"},
	{ETHTOOL_GTXCSUM, "tx-checksum"},
	{ETHTOOL_GSG, "sg"},
	{ETHTOOL_GTSO, "tso"},
	{ETHTOOL_GGSO, "gso"},
	{ETHTOOL_GGRO, "gro"},
};

static int ask(int fd, const char *name, void *data)
{
	struct ifreq ifr = {.ifr_data = data};

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	return ioctl(fd, SIOCETHTOOL, &ifr);
}

int main(int argc, char **argv)
{
	struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (argc != 2 && argc != 4)
		return 2;
	for (size_t i = 0; i < sizeof(features) / sizeof(*features); i++) {
		struct ethtool_value v = {.cmd = features[i].command};

		if (argc == 2 && ask(fd, argv[1], &v) == 0)
			printf("%s %s\n", features[i].name,
			       v.data ? "on" : "off");
	}
	if (ask(fd, argv[1], &channels) < 0) {
		perror(argv[1]);
		return 1;
	}
	if (argc == 4) {
		channels.cmd = ETHTOOL_SCHANNELS;
		channels.combined_count = (unsigned)atoi(argv[3]);
		if (ask(fd, argv[1], &channels) < 0) {
			perror(argv[1]);
			return 1;
		}
	}
	printf("combined %u of %u\n", channels.combined_count,
	       channels.max_combined);
	return 0;
}
