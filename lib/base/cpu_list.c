#include "lib/base/cpu_list.h"

#include <ctype.h>
#include <stdlib.h>

/* A number from *text on, which moves behind it. */
static int number(const char **text, unsigned *ret)
{
	unsigned long value;
	char *end;

	if (!isdigit((unsigned char)**text))
		return -EINVAL;
	value = strtoul(*text, &end, 10);
	if (value >= CPU_LIST_MAX)
		return -EINVAL;
	*text = end;
	*ret = (unsigned)value;
	return 0;
}

/* "3" or "0-3" */
static int range(const char **text, struct cpu_list *list)
{
	unsigned first, last;
	int r = number(text, &first);

	last = first;
	if (r == 0 && **text == '-') {
		(*text)++;
		r = number(text, &last);
	}
	if (r < 0 || last < first)
		return -EINVAL;
	for (unsigned cpu = first; cpu <= last; cpu++)
		list->bits[cpu / 8] |= (uint8_t)(1u << cpu % 8);
	return 0;
}

int cpu_list_parse(const char *text, struct cpu_list *ret)
{
	struct cpu_list list = {0};
	int r = range(&text, &list);

	while (r == 0 && *text == ',') {
		text++;
		r = range(&text, &list);
	}
	if (r < 0 || *text)
		return -EINVAL;
	*ret = list;
	return 0;
}

bool cpu_list_has(const struct cpu_list *list, unsigned cpu)
{
	return cpu < CPU_LIST_MAX && (list->bits[cpu / 8] >> cpu % 8 & 1);
}
