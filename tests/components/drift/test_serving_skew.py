from components.contract.columns import Column
from components.drift.serving_skew import RequestFeatures, compare_features

COLUMNS = (
    Column("device", "string", "request", "input", "device"),
    Column("price", "float32", "candidate", "input", "price"),
    Column("history_price", "float32", "history", "input", "history"),
    Column("picture", "float32", "candidate", "input", "picture", 2),
)


def request(**changed: object) -> RequestFeatures:
    fields: dict[str, object] = {
        "device": ["phone"],
        "price": [1.5, None, 0.1],
        "history_price": [9.0, 8.0],
        "picture": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
        **changed,
    }
    items = fields.pop("items", ["a", "b", "c"])
    return RequestFeatures("r1", items, fields)  # type: ignore[arg-type]


def test_equal_values_dont_differ_whatever_the_order_of_candidates() -> None:
    other = request(items=["c", "a", "b"], price=[0.1, 1.5, float("nan")], picture=[5.0, 6.0, 1.0, 2.0, 3.0, 4.0])
    skew = compare_features([request()], [other], COLUMNS)
    assert {name: (each.compared, each.differing) for name, each in skew.columns.items()} == {column.name: (1, 0) for column in COLUMNS}


def test_floats_are_compared_as_the_model_reads_them() -> None:
    assert (
        compare_features([request(price=[1.5, None, 0.1])], [request(price=[1.5, None, 0.10000000149])], COLUMNS).columns["price"].differing
        == 0
    )
    assert (
        compare_features([request(price=[1.5, None, 0.1])], [request(price=[1.5, None, 0.1000001])], COLUMNS).columns["price"].differing
        == 1
    )


def test_a_difference_is_told_with_its_request_item_and_both_values() -> None:
    skew = compare_features([request()], [request(price=[1.5, 2.0, 0.1])], COLUMNS)
    assert skew.columns["price"].examples == ["request 'r1', item 'b': sent None, ingestion computes 2"]


def test_a_history_of_another_length_and_a_vector_that_differs_are_differences() -> None:
    skew = compare_features([request()], [request(history_price=[9.0], picture=[1.0, 2.0, 3.0, 4.5, 5.0, 6.0])], COLUMNS)
    assert skew.columns["history_price"].examples == ["request 'r1', number of events: sent 2, ingestion computes 1"]
    assert skew.columns["picture"].differing == 1


def test_candidates_that_were_never_shown_are_not_compared() -> None:
    shown = request(items=["a"], price=[1.5], picture=[1.0, 2.0])
    assert all(each.differing == 0 for each in compare_features([request()], [shown], COLUMNS).columns.values())


def test_requests_that_one_side_lacks_are_counted() -> None:
    other = RequestFeatures("r2", ["a"], {"price": [1.0]})
    skew = compare_features([request(), RequestFeatures("r3", [], {})], [request(), other], COLUMNS)
    assert (skew.not_ingested, skew.not_sent) == (1, 1)
