#!/usr/bin/env python3
"""Writes base.tar.gz and app.tar.gz, a two-layer sample of a Windows container image.

    make.py            write both files beside this script
    make.py --check    compare the existing files with the output of the script

The script only uses the standard library, and no clock: the tars, and so the DiffIDs, are
the same on every machine. The compressed bytes are those of classic zlib at level 9; a Python
built with another deflate (zlib-ng) packs the same tars differently, which is why
`--check` compares the tars.

Headers and records are laid out as by the reference writer: microsoft/go-winio
`backuptar/tar.go` over Go's `archive/tar`, driven by hcsshim `pkg/ociwclayer/export.go`.
"""

import base64
import gzip
import hashlib
import os
import struct
import sys
import zlib

# File attributes, winnt.h.
READONLY, HIDDEN, SYSTEM, DIRECTORY, ARCHIVE = 0x1, 0x2, 0x4, 0x10, 0x20
REPARSE_POINT, NOT_CONTENT_INDEXED = 0x400, 0x2000

# The Unix epoch as a FILETIME: 100 ns ticks since 1601-01-01 UTC.
UNIX_EPOCH = 116444736000000000
# 2024-05-08 00:00:00 UTC, the base time of the sample, in seconds since the Unix epoch.
DAY_ZERO = 1715126400


# --- Security descriptors (MS-DTYP 2.4: SID, ACE, ACL, SECURITY_DESCRIPTOR) -------------


def sid(authority, *subauthorities):
    head = bytes([1, len(subauthorities)]) + authority.to_bytes(6, "big")
    return head + b"".join(struct.pack("<I", sub) for sub in subauthorities)


LOCAL_SYSTEM = sid(5, 18)
ADMINISTRATORS = sid(5, 32, 544)
USERS = sid(5, 32, 545)
AUTHENTICATED_USERS = sid(5, 11)
CREATOR_OWNER = sid(3, 0)
ALL_APPLICATION_PACKAGES = sid(15, 2, 1)
LOW_INTEGRITY = sid(16, 4096)
TRUSTED_INSTALLER = sid(
    5, 80, 956008885, 3418522649, 1831038044, 1853292631, 2271478464
)

FULL, MODIFY, READ_EXECUTE = 0x1F01FF, 0x1301BF, 0x1200A9
GENERIC_ALL = 0x10000000
# ACE flags: inherited by files and directories below; only for those below; was inherited.
INHERIT, INHERIT_ONLY, INHERITED = 0x3, 0x8, 0x10


def ace(who, mask, flags=0, kind=0):
    """One entry: kind 0 allows, 1 denies, 17 is a mandatory label."""
    return struct.pack("<BBHI", kind, flags, 8 + len(who), mask) + who


def acl(*aces):
    body = b"".join(aces)
    return struct.pack("<BBHHH", 2, 0, 8 + len(body), len(aces), 0) + body


def descriptor(owner, group, dacl, sacl=b"", control=0):
    """A self-relative descriptor: header, owner, group, SACL, DACL."""
    control |= 0x8004 | (0x10 if sacl else 0)
    at_group = 20 + len(owner)
    at_sacl = at_group + len(group)
    at_dacl = at_sacl + len(sacl)
    head = struct.pack(
        "<BBHIIII", 1, 0, control, 20, at_group, at_sacl if sacl else 0, at_dacl
    )
    return head + owner + group + sacl + dacl


PROTECTED, AUTO_INHERITED = 0x1000, 0x400

