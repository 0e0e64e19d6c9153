"""Options of the service's command line reach its settings."""

import pytest

from components.contract.errors import InputError
from serving.service.__main__ import _settings, parser

REQUIRED = ("shop.yaml", "--state", "state", "--model-server", "127.0.0.1:8500", "--model", "shop")


def test_the_share_of_decisions_that_are_logged_with_their_features_is_an_option() -> None:
    assert _settings(parser().parse_args(REQUIRED)).logged_features == 0.01
    assert _settings(parser().parse_args([*REQUIRED, "--logged-features", "0.25"])).logged_features == 0.25
    with pytest.raises(InputError, match="logged_features is a share from 0 to 1"):
        _settings(parser().parse_args([*REQUIRED, "--logged-features", "25"]))
