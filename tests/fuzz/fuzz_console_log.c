/*
 * What a guest prints, and what a supervisor leaves as its log: a header is
 * only what would be written again the same; text made for JSON is UTF-8; text
 * made for a terminal controls none, in however many pieces it came.
 */
#include <sys/mman.h>

#include "cli/plain_text.h"
#include "lib/base/fd.h"
#include "lib/base/utf8.h"
#include "lib/wire/console_log.h"
#include "tests/fuzz/fuzz_input.h"

static void judge_header(const uint8_t *data, size_t size)
{
	_cleanup_close_ int fd = memfd_create("part", MFD_CLOEXEC);
	struct console_log_part part, again;

	fuzz_check(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	if (console_log_part_read(fd, &part) < 0)
		return;
	fuzz_check(part.size == size - CONSOLE_LOG_HEADER);
	fuzz_check(console_log_part_write(fd, &part) == 0);
	fuzz_check(console_log_part_read(fd, &again) == 0);
	fuzz_check(memcmp(&part, &again, sizeof(part)) == 0);
}

static void judge_utf8(const uint8_t *data, size_t size, struct buf *text)
{
	size_t n;

	fuzz_check(utf8_append(text, data, size) == 0);
	for (size_t i = 0; i < text->size; i += n) {
		n = utf8_length(text->data + i, text->size - i);
		fuzz_check(n > 0);
	}
}

static void judge_plain(const struct buf *text, size_t piece)
{
	_cleanup_buf_ struct buf whole = {0}, pieces = {0};
	struct plain_text a = {0}, b = {0};

	fuzz_check(plain_text_filter(&a, text->data, text->size, &whole) == 0);
	for (size_t i = 0; i < text->size; i += piece)
		fuzz_check(plain_text_filter(&b, text->data + i,
					     MIN(piece, text->size - i),
					     &pieces) == 0);
	fuzz_check(whole.size == pieces.size);
	for (size_t i = 0; i < whole.size; i++) {
		unsigned char c = (unsigned char)whole.data[i];

		fuzz_check(c == (unsigned char)pieces.data[i]);
		fuzz_check((c >= 0x20 && c != 0x7f) || c == '\n' || c == '\t');
		fuzz_check(c != 0xc2 || i + 1 == whole.size ||
			   (unsigned char)whole.data[i + 1] > 0x9f);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_buf_ struct buf text = {0};

	judge_header(data, size);
	judge_utf8(data, size, &text);
	judge_plain(&text, 1 + size % 7);
	return 0;
}
