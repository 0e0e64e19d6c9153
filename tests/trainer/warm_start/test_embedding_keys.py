import pytest
import tensorflow as tf

from components.contract.columns import input_columns
from components.schema.parsing import parse
from trainer.config import ranker_config
from trainer.fit.build import ranker
from trainer.model.network_inputs import CATEGORIES
from trainer.warm_start.embedding_keys import HashBuckets, Keys, Vocabulary, as_json, from_json, keys, table_spans


def entries(graph):
    return lambda name: [entry.decode() for entry in graph.vocabulary_by_name(name)]


def test_every_table_of_ids_words_and_numbers_has_a_key_for_each_row(every_kind):
    model = ranker(every_kind.tft, dataset=every_kind.dataset, config=ranker_config(every_kind.dataset))
    spans = table_spans(model.plan)
    tables = {
        **{f"tables/{name}": table for name, table in model.tables.items()},
        **{f"words/{name}": each for name, each in model.words.items()},
    }
    tables |= {f"buckets/{name}": table for name, table in model.buckets.items()}
    assert set(spans) == set(tables)
    for name, table in tables.items():
        of_rows = keys(spans[name], entries(every_kind.tft))
        assert len(of_rows) == len(set(of_rows)) == table.rows, name


def test_a_key_stands_where_the_transform_graph_puts_its_value(every_kind):
    raw = parse(tf.constant(every_kind.serialized), input_columns(every_kind.dataset))
    out = every_kind.tft.transform_features_layer()(raw)
    model = ranker(every_kind.tft, dataset=every_kind.dataset, config=ranker_config(every_kind.dataset))
    spans = table_spans(model.plan)
    for column, table, prefix in (("item", "tables/item", ""), ("brand", "tables/categories_4", "brand=")):
        of_rows = keys(spans[table], entries(every_kind.tft))
        for value, row in zip(raw[column].flat_values.numpy(), out[column].flat_values.numpy(), strict=True):
            expected = ("entry", f"{prefix}{value.decode()}") if value else ("key", "")
            assert of_rows[row] == expected


def test_a_value_that_reads_like_a_bucket_is_none():
    spans = (Keys(("", "?0")), Vocabulary("v"))
    assert keys(spans, lambda name: ["?0", "a"]) == [("key", ""), ("key", "?0"), ("entry", "?0"), ("entry", "a")]


def test_spans_survive_their_file():
    spans = (Keys(("", "?brand:0")), Vocabulary(CATEGORIES), HashBuckets(40))
    assert from_json(as_json(spans)) == spans


def test_hash_buckets_of_another_number_are_other_buckets():
    few, many = (keys((HashBuckets(count),), pytest.fail) for count in (2, 3))
    assert few == [("bucket", "0/2"), ("bucket", "1/2")]
    assert not set(few) & set(many)
