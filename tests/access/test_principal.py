"""Who asks, and what it may do: the whole table over the fields of requests, and the tricks."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.access.decide import decide
from tailrace.access.owner import owner_of
from tailrace.access.policy import Policy
from tailrace.access.principal import identify, without_private_fields
from tailrace.access.request_facts import RequestFacts
from tailrace.contracts import OPEN, Headers, Right
from tailrace.errors import BadRequest, Forbidden, Misdirected, RequestError, Unauthorized

TOKEN = "s3cret-token"
HOST = (b"host", b"localhost:8080")
BEARER = (b"authorization", b"Bearer " + TOKEN.encode())
FRIEND = b"https://app.example.org"

Fields = tuple[tuple[bytes, bytes], ...]


def browser(site: bytes, mode: bytes = b"cors", dest: bytes = b"empty") -> Fields:
    return ((b"sec-fetch-site", site), (b"sec-fetch-mode", mode), (b"sec-fetch-dest", dest))


def policy(
    token: str | None = None,
    origins: tuple[str, ...] = (),
    hosts: tuple[str, ...] = (),
    bound: str = "127.0.0.1",
) -> Policy:
    return Policy(bound, 8080, hosts, origins, token)


def verdict(rules: Policy, right: Right, *fields: tuple[bytes, bytes], method: str = "GET") -> str:
    try:
        judge(rules, right, RequestFacts.from_headers(method, fields))
    except RequestError as error:
        return type(error).__name__
    return "granted"


def judge(rules: Policy, right: Right, facts: RequestFacts) -> None:
    """Raises what a request with these facts is answered, where it is refused."""
    decide(rules, identify(rules, facts), right, OPEN).enforce()


def seen(rules: Policy, fields: Headers) -> Headers:
    """The fields that are left for handlers."""
    return without_private_fields(rules, RequestFacts.from_headers("POST", fields), fields)


NAVIGATION = browser(b"cross-site", b"navigate", b"document")

# Who asks, by what method, and the rights they have: without a token, and with one shown.
ASKERS: dict[str, tuple[str, Fields, str, str]] = {
    "a program": ("GET", (), "PLAM", "PLAM"),
    "a program that posts": ("POST", (), "PLAM", "PLAM"),
    "our page": ("GET", browser(b"same-origin"), "PLAM", "PLAM"),
    "our page that posts": (
        "POST",
        ((b"origin", b"http://localhost:8080"), *browser(b"same-origin")),
        "PLAM",
        "PLAM",
    ),
    "our page in an old browser": (
        "POST",
        ((b"origin", b"http://localhost:8080"),),
        "PLAM",
        "PLAM",
    ),
    "our page behind TLS": ("POST", ((b"origin", b"https://localhost:8080"),), "PLAM", "PLAM"),
    "the address bar": ("GET", browser(b"none", b"navigate", b"document"), "PLAM", "PLAM"),
    "a friend": ("POST", ((b"origin", FRIEND), *browser(b"cross-site")), "PLA", "PLAM"),
    "a friend in an old browser": ("POST", ((b"origin", FRIEND),), "PLA", "PLAM"),
    "a link on another site": ("GET", NAVIGATION, "PL", "PL"),
    "a link on another port": ("GET", browser(b"same-site", b"navigate", b"document"), "PL", "PL"),
    "a form on another site": ("POST", NAVIGATION, "", ""),
    "a form that says where from": (
        "POST",
        ((b"origin", b"https://evil.example"), *NAVIGATION),
        "",
        "",
    ),
    "an image": ("GET", browser(b"cross-site", b"no-cors", b"image"), "", ""),
    "an image on another port": ("GET", browser(b"same-site", b"no-cors", b"image"), "", ""),
    "a frame": ("GET", browser(b"cross-site", b"navigate", b"iframe"), "", ""),
    "a script's simple fetch": ("GET", browser(b"cross-site", b"no-cors"), "", ""),
    "a script's fetch": (
        "GET",
        ((b"origin", b"https://evil.example"), *browser(b"cross-site")),
        "",
        "",
    ),
    "another port's fetch": ("GET", ((b"origin", b"http://localhost:3000"),), "", ""),
    "another scheme": ("POST", ((b"origin", b"ftp://localhost:8080"),), "", ""),
    "a sandboxed frame": ("POST", ((b"origin", b"null"), *browser(b"cross-site")), "", ""),
    "an extension": ("POST", ((b"origin", b"chrome-extension://abc"), *browser(b"none")), "", ""),
    "two origins": ("POST", ((b"origin", b"http://localhost:8080"), (b"origin", FRIEND)), "", ""),
    "an own origin from elsewhere": (
        "POST",
        ((b"origin", b"http://localhost:8080"), *browser(b"cross-site")),
        "",
        "",
    ),
    "two sites": ("GET", (*browser(b"same-origin"), (b"sec-fetch-site", b"cross-site")), "", ""),
    "an unknown site": ("GET", browser(b"elsewhere"), "", ""),
    "an empty origin": ("POST", ((b"origin", b""),), "", ""),
    "a browser that gives a referer only": (
        "GET",
        ((b"referer", b"http://evil.example/page"),),
        "PL",
        "PL",
    ),
    "a post with a foreign referer": ("POST", ((b"referer", b"http://evil.example/"),), "", ""),
    "our page's referer": ("GET", ((b"referer", b"http://localhost:8080/?a=b"),), "PLAM", "PLAM"),
}
LETTERS = {"P": Right.PUBLIC, "L": Right.READ_LINK, "A": Right.ASK, "M": Right.MANAGE}


@pytest.mark.parametrize("asker", ASKERS, ids=str)
@pytest.mark.parametrize("letter", LETTERS)
def test_the_table_of_who_may_do_what_holds(asker: str, letter: str) -> None:
    method, fields, open_rights, token_rights = ASKERS[asker]
    right = LETTERS[letter]
    friends = ("http://other.example", FRIEND.decode())
    without = verdict(policy(origins=friends), right, HOST, *fields, method=method)
    assert without == ("granted" if letter in open_rights else "Forbidden")

    guarded = policy(TOKEN, friends)
    shown = verdict(guarded, right, HOST, BEARER, *fields, method=method)
    assert shown == ("granted" if letter in token_rights else "Forbidden")

    needed = "granted" if letter in "PL" else "Unauthorized"
    missing = verdict(guarded, right, HOST, *fields, method=method)
    assert missing == (needed if letter in token_rights else "Forbidden")


@pytest.mark.parametrize("letter", LETTERS)
def test_a_star_lets_every_page_read_links_and_nothing_more_without_a_token(letter: str) -> None:
    stranger = ((b"origin", b"https://evil.example"), *browser(b"cross-site"))
    right = LETTERS[letter]
    without = verdict(policy(origins=("*",)), right, HOST, *stranger)
    assert without == ("granted" if letter in "PL" else "Forbidden")
    shown = verdict(policy(TOKEN, ("*",)), right, HOST, BEARER, *stranger)
    assert shown == "granted"
    missing = verdict(policy(TOKEN, ("*",)), right, HOST, *stranger)
    assert missing == ("granted" if letter in "PL" else "Unauthorized")


# --- Host -------------------------------------------------------------------------------------

ALWAYS = [
    b"localhost",
    b"LOCALHOST:99",
    b"localhost.",
    b"app.localhost:8080",
    b"127.0.0.1:8080",
    b"127.255.0.3",
    b"[::1]",
    b"[::1]:8080",
    b"[::ffff:127.0.0.1]:1",
]
NEVER = [
    b"evil.example",
    b"127.0.0.1.evil.example",
    b"localhost.evil.example",
    b"127.1",
    b"0",
    b"2130706433",
    b"0x7f.1",
    b"0.0.0.0:8080",
    b"[::]",
    b"evillocalhost",
]
LITERALS = [b"192.168.1.7:8080", b"10.0.0.1", b"[2001:db8::1]:8080", b"169.254.169.254"]
BROKEN = [
    b"",
    b"localhost:",
    b"localhost:abc",
    b"localhost:123456",
    b"a b",
    b"localhost/",
    b"[::1",
    b"user@localhost",
    b"localhost,evil.example",
    b"[::1]evil.example",
    b"\xff",
]


@pytest.mark.parametrize("host", ALWAYS)
@pytest.mark.parametrize("bound", ["127.0.0.1", "0.0.0.0", "192.168.1.7", "tail.example"])
def test_loopback_hosts_are_always_answered(host: bytes, bound: str) -> None:
    assert verdict(policy(bound=bound), Right.ASK, (b"host", host)) == "granted"


@pytest.mark.parametrize("host", NEVER)
@pytest.mark.parametrize("bound", ["127.0.0.1", "0.0.0.0", "::", "", "192.168.1.7"])
@pytest.mark.parametrize("right", Right)
def test_names_that_anybody_may_point_here_are_misdirected(
    host: bytes, bound: str, right: Right
) -> None:
    for fields in ((), NAVIGATION, browser(b"same-origin"), (BEARER,)):
        assert verdict(policy(TOKEN, bound=bound), right, (b"host", host), *fields) == "Misdirected"


@pytest.mark.parametrize("host", LITERALS)
def test_a_wildcard_address_answers_to_ip_literals_and_loopback_does_not(host: bytes) -> None:
    assert verdict(policy(bound="0.0.0.0"), Right.ASK, (b"host", host)) == "granted"
    assert verdict(policy(bound="::"), Right.ASK, (b"host", host)) == "granted"
    assert verdict(policy(), Right.ASK, (b"host", host)) == "Misdirected"


@pytest.mark.parametrize("host", BROKEN)
def test_a_host_that_is_none_is_a_bad_request(host: bytes) -> None:
    assert verdict(policy(bound="0.0.0.0"), Right.PUBLIC, (b"host", host)) == "BadRequest"


def test_the_bound_address_and_name_are_answered() -> None:
    assert verdict(policy(bound="192.168.1.7"), Right.ASK, (b"host", b"192.168.1.7")) == "granted"
    assert (
        verdict(policy(bound="Tail.example"), Right.ASK, (b"host", b"tail.EXAMPLE:1")) == "granted"
    )
    assert (
        verdict(policy(bound="192.168.1.7"), Right.ASK, (b"host", b"192.168.1.8")) == "Misdirected"
    )


def test_allowed_hosts_are_names_or_suffixes() -> None:
    rules = policy(hosts=("Tail.example", ".example.org"))
    for host in (b"tail.example:443", b"example.org", b"a.b.example.org"):
        assert verdict(rules, Right.ASK, (b"host", host)) == "granted"
    for host in (b"a.tail.example", b"evilexample.org", b"example.org.evil"):
        assert verdict(rules, Right.ASK, (b"host", host)) == "Misdirected"


def test_a_request_has_one_host() -> None:
    assert verdict(policy(), Right.PUBLIC) == "BadRequest"
    assert verdict(policy(), Right.PUBLIC, HOST, HOST) == "BadRequest"


def test_http_1_0_may_leave_host_out_but_not_lie() -> None:
    def old(*fields: tuple[bytes, bytes]) -> RequestFacts:
        return RequestFacts.from_headers("GET", fields, http_version="1.0")

    judge(policy(), Right.ASK, old())
    with pytest.raises(Misdirected):
        judge(policy(), Right.ASK, old((b"host", b"evil.example")))
    with pytest.raises(Forbidden):
        judge(policy(), Right.ASK, old((b"origin", b"http://localhost:8080")))


def test_a_plain_origin_is_not_ours_when_the_request_came_by_tls() -> None:
    def facts(origin: bytes) -> RequestFacts:
        fields = (HOST, (b"origin", origin))
        return RequestFacts.from_headers("POST", fields, scheme="https")

    judge(policy(), Right.ASK, facts(b"https://localhost:8080"))
    with pytest.raises(Forbidden):
        judge(policy(), Right.ASK, facts(b"http://localhost:8080"))


@pytest.mark.parametrize(
    ("host", "origin", "own"),
    [
        (b"localhost", b"http://localhost", True),
        (b"localhost:80", b"http://localhost", True),
        (b"localhost", b"http://localhost:80", True),
        (b"localhost", b"https://localhost:443", True),
        (b"localhost", b"http://localhost:8080", False),
        (b"localhost:8080", b"http://127.0.0.1:8080", False),
        (b"[::1]:8080", b"http://[::1]:8080", True),
    ],
)
def test_an_own_origin_has_the_same_host_and_port(host: bytes, origin: bytes, own: bool) -> None:
    result = verdict(policy(), Right.ASK, (b"host", host), (b"origin", origin), method="POST")
    assert result == ("granted" if own else "Forbidden")


# --- the token --------------------------------------------------------------------------------

WRONG = [
    b"",
    b"Bearer",
    b"Bearer ",
    b"Bearer wrong",
    b"Bearer s3cret-toke",
    b"Bearer s3cret-tokenn",
    b"Basic s3cret-token",
    b"s3cret-token",
    b"Bearer s3cret-token x",
    b"Bearer \xff",
]


@pytest.mark.parametrize("value", WRONG)
@pytest.mark.parametrize("right", [Right.ASK, Right.MANAGE])
def test_a_wrong_token_opens_nothing(value: bytes, right: Right) -> None:
    assert verdict(policy(TOKEN), right, HOST, (b"authorization", value)) == "Unauthorized"


def test_two_tokens_are_none() -> None:
    assert verdict(policy(TOKEN), Right.ASK, HOST, BEARER, BEARER) == "Unauthorized"


@pytest.mark.parametrize(
    "field",
    [
        (b"authorization", b"Bearer s3cret-token"),
        (b"authorization", b"bearer  s3cret-token "),
        (b"authorization", b"BEARER s3cret-token"),
        (b"x-api-key", b"s3cret-token"),
        (b"api-key", b"s3cret-token"),
    ],
)
def test_our_token_is_seen_by_nobody_behind_us(field: tuple[bytes, bytes]) -> None:
    others = [HOST, (b"x-other", b"v")]
    assert seen(policy(TOKEN), [field, *others]) == others


@pytest.mark.parametrize(
    "second",
    [
        (b"x-api-key", b"s3cret-token"),
        (b"api-key", b"Bearer s3cret-token"),
        (b"x-api-key", b" s3cret-token\t"),
        (b"x-api-key", b"sk-theirs, s3cret-token"),
    ],
)
def test_our_token_is_taken_out_of_every_field_that_holds_it(second: tuple[bytes, bytes]) -> None:
    others = [HOST, (b"x-other", b"v")]
    first = (b"authorization", b"Bearer s3cret-token")
    for shown in ([first, second], [second, first], [first, first, second]):
        fields = [*others, *shown, (b"x-api-key", b"s3cret-token")]
        assert seen(policy(TOKEN), fields) == others


@pytest.mark.parametrize(
    "value", [b"Token s3cret-token", b"s3cret-token", b"Bearer a, Bearer s3cret-token"]
)
def test_what_is_no_way_to_show_our_token_opens_nothing_and_goes_nowhere(value: bytes) -> None:
    fields = [HOST, (b"authorization", value)]
    assert verdict(policy(TOKEN), Right.ASK, *fields) == "Unauthorized"
    assert seen(policy(TOKEN), fields) == [HOST]


def test_a_key_for_the_upstream_goes_on_beside_our_token() -> None:
    fields = [HOST, (b"authorization", b"Bearer s3cret-token"), (b"x-api-key", b"sk-theirs")]
    assert seen(policy(TOKEN), fields) == [HOST, (b"x-api-key", b"sk-theirs")]


def test_a_clients_own_key_is_forwarded_where_no_token_is_set() -> None:
    assert seen(policy(), [HOST, BEARER]) == [HOST, BEARER]


@given(st.binary(max_size=40), st.sampled_from(list(Right)), st.sampled_from(["GET", "POST"]))
def test_no_value_of_any_field_breaks_the_decision(value: bytes, right: Right, method: str) -> None:
    names = (b"host", b"origin", b"sec-fetch-site", b"authorization", b"referer")
    for name in names:
        fields = ((name, value),) if name == b"host" else (HOST, (name, value))
        result = verdict(policy(TOKEN, (FRIEND.decode(),)), right, *fields, method=method)
        assert result in {"granted", "BadRequest", "Misdirected", "Forbidden", "Unauthorized"}


def test_a_refusal_says_nothing_of_the_token() -> None:
    for right, fields in product(Right, (NAVIGATION, browser(b"cross-site"), (), (BEARER,))):
        try:
            judge(policy("other-token"), right, RequestFacts.from_headers("GET", (HOST, *fields)))
        except (BadRequest, Misdirected, Forbidden, Unauthorized) as error:
            assert "other-token" not in str(error)
            assert TOKEN not in str(error)


# --- whose its answers are --------------------------------------------------------------------


def owner(rules: Policy, *fields: tuple[bytes, bytes]) -> bytes:
    return identify(rules, RequestFacts.from_headers("POST", (HOST, *fields))).owner


def test_the_token_makes_no_owner_so_another_one_finds_the_same_answers() -> None:
    assert owner(policy(TOKEN), BEARER) == owner(policy()) == owner_of([])
    page = (b"sec-fetch-site", b"same-origin")
    assert owner(policy(TOKEN), page) == owner_of([])


def test_a_key_for_the_upstream_is_whose_the_answers_are_beside_our_token() -> None:
    key = (b"x-api-key", b"sk-theirs")
    assert owner(policy(TOKEN), BEARER, key) == owner(policy(), key) == owner_of([key])


def test_a_page_that_may_ask_and_not_manage_has_answers_of_its_own() -> None:
    friend = (b"origin", FRIEND)
    rules = policy(origins=(FRIEND.decode(),))
    assert owner(rules, friend) == owner_of([], FRIEND)
    guarded = policy(TOKEN, (FRIEND.decode(),))
    assert owner(guarded, friend, BEARER) == owner_of([])


def test_who_asks_is_told_even_where_another_application_answers_for_the_host() -> None:
    rules = Policy("", 0, judged=frozenset({Right.READ_LINK}))
    for fields in ((), ((b"host", b"shop.example"),), ((b"host", b"a b"),)):
        facts = RequestFacts.from_headers("PUT", fields)
        judge(rules, Right.MANAGE, facts)
    foreign = RequestFacts.from_headers("PUT", ((b"host", b"a"), (b"origin", b"https://b")))
    judge(rules, Right.READ_LINK, foreign)
    with pytest.raises(Forbidden):
        judge(rules, Right.MANAGE, foreign)
