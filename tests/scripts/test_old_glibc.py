"""The patch is tried on a small extension that asks for what the two real ones ask for, linked against stand-ins for the libraries."""

import ctypes
import importlib
import os
import platform
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import old_glibc
import pytest
from old_glibc import UnknownLayoutError, patched

pytestmark = pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64") or shutil.which("gcc") is None, reason="needs x86-64 Linux and gcc"
)

SYMBOLS = {
    "__isoc23_strtol": "GLIBC_2.38",
    "__isoc23_strtoull": "GLIBC_2.38",
    "_ZSt21ios_base_library_initv": "GLIBCXX_3.4.32",
    "__cxa_call_terminate": "CXXABI_1.3.15",
}
EXTENSION = """
long __isoc23_strtol(const char *, char **, int);
unsigned long long __isoc23_strtoull(const char *, char **, int);
void _ZSt21ios_base_library_initv(void);
void __cxa_call_terminate(void *);
long parse(const char *text) { return __isoc23_strtol(text, 0, 10); }
unsigned long long parse_unsigned(const char *text) { return __isoc23_strtoull(text, 0, 10); }
void never_called(void) { _ZSt21ios_base_library_initv(); __cxa_call_terminate(0); }
"""


def gcc(*arguments: str) -> None:
    subprocess.run(["gcc", "-shared", "-fPIC", "-nostdlib", *arguments], check=True, capture_output=True)


def build(folder: Path, libc_version: str = "GLIBC_2.38") -> bytes:
    """An extension that needs SYMBOLS, those of libc under `libc_version`."""
    for soname, exports in {
        "libc.so.6": {libc_version: ["__isoc23_strtol", "__isoc23_strtoull"]},
        "libstdc++.so.6": {"GLIBCXX_3.4.32": ["_ZSt21ios_base_library_initv"], "CXXABI_1.3.15": ["__cxa_call_terminate"]},
    }.items():
        (folder / "stub.c").write_text("".join(f"void {name}(void) {{}}\n" for names in exports.values() for name in names))
        (folder / "stub.map").write_text("".join(f"{version} {{ {'; '.join(names)}; }};\n" for version, names in exports.items()))
        gcc(str(folder / "stub.c"), f"-Wl,-soname,{soname},--version-script={folder}/stub.map", "-o", str(folder / soname))
    (folder / "extension.c").write_text(EXTENSION)
    libraries = [str(folder / name) for name in ("libc.so.6", "libstdc++.so.6")]
    gcc(str(folder / "extension.c"), *libraries, "-o", str(folder / "extension.so"))
    return (folder / "extension.so").read_bytes()


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return build(tmp_path_factory.mktemp("extension"))


@pytest.fixture
def extension(tmp_path: Path, image: bytes) -> Path:
    path = tmp_path / "extension.so"
    path.write_bytes(image)
    path.chmod(0o755)
    return path


def readelf(path: Path, *options: str) -> str:
    return subprocess.run(["readelf", "-W", *options, str(path)], check=True, capture_output=True, text=True).stdout


def test_patched_extension_loads_and_calls_the_plain_functions(extension: Path) -> None:
    assert old_glibc.replace(extension, SYMBOLS)
    library = ctypes.CDLL(str(extension))
    library.parse.restype, library.parse_unsigned.restype = ctypes.c_long, ctypes.c_ulonglong
    assert library.parse(b"-42") == -42
    assert library.parse_unsigned(b"18446744073709551615") == 2**64 - 1


@pytest.mark.skipif((old_glibc.version() or old_glibc.PLAIN) >= old_glibc.PLAIN, reason="this C library has the versions")
def test_unpatched_extension_does_not_load_on_an_old_system(extension: Path) -> None:
    with pytest.raises(OSError, match="not found"):
        ctypes.CDLL(str(extension))


def test_readelf_shows_weak_versions_and_unversioned_symbols(extension: Path) -> None:
    old_glibc.replace(extension, SYMBOLS)
    needs = [line.split("Name: ")[1].split() for line in readelf(extension, "-V").splitlines() if "Name: " in line and "Flags" in line]
    assert {name: flags for name, _, flags, *_ in needs} == dict.fromkeys(SYMBOLS.values(), "WEAK")
    undefined = {
        line.split()[-1]: line.split()[4]
        for line in readelf(extension, "--dyn-syms").splitlines()
        if " UND " in line and line.split()[-1] != "UND"
    }
    assert undefined == {"strtol": "GLOBAL", "strtoull": "GLOBAL", "_ZSt21ios_base_library_initv": "WEAK", "__cxa_call_terminate": "WEAK"}


