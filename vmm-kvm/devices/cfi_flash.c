/*
 * Facts from the Intel P30 datasheet (command set, next-state table, status
 * register), JEDEC JESD68.01 (CFI query) and what ArmVirt's VirtNorFlashDxe
 * and Linux's cfi_cmdset_0001 do: both poll at the address of their last
 * command, which is what invariant "patched where a driver looks" rests on.
 */
#include "vmm-kvm/devices/cfi_flash_internal.h"

enum {
	CMD_READ_ARRAY = 0xff,
	CMD_READ_ID = 0x90,
	CMD_QUERY = 0x98,
	CMD_READ_STATUS = 0x70,
	CMD_CLEAR_STATUS = 0x50,
	CMD_PROGRAM = 0x40,
	CMD_PROGRAM_ALT = 0x10,
	CMD_BUFFERED = 0xe8,
	CMD_ERASE = 0x20,
	CMD_LOCK = 0x60,
	CMD_CONFIRM = 0xd0,
	/* Not Intel's, but what a probe for other command sets sends to get
	 * back to the array. */
	CMD_AMD_RESET = 0xf0,
};

enum {
	LOCK_SET = 0x01,
	LOCK_CONFIGURE = 0x03,
	LOCK_DOWN = 0x2f,
	LOCK_CLEAR = 0xd0,
};

#define SR_READY    0x80
#define SR_ERASE    0x20
#define SR_PROGRAM  0x10
#define SR_LOCKED   0x02
#define SR_SEQUENCE (SR_ERASE | SR_PROGRAM)

/* End a command that took several writes. */
static void command_end(struct cfi_flash *f, uint8_t errors, uint64_t address)
{
	f->status |= errors;
	f->step = STEP_COMMAND;
	view_set(f, MODE_STATUS, address);
}

static void array_show(struct cfi_flash *f)
{
	f->step = STEP_COMMAND;
	view_set(f, MODE_ARRAY, 0);
	journal_array(f);
}

/* 0, or the status bits that say why not. */
static uint8_t refusal(const struct cfi_flash *f, uint64_t offset, uint8_t bit)
{
	if (f->p.readonly)
		return bit | SR_LOCKED;
	return content_has(f, offset) ? 0 : bit;
}

/* Programming turns ones into zeroes. Patches are out of the way. */
static void word_program(struct cfi_flash *f, const struct cycle *c)
{
	uint32_t before = content_load(f, c->offset);
	uint32_t after = before & (c->value | ~c->mask);

	if (after == before)
		return;
	content_store(f, c->offset, after);
	journal_changed(f, c->offset, 4);
}

static void block_erase(struct cfi_flash *f, uint64_t block)
{
	uint64_t size = block_size(f, block);
	bool changed = false;

	journal_erase(f, block);
	for (uint64_t at = block; at < block + size; at += 4) {
		if (content_load(f, at) == UINT32_MAX)
			continue;
		__atomic_store_n(content_word(f, at), UINT32_MAX,
				 __ATOMIC_RELAXED);
		changed = true;
	}
	if (!changed)
		return;
	content_publish(f, block, size);
	journal_changed(f, block, size);
}

/*
 * The command byte both chips were given; -1 when they were given different
 * ones or none. A narrow write to one chip is taken as meant for both.
 */
static int command_of(const struct cycle *c)
{
	bool low = c->mask & 0xff, high = c->mask & 0xff0000;
	int low_byte = c->value & 0xff, high_byte = (c->value >> 16) & 0xff;

	if (low && high)
		return low_byte == high_byte ? low_byte : -1;
	if (low)
		return low_byte;
	return high ? high_byte : -1;
}

static void setup(struct cfi_flash *f, enum step step, uint64_t address)
{
	f->step = step;
	view_set(f, MODE_STATUS, address);
}

static void step_command(struct cfi_flash *f, const struct cycle *c)
{
	switch (command_of(c)) {
	case CMD_READ_ARRAY:
	case CMD_AMD_RESET:
		array_show(f);
		break;
	case CMD_READ_ID:
		view_set(f, MODE_ID, c->offset);
		break;
	case CMD_QUERY:
		delay_end(f, true);
		view_set(f, MODE_QUERY, c->offset);
		break;
	case CMD_READ_STATUS:
		view_set(f, MODE_STATUS, c->offset);
		break;
	case CMD_CLEAR_STATUS:
		f->status = SR_READY;
		/* Changes what status shows, not whether it shows. */
		view_set(f, f->mode, f->address);
		break;
	case CMD_PROGRAM:
	case CMD_PROGRAM_ALT:
		journal_program(f, c->offset);
		setup(f, STEP_PROGRAM, c->offset);
		break;
	case CMD_BUFFERED:
		journal_program(f, c->offset);
		setup(f, STEP_COUNT, c->offset);
		break;
	case CMD_ERASE:
		setup(f, STEP_ERASE, c->offset);
		break;
	case CMD_LOCK:
		setup(f, STEP_LOCK, c->offset);
		break;
	default:
		f->status |= SR_SEQUENCE;
		view_set(f, f->mode, f->address);
		break;
	}
}

static void step_program(struct cfi_flash *f, const struct cycle *c)
{
	uint8_t errors = refusal(f, c->offset, SR_PROGRAM);

	view_restore(f);
	if (!errors)
		word_program(f, c);
	command_end(f, errors, c->offset);
}

