#!/usr/bin/env python3
"""Fills corpus/TARGET with seeds from the golden vectors and the sample; run before fuzzing.

    seed.py            use the vectors of this repository
    seed.py FOLDER     use another folder of vectors

The corpus is not stored in the repository, because it can be rebuilt. Existing files stay.
"""

import base64
import gzip
import hashlib
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
BLOCK = 512
# Larger inputs slow down every run and add nothing: 32 blocks.
LARGEST = 32 * BLOCK
# A zstd frame with the five bytes `hello`, uncompressed (RFC 8878).
ZSTD_FRAME = bytes.fromhex("28b52ffd 2005 290000") + b"hello"


def add(target, content):
    if len(content) <= LARGEST:
        folder = HERE / "corpus" / target
        folder.mkdir(parents=True, exist_ok=True)
        (folder / hashlib.sha256(content).hexdigest()[:16]).write_bytes(content)


def add_tar(tar):
    for target in ["tar", "portable_import", "validate"]:
        add(target, tar)
    # All of it as the top layer, and three times on top of itself.
    add("view", b"\xf0" + tar)
    add("view", b"\x57" + tar * 3)
    add("compression", gzip.compress(tar, mtime=0))
    at = 0
    while at + BLOCK <= len(tar):
        header = tar[at:at + BLOCK]
        size = int(header[124:135].strip(b"\0 ") or b"0", 8) if header[124:135].isdigit() else 0
        if header[156:157] in b"xg":
            records = tar[at + BLOCK:at + BLOCK + size]
            # The first byte selects the header of a directory, a link or a file.
            for kind in range(4):
                add("pax", bytes([kind | (0x80 if header[156:157] == b"g" else 0)]) + records)
        add("layer_path", header[:100].rstrip(b"\0"))
        at += BLOCK + -(-size // BLOCK) * BLOCK


def add_backup_stream(stream):
    for piece in [1, 64, 255]:
        add("backup_stream", bytes([piece]) + stream)


def cases(path):
    """Yields every JSON object in a file that is an element of a list."""
    for value in json.loads(path.read_text("utf-8")).values():
        yield from value if isinstance(value, list) else []


def main(arguments):
    vectors = pathlib.Path(*arguments) if arguments else HERE.parent / "testing/vectors/data"
    for path in sorted(vectors.glob("*/*.tar")):
        add_tar(path.read_bytes())
    for path in sorted((HERE.parent / "examples/sample").glob("*.tar.gz")):
        add("compression", path.read_bytes())
    for path in sorted(vectors.glob("*/*.backup")):
        add_backup_stream(path.read_bytes())
    for path in sorted(vectors.glob("transport_export/*.json")):
        for item in json.loads(path.read_text("utf-8"))["folder"]:
            content = base64.b64decode((item.get("content") or {}).get("b64", ""))
            if item["path"] == "tombstones.txt":
                add("tombstones", content)
                add("transport", b"\x00" + content)
            elif content:
                add("transport", b"\x0f" + content)
                add("transport", b"\xf0" + content)
            if content.startswith(b"regf"):
                add("hive", content)
    for case in cases(vectors / "backupstream.json"):
        add_backup_stream(bytes.fromhex(case.get("bytes_hex") or ""))
    for name, target in [("reparse", "reparse"), ("ea", "ea"), ("sddl", "security_descriptor")]:
        for case in cases(vectors / f"{name}.json"):
            add(target, bytes.fromhex(case.get("bytes_hex") or ""))
            for text in filter(None, [case.get("target"), case.get("sddl")]):
                add("reparse" if name == "reparse" else "sddl", text.encode("utf-8", "replace"))
    for case in cases(vectors / "time.json"):
        if "string" in case:
            add("file_time", case["string"].encode())
        if "filetime" in case:
            add("file_time", case["filetime"].to_bytes(8, "little"))
    add("compression", ZSTD_FRAME + b"\x50\x2a\x4d\x18\0\0\0\0" + ZSTD_FRAME)
    for folder in sorted((HERE / "corpus").iterdir()):
        print(f"{folder.name}: {sum(1 for _ in folder.iterdir())} inputs")


if __name__ == "__main__":
    main(sys.argv[1:])
