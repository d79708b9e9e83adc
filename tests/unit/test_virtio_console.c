#include "tests/unit/pci_fixture.h"
#include "vmm-kvm/devices/virtio_console.h"

#define DEVFN	   PCI_DEVFN(1, 0)
#define MULTIPORT  (1ull << 1)
#define CONTROL_RX 2
#define CONTROL_TX 3
#define AGENT_RX   4
#define AGENT_TX   5
#define QUEUES	   6
#define BUFFER	   0x1000 /* from one buffer to the next */

enum { READY = 0, ADD = 1, PORT_READY = 3, CONSOLE = 4, OPEN = 6, NAME = 7 };

struct message {
	uint32_t id;
	uint16_t event, value;
	char name[32];
};

struct fixture {
	struct machine m;
	struct chardev *chardevs[2];
	struct virtio_pci *v;
	struct driver d;
	struct vring rings[QUEUES];
	/* What the other end of port 1 saw. */
	char output[512];
	size_t n_output;
	bool open;
	unsigned opens;
};

static void on_output(void *cookie, const uint8_t *data, size_t size)
{
	struct fixture *f = cookie;

	size = MIN(size, sizeof(f->output) - f->n_output);
	memcpy(f->output + f->n_output, data, size);
	f->n_output += size;
}

static void on_opened(void *cookie, bool open)
{
	struct fixture *f = cookie;

	assert_int_not_equal(f->open, open);
	f->open = open;
	f->opens += open;
}

static const struct chardev_peer peer = {on_output, on_opened};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct virtio_dev *dev;
	struct virtio_console_port ports[2] = {{0}};

	machine_init(&f->m);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(chardev_new(&f->m.loop, &f->chardevs[i]), 0);
		ports[i].chardev = f->chardevs[i];
	}
	ports[1].name = "org.example.port";
	chardev_set_peer(f->chardevs[1], &peer, f);
	assert_int_equal(virtio_console_new(ports, &dev, NULL), 0);
	f->v = driver_plug(&f->d, &f->m, DEVFN, dev, false);
	driver_start(&f->d, 3ull << 28 | MULTIPORT, f->rings, QUEUES);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	virtio_pci_free(f->v);
	chardev_free(f->chardevs[0]);
	chardev_free(f->chardevs[1]);
	machine_done(&f->m);
	free(f);
	return 0;
}

static void *buffer(struct fixture *f, unsigned queue, unsigned i)
{
	return ram_at(&f->m.ram, DATA_GPA + BUFFER * (8 * queue + i));
}

static void give(struct fixture *f, unsigned queue, uint16_t i, uint32_t bytes,
		 unsigned flags)
{
	struct vring *v = &f->rings[queue];

	vring_desc(v, v->desc, i, DATA_GPA + BUFFER * (8 * queue + i), bytes,
		   flags, 0);
	vring_add(v, i);
	driver_notify(&f->d, queue);
}

static void say(struct fixture *f, uint32_t id, uint16_t event, uint16_t value)
{
	const struct message m = {id, event, value, ""};
	uint32_t head, written;

	memcpy(buffer(f, CONTROL_TX, 0), &m, 8);
	give(f, CONTROL_TX, 0, 8, 0);
	assert_true(driver_wait(&f->d, &f->rings[CONTROL_TX], &head, &written));
}

static void hear(struct fixture *f, uint32_t id, uint16_t event,
		 const char *name)
{
	uint32_t head, written;
	struct message m = {0};

	give(f, CONTROL_RX, 1, sizeof(m), VIRTQ_DESC_WRITE);
	assert_true(driver_wait(&f->d, &f->rings[CONTROL_RX], &head, &written));
	memcpy(&m, buffer(f, CONTROL_RX, 1), written);
	assert_int_equal(m.id, id);
	assert_int_equal(m.event, event);
	assert_int_equal(m.value, 1);
	assert_int_equal(written, 8 + strlen(name));
	assert_string_equal(m.name, name);
}