# The files and directories of Windows, which only TrustedInstaller may change.
SD_OS_FILE = descriptor(
    TRUSTED_INSTALLER,
    TRUSTED_INSTALLER,
    acl(
        ace(LOCAL_SYSTEM, READ_EXECUTE),
        ace(ADMINISTRATORS, READ_EXECUTE),
        ace(USERS, READ_EXECUTE),
        ace(ALL_APPLICATION_PACKAGES, READ_EXECUTE),
        ace(TRUSTED_INSTALLER, FULL),
    ),
    control=PROTECTED,
)
SD_OS_DIRECTORY = descriptor(
    TRUSTED_INSTALLER,
    TRUSTED_INSTALLER,
    acl(
        ace(TRUSTED_INSTALLER, FULL),
        ace(TRUSTED_INSTALLER, GENERIC_ALL, INHERIT | INHERIT_ONLY),
        ace(LOCAL_SYSTEM, MODIFY),
        ace(LOCAL_SYSTEM, GENERIC_ALL, INHERIT | INHERIT_ONLY),
        ace(ADMINISTRATORS, MODIFY),
        ace(ADMINISTRATORS, GENERIC_ALL, INHERIT | INHERIT_ONLY),
        ace(USERS, READ_EXECUTE, INHERIT),
        ace(CREATOR_OWNER, GENERIC_ALL, INHERIT | INHERIT_ONLY),
    ),
    control=PROTECTED | AUTO_INHERITED,
)
SD_ROOT = descriptor(
    TRUSTED_INSTALLER,
    TRUSTED_INSTALLER,
    acl(
        ace(LOCAL_SYSTEM, FULL, INHERIT),
        ace(ADMINISTRATORS, FULL, INHERIT),
        ace(USERS, READ_EXECUTE, INHERIT),
        ace(AUTHENTICATED_USERS, 0x4),
    ),
    control=PROTECTED,
)
SD_DATA_FILE = descriptor(
    ADMINISTRATORS,
    LOCAL_SYSTEM,
    acl(
        ace(LOCAL_SYSTEM, FULL, INHERITED),
        ace(ADMINISTRATORS, FULL, INHERITED),
        ace(USERS, READ_EXECUTE, INHERITED),
    ),
    control=AUTO_INHERITED,
)
SD_DATA_DIRECTORY = descriptor(
    LOCAL_SYSTEM,
    LOCAL_SYSTEM,
    acl(
        ace(LOCAL_SYSTEM, FULL, INHERIT | INHERITED),
        ace(ADMINISTRATORS, FULL, INHERIT | INHERITED),
        ace(USERS, READ_EXECUTE, INHERIT | INHERITED),
    ),
    control=AUTO_INHERITED,
)
# Protects the registry hives: access for the system and administrators only.
SD_PRIVATE = descriptor(
    ADMINISTRATORS,
    LOCAL_SYSTEM,
    acl(ace(LOCAL_SYSTEM, FULL), ace(ADMINISTRATORS, FULL)),
    control=PROTECTED,
)
# As on `AppData\LocalLow`: a SACL with the low mandatory label (no write up).
SD_LOW = descriptor(
    LOCAL_SYSTEM,
    LOCAL_SYSTEM,
    acl(ace(LOCAL_SYSTEM, FULL, INHERIT), ace(USERS, MODIFY, INHERIT)),
    sacl=acl(ace(LOW_INTEGRITY, 0x1, INHERIT, kind=17)),
)
# Compatibility junctions and links deny listing, so that directory walkers do not loop.
SD_LINK = descriptor(
    LOCAL_SYSTEM,
    LOCAL_SYSTEM,
    acl(
        ace(sid(1, 0), 0x1, kind=1),
        ace(LOCAL_SYSTEM, FULL),
        ace(ADMINISTRATORS, FULL),
        ace(sid(1, 0), READ_EXECUTE),
    ),
    control=PROTECTED,
)


# --- Registry hives (msuhanov's regf specification) -------------------------------------


