"""The route table of a whole server, asked by whoever has no credentials."""

from __future__ import annotations

import re

from tailrace.config import Settings
from tailrace.contracts import Right
from tests.web.app_harness import House, asking

TOKEN = "a-token-of-the-operator"
ELSEWHERE = {"origin": "https://elsewhere.example", "sec-fetch-site": "cross-site"}

# What a program without the token gets, and what a page of another site gets, by right. LOGIN is
# how the token is shown, so programs have it; where nothing is refused, the handler answers.
WITHOUT_TOKEN = {
    Right.PUBLIC: None,
    Right.READ_LINK: None,
    Right.LOGIN: None,
    Right.ASK: 401,
    Right.MANAGE: 401,
}
FROM_ELSEWHERE = dict.fromkeys(Right, 403)
REFUSALS = (401, 403)


def test_every_route_asked_without_credentials_gives_what_the_table_says() -> None:
    async def scenario(house: House) -> None:
        assert len(house.table.rows) > 40
        for row in house.table.rows:
            path = re.sub(r"\{\w+\*?\}", "x", row.pattern)
            for fields, expected in (({}, WITHOUT_TOKEN), (ELSEWHERE, FROM_ELSEWHERE)):
                answer = await house.ask(row.method, path, fields, b"")
                said = f"{row.method} {row.pattern} {answer.status}"
                if expected[row.right] is None:
                    # A wrong token at the login is the one refusal that is the handler's own.
                    assert answer.status not in REFUSALS or row.right is Right.LOGIN, said
                else:
                    assert answer.status == expected[row.right], said

    asking(scenario, settings=Settings(token=TOKEN))


def test_each_row_is_found_by_its_own_pattern() -> None:
    async def scenario(house: House) -> None:
        for row in house.table.rows:
            path = re.sub(r"\{\w+\*?\}", "x", row.pattern)
            match = house.table.find(path)
            assert match.template == row.pattern.replace("*}", "}")
            assert match.endpoint(row.method).right is row.right

    asking(scenario)
