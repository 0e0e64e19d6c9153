"""Run a real Kafka broker (KRaft, one process, data in a folder), which can be killed and started again on the same port.

Two listeners: one open, and one that asks for a user and a password (SASL/PLAIN).
"""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from tests.engines.maven import class_path

USER, PASSWORD = "shelfrank", "correct-horse"
_POM = Path(__file__).with_name("pom.xml")
_READY_S = 120.0  # on a loaded machine
_CALL_S = 60.0

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},SASL_PLAINTEXT://127.0.0.1:{sasl_port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},SASL_PLAINTEXT://127.0.0.1:{sasl_port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT
sasl.enabled.mechanisms=PLAIN
listener.name.sasl_plaintext.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
user_{user}="{password}";
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=500
broker.heartbeat.interval.ms=200
broker.session.timeout.ms=1000
log.retention.check.interval.ms=500
"""


class Broker:
    """A broker with its data in a folder; `address` stays the same through restarts."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._java = ["java", "-Xmx384m", "-XX:TieredStopAtLevel=1", "-cp", os.pathsep.join(map(str, class_path(_POM)))]
        port, sasl_port, controller = free_ports(3)
        self.address, self.sasl_address = f"127.0.0.1:{port}", f"127.0.0.1:{sasl_port}"
        self._properties = folder / "server.properties"
        ports = {"port": port, "sasl_port": sasl_port, "controller": controller}
        self._properties.write_text(_PROPERTIES.format(data=folder / "data", user=USER, password=PASSWORD, **ports))
        cluster = "4L6g3nShT-eMCtK--X86sw"
        formatting = [*self._java, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(self._properties)]
        subprocess.run(formatting, check=True, capture_output=True, timeout=_READY_S)

    def start(self) -> None:
        """Start the process, and wait until it answers.

        Raises:
            RuntimeError: it ended, or doesn't answer in time; the end of its log.
        """
        log = self._folder / "broker.log"
        with log.open("ab") as out:
            command = [*self._java, "kafka.Kafka", str(self._properties)]
            self._process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
        deadline = time.monotonic() + _READY_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"Kafka didn't start: {log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.1)

    def _answers(self) -> bool:
        host, _, port = self.address.partition(":")
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
        except OSError:
            return False
        try:
            AdminClient({"bootstrap.servers": self.address, "log_level": 0}).list_topics(timeout=5)
        except Exception:  # The port is open before the broker serves.
            return False
        return True

    @property
    def pid(self) -> int:
        """The process's id."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """End the process by SIGKILL; `start` starts it again on the same port and data."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """End the process by SIGTERM, as an administrator does; by SIGKILL when it takes long."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.kill()

    def create_topic(self, name: str, *, partitions: int = 1, **config: str) -> None:
        """Create a topic; `config` by the names of Kafka with `_` for `.`, such as `retention_ms="1000"`."""
        topic = NewTopic(name, partitions, 1, config={key.replace("_", "."): value for key, value in config.items()})
        admin = self._admin()  # a client that nobody holds breaks off its calls
        admin.create_topics([topic])[name].result(_CALL_S)

    def add_partitions(self, name: str, total: int) -> None:
        """Give a topic more partitions."""
        admin = self._admin()
        admin.create_partitions([NewPartitions(name, total)])[name].result(_CALL_S)
        deadline = time.monotonic() + _CALL_S
        while len(admin.list_topics(name, timeout=_CALL_S).topics[name].partitions) < total:  # acknowledged before it is seen
            assert time.monotonic() < deadline, f"{name} has no {total} partitions yet"
            time.sleep(0.05)

    def delete_before(self, topic: str, partition: int, offset: int) -> None:
        """Delete a partition's messages before an offset, as retention does."""
        admin = self._admin()
        for future in admin.delete_records([TopicPartition(topic, partition, offset)]).values():
            future.result(_CALL_S)

    def _admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.address})


def free_ports(number: int) -> list[int]:
    """Return ports of loopback that nobody listens on."""
    sockets = [socket.socket() for _ in range(number)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()


@pytest.fixture(scope="session")
def kafka_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A running broker that tests share, each with topics of its own; a test that kills it starts it again."""
    broker = Broker(tmp_path_factory.mktemp("kafka"))
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()
