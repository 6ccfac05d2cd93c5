"""Who may do what in the dashboard, over its whole table of routes: hosts, origins, roles."""

from __future__ import annotations

import re
from html import unescape

import pytest
from starlette.routing import Route

from mainspring.errors import InvalidOption
from mainspring.web import dashboard
from mainspring.web.dashboard.guard import GuardedRoute
from mainspring.web.dashboard.routes import ROUTES

TOKEN = "a-token-of-the-tests"
CHANGES = [route for route in ROUTES if route.method != "GET"]
FORMS = {"/jobs/{job_id}/edit"}
"""Pages that are for operators: there is nothing to see but what can be changed."""

PAGES = [route for route in ROUTES if route.method == "GET"]


def path_of(route, job_id="1-00000000"):
    return route.path.replace("{job_id}", job_id)


def by_path(route):
    return route.path


def viewer(_request):
    return "viewer"


def stranger(_request):
    return None


def test_each_route_has_a_policy_and_each_change_takes_an_operator(queue):
    app = dashboard(queue, token=TOKEN)
    public = {"/static/{name}": {"GET", "HEAD"}, "/login": {"POST"}, "/logout": {"POST"}}
    for route in app.routes:
        assert type(route) is GuardedRoute
        if route.policy == "public":
            assert public.pop(route.path) == route.methods
        elif route.methods == {"GET", "HEAD"}:
            assert route.policy == ("operator" if route.path in FORMS else "viewer")
        else:
            assert (route.methods, route.policy) == ({"POST"}, "operator")
    assert public == {}
    assert len(app.routes) == len(ROUTES) + 3


def test_each_change_has_a_name_for_the_audit_log():
    assert [route.path for route in CHANGES if not route.action] == []
    assert [route.path for route in PAGES if route.action] == []


def test_a_route_without_a_policy_can_not_be_made():
    assert issubclass(GuardedRoute, Route)
    with pytest.raises(TypeError, match="policy"):
        GuardedRoute("POST", "/new", endpoint=viewer)


@pytest.mark.parametrize("route", CHANGES, ids=by_path)
def test_a_change_is_refused_to_all_but_an_operator_of_this_site(route, queue, browse):
    path = path_of(route)
    with_token = browse(queue, token=TOKEN)
    assert with_token.post(path).status_code == 401
    with_token.cookies.set("mainspring", "wrong")
    assert with_token.post(path, {"token": "wrong"}).status_code == 401
    assert with_token.post(f"{path}?token={TOKEN}").status_code == 401
    assert browse(queue, authorize=stranger).post(path).status_code == 401
    assert browse(queue, authorize=viewer).post(path).status_code == 403
    operator = browse(queue)
    for origin in ("http://evil.example", "null", "http://localhost:81", "localhost", None):
        assert operator.post(path, headers={"Origin": origin}).status_code == 403, origin
    for host in ("evil.example", "localhost.evil.example", "", "localhost@evil.example", "a b"):
        foreign = {"Host": host, "Origin": f"http://{host}"}
        assert operator.post(path, headers=foreign).status_code == 403, host
    # An id that is no job's name is a page of its own, which is not there.
    assert operator.get(path).status_code in {404, 405}


@pytest.mark.parametrize("route", PAGES, ids=by_path)
def test_a_page_is_refused_to_strangers_and_under_foreign_names(route, queue, browse):
    path = path_of(route)
    browser = browse(queue, token=TOKEN)
    assert browser.get(path).status_code == 401
    assert "mail" not in browser.get(path).text
    browser.cookies.set("mainspring", TOKEN)
    assert browser.get(path).status_code == 401
    assert browse(queue, authorize=stranger).get(path).status_code == 401
    assert browse(queue).get(path, headers={"Host": "evil.example"}).status_code == 403
    expected = {403} if route.path in FORMS else {200, 404}
    assert browse(queue, authorize=viewer).get(path).status_code in expected


def test_a_token_in_the_first_address_becomes_a_cookie_that_scripts_and_sites_do_not_see(
    queue, browse
):
    browser = browse(queue, token=TOKEN)
    entered = browser.get(f"/jobs?token={TOKEN}")
    assert (entered.status_code, entered.headers["location"]) == (303, "/jobs")
    cookie = entered.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Secure" not in cookie
    assert TOKEN not in cookie
    assert browser.get("/jobs").status_code == 200
    assert browser.post("/queues/pause", {"queue": "none"}).status_code == 404
    assert browser.get("/?token=wrong").status_code == 401


def test_a_login_leads_to_the_page_that_was_asked_for(queue, browse):
    browser = browse(queue, token=TOKEN, origin="https://localhost")
    asked = browser.get("/failures")
    assert 'name="back" value="/failures"' in asked.text
    assert browser.post("/login", {"token": "wrong"}).status_code == 401
    assert browser.post("/login", headers={"Origin": "https://evil.example"}).status_code == 403
    entered = browser.post("/login", {"token": TOKEN, "back": "/failures"})
    assert (entered.status_code, entered.headers["location"]) == (303, "/failures")
    assert "Secure" in entered.headers["set-cookie"]
    assert browser.get("/failures").status_code == 200
    assert browser.post("/logout").status_code == 303
    assert browser.get("/failures").status_code == 401