static void step_erase(struct cfi_flash *f, const struct cycle *c)
{
	uint64_t block = block_of(c->offset);
	uint8_t errors = refusal(f, block, SR_ERASE);

	if (command_of(c) != CMD_CONFIRM || block != block_of(f->address))
		errors = SR_SEQUENCE;
	view_restore(f);
	if (!errors)
		block_erase(f, block);
	command_end(f, errors, c->offset);
}

/* Blocks of the variable bank are never locked and those of the code bank
 * always are, so the request is understood and changes nothing. */
static void step_lock(struct cfi_flash *f, const struct cycle *c)
{
	int what = command_of(c);
	bool known = what == LOCK_SET || what == LOCK_CLEAR ||
		     what == LOCK_DOWN || what == LOCK_CONFIGURE;

	command_end(f, known ? 0 : SR_SEQUENCE, c->offset);
}

static void step_count(struct cfi_flash *f, const struct cycle *c)
{
	int count = command_of(c); /* words less one */

	/* A driver that saw no buffer asks again; as a count it is too much. */
	if (count == CMD_BUFFERED) {
		setup(f, STEP_COUNT, c->offset);
		return;
	}
	if (count < 0 || count >= BUFFER_WORDS) {
		command_end(f, SR_SEQUENCE, c->offset);
		return;
	}
	f->n_buffer = 0;
	f->n_expected = count + 1;
	f->step = STEP_DATA;
}

static void step_data(struct cfi_flash *f, const struct cycle *c)
{
	f->buffer[f->n_buffer++] = *c;
	if (f->n_buffer == f->n_expected)
		f->step = STEP_CONFIRM;
}

/* All words or none. The confirmation itself may come at any address: ArmVirt
 * gives it at the start of the bank. */
static void step_confirm(struct cfi_flash *f, const struct cycle *c)
{
	uint8_t errors = 0;

	if (command_of(c) != CMD_CONFIRM)
		errors = SR_SEQUENCE;
	for (unsigned i = 0; i < f->n_buffer && !errors; i++) {
		if (block_of(f->buffer[i].offset) != block_of(f->address))
			errors = SR_SEQUENCE;
		else
			errors = refusal(f, f->buffer[i].offset, SR_PROGRAM);
	}
	view_restore(f);
	for (unsigned i = 0; i < f->n_buffer && !errors; i++)
		word_program(f, &f->buffer[i]);
	if (!errors)
		delay_recognize(f, c->offset);
	command_end(f, errors, c->offset);
}

static void flash_cycle(struct cfi_flash *f, const struct cycle *c)
{
	static void (*const steps[])(struct cfi_flash *,
				     const struct cycle *) = {
		[STEP_COMMAND] = step_command, [STEP_PROGRAM] = step_program,
		[STEP_ERASE] = step_erase,     [STEP_LOCK] = step_lock,
		[STEP_COUNT] = step_count,     [STEP_DATA] = step_data,
		[STEP_CONFIRM] = step_confirm,
	};

	steps[f->step](f, c);
}

/* A write of any size and alignment is one cycle per word it touches. */
static void flash_write(void *dev, uint64_t offset, unsigned size,
			uint64_t value)
{
	struct cfi_flash *f = dev;
	unsigned done = 0;

	while (done < size) {
		unsigned lane = (offset + done) & 3;
		unsigned n = MIN(4 - lane, size - done);
		uint32_t mask = n == 4 ? UINT32_MAX : (1u << (8 * n)) - 1;
		struct cycle c = {
			.offset = offset + done - lane,
			.value = (uint32_t)((value >> (8 * done)) & mask)
				 << (8 * lane),
			.mask = mask << (8 * lane),
		};

		flash_cycle(f, &c);
		done += n;
	}
}

static const struct mmio_ops flash_ops = {
	.read = view_read,
	.write = flash_write,
};

void cfi_flash_sync(struct cfi_flash *f)
{
	view_restore(f);
	journal_cut(f);
	array_show(f);
}

void cfi_flash_reset(struct cfi_flash *f)
{
	delay_end(f, false);
	cfi_flash_sync(f);
	f->status = SR_READY;
}

static bool params_valid(const struct cfi_flash_params *p)
{
	return p->content && (uintptr_t)p->content % 4 == 0 &&
	       p->content_size % 4 == 0 && p->content_size <= p->bank_size &&
	       p->bank_size >= CFI_FLASH_BLOCK_BYTES &&
	       p->bank_size <= GIB(4) &&
	       (p->bank_size & (p->bank_size - 1)) == 0;
}

int cfi_flash_new(const struct cfi_flash_params *params, struct cfi_flash **ret)
{
	struct cfi_flash *f;
	int r;

	if (!params_valid(params))
		return -EINVAL;
	f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->p = *params;
	r = journal_init(f);
	if (r < 0) {
		free(f);
		return r;
	}
	f->status = SR_READY;
	f->mapped = true;
	f->region = (struct mmio_region){
		.name = params->name,
		.size_bytes = params->bank_size,
		.ops = &flash_ops,
		.dev = f,
		.enabled = true,
	};
	*ret = f;
	return 0;
}

struct cfi_flash *cfi_flash_free(struct cfi_flash *f)
{
	if (f) {
		view_restore(f);
		journal_done(f);
		free(f);
	}
	return NULL;
}

struct mmio_region *cfi_flash_region(struct cfi_flash *f)
{
	return &f->region;
}
