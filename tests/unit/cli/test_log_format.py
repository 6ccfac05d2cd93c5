"""A command's log: one line a record, for people or as JSON."""

from __future__ import annotations

import json
import logging

import pytest

from mainspring.cli.worker.log_format import JsonFormatter, TextFormatter
from mainspring.telemetry.job_fields import JobRecords

CREATED = 1_780_000_000.25


class Order:
    id = "j1"
    task = "send"
    queue = "mail"
    attempt = 2


@pytest.fixture
def make_record():
    """Make a record of logger `shop` as in a job's body."""

    def make(message="sold %d", args=(3,), exc_info=None, **extra):
        records = JobRecords(lambda: Order)
        records.install()
        try:
            record = logging.getLogger("shop").makeRecord(
                "shop", logging.INFO, "", 0, message, args, exc_info, extra=extra
            )
        finally:
            records.remove()
        record.created = CREATED
        return record

    return make


def test_a_json_line_has_logger_time_and_job(make_record):
    line = json.loads(JsonFormatter().format(make_record()))
    assert line == {
        "at": "2026-05-28T20:26:40.250+00:00",
        "level": "info",
        "logger": "shop",
        "message": "sold 3",
        "job": "j1",
        "task": "send",
        "queue": "mail",
        "attempt": 2,
    }


def test_what_the_program_gives_is_kept_beside_our_fields(make_record):
    record = make_record(task="own", pair=(1, "a"), odd=object, name_of_file="\udc80")
    extra = json.loads(JsonFormatter().format(record))["extra"]
    assert extra == {
        "task": "own",
        "pair": [1, "a"],
        "odd": "<class 'object'>",
        "name_of_file": "\\udc80",
    }


class Unreadable:
    def __str__(self):
        raise ValueError("no text")


def test_a_record_is_not_lost_of_what_the_program_gave_it(make_record):
    line = json.loads(JsonFormatter().format(make_record(basket=Unreadable(), number=7)))
    assert line["message"] == "sold 3"
    assert line["extra"] == {"basket": "<its text raised ValueError>", "number": 7}


def test_a_text_line_has_logger_time_and_job(make_record):
    assert TextFormatter().format(make_record()) == (
        "2026-05-28T20:26:40.250+00:00 INFO shop: sold 3 (job j1, task send, queue mail, attempt 2)"
    )


def test_a_text_line_that_names_its_job_names_it_once(make_record):
    record = make_record()
    record.msg, record.args = "job %s (%s) failed", ("j1", "send")
    line = TextFormatter().format(record)
    assert line.endswith("shop: job j1 (send) failed (queue mail, attempt 2)")


def test_every_line_of_a_traceback_stands_to_the_right_of_its_record(make_record):
    record = make_record()
    record.exc_text = "2026-05-28T20:26:40.250+00:00 ERROR shop: forged\nTypeError"
    assert all(line.startswith("  ") for line in TextFormatter().format(record).split("\n")[1:])


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()])
def test_a_traceback_is_shown_also_where_only_its_text_is_known(make_record, formatter):
    record = make_record()
    record.exc_text = "Traceback: of a child"
    assert "Traceback: of a child" in formatter.format(record)
    record = make_record(exc_info=(KeyError, KeyError("here"), None))
    assert "KeyError: 'here'" in formatter.format(record)
