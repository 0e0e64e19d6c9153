"""Build the images without an engine and try them as a cluster runs them: `python scripts/prove_images.py FOLDER [NAME ...]`, as root.

FOLDER takes the base (made once) and one image at a time. `FOLDER/beam` may hold the files of Beam's image; else a stand-in for its
boot program is made there, which only tells that it was started.
"""

import shutil
import sys
import time
from pathlib import Path

import rootfs
import trixie
from build_image import build, megabytes
from dockerfile import stages

ROOT = Path(__file__).resolve().parents[1]
_TFX = "import ml_metadata, tensorflow_data_validation, tensorflow_recommenders, lightgbm, tfx.components"
_ADD = "import tensorflow as tf; print('devices', tf.config.list_physical_devices('GPU')); print(tf.reduce_sum(tf.ones(3)).numpy())"
_LINKED = "find /opt/shelfrank -name '*.so*' -type f -exec ldd {} + 2>/dev/null | grep 'not found' | sort | uniq -c; true"
PROOFS: dict[str, list[str]] = {
    "service": [
        "id",
        "touch /x || true",
        "python -m serving.service --help",
        "python -m serving.exposure --help",
        "shelfrank guard --help",
        _LINKED,
    ],
    "pipeline": [
        "id",
        "touch /x || true",
        "start --id=1",
        "start shelfrank --help",
        f'python -c "{_TFX}"',
        "python -c 'import pipeline.graph, apache_beam.runners.worker.sdk_worker_main'",
        "shelfrank simulate --out shop --events 20000 && cp -r shop data && shelfrank schema > schema.json && du -sh shop",
        _LINKED,
    ],
    "trainer": [
        "id",
        "touch /x || true",
        f'python -c "{_TFX}"',
        f'python -c "{_ADD}"',
        "python -c 'import trainer.run, trainer.tune'",
        _LINKED,
    ],
}


def beam_image(folder: Path) -> Path:
    """What stands in for Beam's own image: its files if they were put there, else a boot program that only says so."""
    place = folder / "opt/apache/beam"
    if not place.exists():
        place.mkdir(parents=True)
        for name in ("LICENSE", "NOTICE"):
            (place / name).write_text("stand-in\n")
        (place / "boot").write_text('#!/bin/sh\necho "stand-in for Beam\'s boot: $*"\n')
        (place / "boot").chmod(0o755)
    return folder


def bases(folder: Path) -> dict[str, Path]:
    """Roots that stand in for every image that the Dockerfiles name."""
    named = {stage.base for file in (ROOT / "kubernetes/images").glob("*/Dockerfile") for stage in stages(file.read_text(encoding="utf-8"))}
    python, beam = trixie.python_slim(folder / "base"), beam_image(folder / "beam")
    return {name: beam if "beam" in name else python for name in named}


def prove(name: str, folder: Path) -> None:
    """Build, measure and try one image.

    Raises:
        RuntimeError: a step or a command failed.
    """
    start, found = time.monotonic(), bases(folder)
    shutil.rmtree(folder / name, ignore_errors=True)
    (folder / name).mkdir(parents=True)
    image = build(name, ROOT, folder / name, bases=found, say=lambda line: print(line, flush=True))
    base = megabytes(found[image.final.base])
    print(f"{name}: {image.mb:.0f} MB on a base of {base:.0f} MB, built in {time.monotonic() - start:.0f} s", flush=True)
    for command in PROOFS[name]:
        start = time.monotonic()
        told = image.root.run(["sh", "-c", command]).stdout.strip().splitlines()
        print(f"$ {command} ({time.monotonic() - start:.1f} s)", *(f"    {line[:200]}" for line in told[-3:]), sep="\n", flush=True)
    shutil.rmtree(folder / name)


def main(arguments: list[str]) -> int:
    """Prove the named images, or all; 2 where it can't be done here."""
    if not arguments or set(arguments[1:]) - PROOFS.keys():
        print(f"expected FOLDER and names of {', '.join(PROOFS)}, got {arguments}", file=sys.stderr)
        return 2
    if why := rootfs.lacking() or trixie.lacking():
        print(f"images can't be built by chroot here: {why}", file=sys.stderr)
        return 2
    for name in arguments[1:] or PROOFS:
        prove(name, Path(arguments[0]).resolve())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
