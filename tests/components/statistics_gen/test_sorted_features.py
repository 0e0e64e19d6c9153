"""The order of features in a statistics file doesn't depend on the order in which Beam's runner delivers them."""

import random

from tensorflow_metadata.proto.v0.statistics_pb2 import DatasetFeatureStatisticsList

from components.statistics_gen.component import sorted_features


def statistics(paths: list[list[str]]) -> bytes:
    message = DatasetFeatureStatisticsList()
    for slice_name in ("All Examples", "device_mobile"):
        dataset = message.datasets.add(name=slice_name, num_examples=3)
        for count, path in enumerate(sorted(paths, key=paths.index)):
            dataset.features.add().path.step.extend(path)
            dataset.features[count].num_stats.mean = len(path[0])
    return message.SerializeToString()


def test_any_order_of_features_gives_the_same_bytes_and_keeps_each_ones_statistics() -> None:
    paths = [["price"], ["user", "age"], ["brand"], ["user", "id"]]
    first = sorted_features(statistics(paths))
    random.Random(1).shuffle(paths)
    assert sorted_features(statistics(paths)) == first
    features = DatasetFeatureStatisticsList.FromString(first).datasets[1].features
    assert [(list(each.path.step), each.num_stats.mean) for each in features] == [
        (["brand"], 5),
        (["price"], 5),
        (["user", "age"], 4),
        (["user", "id"], 4),
    ]


def test_slices_have_an_order_too() -> None:
    message = DatasetFeatureStatisticsList.FromString(statistics([["price"]]))
    message.datasets.sort(key=lambda dataset: dataset.name, reverse=True)
    assert sorted_features(message.SerializeToString()) == sorted_features(statistics([["price"]]))
