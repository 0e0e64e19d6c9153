"""A session cluster of Flink 1.19 with Beam's job server and worker pool, as processes on free ports of this machine."""

import json
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.beam.job_service import free_ports, running, worker_pool
from pipeline.beam.presets import Settings, settings
from pipeline.beam.worker_pool import ALL_STEPS
from tests.engines.maven import shaded_jar

POM = Path(__file__).with_name("pom.xml")
_OPENED = ("lang", "lang.reflect", "net", "nio", "text", "time", "util", "util.concurrent")  # by Flink on Java 17
_START_S = 120

# The same as in docs/how-to/beam-runners.md.
NEEDED = {"classloader.resolve-order": "parent-first", "taskmanager.network.sort-shuffle.min-buffers": "64"}
MEMORY = {
    "cpu.cores": "2",
    "memory.task.heap.size": "900m",
    "memory.managed.size": "600m",
    "memory.task.off-heap.size": "128m",
    "memory.network.min": "768m",
    "memory.network.max": "768m",
    "memory.framework.heap.size": "128m",
    "memory.framework.off-heap.size": "128m",
    "memory.jvm-metaspace.size": "256m",
    "memory.jvm-overhead.min": "192m",
    "memory.jvm-overhead.max": "192m",
}


@dataclass
class Flink:
    """A running cluster: the JobManager's REST API, Beam's job server, the worker pool, and the TaskManagers' processes."""

    folder: Path
    rest: str
    job_endpoint: str
    pool: str
    stack: ExitStack
    memory: dict[str, str]
    task_managers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def options(self, **changes: str | int) -> dict[str, str | int]:
        """Return the preset's options for a job of two slots by the job server."""
        return {"job_endpoint": self.job_endpoint, "pool": self.pool, "parallelism": 2, "processes": 2, **changes}

    def preset(self, **changes: str | int) -> Settings:
        """Return the settings of a job by the job server."""
        return settings("flink", self.options(**changes), image="none")

    def preset_by_rest(self) -> Settings:
        """Return the settings of such a job by the REST API."""
        options = self.options(master=self.rest, version="1.19", job_server_jar=str(job_server_jar()))
        del options["job_endpoint"]
        return settings("flink", options, image="none")

    def ask(self, path: str) -> Any:
        """Get a document of the REST API."""
        with urllib.request.urlopen(f"http://{self.rest}/{path}", timeout=30) as answer:
            return json.load(answer)

    def workers_started(self) -> int:
        """Count the Python processes that the pool has started."""
        return (self.folder / "worker-pool.log").read_text().count("Started worker")

    def grouped_bytes(self, jobs: list[dict[str, Any]]) -> int:
        """Sum the bytes that the latest of some jobs grouped, as they arrive where they are grouped."""
        latest = max(jobs, key=lambda job: job["start-time"])
        vertices = self.ask(f"jobs/{latest['jid']}")["vertices"]
        return sum(vertex["metrics"]["read-bytes"] for vertex in vertices if vertex["name"].startswith("GroupReduce"))

    def start_task_manager(self) -> None:
        """Start a TaskManager, and wait for its slots."""
        before = self._registered()
        command = _java("-Xmx1200m", "-XX:MaxDirectMemorySize=1200m", "org.apache.flink.runtime.taskexecutor.TaskManagerRunner")
        command += ["--configDir", str(self.folder), *(f"-Dtaskmanager.{name}={value}" for name, value in self.memory.items())]
        (data_port,) = free_ports(1)
        started = running(
            [*command, f"-Dtaskmanager.data.port={data_port}"],
            log=self.folder / f"task-manager-{len(self.task_managers)}.log",
            port=data_port,
            env=_env(self.folder),
        )
        self.task_managers.append(self.stack.enter_context(started))
        deadline = time.monotonic() + _START_S
        while self._registered() <= before:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the TaskManager doesn't register; see {self.folder}")
            time.sleep(0.2)

    def _registered(self) -> set[str]:
        return {each["id"] for each in self.ask("taskmanagers")["taskmanagers"]}


def job_server_jar() -> Path:
    """Return the jar of Beam's job server with all of Flink, which every process here starts from."""
    return shaded_jar(POM)


@contextmanager
def flink_cluster(
    folder: Path,
    config: dict[str, str] | None = None,
    memory: dict[str, str] | None = None,
    modules: Sequence[str] = ALL_STEPS,
) -> Iterator[Flink]:
    """Start a JobManager, a TaskManager of two slots, the job server and the worker pool; stop them all at the end.

    Args:
        folder: for the configuration and the logs.
        config: of the cluster, instead of or besides what the pipeline needs.
        memory: of a TaskManager, likewise.
        modules: that workers have imported when they start.
    """
    job_server_jar()
    folder.mkdir(parents=True, exist_ok=True)
    rpc, blobs, rest, jobs, artifacts, expansion = free_ports(6)
    values = {
        "jobmanager.rpc.address": "127.0.0.1",
        "jobmanager.rpc.port": rpc,
        "jobmanager.bind-host": "127.0.0.1",
        "blob.server.port": blobs,
        "taskmanager.host": "127.0.0.1",
        "taskmanager.bind-host": "127.0.0.1",
        "taskmanager.numberOfTaskSlots": 2,
        "rest.address": "127.0.0.1",
        "rest.bind-address": "127.0.0.1",
        "rest.port": rest,
        "io.tmp.dirs": folder / "tmp",
        "parallelism.default": 2,
        "pekko.ask.timeout": "10 min",  # a machine with much other work answers late
        **NEEDED,
        **(config or {}),
    }
    (folder / "tmp").mkdir(exist_ok=True)
    (folder / "config.yaml").write_text("".join(f"{name}: {value}\n" for name, value in values.items()))
    quick = "-XX:TieredStopAtLevel=1"  # the little that these two do isn't compiled twice
    manager = _java(quick, "-Xmx512m", "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint")
    job_server = _java(quick, "-Xmx600m", "org.apache.beam.runners.flink.FlinkJobServerDriver")
    job_server += [f"--flink-master=127.0.0.1:{rest}", "--job-host=127.0.0.1", f"--job-port={jobs}"]
    job_server += [f"--artifact-port={artifacts}", f"--expansion-port={expansion}", f"--artifacts-dir={folder / 'artifacts'}"]
    with ExitStack() as stack:
        env = _env(folder)
        stack.enter_context(running([*manager, "--configDir", str(folder)], log=folder / "job-manager.log", port=rest, env=env))
        stack.enter_context(running(job_server, log=folder / "job-server.log", port=jobs, env=env))
        pool = stack.enter_context(worker_pool(folder, modules))
        flink = Flink(folder, f"127.0.0.1:{rest}", f"127.0.0.1:{jobs}", pool, stack, MEMORY | (memory or {}))
        flink.start_task_manager()
        yield flink


def _java(*arguments: str) -> list[str]:
    """Return the command of a Java process that starts from the job server's jar."""
    opened = [f"--add-opens=java.base/java.{package}=ALL-UNNAMED" for package in _OPENED]
    more = ["--add-opens=java.base/sun.nio.ch=ALL-UNNAMED", "--add-exports=java.base/sun.net.util=ALL-UNNAMED"]
    options = ["-XX:+UseSerialGC", "-Dorg.slf4j.simpleLogger.showDateTime=true"]
    return ["java", *opened, *more, *options, "-cp", str(job_server_jar()), *arguments]


def _env(folder: Path) -> dict[str, str]:
    return {"FLINK_CONF_DIR": str(folder)}
