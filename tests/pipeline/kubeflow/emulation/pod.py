"""A pod: a folder that stands for its file system, and a process that stands for its container."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, BinaryIO

from kfp.pipeline_spec import pipeline_spec_pb2 as spec_pb2

from pipeline.kubeflow.step.artifact_paths import ROOT
from pipeline.kubeflow.step.termination import TERMINATION_BYTES, TERMINATION_LOG
from tests.pipeline.kubeflow.emulation.compiled import Step


class StepFailed(Exception):  # noqa: N818 - it says what became of the step
    """A container ended with another code than 0, or couldn't be started."""


@dataclass(frozen=True)
class Cluster:
    """What lies around the pods.

    Attributes:
        folder: of everything that the emulation keeps.
        secrets: by name, each key's value.
        config_maps: likewise.
        containers: by step, a command that stands for the container's own, as another image would: its arguments stay.
    """

    folder: Path
    secrets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    config_maps: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    containers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def volume(self, claim: str) -> Path:
        """The folder of a PersistentVolumeClaim."""
        return self.folder / "volumes" / claim


@dataclass(frozen=True)
class Mounts:
    """Folders that pods see elsewhere than they are: by mount path.

    A process can't be given a mount without privileges, so paths in its arguments are changed on the way in, and back on the way out.
    """

    folders: dict[str, Path]

    def inward(self, text: str) -> str:
        """Mount paths become the folders behind them."""
        for mount, folder in self.folders.items():
            text = re.sub(rf"(?<![\w./:-]){re.escape(mount)}(?![\w.-])", str(folder), text)
        return text

    def outward(self, text: str) -> str:
        """And back."""
        for mount, folder in self.folders.items():
            text = text.replace(str(folder), mount)
        return text


def mounts(step: Step, cluster: Cluster, pod: Path) -> Mounts:
    """The step's volumes.

    Raises:
        StepFailed: a pod would wait for ever for what isn't there.
    """
    paths = {}
    for mount in step.kubernetes.pvc_mount:
        claim = claims(step)[mount.mount_path]
        folder = cluster.volume(claim)
        if not folder.exists():
            raise StepFailed(f'{step.name}: persistentvolumeclaim "{claim}" not found')
        paths[mount.mount_path] = folder / mount.sub_path if mount.sub_path else folder
    for kind, sources in (("secret", cluster.secrets), ("config_map", cluster.config_maps)):
        for volume in getattr(step.kubernetes, f"{kind}_as_volume"):
            name = _named(volume, kind)
            if name not in sources and not volume.optional:
                raise StepFailed(f'{step.name}: {kind.replace("_", "")} "{name}" not found')
            paths[volume.mount_path] = folder = pod / kind / name
            folder.mkdir(parents=True)
            for key, value in sources.get(name, {}).items():
                (folder / key).write_text(value, encoding="utf-8")
    for mount in step.kubernetes.empty_dir_mounts:
        paths[mount.mount_path] = pod / "empty" / mount.volume_name
        paths[mount.mount_path].mkdir(parents=True)
    return Mounts(dict(sorted(paths.items(), reverse=True)))  # the longer path of two first


def claims(step: Step) -> dict[str, str]:
    """Names of its PersistentVolumeClaims, by mount path."""
    return {
        mount.mount_path: mount.pvc_name_parameter.runtime_value.constant.string_value or mount.constant
        for mount in step.kubernetes.pvc_mount
    }


def environment(step: Step, cluster: Cluster, pod: Path, *, attempt: int | None) -> dict[str, str]:
    """The container's variables: the specification's, secrets', the launcher's, and what stands for the image.

    Args:
        step: the step.
        cluster: what lies around the pod.
        pod: its folder.
        attempt: the first is 0; None where the backend doesn't tell.

    Raises:
        StepFailed: a secret or a key of it isn't there.
    """
    image = {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path)),
        "HOME": str(pod),
        "TMPDIR": str(pod / "tmp"),
        "LANG": "C.UTF-8",
        "KFP_POD_NAME": pod.name,
        "KFP_POD_UID": str(uuid.uuid4()),
        ROOT: str(pod),
    } | ({} if attempt is None else {"KFP_RETRY_INDEX": str(attempt)})
    # What the image has ready: code that numba compiled for ingestion takes a minute otherwise.
    image |= {name: os.environ[name] for name in ("NUMBA_CACHE_DIR",) if name in os.environ}
    variables = {each.name: each.value for each in step.container.env}
    for kind, sources in (("secret", cluster.secrets), ("config_map", cluster.config_maps)):
        for source in getattr(step.kubernetes, f"{kind}_as_env"):
            name = _named(source, kind)
            for pair in source.key_to_env:
                key = getattr(pair, f"{kind}_key")
                if key in sources.get(name, {}):
                    variables[pair.env_var] = sources[name][key]
                elif not source.optional:
                    raise StepFailed(f"{step.name}: couldn't find key {key} in {kind.replace('_', '')} {name}")
    return image | variables


def command(step: Step, cluster: Cluster) -> list[str]:
    """The container's command line, with its placeholders."""
    return [*cluster.containers.get(step.name, tuple(step.container.command)), *step.container.args]


def run(
    line: list[str],
    step: Step,
    *,
    variables: Mapping[str, str],
    pod: Path,
    log: Path,
    copy: Path | None,
    started: Callable[[subprocess.Popen[bytes]], None],
) -> None:
    """Runs the container to its end.

    Args:
        line: its command line.
        step: the step.
        variables: its environment.
        pod: its folder.
        log: file of what it says.
        copy: file in the pod of the same, open while the container runs; None: none.
        started: told of the process.

    Raises:
        StepFailed: it ended badly, or its deadline passed.
    """
    deadline_s = step.kubernetes.active_deadline_seconds or None
    log.parent.mkdir(parents=True, exist_ok=True)
    termination = pod / TERMINATION_LOG.lstrip("/")
    termination.parent.mkdir(parents=True)
    termination.touch()
    with ExitStack() as files:
        outs: list[BinaryIO] = [files.enter_context(path.open("wb")) for path in (log, copy) if path]
        process = subprocess.Popen(
            line, cwd=pod, env=dict(variables), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
        assert process.stdout is not None
        teeing = threading.Thread(target=_tee, args=(process.stdout, outs))
        teeing.start()
        try:
            started(process)
            code = process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            raise StepFailed(f"{step.name}: Pod was active on the node longer than the specified deadline ({deadline_s} s)") from None
        finally:
            # With a pod all its processes end.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            teeing.join()
    if code:
        message = termination.read_bytes()[:TERMINATION_BYTES].decode("utf-8", "replace")
        raise StepFailed(f"{step.name}: exit code {code}: {message or _last_line(log)}")


def _tee(source: IO[bytes], outs: list[BinaryIO]) -> None:
    with source:
        while chunk := os.read(source.fileno(), 65_536):
            for out in outs:
                out.write(chunk)
                out.flush()


def removed(pod: Path) -> None:
    """A pod's file system ends with it."""
    shutil.rmtree(pod, ignore_errors=True)


def _named(source: spec_pb2.Value, kind: str) -> str:
    parameter = getattr(source, f"{kind}_name_parameter")
    name: str = getattr(source, f"{kind}_name") or parameter.runtime_value.constant.string_value
    return name


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"