@pytest.mark.parametrize(
    "back", ["//evil.example", "https://evil.example", "/\\evil", "javascript:1"]
)
def test_a_login_never_leads_away_from_this_site(back, queue, browse):
    entered = browse(queue, token=TOKEN).post("/login", {"token": TOKEN, "back": back})
    assert entered.headers["location"] == "/"


def test_a_users_own_login_may_be_async_and_says_the_role(queue, browse):
    async def authorize(request):
        return request.headers.get("x-role")

    browser = browse(queue, authorize=authorize)
    assert browser.get("/").status_code == 401
    looked = browser.get("/jobs", headers={"X-Role": "viewer"})
    acted = browser.get("/jobs", headers={"X-Role": "operator"})
    assert "Retry selected" not in looked.text
    assert "Sign out" not in looked.text
    assert looked.status_code == acted.status_code == 200
    with pytest.raises(TypeError, match="'admin'; return"):
        browser.get("/", headers={"X-Role": "admin"})


def test_names_are_known_when_they_were_named_and_addresses_always(queue, browse):
    browser = browse(queue, hosts=["Jobs.Example.com"])
    for host in ("jobs.example.com", "jobs.example.com:8420", "10.1.2.3:80", "[::1]:8420"):
        assert browser.get("/", headers={"Host": host}).status_code == 200, host
    assert browser.get("/", headers={"Host": "example.com"}).status_code == 403


def test_the_way_in_leads_to_the_whole_address_that_was_asked_for(queue, browse):
    browser, path = browse(queue, token=TOKEN), "/jobs?queue=mail&search=a%2Bb"
    with_token = browser.get(f"/jobs?queue=mail&token={TOKEN}&search=a%2Bb")
    assert with_token.headers["location"] == path
    browser.cookies.clear()
    back = re.search('name="back" value="([^"]*)"', browser.get(path).text)[1]
    entered = browser.post("/login", {"token": TOKEN, "back": unescape(back)})
    assert entered.headers["location"] == path


def test_a_token_is_taken_from_the_environment_or_made_and_logged(
    queue, browse, monkeypatch, caplog
):
    monkeypatch.setenv("MAINSPRING_DASHBOARD_TOKEN", TOKEN)
    assert browse(queue, token=None).get(f"/?token={TOKEN}").status_code == 303
    assert caplog.text == ""
    monkeypatch.delenv("MAINSPRING_DASHBOARD_TOKEN")
    browser = browse(queue, token=None)
    made = caplog.records[0].getMessage().split()[-1]
    assert len(made) == 32
    assert browser.get(f"/?token={made}").status_code == 303


@pytest.mark.parametrize(
    "options",
    [
        {"token": "short"},
        {"token": 17 * "é"},
        {"token": TOKEN, "authorize": viewer},
        {"authorize": "viewer"},
        {"hosts": "example.com"},
        {"redact": "password"},
    ],
)
def test_options_that_make_no_sense_are_refused_and_no_token_is_shown(queue, options):
    with pytest.raises(InvalidOption) as raised:
        dashboard(queue, **options)
    assert TOKEN not in str(raised.value)


def test_what_is_no_queue_is_refused():
    with pytest.raises(InvalidOption, match="queue"):
        dashboard("sqlite:///jobs.db")


def test_every_answer_has_the_headers_that_keep_foreign_scripts_out(queue, browse):
    browser = browse(queue, token=TOKEN)
    for answer in (browser.get("/"), browser.get("/none"), browser.post("/login")):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "<style" not in answer.text
        assert " style=" not in answer.text
        assert "<script>" not in answer.text


def test_files_are_there_for_everybody_and_for_ever(queue, browse):
    browser = browse(queue, token=TOKEN)
    page = browser.get("/").text
    names = [part for part in page.split('"') if part.endswith((".css", ".js", ".svg"))]
    assert [name.rpartition(".")[2] for name in names] == ["svg", "css", "js", "js"]
    for name in names:
        answer = browser.get(name)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
    assert browser.get("/static/..%2Fapp.py").status_code == 404


def test_mounted_it_leads_to_its_own_addresses_and_cookie(queue, browse):
    browser = browse(queue, token=TOKEN, mounted_at="/admin/jobs")
    entered = browser.get(f"/admin/jobs/nodes?token={TOKEN}")
    assert entered.headers["location"] == "/admin/jobs/nodes"
    assert "Path=/admin/jobs;" in entered.headers["set-cookie"]
    page = browser.get("/admin/jobs/").text
    hrefs = [part.split('"')[0] for part in page.split('href="')[1:]]
    assert [one for one in hrefs if not one.startswith(("/admin/jobs/", "#"))] == []
    done = browser.post("/admin/jobs/queues/pause", {"queue": "none"})
    assert done.status_code == 404
