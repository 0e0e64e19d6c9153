"""The dataset files under examples/ load, and yield exactly these columns."""

from pathlib import Path

import pytest

from components.contract.columns import columns, gains, input_columns, label_columns, state_columns
from components.contract.load import load_dataset

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"

# Name of each column with its type and axis; a `>` marks labels, a `-` what is carried along, the rest is read by the model.
COLUMNS = {
    "simulated_shop": """
        - request string request | - user string request | - time int64 request | - interactions int64 request
        - position int64 candidate
        device string request | page string request | query string request | hour string request | session_events float32 request
        country string request | age_band string request | segment string request
        history_item string history | history_category string history | history_brand string history | history_price float32 history
        history_action string history | history_age_s float32 history
        user_clicks float32 request | user_ctr_1d float32 request | user_ctr_7d float32 request
        item string candidate | category string candidate | brand string candidate | title string candidate | tags string candidate
        price float32 candidate | item_ctr_1d float32 candidate | item_ctr_7d float32 candidate
        item_clicks_1d float32 candidate | item_clicks_7d float32 candidate
        item_carts float32 candidate | item_click_age float32 candidate
        > label float32 candidate | > label_click float32 candidate | > label_cart float32 candidate | > label_purchase float32 candidate
    """,
    "trivago_2019": """
        - request string request | - user string request | - time int64 request | - interactions int64 request
        device string request | platform string request | city string request | filters string request | session_events float32 request
        session_age float32 request | history_item string history | history_action string history | history_age_s float32 history
        user_clickout_age float32 request | user_image_age float32 request | user_info_age float32 request
        user_item_search_age float32 request | user_clickouts_1h float32 request | user_images_1h float32 request
        item string candidate | position int64 candidate | price float32 candidate
        item_clickouts_1h float32 candidate | item_clickouts_1d float32 candidate
        item_ctr_1h float32 candidate | item_ctr_1d float32 candidate
        item_images_1h float32 candidate | item_images_1d float32 candidate
        > label float32 candidate
    """,
    "online_retail_ii": """
        - request string request | - user string request | - time int64 request | - interactions int64 request
        - position int64 candidate
        country string request | history_item string history | history_action string history | history_age_s float32 history
        user_purchases float32 request | user_purchase_age float32 request | item string candidate | description string candidate
        item_purchases_1d float32 candidate | item_purchases_7d float32 candidate | item_purchases_30d float32 candidate
        item_purchases_ever float32 candidate | item_purchase_age float32 candidate
        > label float32 candidate
    """,
    "public/retailrocket": """
        - request string request | - user string request | - time int64 request | - interactions int64 request
        - position int64 candidate
        hour string request | session_events float32 request | session_age float32 request
        history_item string history | history_category string history | history_action string history | history_age_s float32 history
        user_views_1h float32 request | user_views_1d float32 request | user_views_7d float32 request | user_purchases float32 request
        item string candidate | category string candidate | available string candidate | price float32 candidate
        item_views_1h float32 candidate | item_views_1d float32 candidate | item_views_7d float32 candidate
        item_carts_1h float32 candidate | item_carts_1d float32 candidate | item_carts_7d float32 candidate
        item_cart_rate_1h float32 candidate | item_cart_rate_1d float32 candidate | item_cart_rate_7d float32 candidate
        item_purchase_age float32 candidate
        > label float32 candidate | > label_cart float32 candidate | > label_purchase float32 candidate
    """,
    "public/movielens": """
        - request string request | - user string request | - time int64 request | - interactions int64 request
        - position int64 candidate
        session_events float32 request | history_item string history | history_action string history | history_age_s float32 history
        user_likes float32 request | item string candidate | title string candidate | genres string candidate
        item_likes_7d float32 candidate | item_likes_90d float32 candidate | item_likes_365d float32 candidate
        item_likes_ever float32 candidate
        > label float32 candidate
    """,
    "public/criteo": " | ".join(
        [
            "- request string request | - user string request | - time int64 request | - interactions int64 request",
            "- item string candidate | - position int64 candidate",
            *(f"i{n} float32 candidate" for n in range(1, 14)),
            *(f"c{n} string candidate" for n in range(1, 27)),
            "> label float32 candidate",
        ]
    ),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_an_example_yields_its_columns(name: str) -> None:
    marks = {"label": "> ", "meta": "- ", "input": ""}
    found = [f"{marks[c.role]}{c.name} {c.dtype} {c.axis}" for c in columns(load_dataset(EXAMPLES / f"{name}.yaml"))]
    assert found == [entry.strip() for line in COLUMNS[name].strip().splitlines() for entry in line.split("|")]


def test_every_example_has_its_table_of_columns_here() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.yaml")} == {name for name in COLUMNS if "/" not in name}


@pytest.mark.parametrize("name", COLUMNS)
def test_an_example_is_named_by_its_file(name: str) -> None:
    assert load_dataset(EXAMPLES / f"{name}.yaml").name == Path(name).name


@pytest.mark.parametrize("name", COLUMNS)
def test_inputs_and_labels_are_the_columns_of_their_role_and_name_their_feature(name: str) -> None:
    dataset = load_dataset(EXAMPLES / f"{name}.yaml")
    inputs = input_columns(dataset)
    assert inputs == tuple(column for column in columns(dataset) if column.role == "input")
    assert label_columns(dataset) == tuple(column for column in columns(dataset) if column.role == "label")
    # A list feature is computed in the graph: it alone has no column.
    assert {column.feature for column in inputs} == {feature.name for feature in dataset.features if feature.kind != "list"}


def test_gains_go_by_label_column_and_one_action_needs_none() -> None:
    assert gains(load_dataset(EXAMPLES / "simulated_shop.yaml")) == {"label_click": 1, "label_cart": 2, "label_purchase": 4}
    assert gains(load_dataset(EXAMPLES / "trivago_2019.yaml")) == {"label": 1}
    assert gains(load_dataset(EXAMPLES / "public" / "criteo.yaml")) == {"label": 1}


def test_a_state_feature_has_a_column_for_each_half_life_where_it_has_any() -> None:
    dataset = load_dataset(EXAMPLES / "simulated_shop.yaml")
    assert state_columns(dataset, dataset.feature("item_ctr")) == ("item_ctr_1d", "item_ctr_7d")
    assert state_columns(dataset, dataset.feature("item_carts")) == ("item_carts",)
