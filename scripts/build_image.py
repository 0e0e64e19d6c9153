"""A Dockerfile carried out without an engine: its own RUN, COPY, ENV, USER and WORKDIR steps, one by one, under chroot."""

import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import trixie
from build_context import context
from dockerfile import DockerfileError, Stage, Step, expanded, stages
from rootfs import Root, online

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Image:
    """What came of it.

    Attributes:
        root: with the environment, user and working directory that a container gets; read-only.
        final: the last stage.
        mb: size, in megabytes of 10^6 bytes, besides the base.
    """

    root: Root
    final: Stage
    mb: float


def build(name: str, checkout: Path, into: Path, *, bases: Mapping[str, Path], say: Say = print) -> Image:
    """Build `kubernetes/images/NAME/Dockerfile`.

    Args:
        name: of the image.
        checkout: the build's context.
        into: empty folder, which the last stage is left in; the others are removed.
        bases: roots that stand in for images, by the name after FROM.
        say: takes a line for each step.

    Raises:
        DockerfileError: the file can't be read, or names a base that nothing stands in for.
        RuntimeError: a step failed.
    """
    text = (checkout / "kubernetes/images" / name / "Dockerfile").read_text(encoding="utf-8")
    files = context(checkout)
    built: dict[str, Path] = {}
    found = stages(text)
    for number, stage in enumerate(found):
        if stage.base not in bases:
            raise DockerfileError(f"no folder stands in for the image {stage.base}")
        folder = into / (stage.name or "image")
        start = time.monotonic()
        subprocess.run(["cp", "-a", str(bases[stage.base]), str(folder)], check=True)
        say(f"FROM {stage.base} {f'AS {stage.name}' if stage.name else ''} ({time.monotonic() - start:.0f} s)")
        root = Root(folder=folder, environment=trixie.ENVIRONMENT)
        for step in stage.steps:
            start = time.monotonic()
            root = _done(step, root, checkout, files, built)
            if step.name in ("RUN", "COPY"):
                say(f"{step.name} {step.text[:110]} ({time.monotonic() - start:.1f} s)")
        if stage.name:
            built[stage.name] = folder
        if number == len(found) - 1:
            for other in built.values():
                shutil.rmtree(other)
            size = megabytes(folder) - megabytes(bases[stage.base])
            return Image(root=replace(root, read_only=True), final=stage, mb=size)
    raise DockerfileError("no FROM")


def megabytes(folder: Path) -> float:
    """What the files of `folder` take on disk."""
    told = subprocess.run(
        ["du", "--summarize", "--one-file-system", "--block-size=1", str(folder)], check=True, capture_output=True, text=True
    )
    return int(told.stdout.split()[0]) / 1e6


def _done(step: Step, root: Root, checkout: Path, files: list[str], built: Mapping[str, Path]) -> Root:
    text = expanded(step.text, root.environment)
    if step.name in ("ENV", "ARG"):
        return replace(root, environment={**root.environment, **replace(step, text=text).pairs()})
    if step.name == "WORKDIR":
        Path(f"{root.folder}{text}").mkdir(parents=True, exist_ok=True)
        return replace(root, cwd=text)
    if step.name == "USER":
        return replace(root, user=text)
    if step.name == "RUN":
        online(root).run(["/bin/sh", "-c", step.text])
    elif step.name == "COPY":
        _copy(replace(step, text=text), root, built[step.flags["from"]] if "from" in step.flags else None, checkout, files)
    return root


def _copy(step: Step, root: Root, stage: Path | None, checkout: Path, files: list[str]) -> None:
    *sources, target = step.words()
    if len(sources) > 1 and not target.endswith("/"):
        raise DockerfileError(f"line {step.line}: several sources are copied into a folder, whose name ends in /, not to {target!r}")
    place = Path(f"{root.folder}{target}") if target.startswith("/") else Path(f"{root.folder}{root.cwd}") / target
    for source in sources:
        if stage is not None:
            origin = Path(f"{stage}{source}")
            if not origin.exists():
                raise DockerfileError(f"line {step.line}: {source} isn't in the stage that it is copied from")
            pairs = [(origin, place / origin.name if origin.is_file() and target.endswith("/") else place)]
        else:
            taken = [name for name in files if name == source or name.startswith(f"{source}/")]
            if not taken:
                raise DockerfileError(f"line {step.line}: {source} isn't there, or .dockerignore leaves it out")
            whole = taken == [source]
            into = place / Path(source).name if whole and target.endswith(("/", ".")) else place
            pairs = [(checkout / name, into if whole else into / Path(name).relative_to(source)) for name in taken]
        for origin, goal in pairs:
            goal.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["cp", "-a", "--no-target-directory", "--no-preserve=ownership", str(origin), str(goal)], check=True)
            if "chmod" in step.flags:
                goal.chmod(int(step.flags["chmod"], 8))
