"""Make the two TFX extensions built against glibc 2.38 load on Linux with glibc 2.34 to 2.37, inside this project's environment only.

The x86-64 wheels of ml-metadata and tensorflow-data-validation ask for three symbol versions that Debian 12, Ubuntu 22.04 and RHEL 9
don't have, and use them for six functions. Four are the C23 names of `strtol` and its kin, which older systems have under the plain
name. One is a marker without behaviour. The last ends the process when an exception leaves a `noexcept` function, and without it the
process ends too. So the four names are pointed at the plain ones, the other two become weak, and the versions are no longer required.

Run: `python3.11 scripts/old_glibc.py [SITE_PACKAGES]`. Twice is as good as once; anything unexpected is refused and nothing written.
"""

import os
import platform
import shutil
import struct
import sys
from pathlib import Path

# glibc: below the first the wheels need more than this file gives, from the second on they load as they are.
OLDEST, PLAIN = (2, 34), (2, 38)
# The newest symbol versions that RHEL 9, the oldest of the three systems, has.
AVAILABLE = {"GLIBC": (2, 34), "GLIBCXX": (3, 4, 29), "CXXABI": (1, 3, 13)}
# File in site-packages -> undefined symbol -> its version, newer than those.
EXTENSIONS = {
    "ml_metadata/metadata_store/pywrap/metadata_store_extension.so": {
        "__cxa_call_terminate": "CXXABI_1.3.15",
        "_ZSt21ios_base_library_initv": "GLIBCXX_3.4.32",
    },
    "tensorflow_data_validation/pywrap/tensorflow_data_validation_extension.so": {
        "__isoc23_strtol": "GLIBC_2.38",
        "__isoc23_strtoll": "GLIBC_2.38",
        "__isoc23_strtoul": "GLIBC_2.38",
        "__isoc23_strtoull": "GLIBC_2.38",
        "_ZSt21ios_base_library_initv": "GLIBCXX_3.4.32",
    },
}
C23_PREFIX = "__isoc23_"
DYNSYM, VERNEED, VERSYM = 11, 0x6FFFFFFE, 0x6FFFFFFF  # section types
WEAK_BINDING, WEAK_VERSION, GLOBAL_INDEX = 2, 2, 1
SYMBOL_BYTES = 24


class UnknownLayoutError(Exception):
    """The file or the system is not what this patch was written for; the message says what to do."""


def version() -> tuple[int, int] | None:
    """(major, minor) of glibc on x86-64 Linux, None on any other system.

    Raises:
        UnknownLayoutError: Linux on another C library.
    """
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return None
    try:
        _, number = (os.confstr("CS_GNU_LIBC_VERSION") or "").split()
        major, minor = number.split(".")[:2]
        return int(major), int(minor)
    except (ValueError, OSError):
        raise UnknownLayoutError("this Linux has no glibc (musl?) and TFX no builds for it: use Debian 12, Ubuntu 22.04 or newer") from None


def check(glibc: tuple[int, int] | None) -> None:
    """Raise UnknownLayoutError when `glibc` is too old even for the patched extensions."""
    if glibc is not None and glibc < OLDEST:
        raise UnknownLayoutError(f"glibc is {glibc[0]}.{glibc[1]} and TFX needs 2.34: use Debian 12, Ubuntu 22.04, RHEL 9 or newer")


def patched(image: bytes, symbols: dict[str, str]) -> bytes:
    """The bytes of an extension with `symbols` (name -> version) no longer required; `image` itself if it was patched before.

    Raises:
        UnknownLayoutError: not x86-64 ELF, or it needs other new versions or symbols than those.
    """
    if image[:7] != b"\x7fELF\x02\x01\x01" or struct.unpack_from("<HH", image, 16) != (3, 62):
        raise UnknownLayoutError("it is no shared object for x86-64 (ELF64, little endian)")
    try:
        return _patched(image, symbols)
    except (struct.error, IndexError, ValueError) as error:
        raise UnknownLayoutError(f"its tables can't be read ({error})") from error


