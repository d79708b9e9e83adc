"""A disk image by the book, for tests that start no guest."""
import os
import struct
import subprocess


def make_image(path):
    """GPT, a FAT32 ESP and a PE file for AArch64: conformant, no more."""
    pe = bytearray(1024)
    pe[0:2] = b"MZ"
    struct.pack_into("<I", pe, 0x3c, 0x80)
    struct.pack_into("<4sHHIIIHH", pe, 0x80, b"PE\0\0", 0xaa64, 1, 0, 0, 0,
                     240, 0x22)
    struct.pack_into("<H", pe, 0x98, 0x20b)
    struct.pack_into("<H", pe, 0x98 + 68, 10)
    with open(path, "wb") as f:
        f.truncate(80 << 20)
    with open(path + ".efi", "wb") as f:
        f.write(pe)
    env = dict(os.environ, PATH=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    esp = f"{path}@@1M"
    for command in (
            ["sgdisk", "-n", "1:2048:0", "-t", "1:ef00", path],
            ["mkfs.vfat", "-F", "32", "-s", "1", "--offset", "2048", path,
             str(78 << 10)],
            ["mmd", "-i", esp, "::/EFI", "::/EFI/BOOT"],
            ["mcopy", "-i", esp, path + ".efi", "::/EFI/BOOT/BOOTAA64.EFI"]):
        subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)

