/*
 * Registers of the common structure as memory: the guest here reads the page
 * where one is shown, has KVM take the writes that doorbells match, and comes
 * to the bus with all else, which is counted.
 */
#include "tests/unit/virtio_probe_fixture.h"
#include "vmm-kvm/devices/virtio_pci_internal.h"

#define OTHER	 PCI_DEVFN(2, 0)
#define OTHER_AT (WINDOW_BASE + 0x20000)
#define ENOUGH	 200 /* notifications after which the page is there */

enum { SELECT = 0x16, VECTOR = 0x1a, NOTIFY_OFF = 0x1e };

struct shown {
	struct fixture f;	  /* of one function */
	struct virtio_pci *other; /* NULL: there is none */
	struct reg_page *page;
	uint64_t gpa; /* where it is; 0: nowhere */
	const uint8_t *memory;
	uint64_t delayed;
	bool refuse;
	unsigned shows, exits;
};

static int show(void *cookie, uint64_t gpa, void *page)
{
	struct shown *s = cookie;

	assert_int_equal(s->gpa, 0);
	assert_int_equal(gpa % REG_PAGE_BYTES, 0);
	if (s->refuse)
		return -EEXIST;
	s->gpa = gpa;
	s->memory = page;
	s->shows++;
	return 0;
}

static void hide(void *cookie, uint64_t gpa, void *page)
{
	struct shown *s = cookie;

	assert_int_equal(s->gpa, gpa);
	assert_ptr_equal(s->memory, page);
	s->gpa = 0;
}

static void delay(void *cookie, uint64_t addr, uint64_t size, bool on)
{
	struct shown *s = cookie;

	if (addr == s->f.d.common + SELECT)
		s->delayed = on ? size : 0;
}

static struct virtio_pci *plug(struct shown *s, unsigned devfn,
			       struct probe **ret)
{
	struct probe *p = calloc(1, sizeof(*p));
	const struct virtio_pci_params params = {
		.host = s->f.m.host,
		.devfn = devfn,
		.device = &p->dev,
		.mem = &s->f.m.ram.mem,
		.bus = s->f.m.bus,
		.loop = &s->f.m.loop,
		.msi = &s->f.m.msi,
		.doorbells = &s->f.m.doorbells,
		.reg_page = s->page,
	};
	struct virtio_pci *v;

	p->frees = &s->f.frees;
	virtio_dev_init(&p->dev, &probe_ops, 1ull << 3, p->config,
			sizeof(p->config), 2, 16);
	assert_int_equal(virtio_pci_new(&params, &v, NULL), 0);
	*ret = p;
	return v;
}

static int start(void **state)
{
	struct shown *s = calloc(1, sizeof(*s));
	const struct reg_page_sink sink = {show, hide, s};

	machine_init(&s->f.m);
	bus_use_delay(s->f.m.bus, &(struct bus_delay){delay, s});
	assert_int_equal(reg_page_new(&sink, &s->page, NULL), 0);
	s->f.d.common = BAR0_AT;
	s->f.v = plug(s, DEVFN, &s->f.probe);
	driver_probe(&s->f.d, &s->f.m, DEVFN);
	driver_start(&s->f.d, 0, s->f.rings, 2);
	*state = s;
	return 0;
}

static int end(void **state)
{
	struct shown *s = *state;

	virtio_pci_free(s->other);
	virtio_pci_free(s->f.v);
	assert_int_equal(s->gpa, 0);
	reg_page_free(s->page);
	machine_done(&s->f.m);
	free(s);
	return 0;
}

static uint64_t guest_read(struct shown *s, uint64_t at, unsigned size)
{
	uint64_t value = 0;

	if (s->gpa && at - s->gpa < REG_PAGE_BYTES) {
		memcpy(&value, s->memory + (at - s->gpa), size);
		return value;
	}
	s->exits++;
	return mmio_read(&s->f.m, at, size);
}

static void guest_write(struct shown *s, uint64_t at, unsigned size,
			uint64_t value)
{
	for (size_t i = 0; i < FAKE_MAX; i++) {
		const struct fake_doorbell *b = &s->f.m.bells[i];

		if (b->used && b->gpa == at &&
		    (b->match < 0 || b->match == (int64_t)value)) {
			eventfd_write(b->fd, 1);
			return;
		}
	}
	s->exits++;
	mmio_write(&s->f.m, at, size, value);
}