def _patched(image: bytes, symbols: dict[str, str]) -> bytes:
    (table_at,), (entry_bytes, count) = struct.unpack_from("<Q", image, 40), struct.unpack_from("<HH", image, 58)
    # Each section: name, type, flags, address, offset, size, link, info, alignment, entry size.
    sections = [struct.unpack_from("<IIQQQQIIQQ", image, table_at + i * entry_bytes) for i in range(count)]
    tables = [[section for section in sections if section[1] == kind] for kind in (DYNSYM, VERNEED, VERSYM)]
    if [len(table) for table in tables] != [1, 1, 1]:
        raise UnknownLayoutError("it has not one table each of dynamic symbols, needed versions and symbol versions")
    [(dynsym,), (verneed,), (versym,)] = tables
    names_at = sections[dynsym[6]][4]

    def text(offset: int) -> str:
        return image[names_at + offset : image.index(b"\0", names_at + offset)].decode()

    result = bytearray(image)
    name_of_index: dict[int, str] = {}
    flags = set()
    library_at = verneed[4]
    for _ in range(verneed[7]):  # a chain of libraries, each with a chain of versions
        versions, _file, first, step = struct.unpack_from("<HIII", image, library_at + 2)
        at = library_at + first
        for _ in range(versions):
            _hash, flag, index, name, next_version = struct.unpack_from("<IHHII", image, at)
            if _is_new(text(name)):
                name_of_index[index] = text(name)
                flags.add(flag)
                struct.pack_into("<H", result, at + 4, flag | WEAK_VERSION)
            at += next_version
        library_at += step
    expected = sorted(set(symbols.values()))
    if sorted(name_of_index.values()) != expected or flags not in ({0}, {WEAK_VERSION}):
        raise UnknownLayoutError(f"it needs the new versions {sorted(name_of_index.values())} with flags {flags}, expected {expected}")

    found = {}
    for i in range(dynsym[5] // SYMBOL_BYTES):
        symbol_at, index_at = dynsym[4] + SYMBOL_BYTES * i, versym[4] + 2 * i
        name, info, _other, section = struct.unpack_from("<IBBH", image, symbol_at)
        (index,) = struct.unpack_from("<H", image, index_at)
        if index not in name_of_index:
            continue
        if section:
            raise UnknownLayoutError(f"it defines {text(name)}, expected a reference")
        found[text(name)] = name_of_index[index]
        if text(name).startswith(C23_PREFIX):
            struct.pack_into("<I", result, symbol_at, name + len(C23_PREFIX))
        else:
            struct.pack_into("<B", result, symbol_at + 4, WEAK_BINDING << 4 | info & 15)
        struct.pack_into("<H", result, index_at, GLOBAL_INDEX)
    before = flags == {WEAK_VERSION}
    if found != ({} if before else symbols):
        raise UnknownLayoutError(f"it uses the new symbols {sorted(found)}, expected {[] if before else sorted(symbols)}")
    return bytes(result)


def _is_new(version: str) -> bool:
    family, _, number = version.partition("_")
    return family in AVAILABLE and tuple(map(int, number.split("."))) > AVAILABLE[family]


def replace(path: Path, symbols: dict[str, str]) -> bool:
    """Patch the file at `path`; False if there was nothing to do.

    The name gets a new file: the old one is shared with the installer's cache by a hard link.
    """
    before = path.read_bytes()
    after = patched(before, symbols)
    if after == before:
        return False
    fresh = path.with_name(path.name + ".new")
    try:
        fresh.write_bytes(after)
        shutil.copymode(path, fresh)
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
    return True


def main(site_packages: Path, glibc: tuple[int, int] | None) -> str:
    """Patch both extensions under `site_packages` if a system with this `glibc` needs it, and say what was done.

    Raises:
        UnknownLayoutError: a system or a file other than expected.
    """
    check(glibc)
    if glibc is None or glibc >= PLAIN:
        return "the extensions load as they are"
    done = 0
    for name, symbols in EXTENSIONS.items():
        try:
            done += replace(site_packages / name, symbols)
        except (UnknownLayoutError, OSError) as error:
            remedy = "run `make clean` and install again, or use a system with glibc 2.38 or newer"
            raise UnknownLayoutError(f"{name} can't be made to load on glibc {glibc[0]}.{glibc[1]}: {error}; {remedy}") from error
    return f"{done} of {len(EXTENSIONS)} extensions rewritten for glibc {glibc[0]}.{glibc[1]}"


if __name__ == "__main__":
    default = Path(__file__).resolve().parents[1] / ".venv/lib/python3.11/site-packages"
    try:
        print(main(Path(sys.argv[1]) if len(sys.argv) > 1 else default, version()))
    except UnknownLayoutError as problem:
        sys.exit(f"old_glibc: {problem}")
