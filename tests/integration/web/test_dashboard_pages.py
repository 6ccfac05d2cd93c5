"""The pages of the dashboard: what they show of a queue, and what their buttons do to it."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from html import unescape

import pytest

from mainspring import Queue, current_job
from mainspring.errors import StoreBusy
from mainspring.model.job import Failure, JobState, OutcomeKind, Want
from mainspring.web.dashboard import guard
from mainspring.web.dashboard.pages import bulk

DECLINED = Failure("builtins.ValueError", "order 17 was declined", "Traceback: line 1")


def words(html):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def viewer(_request):
    return "viewer"


@pytest.fixture
def send(queue):
    return queue.get_task("mail.send")


def test_the_overview_counts_by_queue_and_state(queue, send, ended, browse):
    send.delay("a")
    ended(queue, failure=DECLINED)
    send.delay("b")
    send.using(delay=60).delay("c")
    queue.pause("mail")
    text = words(browse(queue).text("/"))
    assert "Ready 1" in text
    assert "Scheduled 1" in text
    assert "Failed 1" in text
    assert "mail paused 1" in text
    assert "Queue mail is paused, and 2 jobs wait in it." in text
    assert "No worker is live" in text
    assert "ValueError order <n> was declined" in text.replace("&lt;", "<").replace("&gt;", ">")


def test_the_overview_warns_of_jobs_that_no_live_worker_takes(queue, send, browse):
    queue.store.join("n1", host="h", pid=1, lease=15, serves=b'{"tasks":["tidy"],"queues":null}')
    send.delay("a")
    assert "1 job waits that no live worker takes: of task mail.send" in words(
        browse(queue).text("/")
    )


def test_the_overview_shows_queues_and_trouble_before_charts(queue, send, ended, browse):
    send.delay("a")
    ended(queue, failure=DECLINED)
    queue.task(name="shop.pay", queue="shop")(lambda: None).delay()
    queue.store.join("n1", host="h", pid=1, lease=15, serves=b'{"queues":["mail"]}')
    page = browse(queue).text("/")
    parts = [page.index(f"{part}<") for part in ("Queues", "What fails most", "Throughput")]
    assert parts == sorted(parts)
    row = words(page.split('data-key="queue shop"')[1].split("</tr>")[0])
    assert "shop no worker 1" in row
    assert "no worker" not in page.split('data-key="queue mail"')[1].split("</tr>")[0]


def test_jobs_are_filtered_and_states_are_told_apart(queue, send, ended, browse):
    failed = [send.delay("a").id]
    ended(queue, failure=DECLINED)
    queue.get_task("tidy").delay()
    ended(queue, OutcomeKind.RETRY, delay=60, failure=DECLINED)
    ready, later = send.delay("b"), send.using(delay=60).delay("c")
    gone = send.delay("d")
    gone.cancel()
    browser = browse(queue)
    text = words(browser.text("/jobs"))
    for state in ("failed", "retrying", "ready", "scheduled", "cancelled"):
        assert f" {state} " in text
    assert failed[0] in browser.text("/jobs?status=failed")
    assert ready.id not in browser.text("/jobs?status=failed")
    assert later.id in browser.text("/jobs?status=pending&queue=mail&task=mail.send")
    assert gone.id not in browser.text("/jobs?search=declined")
    assert failed[0] in browser.text("/jobs?search=DECLINED")
    assert "No job fits" in browser.text("/jobs?queue=none")


def test_the_list_goes_on_with_older_jobs(queue, send, browse):
    jobs = send.map([(f"to{number}",) for number in range(120)])
    browser, seen, path = browse(queue), [], "/jobs"
    while path:
        page = browser.text(path)
        seen += re.findall(r'class="id">([0-9a-f-]+)<', page)
        older = re.search(r'href="([^"]+)" class="button" rel="next"', page)
        path = older and older[1].replace("&amp;", "&")
    assert seen == [job.id for job in jobs[::-1]]


def test_tags_and_metadata_stand_on_the_page_of_a_job_and_jobs_are_found_by_a_tag(
    queue, send, browse
):
    metadata = {"order": 17, "password": "s3cret"}
    tagged = send.using(tags=["vip", "eu"], metadata=metadata).delay("a")
    other = send.delay("b")
    pages = browse(queue, redact=["password"])
    html = pages.text(f"/jobs/{tagged.id}")
    assert "/jobs?tag=vip" in html
    assert "order 17" in words(html)
    assert "s3cret" not in html
    listed = pages.text("/jobs?tag=vip")
    assert tagged.id in listed
    assert other.id not in listed


@pytest.mark.parametrize(
    "query", ["status=lost", "before=x", "before=-1", "task=%00", f"before={2**63}"]
)
def test_a_filter_that_makes_no_sense_is_answered_with_what_is_wrong(query, queue, browse):
    answer = browse(queue).get(f"/jobs?{query}")
    assert answer.status_code == 400
    assert query.split("=")[0] in answer.text or "state" in answer.text


def test_a_job_shows_why_it_waits_its_arguments_and_its_life(queue, send, ended, browse):
    job = send.delay("you@example.com")
    browser = browse(queue)
    waiting = words(browser.text(f"/jobs/{job.id}"))
    assert "Why it waits" in waiting
    assert "no worker is live" in waiting
    assert "to &quot;you@example.com&quot;" in waiting
    ended(queue, OutcomeKind.RETRY, failure=DECLINED)
    ended(queue, OutcomeKind.COMPLETED, result=b'{"sent":true}')
    done = browser.text(f"/jobs/{job.id}")
    assert 'aria-label="It ' in done
    assert "retry for 0.0 s, then" in done
    assert "completed for 0.0 s" in done
    assert "order 17 was declined" in done
    assert "&quot;sent&quot;: true" in done
    assert "Retry" not in words(done)


def test_progress_log_result_and_traceback_of_a_real_worker_are_shown(queue, browse, eventually):
    @queue.task(name="talk", retries=0)
    def talk():
        current_job.progress(0.25, "a quarter")
        current_job.log("hello from the body")
        raise KeyError("nothing there")

    job = talk.delay()
    with queue.worker():
        eventually(lambda: job.status is JobState.FAILED)
        text = words(browse(queue).text(f"/jobs/{job.id}"))
        nodes = words(browse(queue).text("/nodes"))
    assert "25% a quarter" in text
    assert "hello from the body" in text
    assert "Traceback (most recent call last)" in text
    assert "live" in nodes
    assert "thread 0/" in nodes


def test_what_a_node_holds_is_shown_since_when(queue, send, browse):
    job = send.delay("a")
    node = queue.store.join("n1", host="h", pid=7, lease=15)
    queue.store.claim(node, [Want(tasks=("mail.send",), queues=None, limit=1)])
    text = words(browse(queue).text("/nodes"))
    assert re.search(rf"{job.id} mail.send mail \d\.\d s ago", text)
    assert "not reported" in text


def test_one_job_is_retried_and_cancelled(queue, send, ended, browse):
    job = send.delay("a")
    ended(queue, failure=DECLINED)
    browser = browse(queue)
    assert "Retry" in browser.text(f"/jobs/{job.id}")
    done = browser.post(f"/jobs/{job.id}/retry")
    assert done.headers["location"] == f"/jobs/{job.id}?notice=retried.1"
    assert "1 job runs again." in browser.text(done.headers["location"])
    assert job.status is JobState.PENDING
    assert browser.post(f"/jobs/{job.id}/retry").headers["location"].endswith("unchanged.1")
    assert browser.post(f"/jobs/{job.id}/cancel").headers["location"].endswith("cancelled.1")
    assert job.status is JobState.CANCELLED
    assert browser.post("/jobs/999-00000000/retry").status_code == 404


def test_a_job_that_waits_for_its_time_is_run_now(queue, send, browse):
    job, browser = send.using(delay=3600).delay("a"), browse(queue)
    assert "Run now" in browser.text(f"/jobs/{job.id}")
    done = browser.post(f"/jobs/{job.id}/run")
    assert done.headers["location"].endswith("run-now.1")
    page = browser.text(f"/jobs/{job.id}")
    assert 'class="badge ready"' in page
    assert "Run now" not in page


def test_chosen_jobs_are_changed_at_once(queue, send, ended, browse):
    jobs = send.map([("a",), ("b",), ("c",)])
    ended(queue, failure=DECLINED)
    fields = {"action": "retry", "id": [jobs[0].id, jobs[2].id, "none"], "back": "/jobs?task=x"}
    done = browse(queue).post("/bulk", fields)
    assert done.headers["location"] == "/jobs?task=x&notice=retried.2"
    assert [job.status for job in jobs] == ["pending", "failed", "pending"]


def test_all_jobs_that_fit_are_counted_before_they_are_changed(queue, send, ended, browse):
    jobs = send.map([("a",), ("b",)])
    queue.get_task("tidy").delay()
    ended(queue, failure=DECLINED)
    browser = browse(queue)
    assert "Retry all that fit" in browser.text("/jobs?status=failed&task=mail.send")
    fields = {"action": "retry", "status": "failed", "task": "mail.send"}
    asked = browser.post("/bulk", fields)
    assert "Retry 2 jobs?" in asked.text
    assert {job.status for job in jobs} == {"failed"}
    hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', asked.text))
    done = browser.post("/bulk", hidden)
    assert done.headers["location"] == "/jobs?notice=retried.2"
    assert {job.status for job in jobs} == {"pending"}
    assert queue.stats()["failed"] == 1


def form_in(html, action):
    """Return the fields of the form that asks about an action, as a browser would send them."""
    (form,) = [
        one for one in html.split("<form")[1:] if re.search(rf'(value|action)="{action}"', one)
    ]
    found = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form)
    fields = {}
    for name, value in found:
        fields.setdefault(name, []).append(unescape(value))
    return fields


def test_jobs_are_dropped_moved_and_ranked_after_a_question(queue, send, ended, browse):
    dead = send.map([("a",), ("b",)])
    ended(queue, failure=DECLINED)
    waiting = send.using(delay=900).delay("c")
    browser = browse(queue)
    asked = browser.post("/bulk", {"action": "drop", "id": [job.id for job in dead]}).text
    assert "Drop 2 jobs?" in asked
    assert queue.stats()["failed"] == 2
    done = browser.post("/bulk", form_in(asked, "drop"))
    assert "dropped.2" in done.headers["location"]
    assert queue.stats()["failed"] == 0
    job_page = browser.text(f"/jobs/{waiting.id}")
    for action, name, value in (("reschedule", "delay", "60"), ("reprioritize", "priority", "-3")):
        asked = browser.post("/bulk", form_in(job_page, action)).text
        assert f'name="{name}"' in asked
        done = browser.post("/bulk", {**form_in(asked, action), name: value})
        assert done.headers["location"].startswith(f"/jobs/{waiting.id}?notice=re")
        assert queue.audit()[0].details[name] == value
    record = waiting.refresh().record
    assert record.priority == -3
    assert (record.run_at - record.created_at).total_seconds() < 100
    fields = {"action": "run-now", "status": "pending", "queue": "mail", "confirmed": "yes"}
    browser.post("/bulk", fields)
    assert "may start" in words(browser.text("/jobs?notice=run-now.1"))
    assert queue.stats()["ready"] == 1


def test_dead_letters_have_a_page_to_retry_edit_and_drop_them(queue, send, ended, browse):
    assert "No job has failed for good" in browse(queue).text("/dead-letters")
    declined = send.delay("a")
    ended(queue, failure=DECLINED)
    lost = send.delay("b")
    died = Failure("mainspring.errors.WorkerLost", "its worker died 3 times")
    ended(queue, failure=died)
    waiting = send.delay("c")
    browser = browse(queue)
    page = browser.text("/dead-letters")
    assert page.count("<tr data-key=") == 2
    assert waiting.id not in page
    assert "lost" in words(page.split(f'data-key="{lost.id}"')[1].split("</tr>")[0])
    assert "lost" not in words(page.split(f'data-key="{declined.id}"')[1].split("</tr>")[0])
    assert f'href="/jobs/{declined.id}/edit"' in page
    assert "Retry all that fit" in page
    assert "Drop all that fit" in page
    assert browser.text("/dead-letters?search=worker+died").count("<tr data-key=") == 1
    assert browser.text("/dead-letters?status=pending").count("<tr data-key=") == 2
    back = browser.post(f"/jobs/{lost.id}/retry", {"confirmed": "yes"}).headers["location"]
    assert back == f"/jobs/{lost.id}?notice=retried.1"
    assert lost.refresh().status == "pending"
    looking = browse(queue, authorize=viewer).text("/dead-letters")
    assert "/edit" not in looking
    assert "<button" not in looking.split('id="live"')[1]


def crash(queue, times):
    """Let the one job that waits lose so many workers, the last of them for good."""
    for _ in range(times):
        node = queue.store.join("n1", host="h", pid=1, lease=15)
        (lane,) = queue.store.lanes()
        (claim,) = queue.store.claim(node, [Want((lane.task,), None, 1)])
        queue.store.rescue(node, dead=True, begun=None)
        queue.run_now([claim.id])


def test_a_job_that_took_down_its_workers_runs_again_after_a_question_only(queue, send, browse):
    job = send.delay("a", password="secret-1")
    crash(queue, 3)
    browser = browse(queue, redact=["password"])
    assert job.refresh().status == "failed"
    for page in (f"/jobs/{job.id}", "/dead-letters"):
        form = form_in(browser.text(page), f"/jobs/{job.id}/retry")
        asked = browser.post(f"/jobs/{job.id}/retry", form)
        assert asked.status_code == 200
        assert "This job took down 3 workers" in words(asked.text)
        assert f'href="{page}"' in asked.text
    assert (job.refresh().status, len(queue.audit())) == ("failed", 0)
    some = browser.post("/bulk", {"action": "retry", "id": [job.id, "none"]})
    assert "1 of these jobs took down several workers" in words(some.text)
    assert job.refresh().status == "failed"
    done = browser.post(f"/jobs/{job.id}/retry", form_in(asked.text, f"/jobs/{job.id}/retry"))
    assert done.headers["location"] == f"/jobs/{job.id}?notice=retried.1"
    assert job.refresh().status == "pending"


def test_jobs_are_found_by_when_they_ended(queue, send, ended, browse):
    send.delay("a")
    ended(queue, failure=DECLINED)
    browser = browse(queue)
    assert "<tr data-key=" in browser.text("/jobs?since=2020-01-01T00:00")
    assert "<tr data-key=" not in browser.text("/jobs?until=2020-01-01T00:00")
    assert 'value="2020-01-01T00:00"' in browser.text("/dead-letters?since=2020-01-01T00:00:00")
    assert 'value="2019-12-31T22:00"' in browser.text("/jobs?since=2020-01-01T00:00%2B02:00")
    for none in ("yesterday", "0001-01-01T00:00%2B02:00"):
        assert browser.get(f"/jobs?since={none}").status_code == 400


def test_a_change_of_very_many_takes_the_newest(queue, send, ended, browse, monkeypatch):
    monkeypatch.setattr(bulk, "MOST_CHANGED", 3)
    jobs = send.map([(f"{number}",) for number in range(5)])
    asked = browse(queue).post("/bulk", {"action": "cancel", "status": "pending"})
    assert "at most 3 are changed at once" in asked.text
    browse(queue).post("/bulk", {"action": "cancel", "status": "pending", "confirmed": "yes"})
    assert [job.status for job in jobs] == ["pending"] * 2 + ["cancelled"] * 3


def test_a_change_of_very_many_made_again_comes_to_the_others(queue, send, browse, monkeypatch):
    monkeypatch.setattr(bulk, "MOST_CHANGED", 3)
    jobs = send.using(delay=60).map([(f"{number}",) for number in range(5)])
    order = {"action": "reprioritize", "status": "pending", "priority": "7", "confirmed": "yes"}
    for changed in ([0, 0, 7, 7, 7], [7] * 5):
        browse(queue).post("/bulk", order)
        assert [job.refresh().record.priority for job in jobs] == changed
    order = {"action": "run-now", "status": "pending", "confirmed": "yes"}
    for ready in (3, 5):
        browse(queue).post("/bulk", order)
        assert queue.stats()["ready"] == ready


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"action": "explode"},
        {"action": "drop"},
        {"action": "drop", "status": "pending"},
        {"action": "reschedule", "id": "x", "confirmed": "yes"},
        {"action": "reschedule", "id": "x", "confirmed": "yes", "delay": "nan"},
        {"action": "reprioritize", "id": "x", "confirmed": "yes", "priority": "1.5"},
        {"action": "reprioritize", "id": "x", "confirmed": "yes", "priority": "1e99"},
        {"action": "retry"},
        {"action": "retry", "status": "pending"},
        {"action": "cancel", "status": "failed"},
    ],
)
def test_a_change_that_makes_no_sense_is_refused(fields, queue, browse):
    assert browse(queue).post("/bulk", fields).status_code == 400


def test_failures_are_grouped_by_task_type_and_message_without_what_varies(
    queue, send, ended, browse
):
    for message in ("order 17 of 0x7f01 failed", "order 99 of 0x7f02 failed", "disk is full"):
        send.delay("a")
        ended(queue, failure=Failure("builtins.OSError", message))
    queue.get_task("tidy").delay()
    ended(queue, failure=Failure("builtins.OSError", "disk is full"))
    browser = browse(queue)
    page = browser.text("/failures")
    assert "4 failed jobs, all there are" in page
    groups = re.findall(r'href="(/jobs\?[^"]*error=[^"]+)" class="failed">(\d)<', page)
    assert [count for _, count in groups] == ["2", "1", "1"]
    listed = browser.text(groups[0][0].replace("&amp;", "&"))
    assert listed.count('type="checkbox" name="id"') == 2
    key = re.search(r"error=(\w+)", groups[0][0])[1]
    asked = browser.post("/bulk", {"action": "retry", "status": "failed", "error": key})
    assert "Retry 2 jobs?" in asked.text
    assert "Error OSError order" in words(asked.text)


@pytest.fixture
def past(queue):
    """Statistics of two hours and more, as workers have written them, of queue and task."""
    for minutes in (0.1, 5, 6, 65, 150):
        text = b'[1,[["mail","mail.send",6,3,2,0,[[60,9]],[[40,9]],4,1,2.5],["<b>","<i>",1]]]'
        queue.store.add_entry("window" if minutes < 1 else "minute", text, ago=60 * minutes)
    queue.store.add_entry("minute", b"odd")


def test_charts_have_a_past_when_the_page_is_opened(queue, past, browse):
    browser = browse(queue)
    page = browser.text("/")
    for title in ("Throughput", "Depth", "Wait and run", "Failures"):
        assert f'aria-label="{title}: ' in page
    assert "1 h ago" in page
    assert page.count("<polyline") >= 10
    for name in ("5m", "1d", "30d"):
        assert f'href="/?range={name}#charts"' in page
        assert browser.get(f"/?range={name}").status_code == 200
    assert browser.text("/?range=1d").count("<polyline") > page.count("<polyline")
    assert browser.get("/?range=odd").status_code == 400


def test_a_queue_has_a_page_with_its_charts_and_tasks(queue, past, send, browse):
    send.delay("a")
    browser = browse(queue)
    assert re.search(r"mail [\d.]+ [\d.]+ .{1,8} 9 6 \d", words(browser.text("/queues")))
    page = browser.text("/queue?queue=mail")
    assert re.search(r"mail\.send [\d.]+ [\d.]+ .{1,8} 9 6 \d", words(page))
    assert "Tasks of mail" in words(page)
    assert 'href="/queue?queue=mail&amp;range=1d#charts"' in page
    assert "range=5m" not in page
    assert browser.get("/queue?queue=mail&range=30d").status_code == 200
    assert browser.get("/queue?queue=none").status_code == 404
    assert browser.get("/queue").status_code == 404


def test_queues_are_paused_and_resumed(queue, send, browse):
    send.delay("a")
    browser = browse(queue)
    done = browser.post("/queues/pause", {"queue": "mail", "back": "/queues"})
    assert (done.headers["location"], queue.paused()) == ("/queues?notice=queue-paused.1", ["mail"])
    assert "Resume" in browser.text("/queues")
    browser.post("/queues/resume", {"queue": "mail"})
    assert queue.paused() == []
    assert browser.post("/queues/pause", {"queue": "none"}).status_code == 404


def test_a_job_that_waits_for_busy_slots_leads_to_what_runs_there(queue, send, browse):
    serves = b'{"tasks":["mail.send"],"queues":null}'
    node = queue.store.join("n1", host="h", pid=1, lease=15, serves=serves)
    queue.store.renew(node, lease=15, report=b'{"slots":{"thread":{"size":1,"running":0}}}')
    first, second = send.delay("a"), send.delay("b")
    path = f"/jobs/{second.id}"
    assert "What runs there?" not in browse(queue).text(path)
    (held,) = queue.store.exchange(node, [], [Want(("mail.send",), None, 1)]).claims
    assert held.id == first.id
    assert '<a href="/nodes">What runs there?</a>' in browse(queue).text(path)


def test_a_job_in_a_paused_queue_has_the_button_that_resumes_it(queue, send, browse):
    path = f"/jobs/{send.delay('a').id}"
    assert "/queues/resume" not in browse(queue).text(path)
    queue.pause("mail")
    assert "/queues/resume" in browse(queue).text(path)
    assert "/queues/resume" not in browse(queue, authorize=viewer).text(path)
    done = browse(queue).post("/queues/resume", {"queue": "mail", "back": path})
    assert (done.headers["location"], queue.paused()) == (f"{path}?notice=queue-resumed.1", [])


def test_schedules_show_their_next_times_and_are_run_paused_and_resumed(queue, browse):
    @queue.every(60, name="each minute")
    def minutely():
        pass

    @queue.task(name="tagged")
    def tagged():
        pass

    browser = browse(queue, redact=["secret"])
    assert "when a worker starts" in browser.text("/schedules")
    with queue.worker():
        queue.schedules["each minute"].pause()
        queue.schedules["each minute"].resume()
    page = browser.text("/schedules")
    assert "every 60 s" in page
    assert page.count("<time ") == 5
    assert "when a worker starts" not in page
    metadata = {"customer": 7, "secret": "hush"}
    queue.schedules.add("odd", tagged, every=9, retries=1, tags=["eu"], metadata=metadata)
    page = browser.text("/schedules")
    assert "retries 1, tags eu" in page
    assert "redacted" in page
    assert "hush" not in page
    browser.post("/schedules/run", {"schedule": "each minute"})
    assert len(queue.jobs()) == 1
    browser.post("/schedules/pause", {"schedule": "each minute"})
    assert queue.schedules["each minute"].paused
    assert "paused" in browser.text("/schedules")
    browser.post("/schedules/resume", {"schedule": "each minute"})
    assert not queue.schedules["each minute"].paused
    assert browser.post("/schedules/run", {"schedule": "none"}).status_code == 404


def test_a_viewer_sees_everything_and_no_button_that_changes(queue, send, ended, browse):
    job = send.delay("a")
    ended(queue, failure=DECLINED)
    browser = browse(queue, authorize=viewer)
    for path in ("/", "/jobs?status=failed", f"/jobs/{job.id}", "/failures", "/queues"):
        assert 'method="post"' not in browser.text(path)


def test_an_empty_queue_says_what_to_do(browse):
    queue = Queue("memory://")
    browser = browse(queue)
    for path in ("/", "/jobs", "/failures", "/queues", "/schedules", "/nodes"):
        assert browser.get(path).status_code == 200
    queue.close()


def test_a_store_that_does_not_answer_is_a_page_that_says_so(queue, browse, monkeypatch):
    def busy():
        raise StoreBusy("jobs.db", 30.0, "another process")

    monkeypatch.setattr(queue.store, "stats", busy)
    answer = browse(queue).get("/")
    assert answer.status_code == 503
    assert "The store does not answer" in answer.text


def test_a_store_that_hangs_takes_no_more_than_some_threads(queue, browse, monkeypatch):
    browser = browse(queue)
    monkeypatch.setattr(guard, "MOST_AT_ONCE", 0)
    answer = browser.get("/")
    assert answer.status_code == 503
    assert "Too many requests" in answer.text
    monkeypatch.undo()
    assert browser.get("/").status_code == 200


def test_an_error_of_the_dashboard_itself_is_a_page_without_its_text(queue, browse, monkeypatch):
    def broken():
        raise ZeroDivisionError("the secret of the house")

    monkeypatch.setattr(queue.store, "stats", broken)
    answer = browse(queue, raises=False).get("/")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "content-security-policy" in answer.headers


def test_ten_readers_cost_the_store_one_read(queue, browse, monkeypatch):
    reads, stats = [], queue.store.stats
    monkeypatch.setattr(queue.store, "stats", lambda: reads.append(1) or stats())
    browser = browse(queue)
    for _ in range(10):
        browser.text("/")
    assert len(reads) < 10
    browser.post("/queues/pause", {"queue": "none"})
    before = len(reads)
    queue.get_task("tidy").delay()
    browser.post("/bulk", {"action": "cancel", "id": queue.jobs()[0].id})
    assert "Cancelled 1" in words(browser.text("/"))
    assert len(reads) == before + 1


def test_of_very_many_queues_and_nodes_those_furthest_behind_are_shown(queue, send, browse):
    send.using(queue="q999").delay("late")
    queue.enqueue_many([send.using(queue=f"q{number:03}").call("a") for number in range(250)])
    for number in range(120):
        queue.store.join(f"n{number:03}", host="h", pid=number, lease=15)
    browser = browse(queue)
    page = browser.text("/queues")
    assert "200 of 251, those furthest behind" in page
    assert page.count('data-key="queue ') == 200
    assert "q999" in page
    overview = browser.text("/")
    assert overview.count('data-key="queue ') == 12
    assert "q999" in overview
    assert "These are the first 100 of 120 nodes." in browser.text("/nodes")


def test_every_page_opens_over_every_store(url, ended, browse):
    queue = Queue(url)
    task = queue.task(name="mail.send", queue="mail")(lambda to: to)
    failed = task.delay("a")
    ended(queue, failure=DECLINED)
    task.using(delay=60).delay("b")
    task.delay("c")
    browser = browse(queue)
    overview = words(browser.text("/"))
    for said in ("Ready 1", "Scheduled 1", "Failed 1", "ValueError"):
        assert said in overview
    assert re.search(r"Oldest ready \d+\.\d s", overview)
    for path in ("/jobs", "/jobs?search=declined", "/failures", f"/jobs/{failed.id}"):
        assert failed.id in browser.text(path), path
    for path in ("/queues", "/schedules", "/nodes"):
        assert browser.get(path).status_code == 200
    browser.post(f"/jobs/{failed.id}/retry")
    assert failed.status is JobState.PENDING
    queue.close()


def test_each_change_is_in_the_audit_log_with_who_made_it(queue, send, ended, browse):
    def authorize(request):
        return "operator", request.headers["x-user"]

    queue.every(60, name="hourly")(queue.get_task("tidy"))
    failed = send.delay("a")
    ended(queue, failure=DECLINED)
    later, gone = send.using(delay=60).delay("b"), send.delay("c")
    browser = browse(queue, authorize=authorize)
    for path, fields, action, targets in (
        ("/bulk", {"action": "retry", "id": failed.id}, "jobs retry", [failed.id]),
        (f"/jobs/{gone.id}/cancel", {}, "jobs cancel", [gone.id]),
        (f"/jobs/{gone.id}/retry", {}, "jobs retry", [gone.id]),
        (f"/jobs/{later.id}/run", {}, "jobs run-now", [later.id]),
        ("/queues/pause", {"queue": "mail"}, "queues pause", ["mail"]),
        ("/queues/resume", {"queue": "mail"}, "queues resume", ["mail"]),
        ("/schedules/pause", {"schedule": "hourly"}, "cron pause", ["hourly"]),
        ("/schedules/resume", {"schedule": "hourly"}, "cron resume", ["hourly"]),
        ("/schedules/run", {"schedule": "hourly"}, "cron run", ["hourly"]),
    ):
        before = len(queue.audit())
        answer = browser.post(path, fields, headers={"X-User": "ana"})
        assert answer.status_code == 303, path
        entry = queue.audit()[0]
        assert len(queue.audit()) == before + 1, path
        assert (entry.action, list(entry.targets), entry.actor) == (action, targets, "ana")
    text = words(browser.get("/audit", headers={"X-User": "ben"}).text)
    assert "ana dashboard cron run 1 hourly" in text
    assert "ana dashboard jobs retry 1 " + failed.id in text


def test_a_change_of_all_that_fit_is_one_entry_with_the_filter_and_what_is_hidden_is_not(
    queue, send, browse
):
    jobs = send.map([(f"to{number}",) for number in range(7)])
    browser = browse(queue, redact=["password"])
    fields = {"action": "cancel", "status": "pending", "queue": "mail", "search": "mail"}
    assert browser.post("/bulk", fields).status_code == 200
    assert len(queue.audit()) == 0
    assert browser.post("/bulk", {**fields, "confirmed": "yes"}).status_code == 303
    (entry,) = queue.audit()
    assert (entry.action, entry.count) == ("jobs cancel", 7)
    assert set(entry.targets) == {job.id for job in jobs}
    assert entry.details["queue"] == "mail"
    assert entry.details["search"] == "[redacted]"


def test_what_was_refused_or_changed_nothing_is_not_in_the_audit_log(queue, send, browse):
    browser = browse(queue)
    browser.post("/queues/pause", {"queue": "none"})
    browser.post("/queues/resume", {"queue": "mail"})
    browser.post(f"/jobs/{send.delay('a').id}/retry")
    browse(queue, authorize=viewer).post("/queues/pause", {"queue": "mail"})
    assert list(queue.audit()) == []
    assert "Nobody has changed anything" in browser.text("/audit")
    assert browser.get("/audit?before=x").status_code == 400


def test_the_audit_log_goes_on_with_older_changes(queue, send, browse):
    send.delay("a")
    browser = browse(queue)
    for _ in range(30):
        browser.post("/queues/pause", {"queue": "mail"})
        browser.post("/queues/resume", {"queue": "mail"})
    page = browser.text("/audit")
    older = re.search(r'href="(/audit[^"]+)" class="button" rel="next"', page)
    assert page.count("not named") == 50
    assert browser.text(older[1]).count("not named") == 10


def test_a_user_of_starlettes_own_authentication_is_known_by_name(queue, send, browse):
    class User:
        display_name = "carl"

    def authorize(request):
        request.scope["user"] = User()
        return "operator"

    send.delay("a")
    browse(queue, authorize=authorize).post("/queues/pause", {"queue": "mail"})
    assert queue.audit()[0].actor == "carl"
    browser = browse(queue, token="a-token-of-the-tests")
    browser.get("/?token=a-token-of-the-tests")
    browser.post("/queues/resume", {"queue": "mail"})
    assert queue.audit()[0].actor == "token"


@pytest.fixture
def dead(queue, send, ended):
    """A job that has failed for good, with a hidden argument."""
    job = send.delay("a", password="secret-1")
    ended(queue, failure=DECLINED)
    return job


def edit(browser, job, args, kwargs):
    return browser.post(f"/jobs/{job.id}/edit", {"args": args, "kwargs": kwargs})


def test_a_dead_letter_is_retried_with_edited_arguments_under_its_id(queue, dead, browse):
    browser = browse(queue)
    assert f'href="/jobs/{dead.id}/edit"' in browser.text(f"/jobs/{dead.id}")
    form = browser.text(f"/jobs/{dead.id}/edit")
    assert "The task takes: to, password." in words(form)
    assert "secret-1" in form
    answer = edit(browser, dead, '["b", {"deep": [1.5, null]}]', "{}")
    assert answer.headers["location"] == f"/jobs/{dead.id}?notice=retried.1"
    record = dead.refresh().record
    assert (record.state, record.payload) == (JobState.PENDING, b'[["b",{"deep":[1.5,null]}],{}]')
    (entry,) = queue.audit()
    assert (entry.action, list(entry.targets)) == ("jobs retry", [dead.id])
    assert entry.details["arguments"] == "edited: to, password"


def test_a_hidden_argument_stays_what_it_was_or_is_replaced(queue, dead, browse):
    browser = browse(queue, redact=["password"])
    form = browser.text(f"/jobs/{dead.id}/edit")
    assert "secret-1" not in form
    assert "[redacted]" in form
    moved = edit(browser, dead, '["[redacted]"]', "{}")
    assert moved.status_code == 400
    assert "can stay where it is" in moved.text
    assert edit(browser, dead, '["b"]', '{"password": "[redacted]"}').status_code == 303
    assert dead.refresh().record.payload == b'[["b"],{"password":"secret-1"}]'
    assert queue.audit()[0].details["arguments"] == "edited: to"


@pytest.mark.parametrize(
    ("args", "kwargs", "said"),
    [
        ("[1, 2, 3]", "{}", "too many positional arguments"),
        ("[1]", '{"other": 1}', "unexpected keyword argument"),
        ("[]", "{}", "missing a required argument"),
        ("{}", "{}", "this is not a list"),
        ("[1]", "[]", "this is not an object"),
        ("[1", "{}", "this is no JSON"),
        ("", "{}", "this is no JSON"),
        ("[NaN]", "{}", "this is no JSON"),
        ('["\\ud800"]', "{}", "this is no JSON"),
        ("[" * 20_000, "{}", "this is no JSON"),
        ('[{"$datetime": "2020-01-01T00:00:00+00:00"}]', "{}", "JSON has not"),
        ('[{"$pickle": "gASVBQAAAAAAAABLAS4="}]', "{}", "JSON has not"),
        ('[{"$type": ["os:system", "true"]}]', "{}", "JSON has not"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_and_what_was_typed_stays(
    queue, dead, browse, args, kwargs, said
):
    answer = edit(browse(queue), dead, args, kwargs)
    assert answer.status_code == 400
    assert said in words(answer.text)
    assert 'role="alert"' in answer.text
    assert dead.refresh().status == "failed"
    assert list(queue.audit()) == []
    if len(args) < 100:
        assert words(answer.text).count(args.replace('"', "&quot;")) >= bool(args)


def test_a_value_that_json_has_not_can_be_kept_or_removed(queue, send, ended, browse):
    moment = datetime(2020, 1, 2, tzinfo=UTC)
    job = send.delay([moment, 1])
    ended(queue, failure=DECLINED)
    kept = queue.get_job(job.id).record.payload.decode()[1:-4]
    browser = browse(queue)
    assert edit(browser, job, kept.replace("1]", "2]"), "{}").status_code == 303
    assert job.refresh().args == ([moment, 2],)


def test_what_is_sent_as_it_was_shown_changes_nothing(queue, send, ended, browse):
    odd = "\x85\u202e\ufeff\U000e0001 \"'</textarea><b>\\u0041\n\r\t"
    job = send.delay({odd: [odd, 1e-7, 10**30, -0.0, None, True, 2**63]}, password=odd)
    ended(queue, failure=DECLINED)
    before = job.refresh().args, job.refresh().kwargs
    browser = browse(queue)
    areas = re.findall(
        "<textarea[^>]*>(.*?)</textarea>", browser.text(f"/jobs/{job.id}/edit"), re.DOTALL
    )
    assert edit(browser, job, *map(unescape, areas)).status_code == 303
    assert (job.refresh().args, job.refresh().kwargs) == before
    assert queue.audit()[0].details["arguments"] == "the same"


def login(name, password="[redacted]"):
    return {"name": name, "password": password}


@pytest.mark.parametrize(
    ("logins", "kept"),
    [
        ([login("b")], None),
        ([login("b"), login("a")], None),
        ([login("c", "new"), login("a"), login("b")], None),
        ([login("a"), login("b"), login("c", "new")], "abn"),
        ([login("a"), login("B")], "ab"),
        ([login("a", "new"), login("b")], "nb"),
        ([login("a")], "a"),
    ],
)
def test_a_hidden_value_never_becomes_that_of_a_neighbour(queue, send, ended, browse, logins, kept):
    job = send.delay([login("a", "a-secret"), login("b", "b-secret")])
    ended(queue, failure=DECLINED)
    answer = edit(browse(queue, redact=["password"]), job, json.dumps([logins]), "{}")
    if kept is None:
        assert (answer.status_code, "is not certain" in answer.text) == (400, True)
    else:
        assert answer.status_code == 303
        assert "".join(one["password"][0] for one in job.refresh().args[0]) == kept


def test_another_kind_of_number_is_an_edit(queue, send, ended, browse):
    job = send.delay([1, 1.0])
    ended(queue, failure=DECLINED)
    edit(browse(queue), job, "[[true, 1]]", "{}")
    assert queue.audit()[0].details["arguments"] == "edited: to"


def test_what_can_not_be_edited_says_so(queue, send, dead, ended, browse):
    browser = browse(queue)
    assert browser.get("/jobs/1-00000000/edit").status_code == 404
    waiting = send.delay("c")
    answer = browser.get(f"/jobs/{waiting.id}/edit")
    assert (answer.status_code, "only failed and cancelled" in answer.text) == (409, True)
    waiting.cancel()
    queue.store.retry([dead.id], payload=b'{"$pickle":"x"}')
    dead.cancel()
    assert browser.get(f"/jobs/{dead.id}/edit").status_code == 409
    large = send.delay("x" * 70_000)
    large.cancel()
    assert "too much for a form" in browser.get(f"/jobs/{large.id}/edit").text
    looking = browse(queue, authorize=viewer)
    assert looking.get(f"/jobs/{waiting.id}/edit").status_code == 403
    assert "/edit" not in looking.text(f"/jobs/{waiting.id}")


def test_the_background_workers_of_a_nodes_process_are_shown(queue, browse):
    worker = {"name": "sensor <b>", "kind": "interval", "state": "idle", "runs": 3, "errors": 1}
    report = {"workers": [{**worker, "hanging": True, "error": "OSError('unplugged')"}]}
    node = queue.store.join("n1", host="h", pid=1, lease=15)
    queue.store.renew(node, lease=15, report=json.dumps(report).encode())
    page = words(browse(queue).text("/nodes"))
    assert "sensor &lt;b&gt; interval hanging 3 1" in page
    assert "unplugged" in page
    report["workers"][0]["last_run"] = "yesterday"
    queue.store.renew(node, lease=15, report=json.dumps(report).encode())
    assert "sensor" not in browse(queue).text("/nodes")


def test_where_a_running_body_is_can_be_asked(queue, send, browse):
    job = send.delay("a")
    browser = browse(queue)
    assert "Where is it?" not in browser.text(f"/jobs/{job.id}")
    node = queue.store.join("n1", host="h", pid=1, lease=15)
    assert queue.store.claim(node, [Want(tasks=("mail.send",), queues=None, limit=1)])
    assert "Where is it?" in browser.text(f"/jobs/{job.id}")
    done = browser.post(f"/jobs/{job.id}/stack")
    assert done.headers["location"] == f"/jobs/{job.id}?notice=stack.1"
    (request,) = queue.store.entries("stack", newer_than=60, limit=9).entries
    assert job.id.encode() in request.text
    assert queue.audit()[0].action == "jobs stack"
