"""Which addresses are this machine's, by their text alone."""

import pytest

from models.addresses import host_of, is_loopback


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost",
        "http://LOCALHOST:8000/v1",
        "http://127.0.0.1:80",
        "http://127.8.9.1/v1",
        "http://[::1]:80",
        "https://[0:0:0:0:0:0:0:1]/",
    ],
)
def test_loopback_addresses(url: str) -> None:
    assert is_loopback(host_of(url))


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost.evil.example/",
        "http://localhost./",
        "http://127.0.0.1.evil.example/",
        "http://127.0.0.1@evil.example/",
        "http://evil.example\\@127.0.0.1/",
        "http://127.0.0.1\\@evil.example/",
        "http://me:word@127.0.0.1/",
        "http://0x7f.1",
        "http://127.1",
        "http://0177.0.0.1",
        "http://2130706433",
        "http://0.0.0.0:8000",
        "http://[::]:8000",
        "http://[::ffff:127.0.0.1]/",
        "http://[::1%25evil.example]/",
        "http://[::1%lo]:80",
        "http://[::1]evil.example/",
        "http://127。0。0。1/",
        "http://localhost:port/",
        "http://[::1/",
        "http://10.0.0.5",
        "http://192.168.1.1:8000/v1",
        "http://169.254.1.1",
        "http:///v1",
        "localhost:4200/api",
        "",
    ],
)
def test_addresses_of_other_machines_and_odd_spellings(url: str) -> None:
    assert not is_loopback(host_of(url))
