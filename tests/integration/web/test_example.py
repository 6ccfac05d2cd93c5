"""examples/fastapi_app.py, driven as its docstring says."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import httpx

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "fastapi_app.py"


def load_example():
    spec = importlib.util.spec_from_file_location("fastapi_app", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_example_serves_tasks_over_http(serve):
    server = serve(load_example().app)
    with httpx.Client(base_url=server.url, timeout=30) as client:
        assert client.get("/health").json()["status"] == "ok"
        types = client.get("/tasks/types").json()["task_types"]
        assert {"count_words", "count_slowly"} <= set(types)
        assert "housekeeping" not in types
        body = {"task_type": "count_words", "params": {"text": "one two three"}, "priority": 1}
        task_id = client.post("/tasks", json=body).json()["id"]
        slow = {"task_type": "count_slowly", "params": {"to": 5, "pause": 0.01}}
        slow_id = client.post("/tasks", json=slow).json()["id"]
        with client.stream("GET", f"/tasks/{slow_id}/events") as response:
            lines = [line for line in response.iter_lines() if line.startswith("data: ")]
        assert json.loads(lines[-1].removeprefix("data: "))["result"] == 5
        assert client.get(f"/tasks/{task_id}").json()["result"] == 3
