"""The supervision tree over HTTP: for operators, bounded, and as the document says."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # ships no types

from actors.tree import Vitals
from app.domain.errors import Code
from app.http.message import Request, Response
from app.http.openapi import document
from app.http.schemas import TreeAnswer
from app.http.table import ROUTES
from app.identity.model import Role
from app.identity.tokens import Tokens
from app.limits import TREE_CHILDREN_MAX, TREE_CHILDREN_USUAL, TREE_PLACES_MAX
from tests.app.http.node import SECRET, Seen, bare_services, router
from tests.app.inspect.trees import actor, place, supervisor

PATH = "/v1/operations/tree"
DOCUMENT = document(ROUTES)


class Forest:
    """A node with so many connections, and so many channels on each."""

    def __init__(self, connections: int, channels: int = 1) -> None:
        self.asked: list[int] = []
        self._connections = [
            place(f"connection-{n}", children=tuple(actor(f"sale:{m}") for m in range(channels)))
            for n in range(connections)
        ]

    def __call__(self, children_max: int) -> Vitals:
        """The tree, as a system lists it."""
        self.asked.append(children_max)
        listed = self._connections[:children_max]
        hidden = len(self._connections) - len(listed)
        connections = supervisor("connections", "dynamic", *listed, hidden=hidden)
        node = supervisor("node", "rest_for_one", connections, age_s=7.0)
        return supervisor("agio", "rest_for_one", node, age_s=9.5)


CROWD = Forest(500)
FULL = Forest(TREE_CHILDREN_MAX, 50)


async def ask(tree: Any, query: str = "", *, role: Role = Role.OPERATOR) -> Response:
    """The answer to somebody of this role."""
    token = Tokens(SECRET).issue("demo-somebody", role, "demo", 60)
    request = Request("GET", PATH, query, {"authorization": f"Bearer {token}"})
    return await router(replace(bare_services(), tree=tree), Seen()).handle(request)


async def shown(tree: Any, query: str = "") -> dict[str, Any]:
    """The body of a success, held against the document."""
    answer = await ask(tree, query)
    body: dict[str, Any] = msgspec.json.decode(answer.body)
    assert answer.status == 200, body
    told = DOCUMENT["paths"][PATH]["get"]["responses"]["200"]["content"]["application/json"]
    Draft202012Validator({**told["schema"], "components": DOCUMENT["components"]}).validate(body)
    return body


async def test_an_operator_sees_the_tree() -> None:
    """Each place with its mailbox and its children, and the age of the root beside it."""
    body = await shown(Forest(1))
    assert (body["path"], body["uptime_s"]) == ("agio", 9.5)
    (node,) = body["tree"].pop("children")
    assert body["tree"] == {
        "name": "agio",
        "kind": "supervisor",
        "detail": "rest_for_one",
        "state": "running",
        "age_s": 9.5,
        "restarts": 0,
        "mailbox": None,
        "hidden": 0,
    }
    channel = node["children"][0]["children"][0]["children"][0]
    assert (channel["name"], channel["mailbox"]["capacity"]) == ("sale:0", 64)


@pytest.mark.parametrize("role", [Role.BUYER, Role.SELLER])
async def test_nobody_else_sees_it(role: Role) -> None:
    """And nobody learns from the answer which places there are."""
    for query in ("", "path=agio", "path=nothing", "wrong=1"):
        answer = await ask(Forest(1), query, role=role)
        assert answer.status == 403
        assert msgspec.json.decode(answer.body)["code"] == Code.FORBIDDEN


async def test_a_crowd_is_listed_in_part_and_counted() -> None:
    """Without being asked for more, a few children of each place are looked at."""
    connections = (await shown(CROWD))["tree"]["children"][0]["children"][0]
    assert CROWD.asked == [TREE_CHILDREN_USUAL]
    assert len(connections["children"]) == TREE_CHILDREN_USUAL
    assert connections["hidden"] == 500 - TREE_CHILDREN_USUAL


async def test_the_answer_is_bounded_however_much_is_asked_for() -> None:
    """Beyond the places of one answer children are counted, not listed."""
    answer = await ask(FULL, f"children_max={TREE_CHILDREN_MAX}")
    tree = msgspec.json.decode(answer.body, type=TreeAnswer).tree
    assert len(list(tree.walk())) == TREE_PLACES_MAX
    hidden = sum(place.hidden for _, place in tree.walk())
    assert hidden == 3 + TREE_CHILDREN_MAX * 51 - TREE_PLACES_MAX


async def test_a_part_of_the_tree_is_shown_by_its_path() -> None:
    """Also one that the whole tree would not list; the uptime stays the root's."""
    body = await shown(Forest(100), "path=agio/node/connections/connection-99&children_max=0")
    assert body["tree"]["name"] == "connection-99"
    assert (body["path"], body["uptime_s"]) == ("agio/node/connections/connection-99", 9.5)
    assert (body["tree"]["children"], body["tree"]["hidden"]) == ([], 1)


@pytest.mark.parametrize("path", ["nothing", "node", "agio/", "agio/node/hub", "%C3%A4"])
async def test_a_path_of_no_place_is_not_found(path: str) -> None:
    """A path that leads nowhere is told so."""
    answer = await ask(Forest(1), f"path={path}")
    assert answer.status == 404
    assert "no such place" in msgspec.json.decode(answer.body)["detail"]


@pytest.mark.parametrize(
    "query",
    [f"children_max={TREE_CHILDREN_MAX + 1}", "children_max=-1", "children_max=all", "depth=1"],
)
async def test_more_than_the_bound_is_refused(query: str) -> None:
    """And so is what is no parameter."""
    answer = await ask(Forest(1), query)
    assert answer.status == 400
    assert msgspec.json.decode(answer.body)["code"] == Code.INVALID_REQUEST


async def test_where_no_tree_runs_there_is_none_to_show() -> None:
    """That is so for a moment, while a node comes and goes."""
    answer = await ask(lambda _: None)
    assert (answer.status, answer.header("retry-after")) == (503, "1")


def test_the_document_explains_each_number() -> None:
    """What the classes' docstrings say of an attribute stands beside the property."""
    schemas = DOCUMENT["components"]["schemas"]
    assert schemas["Vitals"]["description"] == "One place in the tree, now."
    for name in ("Vitals", "MailboxStatistics"):
        for attribute, schema in schemas[name]["properties"].items():
            assert schema.get("description"), f"{name}.{attribute} is not explained"