def test_only_the_three_tables_change(image: bytes) -> None:
    after = patched(image, SYMBOLS)
    assert len(after) == len(image)
    # A flag for each of 3 versions; for each of 4 symbols its version index, and the low byte of the name's offset or the binding.
    assert sum(a != b for a, b in zip(after, image, strict=True)) == 3 + 2 * 4


def test_a_second_time_changes_nothing(image: bytes) -> None:
    once = patched(image, SYMBOLS)
    assert once != image
    assert patched(once, SYMBOLS) == once


def test_the_twin_in_the_cache_keeps_its_bytes(extension: Path, image: bytes) -> None:
    twin = extension.with_name("cache.so")
    os.link(extension, twin)
    assert old_glibc.replace(extension, SYMBOLS)
    assert twin.read_bytes() == image
    assert extension.read_bytes() == patched(image, SYMBOLS)
    assert extension.stat().st_mode == twin.stat().st_mode
    assert not list(extension.parent.glob("*.new"))
    assert not old_glibc.replace(extension, SYMBOLS)


def test_an_unknown_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownLayoutError, match=r"GLIBC_2\.39.*expected.*GLIBC_2\.38"):
        patched(build(tmp_path, libc_version="GLIBC_2.39"), SYMBOLS)


def test_an_extension_that_lacks_an_expected_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownLayoutError, match=r"GLIBC_2\.38"):
        patched(build(tmp_path, libc_version="GLIBC_2.34"), SYMBOLS)


@pytest.mark.parametrize(
    "symbols", [SYMBOLS | {"__isoc23_strtoll": "GLIBC_2.38"}, {n: v for n, v in SYMBOLS.items() if n != "__isoc23_strtol"}]
)
def test_other_symbols_than_expected_are_refused(image: bytes, symbols: dict[str, str]) -> None:
    with pytest.raises(UnknownLayoutError, match="it uses the new symbols"):
        patched(image, symbols)


def test_a_half_patched_extension_is_refused(image: bytes) -> None:
    whole = patched(image, SYMBOLS)
    changed = [i for i, (a, b) in enumerate(zip(whole, image, strict=True)) if a != b]
    for i in changed[4:]:  # the tables lie in this order: 4 symbols, their 4 indices, 3 flags
        with pytest.raises(UnknownLayoutError):
            patched(whole[:i] + image[i : i + 1] + whole[i + 1 :], SYMBOLS)
    for i in changed[8:]:
        with pytest.raises(UnknownLayoutError, match="with flags"):
            patched(image[:i] + whole[i : i + 1] + image[i + 1 :], SYMBOLS)


@pytest.mark.parametrize("damage", ["empty", "text", "32 bit", "big endian", "other machine", "cut", "no sections"])
def test_what_is_no_such_extension_is_refused(image: bytes, damage: str) -> None:
    broken = {
        "empty": b"",
        "text": b"#!/bin/sh\n" * 100,
        "32 bit": image[:4] + b"\x01" + image[5:],
        "big endian": image[:5] + b"\x02" + image[6:],
        "other machine": image[:18] + struct.pack("<H", 183) + image[20:],
        "cut": image[: len(image) // 2],
        "no sections": image[:60] + struct.pack("<H", 0) + image[62:],
    }[damage]
    with pytest.raises(UnknownLayoutError):
        patched(broken, SYMBOLS)


@pytest.mark.parametrize("glibc", [(2, 38), (2, 41), (3, 0), None])
def test_new_and_other_systems_are_left_alone(tmp_path: Path, glibc: tuple[int, int] | None) -> None:
    assert old_glibc.main(tmp_path, glibc) == "the extensions load as they are"


def test_too_old_a_system_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UnknownLayoutError, match=r"glibc is 2\.31 and TFX needs 2\.34: use Debian 12"):
        old_glibc.main(tmp_path, (2, 31))


def test_an_unknown_file_is_named_and_stays_as_it_was(tmp_path: Path, image: bytes) -> None:
    for name in old_glibc.EXTENSIONS:
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(image)
    with pytest.raises(UnknownLayoutError, match=r"metadata_store_extension\.so can't be made to load on glibc 2\.36.*run `make clean`"):
        old_glibc.main(tmp_path, (2, 36))
    assert all((tmp_path / name).read_bytes() == image for name in old_glibc.EXTENSIONS)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnknownLayoutError, match=r"metadata_store_extension\.so.*No such file"):
        old_glibc.main(tmp_path, (2, 36))


def test_a_c_library_other_than_glibc_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(_name: str) -> str:
        raise ValueError("unrecognized configuration name")

    monkeypatch.setattr(os, "confstr", unknown)
    with pytest.raises(UnknownLayoutError, match=r"no glibc \(musl\?\).*use Debian 12"):
        old_glibc.version()


def test_the_real_extensions_import() -> None:
    for name in ("ml_metadata", "tensorflow_data_validation"):
        importlib.import_module(name)
