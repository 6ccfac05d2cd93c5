"""Hostile texts in the dashboard, hidden arguments, and requests that nobody would send by hand."""

from __future__ import annotations

import functools
import json
import random
import re
from html.parser import HTMLParser
from urllib.parse import quote

import pytest

from mainspring.model.job import Failure, NewJob, OutcomeKind, Want
from mainspring.model.note import Note

SCRIPT = "<script>alert(1)</script>"
HOSTILE = [
    SCRIPT,
    '"><img src=x onerror=alert(1)>',
    "'><svg onload=alert(1)>",
    "javascript:alert(1)",
    "</title></textarea></style></pre><b>bold</b>",
    "<!-- --><![CDATA[ ]]>",
    "&lt;b&gt; &amp; &#60;script&#62;",
    "{{7*7}} ${7*7} <%= 7*7 %>",
    "\x1b[31mred\x07\b",
    "\u202egnp.exe\u2066\u200b",
    "\ufeff\x7f\x85",
    "line\nbreak\r\nand\ttab",
    "a" * 490,
    "🙂\U000e0001 ﷽",
]
TAGS = frozenset(
    [
        "html",
        "head",
        "meta",
        "title",
        "link",
        "script",
        "body",
        "a",
        "div",
        "span",
        "nav",
        "p",
        "form",
        "input",
        "button",
        "main",
        "header",
        "h1",
        "h2",
        "section",
        "dl",
        "dt",
        "dd",
        "table",
        "caption",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "time",
        "code",
        "pre",
        "ul",
        "li",
        "b",
        "i",
        "figure",
        "figcaption",
        "svg",
        "line",
        "polyline",
        "rect",
        "g",
        "progress",
        "meter",
        "select",
        "option",
        "datalist",
        "label",
        "textarea",
    ]
)


class Tags(HTMLParser):
    """Collects elements and attributes that the dashboard's own code does not write."""

    def __init__(self):
        super().__init__()
        self.foreign = []
        self.text = []

    def handle_starttag(self, tag, attrs):
        names = {name for name, _ in attrs}
        if tag not in TAGS or any(name.startswith("on") or name == "style" for name in names):
            self.foreign.append((tag, attrs))
        for name, value in attrs:
            if name in {"href", "src", "action"} and not (value or "").startswith(("/", "#")):
                self.foreign.append((tag, name, value))

    def handle_data(self, data):
        self.text.append(data)


def foreign_in(html):
    parser = Tags()
    parser.feed(html)
    scripts = re.findall(r"<script\b[^>]*>([^<]*)</script>", html)
    return parser.foreign + [body for body in scripts if body]


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_a_hostile_text_is_shown_as_text_on_every_page(text, queue, ended, browse):
    name = text.replace("\0", "")[:400]
    store = queue.store

    def failing(value=None):
        pass

    task = queue.task(name=name, queue=name)(failing)
    failed = task.delay(text)
    ended(queue, failure=Failure(text, text, text))
    queue.every(60, name=name)(task)
    queue.schedules[name].pause()
    queue.pause(name)
    node = store.join(name, host=text, pid=1, lease=15)
    running = task.delay({text: [text]})
    queue.resume(name)
    (claim,) = store.claim(node, [Want(tasks=(name,), queues=None, limit=1)])
    store.note_many([Note(claim.key, claim.fence, 0.5, text, ((0.0, text),))])
    fields = {"actor": text, "via": text, "action": "jobs rm", "targets": [text, failed.id]}
    entry = json.dumps({**fields, "count": 2, "details": {text[:99]: text}})
    store.add_entry("audit", entry.encode("utf-8", "replace"))
    browser = browse(queue)
    paths = ["/", "/jobs", "/failures", "/queues", "/schedules", "/nodes"]
    paths += ["/audit", f"/jobs/{failed.id}/edit"]
    paths += [f"/queue?queue={quote(name)}", f"/queue?queue={quote(name)}&range=1d"]
    paths += [f"/jobs/{failed.id}", f"/jobs/{running.id}"]
    paths += [f"/jobs?search={quote(text)}", f"/jobs?queue={quote(name)}&task={quote(name)}"]
    for path in paths:
        page = browser.get(path)
        assert page.status_code == 200, path
        assert foreign_in(page.text) == [], path
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", page.text)
    wrong = browser.post("/queues/pause", {"queue": SCRIPT + text})
    assert (wrong.status_code, foreign_in(wrong.text)) == (404, [])


