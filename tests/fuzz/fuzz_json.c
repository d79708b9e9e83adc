/*
 * Any bytes as JSON: what is accepted must be valid again when written, with
 * the same value; what is refused must say why.
 *
 * Input: the text.
 */
#include "lib/base/json.h"
#include "tests/fuzz/fuzz_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_json_ json_object *first = NULL, *second = NULL;
	struct error e = ERROR_INIT;
	const char *text;

	if (json_parse((const char *)data, size, &first, &e) < 0) {
		fuzz_check(!first && e.message[0] && e.err == EILSEQ);
		return 0;
	}
	if (!first)
		return 0; /* null */
	text = json_text(first);
	fuzz_check(!strchr(text, '\n'));
	fuzz_check(json_parse(text, strlen(text), &second, &e) == 0);
	fuzz_check(json_object_equal(first, second));
	return 0;
}
