"""The server of a site on loopback: who is answered, with what headers, and which sites are not shown."""

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from exchange.site_server import content_policy, serve_site, site_app
from models.errors import InfrastructureError, UsageError

PORT, TOKEN = 8123, "a-token_that-is-secret"
OURS = f"127.0.0.1:{PORT}"
PAGE = """<head><meta http-equiv="Content-Security-Policy" content="{}" /></head>"""
STRICT = "default-src 'none'; script-src 'self' 'sha256-abc='; img-src 'self' data:"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "logs").mkdir()
    (tmp_path / "index.html").write_text(PAGE.format(STRICT))
    (tmp_path / "logs" / "a.eval").write_bytes(bytes(range(100)))
    (tmp_path.parent / "outside").write_text("secret")
    return tmp_path


@pytest.fixture
def client(site: Path) -> TestClient:
    return TestClient(site_app(site, content_policy(site), TOKEN, PORT), base_url=f"http://{OURS}")


def test_files_below_the_token_are_served_with_ranges(client: TestClient) -> None:
    assert client.get(f"/{TOKEN}/").status_code == 200
    part = client.get(f"/{TOKEN}/logs/a.eval", headers={"Range": "bytes=-10"})
    assert (part.status_code, part.content) == (206, bytes(range(90, 100)))
    assert part.headers["content-range"] == "bytes 90-99/100"
    assert client.head(f"/{TOKEN}/logs/a.eval").headers["content-length"] == "100"


@pytest.mark.parametrize("path", ["/", "/index.html", "/logs/a.eval", "/another/", f"/{TOKEN[:-1]}/", "//", "/%ff/"])
def test_without_the_token_nothing_is_served(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 403


@pytest.mark.parametrize("path", ["../outside", "%2e%2e/outside", "..%2foutside", "logs/../../outside"])
def test_nothing_outside_the_site_is_served(client: TestClient, path: str) -> None:
    answer = client.get(f"/{TOKEN}/{path}")
    assert answer.status_code in (403, 404)
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": f"evil.example:{PORT}"},
        {"Host": "127.0.0.1"},
        {"Host": f"127.0.0.1:{PORT + 1}"},
        {"Host": f"{OURS}.evil.example"},
        {"Origin": "http://evil.example"},
        {"Origin": f"http://127.0.0.1:{PORT + 1}"},
        {"Origin": f"https://{OURS}"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"},
    ],
)
def test_other_hosts_and_sites_are_refused(client: TestClient, headers: dict[str, str]) -> None:
    assert client.get(f"/{TOKEN}/", headers=headers).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": f"localhost:{PORT}"},
        {"Origin": f"http://{OURS}", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},  # the address clicked in another page
    ],
)
def test_the_reader_is_answered(client: TestClient, headers: dict[str, str]) -> None:
    assert client.get(f"/{TOKEN}/", headers=headers).status_code == 200


@pytest.mark.parametrize("path", [f"/{TOKEN}/", f"/{TOKEN}/logs/a.eval", f"/{TOKEN}/absent", "/"])
def test_every_answer_forbids_other_hosts_frames_and_referrers(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers["content-security-policy"] == f"{STRICT}; frame-ancestors 'none'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "access-control-allow-origin" not in headers


def test_only_reading_is_answered(client: TestClient) -> None:
    assert client.post(f"/{TOKEN}/logs/a.eval").status_code == 405


@pytest.mark.parametrize(
    "page",
    [
        "<head></head>",
        PAGE.format("default-src 'none'; img-src https:"),
        PAGE.format("default-src 'none'; connect-src 'self' https://example.org"),
        PAGE.format("default-src 'none'; script-src *"),
        PAGE.format("default-src 'none'; script-src 'unsafe-eval'"),
        PAGE.format("img-src 'self'"),
    ],
)
def test_a_page_that_may_load_from_elsewhere_is_not_shown(site: Path, page: str) -> None:
    (site / "index.html").write_text(page)
    with pytest.raises(InfrastructureError):
        content_policy(site)


def test_a_port_that_is_taken_is_named_with_the_remedy(site: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        with pytest.raises(UsageError, match=rf"{number}.*--port"):
            serve_site(site, number, lambda url: None)
