"""The stream's consumers, their scaler and the example's Kafka speak of the same brokers, topic, user and group as the code does."""

import re
from argparse import Namespace
from pathlib import Path

from components.contract.load import load_dataset
from pipeline.cli.main import parser
from pipeline.ops.stream import IDS_TTL_S
from serving.service.__main__ import parser as service
from serving.stream.sources.kafka_settings import PASSWORD_VARIABLE, parse_kafka_address
from tests.kubernetes.rendered import KUBERNETES, ROOT, Doc, Pod, command, config, only, pod, rendered


def kafka(kind: str, name: str) -> Doc:
    return only(rendered("engines/kafka"), kind, name)


def stream() -> Pod:
    return pod(rendered("stream"), "stream")


def options() -> Namespace:
    program, *words = command(rendered("stream"), stream().container("stream"))
    assert program == "shelfrank"
    return parser().parse_args(words)


def listener() -> Doc:
    (only_one,) = kafka("Kafka", "shop")["spec"]["kafka"]["listeners"]
    return dict(only_one)


def test_it_reads_the_examples_topic_as_the_examples_user() -> None:
    address = parse_kafka_address(options().source, {PASSWORD_VARIABLE: "secret"})
    cluster = kafka("Kafka", "shop")["metadata"]
    topic, user = kafka("KafkaTopic", "events"), kafka("KafkaUser", "shelfrank-stream")
    # So Strimzi names the Service of a cluster's internal listeners.
    assert address.brokers == f"{cluster['name']}-kafka-bootstrap.{cluster['namespace']}.svc:{listener()['port']}"
    assert address.topic == topic["metadata"]["name"]
    assert address.settings == {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": user["metadata"]["name"],
        "ssl.ca.location": "/etc/kafka/ca.crt",
        "sasl.password": "secret",
    }
    assert listener()["tls"] is True
    assert listener()["authentication"] == user["spec"]["authentication"] == {"type": "scram-sha-512"}
    assert {doc["metadata"]["labels"]["strimzi.io/cluster"] for doc in rendered("engines/kafka")} == {cluster["name"]}


def test_the_user_may_read_that_topic_in_that_group_and_no_other() -> None:
    acls = kafka("KafkaUser", "shelfrank-stream")["spec"]["authorization"]["acls"]
    rights = {(acl["resource"]["type"], acl["resource"]["name"], *acl["operations"]) for acl in acls}
    assert rights == {("topic", "events", "Read", "Describe"), ("group", options().group, "Read", "Describe")}
    assert {acl["resource"]["patternType"] for acl in acls} == {"literal"}


def test_the_group_is_the_datasets_name_and_the_dataset_file_is_there() -> None:
    volumes = {volume["name"]: volume for volume in stream().spec["volumes"]}
    mounts = {mount["mountPath"]: volumes[mount["name"]] for mount in stream().container("stream")["volumeMounts"]}
    file = Path(options().dataset)
    assert file.name in config(rendered("stream"), "dataset")
    assert mounts[str(file.parent)]["configMap"]["name"].startswith("dataset-")
    assert options().group == load_dataset(ROOT / "examples" / "simulated_shop.yaml").name
    assert mounts["/etc/kafka"]["secret"] == {"secretName": "kafka", "items": [{"key": "ca.crt", "path": "ca.crt"}]}


def test_state_and_log_are_where_the_others_look() -> None:
    _, _, _, *words = command(rendered("stream"), pod(rendered("stream"), "ranking").container("ranking"))
    assert options().redis == service().parse_args(words).redis
    assert options().log == Path("/shelfrank/events")
    assert options().metrics_host == "0.0.0.0"
    assert stream().ports() == {"metrics": options().metrics_port}
    assert options().state is None
    assert not options().load


def test_keda_asks_for_the_lag_of_the_same_group() -> None:
    spec = only(rendered("stream"), "ScaledObject", "stream")["spec"]
    (trigger,) = spec["triggers"]
    address = parse_kafka_address(options().source)
    expected = {
        "bootstrapServers": address.brokers,
        "topic": address.topic,
        "consumerGroup": options().group,
        "offsetResetPolicy": "earliest",  # a partition that nothing was read of is read from its beginning
        "sasl": "scram_sha512",
        "tls": "enable",
    }
    assert expected.items() <= trigger["metadata"].items()
    authentication = only(rendered("stream"), "TriggerAuthentication", trigger["authenticationRef"]["name"])["spec"]["secretTargetRef"]
    assert {each["parameter"]: (each["name"], each["key"]) for each in authentication} == {
        "username": ("kafka", "username"),
        "password": ("kafka", "password"),
        "ca": ("kafka", "ca.crt"),
    }
    assert spec["maxReplicaCount"] == kafka("KafkaTopic", "events")["spec"]["partitions"]