/* As EDK2's driver does it. */
static void notify(struct shown *s, uint64_t regs, unsigned queue)
{
	uint16_t before = (uint16_t)guest_read(s, regs + SELECT, 2);
	uint64_t off;

	guest_write(s, regs + SELECT, 2, queue);
	off = guest_read(s, regs + NOTIFY_OFF, 2);
	assert_int_equal(off, queue);
	guest_write(s, regs + 0x3000 + off * 4, 2, queue);
	guest_write(s, regs + SELECT, 2, before);
}

/* Select queue 0 and notify it until nothing of that comes to us. */
static void settle(struct shown *s)
{
	guest_write(s, s->f.d.common + SELECT, 2, 0);
	for (int i = 0; i < ENOUGH; i++)
		notify(s, s->f.d.common, 0);
	s->exits = 0;
	notify(s, s->f.d.common, 0);
}

static void check_shown(struct shown *s)
{
	assert_int_equal(s->exits, 0);
	assert_int_equal(s->gpa, s->f.d.common);
	assert_int_equal(fake_bells(&s->f.m, s->gpa + SELECT), 1);
	assert_int_equal(s->delayed, 0);
}

static void check_hidden(struct shown *s)
{
	assert_int_equal(s->gpa, 0);
	assert_int_equal(fake_bells(&s->f.m, s->f.d.common + SELECT), 0);
}

static void test_no_exits(void **state)
{
	struct shown *s = *state;

	assert_int_equal(s->delayed, 6);
	settle(s);
	check_shown(s);
	s->f.probe->kicks[0] = 0;
	notify(s, s->f.d.common, 0);
	driver_turn(&s->f.d);
	assert_int_equal(s->f.probe->kicks[0], 1);
	assert_int_equal(s->exits, 0);
	assert_int_equal(s->shows, 1);
}

static void check_image(struct shown *s)
{
	static const uint8_t widths[] = {4, 4, 4, 4, 2, 2, 1, 1, 2, 2,
					 2, 2, 2, 4, 4, 4, 4, 4, 4};
	unsigned at = 0;

	for (size_t i = 0; i < ARRAY_SIZE(widths); i++) {
		uint64_t value = 0;

		memcpy(&value, s->memory + at, widths[i]);
		if (value != common(&s->f, at, widths[i]))
			fail_msg("0x%x is 0x%llx as memory, 0x%llx otherwise",
				 at, (unsigned long long)value,
				 (unsigned long long)common(&s->f, at,
							    widths[i]));
		at += widths[i];
	}
	assert_int_equal(at, 0x38);
	for (; at < REG_PAGE_BYTES; at++)
		assert_int_equal(s->memory[at], 0);
}

static void test_image(void **state)
{
	struct shown *s = *state;

	settle(s);
	check_shown(s);
	check_image(s);
	/* What was shown last leaves nothing behind. */
	guest_write(s, s->f.d.common + SELECT, 2, 7); /* no such queue */
	settle(s);
	check_shown(s);
	check_image(s);
}

/* Every write that is not of what the selector is already. */
static void test_writes(void **state)
{
	static const struct {
		unsigned at, size;
		uint64_t value;
	} rows[] = {
		{0x00, 4, 1}, {0x08, 4, 1},	  {0x10, 2, 0}, {0x16, 2, 1},
		{0x16, 2, 7}, {VECTOR, 2, 1},	  {0x18, 2, 8}, {0x1c, 2, 1},
		{0x20, 4, 0}, {NOTIFY_OFF, 2, 9}, {0x12, 2, 9},
	};
	struct shown *s = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		settle(s);
		check_shown(s);
		guest_write(s, s->f.d.common + rows[i].at, rows[i].size,
			    rows[i].value);
		assert_int_equal(s->exits, 1);
		check_hidden(s);
		assert_int_equal(s->delayed, 6);
	}
	assert_int_equal(common(&s->f, VECTOR, 2), 1);
	assert_int_equal(common(&s->f, 0, 4), 1);
	/* What no register takes changes nothing. */
	settle(s);
	guest_write(s, s->f.d.common + 0x11, 1, 1);
	guest_write(s, s->f.d.common + 0x16, 4, 1);
	guest_write(s, s->f.d.common + 0x40, 4, 1);
	assert_int_equal(s->gpa, s->f.d.common);
	check_image(s);
}

static void locked(struct shown *s, void (*what)(struct virtio_dev *d))
{
	bus_lock(s->f.m.bus);
	what(&s->f.probe->dev);
	bus_unlock(s->f.m.bus);
}

