/*
 * Any bytes as a variable volume: reading must end, and what it calls valid
 * must survive being written and read again.
 *
 * Input: byte 0 chooses where the rest is laid over an empty store: 0 the
 * volume's start, 1 behind the headers, 2 the write queue.
 */
#include <stdlib.h>

#include "lib/uefi/varstore.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_round_trip(const struct uefi_vars *vars, uint8_t *image)
{
	struct uefi_vars again = {0};

	/* Names that came out empty, or too little room, are refused. */
	if (varstore_write(vars, image, VARSTORE_SIZE, NULL) < 0)
		return;
	if (varstore_read(image, VARSTORE_SIZE, &again, NULL) != VARSTORE_VALID)
		abort();
	if (again.count != vars->count)
		abort();
	for (size_t i = 0; i < again.count; i++)
		if (again.list[i].data_size != vars->list[i].data_size ||
		    !streq(again.list[i].name, vars->list[i].name) ||
		    memcmp(again.list[i].data, vars->list[i].data,
			   again.list[i].data_size) != 0)
			abort();
	uefi_vars_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t places[] = {0, 0x64, VARSTORE_BLOCK};
	static uint8_t
		image[VARSTORE_SIZE]; /* allocating it is the slow part */
	struct uefi_vars vars = {0};
	size_t at;

	if (size == 0)
		return 0;
	if (varstore_write(NULL, image, VARSTORE_SIZE, NULL) < 0)
		abort();
	at = places[data[0] % ARRAY_SIZE(places)];
	memcpy(image + at, data + 1, MIN(size - 1, VARSTORE_SIZE - at));
	if (varstore_read(image, VARSTORE_SIZE, &vars, NULL) == VARSTORE_VALID)
		check_round_trip(&vars, image);
	else if (vars.list)
		abort();
	uefi_vars_done(&vars);
	return 0;
}
