"""Spark 3.5 standalone (a master and a worker) with Beam's job server and worker pool, as processes on free ports of this machine."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.beam.job_service import free_ports, running, worker_pool
from pipeline.beam.presets import Settings, settings
from tests.engines.maven import class_path, shaded_jar

POM = Path(__file__).with_name("pom.xml")
_JAVA = "lang lang.invoke lang.reflect io net nio text time util util.concurrent util.concurrent.atomic"
_INTERNAL = "jdk.internal.ref sun.nio.ch sun.nio.cs sun.security.action sun.util.calendar"
_PACKAGES = (*(f"java.{package}" for package in _JAVA.split()), *_INTERNAL.split())  # opened by Spark on Java 17
_OPENED = " ".join(f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _PACKAGES)


@dataclass(frozen=True)
class Spark:
    """A running cluster: Beam's job server, the master's REST server, and the worker pool."""

    job_endpoint: str
    rest: str
    pool: str

    def options(self) -> dict[str, str | int]:
        """Return the preset's options for a job by the job server."""
        return {"job_endpoint": self.job_endpoint, "pool": self.pool, "processes": 2}

    def preset(self) -> Settings:
        """Return the settings of such a job."""
        return settings("spark", self.options(), image="none")

    def preset_by_rest(self) -> Settings:
        """Return the settings of a job by the REST server."""
        options = self.options() | {"rest_url": self.rest, "job_server_jar": str(shaded_jar(POM))}
        del options["job_endpoint"]
        return settings("spark", options, image="none")


@contextmanager
def spark_cluster(folder: Path) -> Iterator[Spark]:
    """Start all processes; stop them at the end.

    Args:
        folder: for the logs and what the executors work on.
    """
    jars = folder / "jars"  # Spark's processes look for their classes in $SPARK_HOME/jars; Beam's come with a job
    resolved = class_path(POM)
    jars.mkdir(parents=True)
    for jar in resolved:
        if not jar.name.startswith("beam-"):
            (jars / jar.name).symlink_to(jar)
    # Drivers and executors, which the worker starts, see the variable as well.
    env = {"JDK_JAVA_OPTIONS": _OPENED, "SPARK_HOME": str(folder), "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_SCALA_VERSION": "2.12"}
    master, master_page, worker, worker_page, rest, jobs, artifacts, expansion = free_ports(8)
    url = f"spark://127.0.0.1:{master}"
    java = ["java", "-cp", os.pathsep.join(map(str, resolved))]
    deploy = "org.apache.spark.deploy"
    resources = ["--cores", 3, "--memory", "2500m", "--work-dir", folder / "work"]  # one core for the driver of a job by REST
    by_rest = ["-Dspark.master.rest.enabled=true", f"-Dspark.master.rest.port={rest}"]
    driver = [
        "-Dspark.driver.host=127.0.0.1",
        "-Dspark.driver.bindAddress=127.0.0.1",
        "-Dspark.ui.enabled=false",
        "-Dspark.executor.memory=1g",
        "-Dspark.cores.max=2",
        "org.apache.beam.runners.spark.SparkJobServerDriver",
    ]
    other_ports = [f"--artifact-port={artifacts}", f"--expansion-port={expansion}", f"--artifacts-dir={folder / 'artifacts'}"]
    by_port: dict[int, tuple[str, list[object]]] = {
        master: ("master", [*by_rest, f"{deploy}.master.Master", "--host", "127.0.0.1", "--port", master, "--webui-port", master_page]),
        worker: (
            "worker",
            [f"{deploy}.worker.Worker", url, "--host", "127.0.0.1", "--port", worker, "--webui-port", worker_page, *resources],
        ),
        jobs: ("job-server", [*driver, f"--spark-master-url={url}", "--job-host=127.0.0.1", f"--job-port={jobs}", *other_ports]),
    }
    with ExitStack() as stack:
        for port, (name, arguments) in by_port.items():
            command = [*java, "-Xmx700m", *map(str, arguments)]
            stack.enter_context(running(command, log=folder / f"{name}.log", port=port, env=env))
        stack.callback(lambda: [jar.unlink() for jar in (folder / "work").rglob("*.jar")])  # of each job, by each process
        yield Spark(f"127.0.0.1:{jobs}", f"http://127.0.0.1:{rest}", stack.enter_context(worker_pool(folder)))
