#include <assert.h>

#include "vmm-kvm/devices/virtio_console.h"

/* Queues, 5.3.2. */
#define CONTROL_RX 2 /* to the driver */
#define CONTROL_TX 3
#define QUEUES	   (2 + 2 * VIRTIO_CONSOLE_PORTS)
#define QUEUE_SIZE 64

/* Feature bits, 5.3.3. */
#define F_MULTIPORT (1ull << 1)

/* struct virtio_console_control, 5.3.6.2, and what may follow. */
#define CONTROL_BYTES 8
#define NAME_MAX_SIZE 64

enum {
	DEVICE_READY = 0,
	PORT_ADD = 1,
	PORT_READY = 3,
	CONSOLE_PORT = 4,
	PORT_OPEN = 6,
	PORT_NAME = 7,
};

/* Chains and bytes of output that one turn of the loop takes. Of a larger
 * buffer the rest is lost: no driver writes more than some pages at once. */
#define BURST	     QUEUE_SIZE
#define BUFFER_BYTES KIB(64)
#define INPUT_BYTES  4096

struct port {
	struct virtio_console *console;
	const char *name;
	struct chardev *chardev;
	bool open;	  /* the driver opened it */
	unsigned pending; /* 1 << event: to be told, lowest first */
	size_t input_size;
	uint8_t input[INPUT_BYTES]; /* on its way to the driver */
};

struct control {
	uint32_t id;
	uint16_t event, value;
};
_Static_assert(sizeof(struct control) == CONTROL_BYTES, "5.3.6.2");

struct virtio_console {
	struct virtio_dev dev;
	/* struct virtio_console_config, 5.3.4. */
	struct {
		uint16_t cols, rows;
		uint32_t max_ports, emergency;
	} config;
	struct virtq_chain chain;
	struct port ports[VIRTIO_CONSOLE_PORTS];
};

static struct virtio_console *from_dev(struct virtio_dev *d)
{
	return container_of(d, struct virtio_console, dev);
}

/* Port 0 has queues 0 and 1, then come the control queues (5.3.2). */
static unsigned rx_queue(const struct port *p)
{
	unsigned i = (unsigned)(p - p->console->ports);

	return i == 0 ? 0 : 2 + 2 * i;
}

static struct port *port_of_queue(struct virtio_console *c, unsigned index)
{
	return &c->ports[index < CONTROL_RX ? 0 : index / 2 - 1];
}

static bool multiport(const struct virtio_console *c)
{
	return c->dev.features & F_MULTIPORT;
}

static void set_open(struct port *p, bool open)
{
	if (p->open == open)
		return;
	p->open = open;
	if (!open)
		p->input_size = 0;
	chardev_guest_open(p->chardev, open);
}

/* What the driver printed. */
static void take_output(struct virtio_console *c, const struct port *p)
{
	size_t left = BUFFER_BYTES;

	for (unsigned i = 0; i < c->chain.n_out && left > 0; i++) {
		const struct iovec *iov = &c->chain.iov[i];
		size_t n = MIN(iov->iov_len, left);

		if (p->chardev)
			chardev_write(p->chardev, iov->iov_base, n);
		left -= n;
	}
}

static void tx_pump(struct virtio_console *c, unsigned index)
{
	const struct port *p = port_of_queue(c, index);
	unsigned n;

	for (n = 0; n < BURST && virtio_pop(&c->dev, index, &c->chain); n++) {
		/* 5.3.6.1: only device-readable buffers. */
		if (c->chain.n_in) {
			virtio_fail(&c->dev);
			return;
		}
		take_output(c, p);
		virtio_push(&c->dev, index, c->chain.head, 0);
	}
	virtio_notify(&c->dev, index);
	if (n == BURST)
		virtio_kick_later(&c->dev, index);
}

/* The next buffer to write to; a readable one breaks the rules. */
static bool pop_writable(struct virtio_console *c, unsigned index)
{
	if (!virtio_pop(&c->dev, index, &c->chain))
		return false;
	if (c->chain.n_out == 0)
		return true;
	virtio_fail(&c->dev);
	return false;
}