def test_the_parser_of_these_tests_finds_what_it_is_for():
    assert foreign_in('<p onclick="x">') != []
    assert foreign_in("<script>alert(1)</script>") != []
    assert foreign_in("<img src=x>") != []
    assert foreign_in('<a href="javascript:x">') != []


SECRET = "hunter2 and 'more'"


@pytest.fixture
def with_secret(queue, ended):
    """Jobs whose hidden argument stands everywhere it can: by name, by place, nested."""
    task = queue.task(name="log in", retries=0)(lambda user, password, **rest: None)
    jobs = [task.delay("ana", SECRET), task.delay("ben", password={"deep": [SECRET]})]
    jobs.append(task.delay("eve", None, options={"Password": SECRET, "pin": 4711}))
    failure = Failure("builtins.ValueError", f"no {SECRET!r}", f"said {SECRET}\n{SECRET!r}, 4711")
    node = queue.store.join("n", host="h", pid=1, lease=15)
    for claim in queue.store.claim(node, [Want(tasks=("log in",), queues=None, limit=9)]):
        queue.store.note_many([Note(claim.key, claim.fence, 0.5, SECRET, ((0.0, SECRET),))])
    queue.store.leave(node)
    ended(queue, failure=failure)
    return jobs


def test_hidden_arguments_are_shown_nowhere(with_secret, queue, browse):
    browser = browse(queue, redact=["PASSWORD", "pin"])
    paths = [
        "/",
        "/jobs",
        "/jobs?status=failed",
        "/failures",
        *(f"/jobs/{job.id}" for job in with_secret),
    ]
    for path in paths:
        page = browser.text(path)
        assert "hunter2" not in page, path
    assert "[redacted]" in browser.text(f"/jobs/{with_secret[1].id}")
    # It is hidden where it is that job's: a number of another's says nothing of it.
    assert "4711" not in browser.text(f"/jobs/{with_secret[2].id}")
    assert "ana" in browser.text(f"/jobs/{with_secret[0].id}")


def test_hidden_arguments_by_place_are_found_behind_a_decorator_and_a_star(queue, browse):
    def log_in(user, password):
        pass

    def wrapper(*args, **kwargs):
        return log_in(*args, **kwargs)

    def each(user, *password):
        pass

    def plain(user, *rest, password=None):
        pass

    wrapped = queue.task(name="wrapped")(functools.wraps(log_in)(wrapper)).delay("ana", SECRET)
    starred = queue.task(name="starred")(each).delay("ana", "first one", SECRET)
    other = queue.task(name="other")(plain).delay("ana", "shown", "as well")
    browser = browse(queue, redact=["password"])
    for job in (wrapped, starred):
        assert "hunter2" not in browser.text(f"/jobs/{job.id}")
    words = browser.words(f"/jobs/{other.id}")
    assert "rest &quot;shown&quot; rest &quot;as well&quot;" in words


def test_a_hidden_result_is_not_shown(queue, ended, browse):
    job = queue.get_task("tidy").delay()
    ended(queue, OutcomeKind.COMPLETED, result=b'{"token": "abcdef", "user": "ana"}')
    page = browse(queue, redact=["token"]).text(f"/jobs/{job.id}")
    assert "abcdef" not in page
    assert "ana" in page


def test_a_search_does_not_find_what_is_hidden(with_secret, queue, browse):
    hidden, open_ = browse(queue, redact=["password", "pin"]), browse(queue)
    id_ = with_secret[0].id
    assert f'value="{id_}"' in open_.text("/jobs?search=hunter2")
    assert f'value="{id_}"' not in hidden.text("/jobs?search=hunter2")
    assert f'value="{id_}"' in hidden.text("/jobs?search=ana")
    fields = {"action": "retry", "status": "failed", "search": "hunter2"}
    assert "Retry 0 jobs?" in hidden.post("/bulk", fields).text


def test_without_redaction_everything_is_shown(with_secret, queue, browse):
    assert "hunter2" in browse(queue).text(f"/jobs/{with_secret[0].id}")


def test_what_is_no_json_too_deep_or_a_pickle_is_not_opened(queue, ended, browse):
    store, browser = queue.store, browse(queue, redact=["x"])
    payloads = [
        b"\xff\xfe",
        b"[" * 5_000 + b"]" * 5_000,
        b'{"$pickle": ["abc", "def"]}',
        b"[[1]]",
        b"",
    ]
    for job_id in store.enqueue_many([NewJob("tidy", "default", one) for one in payloads]):
        assert browser.get(f"/jobs/{job_id}").status_code == 200
    assert browser.get("/jobs").status_code == 200
    assert "not opened" in browser.text("/jobs")


