"""Ids that the store gave, and all other texts."""

import pytest

from mainspring.stores.job_id import format_id, parse_id


@pytest.mark.parametrize("key", [1, -5, 2**63 - 1, -(2**63)])
@pytest.mark.parametrize("nonce", [0, 2**32 - 1, -1, 2**63 - 1])
def test_an_id_of_any_stored_numbers_can_be_read_again(key, nonce):
    assert parse_id(format_id(key, nonce)) == (key, nonce)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "1-",
        "-",
        "x-00000000",
        "1-g0000000",
        "1-0",
        "01-00000000",
        "\uff11-00000000",
        f"{2**63}-00000000",
        "1-" + "f" * 16,
        "1-" + "f" * 40,
        "\udc80",
        "1-0000000A",
    ],
)
def test_no_other_text_is_an_id(text):
    assert parse_id(text) is None
