#include "lib/uefi/uefi_var.h"

#include <stdio.h>

#include "lib/uefi/varstore_layout.h"

void uefi_vars_done(struct uefi_vars *v)
{
	for (size_t i = 0; i < v->count; i++) {
		free(v->list[i].name);
		free(v->list[i].data);
	}
	free(v->list);
	*v = (struct uefi_vars){0};
}

const struct uefi_var *uefi_vars_find(const struct uefi_vars *v,
				      const char *guid, const char *name)
{
	for (size_t i = 0; i < v->count; i++)
		if (strcasecmp(v->list[i].guid, guid) == 0 &&
		    streq(v->list[i].name, name))
			return &v->list[i];
	return NULL;
}

/* Where byte i of the text form stands in memory. */
static const uint8_t guid_order[16] = {3, 2, 1,	 0,  5,	 4,  7,	 6,
				       8, 9, 10, 11, 12, 13, 14, 15};

void uefi_guid_format(const uint8_t guid[16], char ret[UEFI_GUID_TEXT_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	char *p = ret;

	for (size_t i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*p++ = '-';
		*p++ = digits[guid[guid_order[i]] >> 4];
		*p++ = digits[guid[guid_order[i]] & 15];
	}
	*p = '\0';
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int uefi_guid_parse(const char *text, uint8_t ret[16])
{
	uint8_t guid[16];
	int high, low;

	if (strlen(text) != UEFI_GUID_TEXT_SIZE - 1)
		return -EINVAL;
	for (size_t i = 0; i < 16; i++) {
		if ((i == 4 || i == 6 || i == 8 || i == 10) && *text++ != '-')
			return -EINVAL;
		high = digit(*text++);
		low = digit(*text++);
		if (high < 0 || low < 0)
			return -EINVAL;
		guid[guid_order[i]] = (uint8_t)(high << 4 | low);
	}
	memcpy(ret, guid, sizeof(guid));
	return 0;
}

static char *utf8_put(char *p, uint32_t c)
{
	if (c < 0x80) {
		*p++ = (char)c;
		return p;
	}
	if (c < 0x800) {
		*p++ = (char)(0xc0 | c >> 6);
	} else {
		if (c < 0x10000) {
			*p++ = (char)(0xe0 | c >> 12);
		} else {
			*p++ = (char)(0xf0 | c >> 18);
			*p++ = (char)(0x80 | (c >> 12 & 0x3f));
		}
		*p++ = (char)(0x80 | (c >> 6 & 0x3f));
	}
	*p++ = (char)(0x80 | (c & 0x3f));
	return p;
}

char *uefi_name_to_utf8(const uint8_t *name, size_t size)
{
	size_t units = size / 2;
	char *text, *p;
	uint32_t c, next;

	/* At most three bytes per unit; a pair makes four out of two units. */
	text = p = malloc(units * 3 + 1);
	if (!text)
		return NULL;
	for (size_t i = 0; i < units; i++) {
		c = layout_get16(name + 2 * i);
		if (c == 0)
			break;
		next = i + 1 < units ? layout_get16(name + 2 * (i + 1)) : 0;
		if (c >= 0xd800 && c < 0xdc00 && next >= 0xdc00 &&
		    next < 0xe000) {
			c = 0x10000 + ((c - 0xd800) << 10) + (next - 0xdc00);
			i++;
		} else if (c >= 0xd800 && c < 0xe000) {
			c = 0xfffd;
		}
		p = utf8_put(p, c);
	}
	*p = '\0';
	return text;
}

/* One character at *p, advanced; shortest forms only. -1: not UTF-8. */
static int32_t utf8_get(const uint8_t **p)
{
	static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
	uint32_t c = *(*p)++;
	int more;

	if (c < 0x80)
		return (int32_t)c;
	more = c >= 0xf0 && c < 0xf8   ? 3
	       : c >= 0xe0 && c < 0xf0 ? 2
	       : c >= 0xc0 && c < 0xe0 ? 1
				       : 0;
	if (!more)
		return -1;
	c &= 0x3fu >> more;
	for (int i = 0; i < more; i++) {
		/* Stops at the terminator, which is no continuation. */
		if ((**p & 0xc0) != 0x80)
			return -1;
		c = c << 6 | (*(*p)++ & 0x3f);
	}
	if (c < least[more] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return -1;
	return (int32_t)c;
}

int uefi_name_from_utf8(const char *text, uint8_t **ret, size_t *ret_size)
{
	const uint8_t *p = (const uint8_t *)text;
	_cleanup_free_ uint8_t *name = malloc(2 * strlen(text) + 2);
	size_t n = 0;
	int32_t c;

	if (!name)
		return -ENOMEM;
	while (*p) {
		c = utf8_get(&p);
		if (c < 0)
			return -EILSEQ;
		if (c >= 0x10000) {
			layout_put16(name + n,
				     0xd800 + ((uint32_t)(c - 0x10000) >> 10));
			n += 2;
			c = 0xdc00 + ((c - 0x10000) & 0x3ff);
		}
		layout_put16(name + n, (uint32_t)c);
		n += 2;
	}
	layout_put16(name + n, 0);
	*ret = TAKE_PTR(name);
	*ret_size = n + 2;
	return 0;
}

char *uefi_attributes_text(uint32_t attributes, char *buf, size_t size)
{
	static const struct {
		uint32_t bit;
		const char *name;
	} names[] = {
		{UEFI_VAR_NON_VOLATILE, "NV"},
		{UEFI_VAR_BOOTSERVICE, "BS"},
		{UEFI_VAR_RUNTIME, "RT"},
		{UEFI_VAR_TIME_AUTH, "AT"},
	};
	uint32_t rest = attributes;
	size_t n = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (!(attributes & names[i].bit))
			continue;
		n += (size_t)snprintf(buf + n, size - n, "%s%s", n ? "," : "",
				      names[i].name);
		rest &= ~names[i].bit;
	}
	if (rest && n < size)
		snprintf(buf + n, size - n, "%s0x%x", n ? "," : "", rest);
	return buf;
}
