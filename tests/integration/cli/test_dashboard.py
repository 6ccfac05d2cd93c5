"""`mainspring dashboard` as a process: it serves, refuses to be seen by others, and stops."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys

import httpx
import pytest

from mainspring.cli.main import main

APP = """
from mainspring import Queue

queue = Queue(db_path="jobs.db")


@queue.task
def greet(name, password=None):
    pass
"""


def test_it_prints_an_address_that_lets_in_and_stops_at_a_signal(tmp_path, monkeypatch):
    monkeypatch.delenv("MAINSPRING_DASHBOARD_TOKEN", raising=False)
    (tmp_path / "shop.py").write_text(APP)
    command = [sys.executable, "-m", "mainspring", "dashboard", "--app", "shop:queue"]
    server = subprocess.Popen(
        [*command, "--port", "0", "--redact", "password"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        line, hint = server.stdout.readline(), server.stdout.readline()
        address = re.fullmatch(r"Dashboard: (http://127\.0\.0\.1:\d+/\?token=[\w-]{32})\n", line)
        with httpx.Client(follow_redirects=True) as browser:
            page = browser.get(address[1])
            assert (page.status_code, page.url.query) == (200, b"")
            assert "There are no queues yet" in page.text
            assert "uvicorn" not in page.headers.get("server", "")
        assert httpx.get(address[1].partition("?")[0]).status_code == 401
    finally:
        server.send_signal(signal.SIGTERM)
        rest, _ = server.communicate(timeout=30)
    assert (server.returncode, hint, rest) == (0, "Ctrl+C stops it.\n", "")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--host", "0.0.0.0"], "others can reach it, and there is no token"),
        (["--host", "::"], "set MAINSPRING_DASHBOARD_TOKEN"),
        (["--host", "example.com"], "there is no token"),
        (["--port", "70000"], "a number from 0 to 65535"),
        (["--host", "localhost", "--port", "-1"], "a number from 0 to 65535"),
        (["--db", "none.db"], "there is no such file"),
    ],
)
def test_what_is_not_safe_or_makes_no_sense_is_refused(
    options, said, tmp_path, monkeypatch, capsys
):
    monkeypatch.delenv("MAINSPRING_DASHBOARD_TOKEN", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mainspring.db").touch()
    assert main(["dashboard", *options]) == 2
    assert said in capsys.readouterr().err


def test_a_weak_token_of_the_environment_is_refused_and_not_shown(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MAINSPRING_DASHBOARD_TOKEN", "hunter2")
    monkeypatch.chdir(tmp_path)
    assert main(["dashboard", "--host", "0.0.0.0"]) == 2
    said = capsys.readouterr().err
    assert "at least 16 letters" in said
    assert "hunter2" not in said


def test_a_port_in_use_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MAINSPRING_DASHBOARD_TOKEN", "a-token-of-the-tests")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mainspring.db").touch()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["dashboard", "--port", port]) == 2
    assert f"can't be listened on at port {port}" in capsys.readouterr().err
