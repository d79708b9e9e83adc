#include "lib/wire/messages.h"

static const struct message_row {
	const char *text;
	char direction;
	size_t fds_max;
} messages[WIRE_MESSAGE_COUNT] = {
#define X(name, text, direction, fds) {text, direction, fds},
	WIRE_MESSAGE_TABLE(X)
#undef X
};

const char *wire_message_text(enum wire_message m)
{
	return messages[m].text;
}

enum wire_message wire_message_by_text(const char *text)
{
	size_t i = 0;

	while (i < WIRE_MESSAGE_COUNT && !streq(messages[i].text, text))
		i++;
	return (enum wire_message)i;
}

char wire_message_direction(enum wire_message m)
{
	return messages[m].direction;
}

size_t wire_message_fds_max(enum wire_message m)
{
	return messages[m].fds_max;
}
