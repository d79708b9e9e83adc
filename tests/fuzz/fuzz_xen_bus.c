/*
 * Paravirtual devices before a guest that writes anything into its nodes, a
 * dom0 whose backends take any state, and a xenstore that fails: steps are
 * told each once and in order, an attach is active only when both ends said
 * so, and afterwards no node, watch or descriptor is left.
 *
 * Input: steps of 1 byte; bits 0-3 choose, bits 4-5 are the device, the
 * operands follow.
 */
#include <dirent.h>
#include <sys/mman.h>

#include "tests/fuzz/fuzz_loop.h"
#include "tests/unit/fake_dom0.h"
#include "vmm-xen/xen_bus_internal.h"

#define DEVICES 4 /* the first three are disks */
#define DOMID	5

static const char *const ids[DEVICES] = {"d0", "d1", "d2", "n0"};
static const char *const names[DEVICES] = {"vbd/%u/51712", "vbd/%u/51728",
					   "vbd/%u/51744", "vif/%u/3"};

struct fixture {
	struct xen_bus *bus;
	uint32_t domid;
	bool connected, lost;
	/* The last step told of an attach. */
	enum vm_device_state told[DEVICES];
};

static unsigned index_of(const char *id)
{
	for (unsigned i = 0; i < DEVICES; i++)
		if (streq(id, ids[i]))
			return i;
	abort();
}

static void guest_dir(const struct fixture *f, unsigned i, const char *node,
		      char buf[160])
{
	char kind[4] = "", number[16];

	memcpy(kind, names[i], 3);
	snprintf(number, sizeof(number), "%s", strrchr(names[i], '/'));
	snprintf(buf, 160, "/local/domain/%u/device/%s%s%s", f->domid, kind,
		 number, node);
}

static void backend_dir(const struct fixture *f, unsigned i, const char *node,
			char buf[160])
{
	char middle[64];

	snprintf(middle, sizeof(middle), names[i], f->domid);
	snprintf(buf, 160, "/local/domain/0/backend/%s%s", middle, node);
}

static void on_device(void *cookie, const struct vmm_device_status *status,
		      const char *detail)
{
	struct fixture *f = cookie;
	unsigned i = index_of(status->id);
	char path[160];

	if (status->state >= VM_DEVICE_OFFERED &&
	    status->state <= VM_DEVICE_ACTIVE) {
		fuzz_check(status->state == f->told[i] + 1);
		f->told[i] = status->state;
		fuzz_check(!*detail);
	} else {
		fuzz_check(status->state == VM_DEVICE_RELEASING ||
			   status->state == VM_DEVICE_RELEASED ||
			   status->state == VM_DEVICE_FAILED);
		fuzz_check((status->state == VM_DEVICE_FAILED) == !!*detail);
	}
	if (status->state != VM_DEVICE_ACTIVE)
		return;
	guest_dir(f, i, "/state", path);
	fuzz_check(fake_get(path) && streq(fake_get(path), "4"));
	backend_dir(f, i, "/state", path);
	fuzz_check(fake_get(path) && streq(fake_get(path), "4"));
}

static void on_lost(void *cookie)
{
	((struct fixture *)cookie)->lost = true;
}

static const struct xen_bus_events events = {on_device, on_lost};

static void add(struct fixture *f, unsigned i)
{
	struct disk_config disk = {.id = (char *)ids[i], .slot = i + 1};
	struct nic_config nic = {
		.id = (char *)ids[i],
		.slot = i + 1,
		.bridge = (char *)"br0",
		.mac = (char *)"52:54:00:00:00:01",
	};
	struct vmm_device device = {
		.kind = i == DEVICES - 1 ? VM_DEVICE_NIC : VM_DEVICE_DISK,
		.disk = &disk,
		.nic = &nic,
		.fd = i == DEVICES - 1 ? -1 : memfd_create("disk", MFD_CLOEXEC),
	};
	struct xen_bus *bus = f->bus;
	uint32_t slot;

	if (xen_bus_add(bus, &device, &slot, NULL) == 0)
		f->told[i] = f->connected ? VM_DEVICE_REQUESTED
					  : VM_DEVICE_ACTIVE;
}

