/*
 * A variable store in a snapshot: the image of the flash, and the rows that
 * were decoded from it last, since an image the firmware is just rewriting has
 * none.
 */
#include "daemon/snapshot_lead.h"
#include "lib/snapshot/state.h"

#define VARS_MAX     4096
#define VAR_NAME_MAX 1024 /* bytes of UTF-8 */

static void put_var(struct state_out *out, const struct uefi_var *v)
{
	size_t name = strlen(v->name);

	state_put(out, v->guid, UEFI_GUID_TEXT_SIZE);
	state_put_u16(out, (uint16_t)name);
	state_put(out, v->name, name);
	state_put_u32(out, v->attributes);
	state_put(out, v->timestamp, sizeof(v->timestamp));
	state_put_u64(out, v->monotonic_count);
	state_put_u32(out, v->pubkey_index);
	state_put_u32(out, (uint32_t)v->data_size);
	state_put(out, v->data, v->data_size);
}

int snapshot_vars_put(const uint8_t *image, const struct uefi_vars *vars,
		      struct buf *out, struct error *e)
{
	_cleanup_state_out_ struct state_out state = {0};
	size_t began = state_begin(&state, "variables", 1);
	const struct snapshot_section s = {.type = SNAPSHOT_VARIABLES,
					   .version = 1};

	state_put_u32(&state, VARSTORE_SIZE);
	state_put(&state, image, VARSTORE_SIZE);
	state_put_u32(&state, (uint32_t)vars->count);
	for (size_t i = 0; i < vars->count; i++)
		put_var(&state, &vars->list[i]);
	state_end(&state, began);
	if (state.failed ||
	    snapshot_put_section(out, &s, state.buf.data, state.buf.size) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	return 0;
}

/* -1: no memory; 0: it cannot be. */
static int get_var(struct state_in *in, struct uefi_var *v)
{
	size_t name;

	state_get(in, v->guid, sizeof(v->guid));
	v->guid[sizeof(v->guid) - 1] = '\0';
	name = state_get_u16(in);
	if (!uuid_valid(v->guid) || name == 0 || name > VAR_NAME_MAX ||
	    state_left(in) < name)
		return 0;
	v->name = calloc(1, name + 1);
	if (!v->name)
		return -1;
	state_get(in, v->name, name);
	v->attributes = state_get_u32(in);
	state_get(in, v->timestamp, sizeof(v->timestamp));
	v->monotonic_count = state_get_u64(in);
	v->pubkey_index = state_get_u32(in);
	v->data_size = state_get_u32(in);
	if (strlen(v->name) != name || in->failed ||
	    v->data_size > state_left(in))
		return 0;
	v->data = malloc(MAX(v->data_size, (size_t)1));
	if (!v->data)
		return -1;
	state_get(in, v->data, v->data_size);
	return 1;
}

static int get_vars(struct state_in *in, struct uefi_vars *vars,
		    struct error *e)
{
	uint32_t n = state_get_u32(in);
	int r = 1;

	if (n > VARS_MAX)
		return state_bad(in, e, "has too many variables");
	vars->list = calloc(MAX(n, 1u), sizeof(*vars->list));
	if (!vars->list)
		return error_set(e, -ENOMEM, "out of memory");
	while (r > 0 && vars->count < n)
		r = get_var(in, &vars->list[vars->count++]);
	if (r < 0)
		return error_set(e, -ENOMEM, "out of memory");
	return r ? 0 : state_bad(in, e, "has a variable that cannot be");
}

int snapshot_vars_get(const void *data, size_t size, uint8_t **ret_image,
		      struct uefi_vars *ret_vars, struct error *e)
{
	_cleanup_free_ uint8_t *image = malloc(VARSTORE_SIZE);
	_cleanup_(uefi_vars_done) struct uefi_vars vars = {0};
	struct state_in in = state_in(data, size), record;
	int r = image ? state_open(&in, "variables", 1, &record, e)
		      : error_set(e, -ENOMEM, "out of memory");

	if (r < 0)
		return r;
	if (state_get_u32(&record) != VARSTORE_SIZE)
		return state_bad(&record, e, "has another size");
	state_get(&record, image, VARSTORE_SIZE);
	r = get_vars(&record, &vars, e);
	if (r == 0)
		r = state_close(&record, e);
	if (r == 0)
		r = state_close(&in, e);
	if (r < 0)
		return r;
	*ret_image = TAKE_PTR(image);
	*ret_vars = vars;
	vars = (struct uefi_vars){0};
	return 0;
}