static void test_device_changes(void **state)
{
	struct shown *s = *state;
	uint64_t generation;

	settle(s);
	generation = guest_read(s, s->f.d.common + 0x15, 1);
	locked(s, virtio_config_changed);
	check_hidden(s);
	assert_int_equal(guest_read(s, s->f.d.common + 0x15, 1),
			 generation + 1);
	settle(s);
	check_shown(s);
	check_image(s);
	locked(s, virtio_fail);
	check_hidden(s);
	assert_int_equal(guest_read(s, s->f.d.common + 0x14, 1), 0x4f);
	/* One that is broken is not shown again. */
	settle(s);
	check_hidden(s);
}

static void test_moves(void **state)
{
	struct shown *s = *state;

	settle(s);
	place_bar(&s->f.m, DEVFN, 0, OTHER_AT);
	check_hidden(s);
	place_bar(&s->f.m, DEVFN, 0, BAR0_AT);
	settle(s);
	check_shown(s);
	cfg_write(&s->f.m, DEVFN, PCI_REG_COMMAND, 2, 0);
	check_hidden(s);
	assert_int_equal(s->delayed, 0);
	cfg_write(&s->f.m, DEVFN, PCI_REG_COMMAND, 2, PCI_COMMAND_MEMORY);
	settle(s);
	check_shown(s);
	/* By the window in configuration space, too. */
	cfg_write(&s->f.m, DEVFN, s->f.v->cfg_cap + 4, 1, 0);
	cfg_write(&s->f.m, DEVFN, s->f.v->cfg_cap + 8, 4, VECTOR);
	cfg_write(&s->f.m, DEVFN, s->f.v->cfg_cap + 12, 4, 2);
	cfg_write(&s->f.m, DEVFN, s->f.v->cfg_cap + 16, 2, 1);
	check_hidden(s);
	settle(s);
	check_shown(s);
	driver_set_status(&s->f.d, 0);
	check_hidden(s);
	assert_int_equal(s->delayed, 0);
	settle(s);
	check_hidden(s);
	driver_start(&s->f.d, 0, s->f.rings, 2);
	settle(s);
	check_shown(s);
	bus_lock(s->f.m.bus);
	pci_host_reset(s->f.m.host);
	bus_unlock(s->f.m.bus);
	check_hidden(s);
}

/* There is one page: who needs it has it. */
static void test_two(void **state)
{
	struct shown *s = *state;
	struct driver other = {
		.m = &s->f.m, .devfn = OTHER, .common = OTHER_AT};
	struct vring rings[2];
	struct probe *probe;

	s->other = plug(s, OTHER, &probe);
	place_bar(&s->f.m, OTHER, 0, OTHER_AT);
	cfg_write(&s->f.m, OTHER, PCI_REG_COMMAND, 2, PCI_COMMAND_MEMORY);
	driver_start(&other, 0, rings, 2);
	settle(s);
	check_shown(s);
	/* A selector that is another one each time is not quiet. */
	for (int i = 0; i < ENOUGH; i++)
		notify(s, OTHER_AT, 0);
	assert_int_equal(s->gpa, s->f.d.common);
	guest_write(s, OTHER_AT + SELECT, 2, 0);
	for (int i = 0; i < ENOUGH; i++)
		notify(s, OTHER_AT, 0);
	assert_int_equal(s->gpa, OTHER_AT);
	assert_int_equal(fake_bells(&s->f.m, BAR0_AT + SELECT), 0);
	assert_int_equal(s->delayed, 6);
	settle(s);
	check_shown(s);
	check_image(s);
	/* The end of one that has it not changes nothing. */
	s->other = virtio_pci_free(s->other);
	check_shown(s);
}

/* A place that KVM does not give; no descriptor left for the selector. */
static void test_refused(void **state)
{
	struct shown *s = *state;

	s->refuse = true;
	settle(s);
	check_hidden(s);
	assert_int_equal(s->exits, 4);
	assert_int_equal(s->delayed, 6);
	s->refuse = false;
	for (size_t i = 0; i < FAKE_MAX; i++)
		if (!s->f.m.bells[i].used)
			s->f.m.bells[i] = (struct fake_doorbell){
				.used = true, .match = -1, .fd = -1};
	guest_write(s, s->f.d.common + 0x10, 2, 0);
	settle(s);
	check_hidden(s);
	assert_int_equal(s->delayed, 6);
	for (size_t i = 0; i < FAKE_MAX; i++)
		if (s->f.m.bells[i].fd == -1)
			s->f.m.bells[i].used = false;
	/* Not asked again for each read: after the next change. */
	settle(s);
	check_hidden(s);
	guest_write(s, s->f.d.common + 0x10, 2, 0);
	settle(s);
	check_shown(s);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, start, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_no_exits),	   TEST(test_image), TEST(test_writes),
		TEST(test_device_changes), TEST(test_moves), TEST(test_two),
		TEST(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