static void hear_nothing(struct fixture *f)
{
	driver_turn(&f->d);
	assert_int_equal(vring_used_index(&f->rings[CONTROL_RX]),
			 f->rings[CONTROL_RX].seen);
}

/* As Linux does it. */
static void bring_up(struct fixture *f)
{
	say(f, 0, READY, 1);
	hear(f, 0, ADD, "");
	hear(f, 1, ADD, "");
	for (uint32_t port = 0; port < 2; port++)
		say(f, port, PORT_READY, 1);
	hear(f, 0, CONSOLE, "");
	hear(f, 0, OPEN, "");
	hear(f, 1, OPEN, "");
	hear(f, 1, NAME, "org.example.port");
	for (uint32_t port = 0; port < 2; port++)
		say(f, port, OPEN, 1);
	driver_turn(&f->d);
}

static void test_config(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(cfg_read(&f->m, DEVFN, PCI_REG_DEVICE, 2), 0x1043);
	assert_int_equal(driver_offered(&f->d),
			 1ull << 32 | 3ull << 28 | MULTIPORT);
	assert_int_equal(mmio_read(&f->m, f->d.device, 4), 0);
	assert_int_equal(mmio_read(&f->m, f->d.device + 4, 4), 2);
}

static void test_ports(void **state)
{
	struct fixture *f = *state;

	bring_up(f);
	assert_true(f->open);
	say(f, 1, OPEN, 0);
	say(f, 1, OPEN, 1);
	driver_turn(&f->d);
	assert_true(f->open);
	assert_int_equal(f->opens, 2);
	driver_set_status(&f->d, 0);
	driver_turn(&f->d);
	assert_false(f->open);
}

static void test_output(void **state)
{
	struct fixture *f = *state;
	uint32_t head, written;

	bring_up(f);
	memcpy(buffer(f, AGENT_TX, 0), "hello", 5);
	give(f, AGENT_TX, 0, 5, 0);
	assert_true(driver_wait(&f->d, &f->rings[AGENT_TX], &head, &written));
	assert_int_equal(written, 0);
	driver_turn(&f->d);
	assert_int_equal(f->n_output, 5);
	assert_memory_equal(f->output, "hello", 5);
}

static void test_input(void **state)
{
	const uint8_t text[] = "to the guest";
	struct fixture *f = *state;
	uint32_t head, written;

	/* Nothing is for a port that nobody opened. */
	assert_int_equal(chardev_input(f->chardevs[1], text, 12), 0);
	bring_up(f);
	assert_int_equal(chardev_input(f->chardevs[1], text, 12), 12);
	give(f, AGENT_RX, 0, 5, VIRTQ_DESC_WRITE);
	assert_true(driver_wait(&f->d, &f->rings[AGENT_RX], &head, &written));
	assert_int_equal(written, 5);
	give(f, AGENT_RX, 1, 64, VIRTQ_DESC_WRITE);
	assert_true(driver_wait(&f->d, &f->rings[AGENT_RX], &head, &written));
	assert_int_equal(written, 7);
	assert_memory_equal(buffer(f, AGENT_RX, 0), "to th", 5);
	assert_memory_equal(buffer(f, AGENT_RX, 1), "e guest", 7);
	/* What waits when the port is closed is gone. */
	assert_int_equal(chardev_input(f->chardevs[1], text, 12), 12);
	say(f, 1, OPEN, 0);
	say(f, 1, OPEN, 1);
	give(f, AGENT_RX, 2, 64, VIRTQ_DESC_WRITE);
	driver_turn(&f->d);
	assert_false(vring_take(&f->rings[AGENT_RX], &head, &written));
}

/* More than the device holds: the rest is the sender's to keep. */
static void test_input_bounded(void **state)
{
	static const uint8_t text[8192];
	struct fixture *f = *state;

	bring_up(f);
	assert_int_equal(chardev_input(f->chardevs[1], text, sizeof(text)),
			 4096);
	assert_int_equal(chardev_input(f->chardevs[1], text, 1), 0);
}