PARTS = [
    "",
    "a",
    "%00",
    "%ff",
    "..",
    "%2e%2e",
    "-1",
    "9" * 30,
    "<",
    "%0d%0aX: y",
    "🙂",
    "'",
    "before",
]
NAMES = ["status", "queue", "task", "search", "error", "before", "notice", "token", "id", "action"]
NAMES += ["since", "until", "range", "delay", "priority", "confirmed", "back", "args", "tag"]
GOOD = {
    "status": ["failed", "pending"],
    "action": ["retry", "drop", "reschedule", "reprioritize"],
    "confirmed": ["yes"],
    "since": ["2030-01-31T08:00"],
    "range": ["1d"],
}
"""Values that lead further in, now and then."""


def test_2000_senseless_requests_are_answered_and_never_by_an_error_of_the_server(
    queue, ended, browse
):
    dice, browser = random.Random(14), browse(queue)
    queue.get_task("mail.send").delay("a")
    ended(queue)
    paths = ["/", "/jobs", "/failures", "/queues", "/schedules", "/nodes", "/bulk", "/login"]
    paths += ["/queues/pause", "/schedules/run", "/jobs/1-0/retry", "/static/x", "/dead-letters"]
    paths += ["/queue", "/audit", "/jobs/1-0/edit", "/jobs/1-0/stack"]
    seen = set()
    for _ in range(2_000):
        path = dice.choice([*paths, "/" + "/".join(dice.choices(PARTS, k=dice.randint(1, 3)))])
        names = dice.choices(NAMES, k=dice.randint(0, 4))
        given = [f"{name}={dice.choice(PARTS + 4 * GOOD.get(name, []))}" for name in names]
        url = f"{path}?{'&'.join(given)}".replace("🙂", "%F0%9F%99%82")
        method = dice.choice(["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "GET", "POST"])
        how = {
            "headers": {"Origin": "http://localhost", "Cookie": dice.choice(["", "a=b; =", "\t"])}
        }
        if method == "POST":
            body = (
                "&".join(given) if dice.random() < 0.7 else dice.choice(["%", "=&=", "\xff", "[]"])
            )
            how["content"] = body.encode("latin-1", "replace")
            kind = dice.choice(["application/x-www-form-urlencoded"] * 3 + ["application/json", ""])
            how["headers"]["Content-Type"] = kind
        answer = browser.ask(method, url, **how)
        seen.add(answer.status_code)
        assert answer.status_code < 500, (method, url, how)
        if answer.status_code >= 400 and method != "HEAD":
            assert "<h1>" in answer.text, (method, url, how)
            assert "<p" in answer.text
    assert {200, 400, 404, 405} <= seen


def test_a_form_that_is_too_large_is_not_read(queue, browse):
    browser = browse(queue)
    large = browser.post("/bulk", {"action": "retry", "id": "x" * 300_000})
    assert large.status_code == 413
    many = browser.post("/bulk", {"action": "retry", "id": ["x"] * 2_000})
    assert many.status_code == 400


class Fields(HTMLParser):
    """Collects what fields would send."""

    def __init__(self):
        super().__init__()
        self.values = []

    def handle_starttag(self, tag, attrs):
        if tag == "input":
            self.values.append(dict(attrs).get("value"))


def field_values_in(html):
    parser = Fields()
    parser.feed(html)
    return parser.values


UNSEEN = [
    "tab\there",
    "\u202eright to left",
    "family \U0001f468\u200d\U0001f467",
    "re\rturn",
]


@pytest.mark.parametrize("name", UNSEEN)
def test_a_form_sends_back_a_name_whose_letters_can_not_be_seen(queue, browse, name):
    queue.get_task("tidy").using(queue=name).delay()
    browser = browse(queue)
    assert name in field_values_in(browser.text("/queues"))
    assert name in field_values_in(browser.text(f"/jobs?queue={quote(name)}"))
    assert browser.post("/queues/pause", {"queue": name, "back": "/queues"}).status_code == 303
    assert queue.paused() == [name]


@pytest.mark.parametrize("name", [" lead", "trail ", "\t"])
def test_a_name_that_begins_or_ends_with_a_space_is_not_that_of_its_rest(queue, browse, name):
    tidy, browser = queue.get_task("tidy"), browse(queue)
    own = tidy.using(queue=name, tags=[f"{name}x{name}"]).delay()
    other = tidy.using(queue=name.strip() or "other", tags=["x"]).delay()
    for query in (f"queue={quote(name)}", f"tag={quote(f'{name}x{name}')}"):
        text = browser.text(f"/jobs?{query}")
        assert own.id in text
        assert other.id not in text