def hive(name, delta):
    """The smallest possible hive: one base block, one bin, one root key.

    A delta carries the "layered keys" flag and the `OfRg` mark, as seen in a
    `Software_Delta` of a real container; a base hive is a plain one. That Windows loads a
    delta written elsewhere is not proved.
    """
    written = UNIX_EPOCH + (DAY_ZERO + 60) * 10_000_000
    security = descriptor(
        ADMINISTRATORS,
        LOCAL_SYSTEM,
        acl(ace(LOCAL_SYSTEM, 0xF003F, 0x2), ace(ADMINISTRATORS, 0xF003F, 0x2)),
    )
    root_name = b"ROOT"
    at_root = 32
    at_security = at_root + cell_size(76 + len(root_name))
    root = struct.pack(
        "<2sHQIIIIIIIIIIIIIIIHH",
        b"nk", 0x2C, written, 0, 0, 0, 0, 0xFFFFFFFF, 0xFFFFFFFF,
        0, 0xFFFFFFFF, at_security, 0xFFFFFFFF, 0, 0, 0, 0, 0, len(root_name), 0,
    ) + root_name
    # A ring with a single security cell, used once.
    keyed = struct.pack("<2sHIIII", b"sk", 0, at_security, at_security, 1, len(security))
    cells = cell(root) + cell(keyed + security)
    free = 4096 - 32 - len(cells)
    stamp = 0 if delta else written
    hbin = struct.pack("<4sIIQQI", b"hbin", 0, 4096, 0, stamp, 0) + cells
    hbin += struct.pack("<i", free) + bytes(free - 4)

    block = bytearray(4096)
    file_name = f"Hives\\{name}".encode("utf-16-le")
    minor = 6 if delta else 3
    struct.pack_into("<4sIIQIIIIIII", block, 0,
                     b"regf", 1, 1, stamp, 1, minor, 0, 1, at_root, len(hbin), 1)
    block[48 : 48 + len(file_name)] = file_name
    if delta:
        struct.pack_into("<I", block, 144, 2)
        struct.pack_into("<Q", block, 168, written)
        struct.pack_into("<4sI", block, 176, b"OfRg", 1)
        struct.pack_into("<Q", block, 512, written)
    checksum = 0
    for word in struct.unpack_from("<127I", block):
        checksum ^= word
    # 0 and -1 are not valid checksums; none of these ten hives yields either.
    assert checksum not in (0, 0xFFFFFFFF)
    struct.pack_into("<I", block, 508, checksum)
    return bytes(block) + hbin


def cell_size(content):
    return (4 + content + 7) // 8 * 8


def cell(content):
    size = cell_size(len(content))
    return struct.pack("<i", -size) + content.ljust(size - 4, b"\0")


# --- Tar: USTAR headers, preceded by PAX extended headers -------------------------------


def pax_time(filetime):
    """Seconds since the Unix epoch with up to seven digits after the point."""
    ticks = filetime - UNIX_EPOCH
    sign, ticks = ("-", -ticks) if ticks < 0 else ("", ticks)
    text = f"{sign}{ticks // 10_000_000}.{ticks % 10_000_000:07}"
    return text.rstrip("0").rstrip(".")


def pax_record(key, value):
    """`LENGTH KEY=VALUE\\n`, where the length includes its own digits."""
    rest = b" " + key.encode() + b"=" + value + b"\n"
    size = len(rest)
    while size != len(rest) + len(str(size)):
        size = len(rest) + len(str(size))
    return str(size).encode() + rest


def header(name, mode, size, mtime, typeflag, link):
    """One USTAR block; names are truncated to fit, and PAX records hold them in full."""
    block = bytearray(512)

    def put(at, data):
        block[at : at + len(data)] = data

    put(0, ascii_only(name)[:100])
    for at, digits, number in [
        (100, 7, mode), (108, 7, 0), (116, 7, 0), (124, 11, size),
        (136, 11, mtime), (329, 7, 0), (337, 7, 0),
    ]:
        if typeflag == b"x" and at > 300:
            continue
        put(at, b"%0*o\0" % (digits, number))
    put(156, typeflag)
    put(157, ascii_only(link)[:100])
    put(257, b"ustar\0" + b"00")
    put(148, b" " * 8)
    put(148, b"%06o\0 " % sum(block))
    return bytes(block)


def ascii_only(name):
    return bytes(byte for byte in name.encode() if byte < 0x80)


def padded(data):
    return data + bytes(-len(data) % 512)


