"""What each device is to be shown at least, and programs that show it.

KINDS is the table of README.md: of each target the kinds of hostility
(fuzz_kinds.h) that its seeds have to reach it with. Where a random search does
not come upon one, programs(TARGET) makes it, step by step as fuzz_virtio.h
reads them.
"""
import struct

RINGS = ("loop", "long", "outside", "nested", "jump")
PCI = ("bar-ram", "bar-gic", "msix", "width")
VIRTIO = (*PCI, "shown")
KINDS = {
    "virtio_blk": (*RINGS, "packed", *VIRTIO),
    "virtio_net": (*RINGS, "packed", *VIRTIO),
    "virtio_console": (*RINGS, "packed", *VIRTIO),
    "virtio_balloon": (*RINGS, "packed", *VIRTIO),
    "virtio_rng": (*RINGS, "packed", *VIRTIO),
    # Their rings are the server's; vsock's events are our own.
    "virtio_vsock": (*RINGS, *VIRTIO),
    "virtio_fs": VIRTIO,
    "virtio_mmio": (*RINGS, "width"),
    "pci": PCI,
    "pcie_port": ("bar-ram", "bar-gic"),
    "pvpanic": ("bar-ram", "bar-gic"),
    "cfi_flash": ("flash", "width"),
    **dict.fromkeys(("fw_cfg", "gicv2m", "pl011", "pl031", "pl061", "sp805"),
                    ("width",)),
}
# A queue that the device itself looks at when it is notified, and what has to
# come first.
QUEUES = {"virtio_blk": 0, "virtio_net": 1, "virtio_console": 1,
          "virtio_balloon": 0, "virtio_rng": 0, "virtio_vsock": 2}
BEFORE = {"virtio_vsock": bytes([12])}

# Addresses, as fuzz_address() reads them: in memory, and outside of it.
IN_RAM = struct.pack("<BH", 8, 0x3000)
NOWHERE = struct.pack("<BH", 3, 0)
# 16 bytes, as fuzz_length() does.
SMALL = bytes([16 << 2])
NEXT, INDIRECT = 1, 4


def step(what, queue, *operands):
    return bytes([what | queue << 4]) + b"".join(
        o if isinstance(o, bytes) else bytes([o]) for o in operands)


def up(packed):
    """Two descriptors in each queue, vectors, all features."""
    return step(0, 0, 4 | (16 if packed else 0))


def look(queue):
    return step(5, queue)


def chain(queue, first, *descriptors):
    """Each: address, what is done to it."""
    n = len(descriptors)
    return step(1, queue, (n - 1) | n << 3 | first << 6, *(
        address + SMALL + twist for address, twist in descriptors))


def indirect(queue, flags, whole):
    """A table whose first descriptor has these flags; of all that memory has
    room for, or of one."""
    entry = IN_RAM + SMALL + bytes([flags, 0])
    return step(3, queue, 0, entry, entry, 128 if whole else 0, 0)


PLAIN = bytes([0])


def ring_programs(queue, packed):
    """One each, for a device that is up."""
    # The last of two goes on: to the first one, or round the whole ring.
    circle = bytes([0xf0 | NEXT]) if packed else bytes([0xf8 | NEXT, 0])
    yield chain(queue, 0, (IN_RAM, PLAIN), (IN_RAM, circle))
    yield indirect(queue, 0, True)
    yield indirect(queue, INDIRECT, False)
    yield chain(queue, 0, (NOWHERE, PLAIN))
    yield chain(queue, 0, (IN_RAM, bytes([0xe8]))) if packed else \
        step(4, queue, struct.pack("<HH", 0, 1000))


def pci_programs():
    for bar in (0, 16):
        for place in (0, 1):
            yield bytes([10 | bar, place]) + look(0)
    # A vector's address, in one piece and in bytes; a register in a byte.
    yield step(8, 0, 8 | 2, struct.pack("<HI", 0, 0x08080040))
    yield step(8, 0, 8 | 0, struct.pack("<HB", 1, 0))
    yield step(8, 0, 4 | 0, struct.pack("<HB", 0x08, 1))
    # The selector, read until it is memory; then a vector is written.
    yield step(8, 4, 128 | 8) + step(8, 4, 10, 1)


def mmio_programs():
    """fuzz_virtio_mmio.c has steps of its own; rings begin with memory."""
    def ring(table, *entries):
        """Bytes of descriptors there, and the first one of queue 0 offered."""
        at = struct.pack("<BH", 8, table)
        return b"".join(
            bytes([5]) + at[:1] + struct.pack("<H", table + 16 * i) + e
            for i, e in enumerate(entries))

    def descriptor(address, length, flags, link):
        return struct.pack("<QIHH", address, length, flags, link)
    low = 0x40000000
    offer, kick = bytes([3]) + struct.pack("<HH", 0, 1), bytes([4])
    loop = ring(0, descriptor(low + 0x3000, 16, NEXT, 1),
                descriptor(low + 0x3000, 16, NEXT, 0))
    table = ring(0, descriptor(low + 0x2000, 16, INDIRECT, 0))
    nested = table + ring(0x2000, descriptor(low + 0x3000, 16, INDIRECT, 0))
    whole = ring(0, descriptor(0x80000000, 0x2000, INDIRECT, 0))
    nowhere = ring(0, descriptor(0x1000, 16, 0, 0))
    for rings in (loop, nested, whole, nowhere):
        yield rings + offer + kick
    yield bytes([3]) + struct.pack("<HH", 0, 1000) + kick


def programs(target):
    """Inputs for a target, whole."""
    if target == "virtio_mmio":
        for program in mmio_programs():
            yield bytes([1, 0, 0]) + program
        return
    if not target.startswith("virtio_"):
        return
    for program in pci_programs():
        yield bytes([1]) + up(False) + program
    if target not in QUEUES:
        return
    queue = QUEUES[target]
    for packed in (False, True):
        for program in ring_programs(queue, packed):
            yield (bytes([1]) + up(packed) + BEFORE.get(target, b"") +
                   program + look(queue))
