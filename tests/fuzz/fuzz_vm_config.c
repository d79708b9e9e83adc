/*
 * Any JSON as the definition of a VM: what is refused says why and leaves
 * nothing, what is accepted encodes to a definition that decodes to itself.
 *
 * Input: the text.
 */
#include <sys/random.h>

#include "lib/model/vm_config.h"
#include "tests/fuzz/fuzz_input.h"

/* In place of libc's: the uuid of a definition that has none. */
ssize_t getrandom(void *buffer, size_t size, unsigned flags)
{
	memset(buffer, 0xa5, size);
	return (ssize_t)size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_json_ json_object *object = NULL, *once = NULL, *twice = NULL;
	_cleanup_vm_config_ struct vm_config config = {0}, again = {0};
	struct error e = ERROR_INIT;

	if (json_parse((const char *)data, size, &object, NULL) < 0)
		return 0;
	if (vm_config_from_json(object, &config, &e) < 0) {
		fuzz_check(e.message[0] && !config.name);
		return 0;
	}
	once = vm_config_to_json(&config);
	fuzz_check(vm_config_from_json(once, &again, &e) == 0);
	twice = vm_config_to_json(&again);
	fuzz_check(json_object_equal(once, twice));
	return 0;
}
