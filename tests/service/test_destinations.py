"""Destinations of webhooks: which URLs are refused, by their text and by the addresses of their names."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Sequence

import pytest

from service.destinations import AllowedHost, Destinations, is_public, resolved
from service.errors import DestinationError

PUBLIC = ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8"]
NOT_PUBLIC = [
    "127.0.0.1",
    "0.0.0.0",  # noqa: S104 - not an interface here
    "10.1.2.3",
    "172.16.0.1",
    "192.168.0.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.2.1",
    "224.0.0.1",
    "239.1.2.3",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "2001:0:7f00:1::",
    "fe80::1",
    "fec0::1",
    "fd00::1",
    "ff02::1",
    "2001:db8::1",
]
REFUSED = {
    "plain http": "http://example.com/",
    "another scheme": "ftp://example.com/",
    "no scheme": "example.com/hook",
    "no host": "https:///hook",
    "a user": "https://user@example.com/",
    "a password": "https://user:pw@example.com/",
    "too long": "https://example.com/" + "a" * 2029,
    "a control character": "https://example.com/\n",
    "no port": "https://example.com:x/",
    "loopback": "https://127.0.0.1/",
    "loopback as a number": "https://2130706433/",
    "loopback in hexadecimal": "https://0x7f000001/",
    "loopback in short": "https://127.1/",
    "loopback in IPv6": "https://[::1]/",
    "a mapped address": "https://[::ffff:10.0.0.1]/",
    "the metadata service": "https://169.254.169.254/latest",
    "a port over 65535": "https://example.com:99999/",
    "port 0": "https://example.com:0/",
    "a negative port": "https://example.com:-1/",
    "punycode that decodes to nothing": "https://xn--a.example/",
    "punycode that is empty": "https://xn--/",
    "a character that IDNA refuses": "https://\u2488com/",
    "an empty label": "https://a..b/",
    "only a dot": "https://./",
    "a label over 63 characters": f"https://{'a' * 64}.example/",
    "a name over 253 characters": f"https://{'a.' * 130}example/",
    "a label that begins with a hyphen": "https://-a.example/",
    "a star": "https://*/",
    "a star as a label": "https://*.example.com/",
    "an IPv4 address of five parts": "https://1.2.3.4.5/",
    "an IPv4 address over 255": "https://256.1.1.1/",
    "half an IPv6 address": "https://[::1/",
    "an IPv6 zone": "https://[fe80::1%25eth0]/",
    "a space": "https://exam ple.com/",
    "a leading space": " https://example.com/",
    "loopback in full-width digits": "https://\uff11\uff12\uff17.0.0.1/",
    "a backslash": "https:\\\\example.com/",
}


class Names:
    """A resolver that answers from a list, one item for each look-up."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """The next answer; none left is an error."""
        assert (host, port) == ("example.com", 443)
        return self.answers.pop(0)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_public(address: str) -> None:
    """Of both families."""
    assert is_public(address)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_no_other_address_is_public(address: str) -> None:
    """Private, loopback, link-local, shared, multicast, reserved, documentation, and all that wrap an IPv4 address."""
    assert not is_public(address)


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_url_is_refused_without_a_look_up(case: str) -> None:
    """Every notation of a private address that the system's resolver takes, and every URL that is not plain https."""
    with pytest.raises(DestinationError):
        Destinations([], Names()).check(REFUSED[case])


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/a?b=1",
        "HTTPS://Example.COM:443",
        "https://example.com./",
        "https://8.8.8.8:8443/",
        "https://[2606:4700::1111]/",
        "https://b\u00fccher.example/",
        "https://xn--bcher-kva.example/",
        "https://my_hooks.example/",
    ],
)
def test_a_public_https_url_is_accepted(url: str) -> None:
    """By name and by address, at any port."""
    Destinations([], Names()).check(url)


@pytest.mark.parametrize("answer", [["127.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["8.8.8.8", "::ffff:192.168.0.1"]])
def test_a_name_with_any_private_address_is_refused(answer: list[str]) -> None:
    """One bad address among good ones is enough."""
    destinations = Destinations([], Names(answer))
    with pytest.raises(DestinationError, match="is not a public address"):
        asyncio.run(destinations.addresses(destinations.check("https://example.com/")))


def test_a_name_that_rebinds_is_refused_then() -> None:
    """Each look-up is judged anew."""
    destinations = Destinations([], Names(["8.8.8.8"], ["127.0.0.1"]))
    target = destinations.check("https://example.com/")
    assert asyncio.run(destinations.addresses(target)) == ["8.8.8.8"]
    with pytest.raises(DestinationError, match=r"127\.0\.0\.1"):
        asyncio.run(destinations.addresses(target))


@pytest.mark.parametrize(
    ("pattern", "url", "allowed"),
    [
        ("127.0.0.1:9000", "http://127.0.0.1:9000/", True),
        ("127.0.0.1:9000", "http://127.0.0.1:9001/", False),
        ("127.0.0.1", "https://127.0.0.1:9001/", True),
        ("[::1]:9000", "http://[::1]:9000/", True),
        ("hooks.internal:80", "http://Hooks.Internal/", True),
        ("*.internal", "http://a.b.internal/", True),
        ("*.internal", "http://internal/", False),
        ("*.internal", "http://evilinternal/", False),
        ("internal", "http://a.internal/", False),
    ],
)
def test_the_operator_may_allow_a_host(pattern: str, url: str, allowed: bool) -> None:
    """By name, address or domain, with or without its port; others stay refused."""
    if allowed:
        Destinations([pattern]).check(url)
    else:
        with pytest.raises(DestinationError):
            Destinations([pattern]).check(url)


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "http://a",
        "a/b",
        "u@a",
        "a:x",
        "a:99999",
        "a:0",
        "*",
        "*:443",
        "*.",
        "*.*",
        "**.example",
        "a.*.example",
        "*example.com",
        "a..b",
        "a b",
        "-a",
    ],
)
def test_a_pattern_that_is_none_is_refused(pattern: str) -> None:
    """A typing error in the settings is not silently nothing."""
    with pytest.raises(ValueError, match=r".+"):
        AllowedHost.parse(pattern)


def test_a_label_that_is_too_long_is_a_failed_look_up() -> None:
    """Python raises UnicodeError there."""
    with pytest.raises(OSError, match="label"):
        resolved("a" * 64 + ".example", 443)


def test_a_url_is_sent_as_it_was_checked() -> None:
    """One parser says what is checked, resolved, verified and requested."""
    target = Destinations([], Names()).check(
        "HTTPS://B\u00fccher.Example.:8443/a b?c=\u00fc#fragment".replace(" ", "%20")
    )
    assert target.host == "xn--bcher-kva.example"
    assert (target.port, target.authority) == (8443, "xn--bcher-kva.example:8443")
    assert target.resource == "/a%20b?c=%C3%BC"
    assert Destinations([], Names()).check("https://[2606:4700::1111]/").authority == "[2606:4700::1111]"


def test_a_look_up_does_not_keep_the_process_alive() -> None:
    """Its thread may hang at a name server for half a minute after the process was stopped."""
    script = """
import asyncio, socket, threading
socket.getaddrinfo = lambda *_, **__: threading.Event().wait()
from service.destinations import Resolver

async def main():
    await asyncio.wait({asyncio.create_task(Resolver()("silent.example", 443))}, timeout=0.05)

asyncio.run(main())
"""
    ended = subprocess.run([sys.executable, "-c", script], timeout=60, check=False, capture_output=True)
    assert (ended.returncode, ended.stderr) == (0, b"")
