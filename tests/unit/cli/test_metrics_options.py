"""Ports of the metrics of several worker processes."""

from __future__ import annotations

import pytest

from mainspring.cli.parser import parser
from mainspring.cli.worker.metrics_options import check_metrics_address, metrics_options
from mainspring.errors import InvalidOption


def options(*words):
    words = ["worker", "--app", "app:queue", *words]
    return parser(words).parse_args(words)


def test_each_process_has_a_port_of_its_own():
    given = options("--metrics-port", "9100", "--metrics-host", "0.0.0.0", "--processes", "2")
    assert [metrics_options(given, number) for number in (1, 2)] == [
        ["--metrics-port", "9100", "--metrics-host", "0.0.0.0"],
        ["--metrics-port", "9101", "--metrics-host", "0.0.0.0"],
    ]


def test_any_free_port_is_any_for_each_and_without_the_option_there_is_none():
    assert metrics_options(options("--metrics-port", "0"), 3)[:2] == ["--metrics-port", "0"]
    assert metrics_options(options(), 1) == []


def test_a_port_above_the_last_one_is_refused_for_all():
    given = options("--metrics-port", "65535", "--processes", "2")
    with pytest.raises(InvalidOption, match="--metrics-port=65536"):
        check_metrics_address(given)
