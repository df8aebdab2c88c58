"""Which webhook URLs are refused: by their text, and by where their names lead."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from service.destinations import AllowedHost, Destinations, is_public, looked_up
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


@pytest.mark.parametrize("url", ["https://example.com/a?b=1", "https://8.8.8.8:8443/", "https://bücher.example/"])
def test_a_public_https_url_is_accepted(url: str) -> None:
    """By name and by address, at any port."""
    Destinations([], Names()).check(url)


@pytest.mark.parametrize("answer", [["127.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["8.8.8.8", "::ffff:192.168.0.1"]])
def test_a_name_with_any_private_address_is_refused(answer: list[str]) -> None:
    """One bad address among good ones is enough."""
    destinations = Destinations([], Names(answer))
    with pytest.raises(DestinationError, match="no public address"):
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


@pytest.mark.parametrize("pattern", ["", "http://a", "a/b", "u@a", "a:x", "a:99999"])
def test_a_pattern_that_is_none_is_refused(pattern: str) -> None:
    """A typing error in the settings is not silently nothing."""
    with pytest.raises(ValueError, match=r".+"):
        AllowedHost.parse(pattern)


def test_a_label_that_is_too_long_is_a_failed_look_up() -> None:
    """Python raises UnicodeError there."""
    with pytest.raises(OSError, match="label"):
        looked_up("a" * 64 + ".example", 443)
