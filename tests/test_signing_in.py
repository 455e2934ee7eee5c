"""Signing in with a link: opening it uses nothing up, another site can't do it, and cookies are for the right address."""

import re
from collections.abc import Iterator
from http.cookies import SimpleCookie

import httpx
import pytest

from tests.server import Server, command_here, sign_in

PUBLIC = "https://usage.example.com"


@pytest.fixture
def browser() -> Iterator[httpx.Client]:
    with httpx.Client(verify=False) as client:
        yield client


def form_of(page: httpx.Response) -> dict[str, str]:
    return dict(re.findall(r'name="(link|token)" value="([^"]+)"', page.text))


def cookies_of(answer: httpx.Response) -> SimpleCookie:
    found = SimpleCookie()
    for header in answer.headers.get_list("set-cookie"):
        found.load(header)
    return found


def test_opening_a_link_uses_nothing_up(server: Server, browser: httpx.Client) -> None:
    link = server.sign_in_link()
    for _ in range(3):
        assert httpx.get(link).status_code == 200
    assert "meterboard_session" not in cookies_of(browser.get(link))

    assert "acme" in sign_in(browser, link).text
    assert browser.get(f"{server.url}/table").status_code == 200
    again = sign_in(browser, link)
    assert (again.status_code, "was used" in again.text) == (401, True)


def test_links_in_two_tabs_of_a_browser_both_work(server: Server, browser: httpx.Client) -> None:
    first, second = (browser.get(server.sign_in_link()) for _ in range(2))

    for page in (first, second):
        assert browser.post(f"{server.url}/sign-in", data=form_of(page)).status_code == 303


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, 303),
        ({"token": "another"}, 403),
        ({"token": ""}, 403),
        ({"token": "ü"}, 403),
        ({"link": ""}, 401),
        ({"link": "unknown"}, 401),
    ],
)
def test_a_form_holds_the_token_of_its_page(
    server: Server, browser: httpx.Client, change: dict[str, str], status: int
) -> None:
    form = form_of(browser.get(server.sign_in_link()))

    assert browser.post(f"{server.url}/sign-in", data=form | change).status_code == status


def test_another_site_can_not_sign_anybody_in(server: Server, browser: httpx.Client) -> None:
    link = server.sign_in_link()
    form = form_of(browser.get(link))
    without_cookie = httpx.post(f"{server.url}/sign-in", data=form)
    elsewhere = [
        browser.post(f"{server.url}/sign-in", data=form, headers={"Origin": origin})
        for origin in ("https://evil.example", "null", f"http://127.0.0.1:{server.port + 1}", "http://[")
    ]

    assert [answer.status_code for answer in (without_cookie, *elsewhere)] == [403] * 5
    assert sign_in(browser, link).status_code == 200  # which was not used up


def test_a_long_form_is_refused(server: Server, browser: httpx.Client) -> None:
    form = form_of(browser.get(server.sign_in_link()))

    assert browser.post(f"{server.url}/sign-in", data=form | {"link": "x" * 20_000}).status_code == 413


def test_a_sign_in_page_without_a_link_says_how_to_get_one(server: Server) -> None:
    page = httpx.get(f"{server.url}/sign-in")

    assert (page.status_code, "meterboard user create" in page.text) == (401, True)


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server behind HTTPS."""
    running = Server(tmp_path_factory.mktemp("public") / "data", public_url=f"{PUBLIC}:443/")
    running.prepare().start()
    yield running
    assert running.stop() == 0


def signed_in(server: Server) -> tuple[httpx.Response, dict[str, str]]:
    """The answer to the form, and the cookies that a browser would send back over HTTPS."""
    link = server.sign_in_link()
    path = link.partition("/sign-in")[2]
    page = httpx.get(f"{server.url}/sign-in{path}")
    kept = {name: morsel.value for name, morsel in cookies_of(page).items()}
    answer = httpx.post(f"{server.url}/sign-in", data=form_of(page), cookies=kept, headers={"Origin": PUBLIC})
    assert answer.status_code == 303, answer.text
    kept |= {name: morsel.value for name, morsel in cookies_of(answer).items()}
    assert all(morsel["secure"] for got in (page, answer) for morsel in cookies_of(got).values())
    return answer, kept


def test_behind_https_every_cookie_is_secure(public: Server) -> None:
    answer, kept = signed_in(public)
    chosen = httpx.get(f"{public.url}/?measure=credits", cookies=kept, headers={"Referer": f"{PUBLIC}/"})

    session = cookies_of(answer)["meterboard_session"]
    assert (session["httponly"], session["samesite"], session["path"]) == (True, "lax", "/")
    assert cookies_of(chosen)["meterboard-view"]["secure"]


def test_without_https_no_cookie_is_secure(server: Server, browser: httpx.Client) -> None:
    page = browser.get(server.sign_in_link())
    answer = browser.post(f"{server.url}/sign-in", data=form_of(page))

    morsels = [morsel for got in (page, answer) for morsel in cookies_of(got).values()]
    assert len(morsels) == 2
    assert not any(morsel["secure"] for morsel in morsels)


def test_signing_out_accepts_the_public_address_and_the_host_that_was_asked(public: Server) -> None:
    for origin, status in ((PUBLIC, 303), (public.url, 303), ("https://evil.example", 403), ("null", 403)):
        _, kept = signed_in(public)
        answer = httpx.post(f"{public.url}/sign-out", cookies=kept, headers={"Origin": origin})
        assert answer.status_code == status


def test_printed_links_use_the_public_address(public: Server) -> None:
    (public.data / "meterboard.toml").write_text(f'public_url = "{PUBLIC}"')
    added = command_here("user", "create", "acme", "arjun@acme.example", data=public.data)

    assert added.stdout.startswith(f"{PUBLIC}/sign-in?link=")