class Layer:
    """Collects entries; `tar()` returns the bytes. Paths use `/` and start at the layer root."""

    def __init__(self, parent=None):
        self.blocks = []
        self.known = {}
        self.names = set()
        self.parent = parent

    def directory(self, path, sd=None, attributes=DIRECTORY):
        self._add(path, 0o040000, b"5", attributes, sd=sd)

    def file(self, path, content=b"", sd=SD_DATA_FILE, attributes=ARCHIVE, sddl=None, eas=()):
        self._add(path, 0o100000, b"0", attributes, sd=sd, sddl=sddl, eas=eas, content=content)

    def stream(self, path, content):
        """An alternate data stream, `FILE:NAME`, right after its file or directory."""
        times = self.known[path.rsplit(":", 1)[0]][1]
        records = {"atime": pax_time(times[1]), "ctime": pax_time(times[3])}
        self._write(path, 0o100000, b"0", records, times[2], content=content)

    def symlink(self, path, target, attributes=ARCHIVE, sd=SD_LINK):
        mode = 0o120000 | (0o040000 if attributes & DIRECTORY else 0)
        self._add(path, mode, b"2", attributes | REPARSE_POINT, sd=sd, link=target)

    def junction(self, path, target, attributes=DIRECTORY, sd=SD_LINK):
        self._add(path, 0o160000, b"2", attributes | REPARSE_POINT, sd=sd, link=target,
                  extra={"MSWINDOWS.mountpoint": "1"})

    def hard_link(self, path, target):
        """An additional name for `target`, which is in this layer or in the parent."""
        attributes, times = self.known.get(target) or self.parent.known[target]
        self._add(path, 0o644, b"1", attributes, times=times, link=target)

    def whiteout(self, path):
        directory, name = path.rsplit("/", 1)
        self._claim(f"{directory}/.wh.{name}")
        self.blocks.append(header(f"{directory}/.wh.{name}", 0, 0, 0, b"0", ""))

    def opaque(self, directory):
        self.whiteout(f"{directory}/.wh..opq")

    def tar(self):
        return b"".join(self.blocks) + bytes(1024)

    def _times(self, path):
        """Four times of an entry that differ in every digit down to 100 ns."""
        salt = int.from_bytes(hashlib.sha256(path.encode()).digest()[:7], "big")
        created = UNIX_EPOCH + DAY_ZERO * 10_000_000 + salt % 864_000_000_000
        written = created + 36_000_000_000 + salt // 7 % 1_000_000_000
        if path.startswith("Hives"):
            # The reference's transport reader uses a single time for everything outside `Files`.
            return (written, written, written, written)
        return (created, written + 1_234_567, written, written + 7_654_321)

    def _add(self, path, mode, typeflag, attributes, times=None, sd=None, sddl=None,
             eas=(), link="", content=b"", extra=None):
        times = times or self._times(path)
        records = dict(extra or {})
        records["LIBARCHIVE.creationtime"] = pax_time(times[0])
        records["MSWINDOWS.fileattr"] = str(attributes)
        if sd is not None and sddl is None:
            records["MSWINDOWS.rawsd"] = base64.b64encode(sd).decode()
        if sddl is not None:
            records["MSWINDOWS.sd"] = sddl
        for name, value in eas:
            records[f"MSWINDOWS.xattr.{name}"] = base64.b64encode(value).decode()
        records["atime"] = pax_time(times[1])
        records["ctime"] = pax_time(times[3])
        self.known[path] = (attributes, times)
        self._write(path, mode, typeflag, records, times[2], link, content)

    def _write(self, path, mode, typeflag, records, written, link="", content=b""):
        self._claim(path)
        for key, text in [("path", path), ("linkpath", link)]:
            if len(text.encode()) > 100 or not text.isascii():
                records[key] = text
        seconds, fraction = divmod(written - UNIX_EPOCH, 10_000_000)
        if fraction:
            records["mtime"] = pax_time(written)
        body = b"".join(pax_record(key, records[key].encode()) for key in sorted(records))
        directory, _, name = path.rpartition("/")
        pax_name = f"{directory}/PaxHeaders.0/{name}" if directory else f"PaxHeaders.0/{name}"
        # The reference truncates after removing non-ASCII characters, then removes trailing
        # slashes.
        pax_name = ascii_only(pax_name)[:100].rstrip(b"/").decode()
        self.blocks.append(header(pax_name, 0, len(body), 0, b"x", ""))
        self.blocks.append(padded(body))
        self.blocks.append(header(path, mode, len(content), seconds, typeflag, link))
        self.blocks.append(padded(content))

    def _claim(self, path):
        """Names are unique in a layer, and a directory comes before its children."""
        directory = path.rpartition("/")[0]
        assert not directory or directory in self.known, f"no directory entry for {path}"
        assert path.lower() not in self.names, f"{path} twice"
        self.names.add(path.lower())