static void rx_pump(struct port *p)
{
	struct virtio_console *c = p->console;
	unsigned index = rx_queue(p);
	bool moved = false;

	while (p->input_size > 0 && pop_writable(c, index)) {
		size_t n = iov_write(c->chain.iov, c->chain.n_in, 0, p->input,
				     p->input_size);

		p->input_size -= n;
		memmove(p->input, p->input + n, p->input_size);
		virtio_push(&c->dev, index, c->chain.head, (uint32_t)n);
		moved = true;
	}
	virtio_notify(&c->dev, index);
	if (moved)
		chardev_guest_ready(p->chardev);
}

/* One message, all of it or none; false: no buffer for it now. */
static bool tell(struct port *p, uint16_t event)
{
	struct virtio_console *c = p->console;
	struct {
		struct control head;
		char name[NAME_MAX_SIZE];
	} m = {.head = {(uint32_t)(p - c->ports), event, 1}};
	size_t size = CONTROL_BYTES;

	if (event == PORT_NAME) {
		memcpy(m.name, p->name, strlen(p->name));
		size += strlen(p->name);
	}
	if (!pop_writable(c, CONTROL_RX))
		return false;
	size = iov_write(c->chain.iov, c->chain.n_in, 0, &m, size);
	virtio_push(&c->dev, CONTROL_RX, c->chain.head, (uint32_t)size);
	return true;
}

static void control_pump(struct virtio_console *c)
{
	for (size_t i = 0; i < ARRAY_SIZE(c->ports); i++) {
		struct port *p = &c->ports[i];

		while (p->pending) {
			unsigned event = (unsigned)__builtin_ctz(p->pending);

			if (!tell(p, (uint16_t)event))
				break;
			p->pending &= ~(1u << event);
		}
	}
	virtio_notify(&c->dev, CONTROL_RX);
}

static void port_ready(struct port *p)
{
	p->pending |= 1u << PORT_OPEN;
	p->pending |= 1u << (p->name ? PORT_NAME : CONSOLE_PORT);
}

/* 5.3.6.2; what has no meaning here, or for this port, is ignored. */
static void handle_control(struct virtio_console *c, const struct control *m)
{
	struct port *p = m->id < ARRAY_SIZE(c->ports) ? &c->ports[m->id] : NULL;

	if (m->event == DEVICE_READY) {
		for (size_t i = 0; m->value && i < ARRAY_SIZE(c->ports); i++)
			if (c->ports[i].chardev)
				c->ports[i].pending |= 1u << PORT_ADD;
		return;
	}
	if (!p || !p->chardev)
		return;
	if (m->event == PORT_READY && m->value)
		port_ready(p);
	else if (m->event == PORT_OPEN)
		set_open(p, m->value != 0);
}

static void control_take(struct virtio_console *c)
{
	struct control m;
	unsigned n;

	for (n = 0; n < BURST && virtio_pop(&c->dev, CONTROL_TX, &c->chain);
	     n++) {
		if (iov_read(c->chain.iov, c->chain.n_out, 0, &m, sizeof(m)) !=
		    sizeof(m)) {
			virtio_fail(&c->dev);
			return;
		}
		handle_control(c, &m);
		virtio_push(&c->dev, CONTROL_TX, c->chain.head, 0);
	}
	virtio_notify(&c->dev, CONTROL_TX);
	if (n == BURST)
		virtio_kick_later(&c->dev, CONTROL_TX);
	control_pump(c);
}

static void kick(struct virtio_dev *d, unsigned index)
{
	struct virtio_console *c = from_dev(d);
	struct port *p = port_of_queue(c, index);

	if (index == CONTROL_TX) {
		control_take(c);
	} else if (index == CONTROL_RX) {
		control_pump(c);
	} else if (index % 2) {
		tx_pump(c, index);
	} else if (p->chardev) {
		/* Without control messages, buffers say that it is open. */
		if (!multiport(c))
			set_open(p, true);
		rx_pump(p);
	}
}

static void reset(struct virtio_dev *d)
{
	struct virtio_console *c = from_dev(d);

	for (size_t i = 0; i < ARRAY_SIZE(c->ports); i++) {
		c->ports[i].pending = 0;
		set_open(&c->ports[i], false);
	}
}

