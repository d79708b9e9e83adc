/*
 * Any bytes as a snapshot file, with right sums where they count: the daemon's
 * part and a supervisor's are read to their end or refused with a reason;
 * nothing is handed over that is longer than it may be, or memory that wraps.
 *
 * Input: steps of 1 byte: 0 raw bytes, else a section with right sums: its type
 * (0: any), flags, address, size and payload. In front stands a right header,
 * unless the first byte says otherwise.
 */
#include <sys/mman.h>

#include "daemon/snapshot_lead.h"
#include "lib/base/fd.h"
#include "tests/fuzz/fuzz_input.h"

static void put_raw(struct buf *out, struct fuzz_input *in)
{
	size_t n;
	const uint8_t *bytes = fuzz_bytes(in, fuzz_u8(in), &n);

	fuzz_check(buf_append(out, bytes, n) == 0);
}

static void put_vars(struct buf *out, struct fuzz_input *in)
{
	static uint8_t image[VARSTORE_SIZE];
	struct snapshot_section s = {.type = SNAPSHOT_VARIABLES, .version = 1};
	_cleanup_buf_ struct buf whole = {0};
	struct uefi_vars none = {0};
	const uint8_t *bytes;
	size_t n, at;

	/* A right one, and then other bytes behind the image. */
	fuzz_check(snapshot_vars_put(image, &none, &whole, NULL) == 0);
	bytes = fuzz_bytes(in, fuzz_u8(in), &n);
	at = whole.size - 4;
	whole.size = at;
	fuzz_check(buf_append(&whole, bytes, n) == 0);
	fuzz_check(snapshot_put_section(out, &s, whole.data + 48,
					whole.size - 48) == 0);
}

static void put_section(struct buf *out, struct fuzz_input *in)
{
	struct snapshot_section s = {.version = 1};
	uint8_t type = fuzz_u8(in);
	const uint8_t *bytes;
	size_t n;

	s.type = (enum snapshot_type)(type & 8 ? fuzz_u16(in) : type & 7);
	s.flags = fuzz_u8(in) & 3;
	if (fuzz_u8(in) == 0xff)
		s.version = fuzz_u32(in);
	s.address = fuzz_u64(in);
	s.size = fuzz_u8(in) & 1 ? fuzz_u64(in) : 0;
	bytes = fuzz_bytes(in, fuzz_u8(in), &n);
	if (s.type == SNAPSHOT_MEMORY && !s.size)
		s.size = n;
	fuzz_check(snapshot_put_section(out, &s, bytes, n) == 0);
}

static void read_machine(int fd)
{
	static uint8_t run[SNAPSHOT_RUN_MAX];
	_cleanup_snapshot_reader_ struct snapshot_reader r = {0};
	struct snapshot_header header;
	struct error e = ERROR_INIT;
	struct snapshot_section s;
	int err = snapshot_reader_init(&r, fd, &header, &e);

	while (!err) {
		_cleanup_free_ void *payload = NULL;

		err = snapshot_next(&r, &s, &e);
		if (err)
			break;
		fuzz_check(s.at + s.length <= r.size);
		if (s.type == SNAPSHOT_MEMORY) {
			fuzz_check(s.size && s.size <= SNAPSHOT_RUN_MAX &&
				   s.address + s.size > s.address);
			err = snapshot_run(&r, &s, run, &e);
		} else {
			err = snapshot_payload(&r, &s, &payload, &e);
		}
		if (!err && s.type == SNAPSHOT_END)
			return;
	}
	fuzz_check(e.message[0]);
}

static void read_lead(int fd)
{
	_cleanup_snapshot_lead_ struct snapshot_lead l = {0};
	struct error e = ERROR_INIT;
	int err = snapshot_lead_read(fd, &l, &e);

	fuzz_check((err == 0) == !e.message[0]);
	if (err)
		return;
	fuzz_check(l.image && l.meta.version && l.meta.n_disks <= VM_DISKS_MAX);
	for (size_t i = 0; i < l.vars.count; i++)
		fuzz_check(l.vars.list[i].name && l.vars.list[i].data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = fuzz_begin(data, size);
	_cleanup_close_ int fd = memfd_create("snapshot", MFD_CLOEXEC);
	const struct snapshot_header header = {.created_ms = 1};
	_cleanup_buf_ struct buf file = {0};

	fuzz_check(fd >= 0);
	if (fuzz_u8(&in) != 0xff)
		fuzz_check(snapshot_put_header(&file, &header) == 0);
	while (fuzz_more(&in)) {
		switch (fuzz_u8(&in) & 7) {
		case 0:
			put_raw(&file, &in);
			break;
		case 1:
			put_vars(&file, &in);
			break;
		default:
			put_section(&file, &in);
		}
	}
	fuzz_check(fd_write_full(fd, file.data, file.size) == 0);
	read_lead(fd);
	read_machine(fd);
	return 0;
}