static void connect_or_not(struct fixture *f)
{
	if (f->connected) {
		xen_bus_disconnect(f->bus);
		f->connected = false;
		return;
	}
	f->domid++;
	f->connected = xen_bus_connect(f->bus, f->domid, NULL) == 0;
}

static void adopt(struct fixture *f)
{
	if (!f->connected)
		return;
	xen_bus_free(f->bus);
	fake.fail_at = 0;
	fuzz_check(xen_bus_new(fuzz_loop(), &events, f, &f->bus, NULL) == 0);
	f->connected = xen_bus_adopt(f->bus, f->domid, NULL) == 0;
	for (unsigned i = 0; i < DEVICES; i++)
		f->told[i] = VM_DEVICE_ACTIVE;
}

static void give_up(struct fixture *f, unsigned i)
{
	struct error why = ERROR_INIT;

	xen_bus_give_up(f->bus, ids[i], &why);
	fuzz_check(!why.err == !why.message[0]);
}

static void guest_writes(struct fixture *f, unsigned i, struct fuzz_input *in)
{
	size_t n;
	const uint8_t *bytes = fuzz_bytes(in, fuzz_u8(in) % 64, &n);
	char path[160];

	guest_dir(f, i, "/state", path);
	fake_put(path, bytes, n);
}

static void put_digit(const char *path, uint8_t number)
{
	char text = (char)('0' + number % 10);

	fake_put(path, &text, 1);
}

static void step(struct fixture *f, struct fuzz_input *in)
{
	uint8_t what = fuzz_u8(in);
	unsigned i = what >> 4 & 3;
	struct vmm_device_status status;
	char path[160];

	switch (what & 15) {
	case 0:
		add(f, i);
		break;
	case 1:
		connect_or_not(f);
		break;
	case 2:
		(void)!xen_bus_detach(f->bus, ids[i], false, NULL);
		break;
	case 3:
		(void)!xen_bus_detach(f->bus, ids[i], true, NULL);
		break;
	case 4:
		give_up(f, i);
		break;
	case 5:
		guest_writes(f, i, in);
		break;
	case 6:
		guest_dir(f, i, "/state", path);
		put_digit(path, fuzz_u8(in));
		break;
	case 7:
		backend_dir(f, i, "/state", path);
		put_digit(path, fuzz_u8(in));
		break;
	case 8:
		guest_dir(f, i, "", path);
		fake_take(path);
		break;
	case 9:
		fake.fail_at = fake.calls + 1 + fuzz_u8(in) % 16;
		fake.fail_errno = fuzz_u8(in) % 2 ? EIO : EAGAIN;
		break;
	case 10:
		dom0.fail_at = dom0.calls + 1 + fuzz_u8(in) % 4;
		break;
	case 11:
		fake.conflicts = fuzz_u8(in);
		break;
	case 12:
		(void)!xen_bus_device_status(f->bus, ids[i], &status);
		break;
	case 13:
		(void)!xen_bus_set_link(f->bus, ids[i], i & 1, NULL);
		break;
	case 14:
		adopt(f);
		break;
	default:
		fuzz_turn();
	}
}

static unsigned device_nodes(const struct fixture *f)
{
	char top[32];
	unsigned n = 0;

	snprintf(top, sizeof(top), "/libxl/%u/device", f->domid);
	for (size_t i = 0; i < fake.tree.n; i++)
		n += fake_below(fake.tree.nodes[i].path, top) &&
		     strstr(fake.tree.nodes[i].path, "armvm-");
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = fuzz_begin(data, size);
	struct fixture f = {.domid = DOMID};

	fake_dom0_begin();
	fuzz_check(xen_bus_new(fuzz_loop(), &events, &f, &f.bus, NULL) == 0);
	while (fuzz_more(&in) && !f.lost)
		step(&f, &in);
	fake.fail_at = dom0.fail_at = fake.conflicts = 0;
	xen_bus_disconnect(f.bus);
	if (f.connected)
		fuzz_check(device_nodes(&f) == 0);
	xen_bus_free(f.bus);
	fuzz_check(fake.n_watches == 0);
	fuzz_loop_settle();
	close(fake.fd);
	return 0;
}