def service_options() -> Namespace:
    _, _, _, *words = command(rendered("events"), pod(rendered("events"), "ranking").container("ranking"))
    return service().parse_args(words)


def test_the_service_writes_to_the_topic_that_is_read_as_a_user_who_may_write_there() -> None:
    ranking = pod(rendered("events"), "ranking")
    secrets = {each["name"]: each["valueFrom"]["secretKeyRef"] for each in ranking.container("ranking")["env"] if "kafka" in str(each)}
    assert secrets == {
        PASSWORD_VARIABLE: {"name": "kafka-events", "key": "password"},
        "SHELFRANK_EVENTS_USER": {"name": "kafka-events", "key": "username"},
    }
    (volume,) = [each for each in ranking.spec["volumes"] if each["name"] == "kafka"]
    assert volume["secret"] == {"secretName": "kafka-events", "items": [{"key": "ca.crt", "path": "ca.crt"}]}
    assert {"name": "kafka", "mountPath": "/etc/kafka", "readOnly": True} in ranking.container("ranking")["volumeMounts"]
    written, read = parse_kafka_address(service_options().events_to), parse_kafka_address(options().source)
    assert (written.brokers, written.topic) == (read.brokers, read.topic)
    # The user's name is the secret's; all else is as the consumers have it.
    assert written.settings == read.settings | {"sasl.username": "SHELFRANK_EVENTS_USER"}
    acls = kafka("KafkaUser", "shelfrank-events")["spec"]["authorization"]["acls"]
    assert [(acl["resource"]["name"], *acl["operations"]) for acl in acls] == [("events", "Write", "Describe")]


def test_the_guard_reads_the_log_that_the_consumers_write() -> None:
    docs = rendered("events")
    _, *words = command(docs, pod(docs, "guard").container("guard"))
    guard = parser().parse_args(words)
    assert guard.event_log == [str(options().log)]
    assert command(docs, pod(docs, "guard").container("logs")) == ["mkdir", "-p", *guard.log, *guard.event_log]
    assert service_options().redis == options().redis


def test_the_topic_takes_and_keeps_messages_as_the_consumers_do() -> None:
    topic = kafka("KafkaTopic", "events")["spec"]
    assert topic["config"]["max.message.bytes"] == options().largest
    # What is read again after so long is still known.
    assert topic["config"]["retention.ms"] / 1000 <= IDS_TTL_S
    assert topic["config"]["min.insync.replicas"] < topic["replicas"] == kafka("KafkaNodePool", "nodes")["spec"]["replicas"]


def test_the_readme_makes_the_secret_with_the_keys_that_are_read() -> None:
    (password,) = stream().container("stream")["env"]
    assert (password["name"], password["valueFrom"]["secretKeyRef"]) == (PASSWORD_VARIABLE, {"name": "kafka", "key": "password"})
    (made,) = [line for line in (KUBERNETES / "README.md").read_text().splitlines() if "create secret generic kafka " in line]
    for key in ("username=shelfrank-stream", "password=", "ca.crt="):
        assert f"--from-literal={key}" in made
    (made,) = [line for line in (KUBERNETES / "README.md").read_text().splitlines() if "create secret generic kafka-events" in line]
    for key in (f"username={kafka('KafkaUser', 'shelfrank-events')['metadata']['name']}", "password=", "ca.crt="):
        assert f"--from-literal={key}" in made


def test_the_readmes_further_arguments_bring_a_releases_state_in_first() -> None:
    readme = (KUBERNETES / "README.md").read_text()
    (state,) = re.findall(r"`(--state=[^`]+)` and `--load`", readme)
    _, *words = command(rendered("stream"), stream().container("stream"))
    loaded = parser().parse_args([*words, state, "--load"])
    assert loaded.load
    store = config(rendered("stream"), "shelfrank")["SHELFRANK_STORE"]
    assert loaded.state == Path(store) / "serving" / "1" / "state"