# --- The sample -------------------------------------------------------------------------

HIVES = ["DefaultUser", "Sam", "Security", "Software", "System"]
CONFIG_NAMES = ["DEFAULT", "SAM", "SECURITY", "SOFTWARE", "SYSTEM"]
SYSTEM32 = "Files/Windows/System32"
WINSXS = "Files/Windows/WinSxS"
COMPONENT = "amd64_sample-runtime_31bf3856ad364e35_10.0.20348.1_none_9d4f2c1be07a6353"
ZONE = b"[ZoneTransfer]\r\nZoneId=3\r\n"
# Binaries in Windows images have attributes with these names; the values here are made up.
ESBCACHE = struct.pack("<IHHQQI", 28, 3, 2, UNIX_EPOCH + DAY_ZERO * 10_000_000, 0, 0x1040)
APPXFICACHE = b"\x01\x00sample\x00\x00"


def text(*lines):
    return "".join(line + "\r\n" for line in lines).encode()


def noise(seed, size):
    """Incompressible bytes: a SHA-256 counter stream."""
    blocks = (hashlib.sha256(f"{seed}/{i}".encode()).digest() for i in range(size // 32 + 1))
    return b"".join(blocks)[:size]


def library(seed, size):
    """Something that resembles a DLL: `MZ` stub, repeating code, a little noise."""
    stub = b"MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff\0\0".ljust(60, b"\0") + struct.pack("<I", 64)
    code = b"\x48\x89\x5c\x24\x08\x57\x48\x83\xec\x20\x48\x8b\xd9\xe8" * 19
    parts = [stub, b"PE\0\0\x64\x86"]
    for index in range(size // 400 + 1):
        parts += [code, noise(f"{seed}/{index}", 60), bytes(74)]
    return b"".join(parts)[:size]


def base_layer():
    layer = Layer()
    layer.directory("Files", SD_ROOT)
    add_program_files(layer)
    add_program_data(layer)
    add_users(layer)
    add_windows(layer)
    layer.directory("Hives")
    for name in HIVES:
        layer.file(f"Hives/{name}_Base", hive(f"{name}_Base", delta=False), sd=None)
    return layer


def add_program_files(layer):
    here = "Files/Program Files"
    layer.directory(here, SD_OS_DIRECTORY, DIRECTORY | READONLY)
    layer.directory(f"{here}/Sample", SD_DATA_DIRECTORY)
    layer.symlink(f"{here}/Sample/current.txt", "notes-2.txt")
    layer.file(f"{here}/Sample/notes-1.txt", text("First notes.", "The app layer deletes them."))
    layer.file(f"{here}/Sample/notes-2.txt", text("Second notes.", "The app layer keeps them."))
    layer.file(f"{here}/Sample/settings.ini", text("[sample]", "version=1"))
    layer.symlink(f"{here}/Sample/system.ini", "C:\\Windows\\System32\\sample.ini")
    layer.file(f"{here}/Sample/setup.exe", library("setup", 6000))
    layer.stream(f"{here}/Sample/setup.exe:Zone.Identifier", ZONE)
    layer.stream(f"{here}/Sample/setup.exe:empty", b"")


def add_program_data(layer):
    here = "Files/ProgramData"
    layer.directory(here, SD_DATA_DIRECTORY, DIRECTORY | HIDDEN | NOT_CONTENT_INDEXED)
    for name in ["Cache", "Cache/deep"]:
        layer.directory(f"{here}/{name}", SD_DATA_DIRECTORY)
    layer.file(f"{here}/Cache/deep/block.bin", noise("block", 2048))
    layer.file(f"{here}/Cache/index.dat", noise("index", 511))
    layer.directory(f"{here}/State", SD_DATA_DIRECTORY)
    layer.file(f"{here}/State/first.json", b'{"state": 1}')
    layer.file(f"{here}/State/second.json", b'{"state": 2}')


def add_users(layer):
    here = "Files/Users"
    layer.directory(here, SD_DATA_DIRECTORY, DIRECTORY | READONLY)
    hidden = DIRECTORY | HIDDEN | SYSTEM | NOT_CONTENT_INDEXED
    layer.symlink(f"{here}/All Users", "C:\\ProgramData", attributes=hidden)
    layer.directory(f"{here}/Default", SD_DATA_DIRECTORY, DIRECTORY | READONLY | HIDDEN)
    layer.directory(f"{here}/Default/AppData", SD_DATA_DIRECTORY, DIRECTORY | HIDDEN)
    layer.directory(f"{here}/Default/AppData/LocalLow", SD_LOW)
    layer.junction(f"{here}/Default User", "C:\\Users\\Default", attributes=hidden)
    layer.directory(f"{here}/Public", SD_DATA_DIRECTORY)
    layer.directory(f"{here}/Public/Documents", SD_DATA_DIRECTORY)
    layer.file(f"{here}/Public/Documents/Übersicht.txt", text("Latin letters with marks."))
    layer.file(f"{here}/Public/Documents/日本語.txt", "三文字\r\n".encode())
    layer.file(f"{here}/Public/Documents/📦 box.txt", text("A name beyond the 16-bit plane."))
    layer.directory(f"{here}/Public/Downloads", SD_DATA_DIRECTORY)
    layer.stream(f"{here}/Public/Downloads:layer.note", b"a stream of a directory")
    layer.file(f"{here}/Public/desktop.ini", text("[.ShellClassInfo]"),
               attributes=ARCHIVE | HIDDEN | SYSTEM)


def add_windows(layer):
    layer.directory("Files/Windows", SD_OS_DIRECTORY)
    layer.directory(SYSTEM32, SD_OS_DIRECTORY)
    layer.directory(f"{SYSTEM32}/config", SD_PRIVATE)
    for config, name in zip(CONFIG_NAMES, HIVES):
        layer.file(f"{SYSTEM32}/config/{config}", hive(f"{name}_Base", delta=False), SD_PRIVATE)
    layer.directory(f"{SYSTEM32}/drivers", SD_OS_DIRECTORY)
    layer.directory(f"{SYSTEM32}/drivers/etc", SD_OS_DIRECTORY)
    layer.file(f"{SYSTEM32}/drivers/etc/hosts", text("127.0.0.1 localhost"), SD_OS_FILE)
    layer.file(f"{SYSTEM32}/empty.dat", b"", SD_OS_FILE)
    layer.file(f"{SYSTEM32}/sample.dll", library("sample", 70_000), SD_OS_FILE,
               eas=[("$KERNEL.PURGE.ESBCACHE", ESBCACHE)])
    layer.file(f"{SYSTEM32}/sample.exe", library("program", 20_000), SD_OS_FILE,
               eas=[("$KERNEL.PURGE.APPXFICACHE", APPXFICACHE),
                    ("$KERNEL.PURGE.ESBCACHE", ESBCACHE)])
    layer.file(f"{SYSTEM32}/sample.ini", text("[system]", "first=1"), SD_OS_FILE)
    layer.file(f"{SYSTEM32}/size512.bin", noise("512", 512), SD_OS_FILE, READONLY | ARCHIVE)
    layer.file(f"{SYSTEM32}/size513.bin", noise("513", 513), SD_OS_FILE)
    layer.directory(WINSXS, SD_OS_DIRECTORY)
    component = f"{WINSXS}/{COMPONENT}"
    layer.directory(component, SD_OS_DIRECTORY)
    for name in ["sample.dll", "sample.exe"]:
        layer.hard_link(f"{component}/{name}", f"{SYSTEM32}/{name}")
    # Below: paths of more than 100 bytes (`path` record) and of more than 256 (beyond MAX_PATH).
    deep = f"{WINSXS}/amd64_sample-long-names_31bf3856ad364e35_10.0.20348.1_none_0123456789abcdef"
    layer.directory(deep, SD_OS_DIRECTORY)
    layer.file(f"{deep}/sample.manifest", b"<assembly/>", SD_OS_FILE)
    for part in ["a-directory-with-a-name-of-eighty-letters-that-makes-paths-longer".ljust(80, "-"),
                 "and-another-of-the-same-length-which-takes-them-beyond-the-limit".ljust(80, "-")]:
        deep = f"{deep}/{part}"
        layer.directory(deep, SD_OS_DIRECTORY)
    layer.file(f"{deep}/far-down.txt", text("Further down than MAX_PATH."), SD_OS_FILE)
    assert len(f"{deep}/far-down.txt") > 256


def app_layer(base):
    layer = Layer(parent=base)
    layer.directory("Files", SD_ROOT)
    here = "Files/Program Files"
    layer.directory(here, SD_OS_DIRECTORY, DIRECTORY | READONLY)
    layer.directory(f"{here}/App", SD_DATA_DIRECTORY)
    layer.file(f"{here}/App/app.exe", library("app", 30_000))
    layer.hard_link(f"{here}/App/app-copy.exe", f"{here}/App/app.exe")
    layer.file(f"{here}/App/old-style.txt", text("Its descriptor is SDDL text."),
               sddl="O:BAG:SYD:P(A;;FA;;;SY)(A;;FA;;;BA)(A;;0x1200a9;;;BU)")
    layer.hard_link(f"{here}/App/runtime.dll", f"{SYSTEM32}/sample.dll")
    layer.directory(f"{here}/Sample", SD_DATA_DIRECTORY)
    layer.whiteout(f"{here}/Sample/notes-1.txt")
    layer.file(f"{here}/Sample/settings.ini", text("[sample]", "version=2", "replaced=yes"))
    here = "Files/ProgramData"
    layer.directory(here, SD_DATA_DIRECTORY, DIRECTORY | HIDDEN | NOT_CONTENT_INDEXED)
    layer.whiteout(f"{here}/Cache")
    layer.directory(f"{here}/State", SD_DATA_DIRECTORY)
    layer.opaque(f"{here}/State")
    layer.file(f"{here}/State/third.json", b'{"state": 3}')
    layer.directory("Hives")
    for name in HIVES:
        layer.file(f"Hives/{name}_Delta", hive(f"{name}_Delta", delta=True), sd=None)
    return layer


def gzip_bytes(data):
    """A gzip member (RFC 1952) without name and time, and with the system field 255, "unknown"."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS, 8, zlib.Z_DEFAULT_STRATEGY)
    body = deflate.compress(data) + deflate.flush()
    trailer = struct.pack("<II", zlib.crc32(data), len(data))
    return b"\x1f\x8b\x08\0" + bytes(4) + b"\x02\xff" + body + trailer


def main(arguments):
    if arguments not in ([], ["--check"]):
        sys.exit(__doc__)
    base = base_layer()
    here = os.path.dirname(os.path.abspath(__file__))
    for name, layer in [("base", base), ("app", app_layer(base))]:
        path, tar = os.path.join(here, f"{name}.tar.gz"), layer.tar()
        if arguments:
            with gzip.open(path) as file:
                if file.read() != tar:
                    sys.exit(f"{name}.tar.gz contains a different tar than this script generates")
        else:
            with open(path, "wb") as file:
                file.write(gzip_bytes(tar))
        print(f"{name}.tar.gz: DiffID sha256:{hashlib.sha256(tar).hexdigest()}")


if __name__ == "__main__":
    main(sys.argv[1:])