/* Input that found no room meanwhile asks again. */
static void hold(struct virtio_dev *d, bool held)
{
	struct virtio_console *c = from_dev(d);

	for (size_t i = 0; !held && i < ARRAY_SIZE(c->ports); i++)
		if (c->ports[i].chardev)
			chardev_guest_ready(c->ports[i].chardev);
}

static void save(const struct virtio_dev *d, struct state_out *out)
{
	const struct virtio_console *c = container_of(d, struct virtio_console,
						      dev);

	for (size_t i = 0; i < ARRAY_SIZE(c->ports); i++) {
		const struct port *p = &c->ports[i];

		state_put_u8(out, p->open);
		state_put_u32(out, p->pending);
		state_put_u16(out, (uint16_t)p->input_size);
		state_put(out, p->input, p->input_size);
	}
}

static int load(struct virtio_dev *d, struct state_in *in, struct error *e)
{
	struct virtio_console *c = from_dev(d);

	for (size_t i = 0; i < ARRAY_SIZE(c->ports); i++) {
		const unsigned events = 1u << PORT_ADD | 1u << CONSOLE_PORT |
					1u << PORT_OPEN | 1u << PORT_NAME;
		struct port *p = &c->ports[i];
		bool open = state_get_bool(in);
		unsigned pending = state_get_u32(in);
		size_t size = state_get_u16(in);

		if (size > INPUT_BYTES || (pending & ~events) ||
		    ((open || pending || size) && !p->chardev) ||
		    ((pending & 1u << PORT_NAME) && !p->name))
			return state_bad(in, e, "has a port that cannot be");
		state_get(in, p->input, size);
		p->input_size = size;
		p->pending = pending;
		if (p->chardev)
			set_open(p, open);
	}
	return 0;
}

static size_t on_can_receive(void *cookie)
{
	struct port *p = cookie;
	struct virtio_dev *d = &p->console->dev;
	size_t room = 0;

	virtio_enter(d);
	if (virtio_live(d) && p->open)
		room = INPUT_BYTES - p->input_size;
	virtio_leave(d);
	return room;
}

static void on_receive(void *cookie, const uint8_t *data, size_t size)
{
	struct port *p = cookie;
	struct virtio_dev *d = &p->console->dev;

	virtio_enter(d);
	/* It may have been closed since it said how much fits. */
	size = p->open ? MIN(size, INPUT_BYTES - p->input_size) : 0;
	memcpy(p->input + p->input_size, data, size);
	p->input_size += size;
	rx_pump(p);
	virtio_leave(d);
}

static const struct chardev_guest guest = {
	.can_receive = on_can_receive,
	.receive = on_receive,
};

static void console_free(struct virtio_dev *d)
{
	struct virtio_console *c = from_dev(d);

	for (size_t i = 0; i < ARRAY_SIZE(c->ports); i++)
		if (c->ports[i].chardev)
			chardev_set_guest(c->ports[i].chardev, NULL, NULL);
	free(c);
}

static const struct virtio_dev_ops ops = {
	.name = "virtio-console",
	.device_id = VIRTIO_ID_CONSOLE,
	.pci_class = 0x078000,
	.kick = kick,
	.reset = reset,
	.hold = hold,
	.save = save,
	.load = load,
	.free = console_free,
};

int virtio_console_new(
	const struct virtio_console_port ports[VIRTIO_CONSOLE_PORTS],
	struct virtio_dev **ret, struct error *e)
{
	struct virtio_console *c = calloc(1, sizeof(*c));

	if (!c)
		return error_set(e, -ENOMEM,
				 "out of memory for virtio-console");
	c->config.max_ports = VIRTIO_CONSOLE_PORTS;
	virtio_dev_init(&c->dev, &ops, F_MULTIPORT, &c->config,
			sizeof(c->config), QUEUES, QUEUE_SIZE);
	for (size_t i = 0; i < ARRAY_SIZE(c->ports); i++) {
		assert(!ports[i].name ||
		       strlen(ports[i].name) <= NAME_MAX_SIZE);
		c->ports[i].console = c;
		c->ports[i].name = ports[i].name;
		c->ports[i].chardev = ports[i].chardev;
		if (ports[i].chardev)
			chardev_set_guest(ports[i].chardev, &guest,
					  &c->ports[i]);
	}
	*ret = &c->dev;
	return 0;
}