/* A driver that knows no ports has the console on queues 0 and 1. */
static void test_single_port(void **state)
{
	struct fixture *f = *state;
	const uint8_t key = 'k';
	uint32_t head, written;

	driver_start(&f->d, 3ull << 28, f->rings, 2);
	give(f, 0, 0, 16, VIRTQ_DESC_WRITE);
	driver_turn(&f->d);
	assert_int_equal(chardev_input(f->chardevs[0], &key, 1), 1);
	assert_true(driver_wait(&f->d, &f->rings[0], &head, &written));
	assert_int_equal(written, 1);
}

static void test_nonsense_messages(void **state)
{
	struct fixture *f = *state;

	for (uint32_t event = 0; event < 12; event++) {
		say(f, 2, (uint16_t)event, 1);
		say(f, UINT32_MAX, (uint16_t)event, 0xffff);
	}
	say(f, 0, 0xffff, 1);
	say(f, 0, READY, 0);
	say(f, 0, PORT_READY, 0);
	assert_int_equal(driver_status(&f->d), 15);
	/* DEVICE_READY of "port 2" is that of the device. */
	hear(f, 0, ADD, "");
	hear(f, 1, ADD, "");
	give(f, CONTROL_RX, 2, 64, VIRTQ_DESC_WRITE);
	hear_nothing(f);
}

/* A flood of requests is answered once: nothing queues up. */
static void test_flood(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 500; i++) {
		say(f, 0, READY, 1);
		say(f, 1, PORT_READY, 1);
	}
	hear(f, 0, ADD, "");
	hear(f, 1, ADD, "");
	hear(f, 1, OPEN, "");
	hear(f, 1, NAME, "org.example.port");
	give(f, CONTROL_RX, 2, 64, VIRTQ_DESC_WRITE);
	hear_nothing(f);
}

static void test_malformed(void **state)
{
	static const struct {
		unsigned queue;
		struct virtq_desc desc;
	} rows[] = {
		{CONTROL_TX, {DATA_GPA, 7, 0, 0}}, /* no whole message */
		{CONTROL_TX, {DATA_GPA, 64, VIRTQ_DESC_WRITE, 0}},
		{CONTROL_TX, {DATA_GPA, 0, 0, 0}},
		{CONTROL_TX, {0, 8, 0, 0}},
		{CONTROL_RX, {DATA_GPA, 64, 0, 0}}, /* readable */
		{1, {DATA_GPA, 64, VIRTQ_DESC_WRITE, 0}},
		{AGENT_TX, {DATA_GPA, 64, VIRTQ_DESC_WRITE, 0}},
		{AGENT_TX, {DATA_GPA, 64, VIRTQ_DESC_NEXT, 0}},
		{AGENT_RX, {DATA_GPA, 64, 0, 0}},
	};
	struct fixture *f = *state;
	const uint8_t byte = 1;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct vring *v = &f->rings[rows[i].queue];

		driver_start(&f->d, 3ull << 28 | MULTIPORT, f->rings, QUEUES);
		bring_up(f);
		memcpy(ram_at(&f->m.ram, v->desc), &rows[i].desc,
		       sizeof(rows[i].desc));
		vring_add(v, 0);
		/* Something to say to the driver. */
		(void)chardev_input(f->chardevs[1], &byte, 1);
		if (rows[i].queue == CONTROL_RX)
			say(f, 0, READY, 1);
		driver_notify(&f->d, rows[i].queue);
		driver_turn(&f->d);
		if (driver_status(&f->d) != 0x4f)
			fail_msg("row %zu: status %#x", i,
				 (unsigned)driver_status(&f->d));
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_config),
		TEST(test_ports),
		TEST(test_output),
		TEST(test_input),
		TEST(test_input_bounded),
		TEST(test_single_port),
		TEST(test_nonsense_messages),
		TEST(test_flood),
		TEST(test_malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
