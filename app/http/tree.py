"""The supervision tree over HTTP, for operators."""

from typing import Final

from app.domain.errors import Code, Refusal
from app.http.decode import decode_query
from app.http.message import RefusedError, Request, Response
from app.http.reply import reply
from app.http.router import Operation, Route
from app.http.schemas import TreeAnswer, TreeQuery
from app.http.services import Services
from app.identity.model import Role
from app.inspect.model import find, trimmed
from app.limits import TREE_CHILDREN_MAX, TREE_PLACES_MAX

_NO_PLACE: Final = Refusal(Code.NOT_FOUND, "There is no such place in the tree.")


async def get_tree(services: Services, request: Request) -> Response:
    """What lives on this node, from the root or from the place at `path`; bounded in any case."""
    if request.identity.role is not Role.OPERATOR:
        raise RefusedError(Refusal(Code.FORBIDDEN))
    query = decode_query(request, TreeQuery)
    root = services.tree(TREE_CHILDREN_MAX if query.path else query.children_max)
    if root is None:
        raise RefusedError(Refusal(Code.UNAVAILABLE))
    if services.siblings is not None:
        place = await services.siblings.tree(root, request, query.path)
    else:
        place = find(root, query.path) if query.path else root
    if place is None:
        raise RefusedError(_NO_PLACE)
    tree = trimmed(place, places=TREE_PLACES_MAX, children=query.children_max)
    return reply(TreeAnswer(query.path or root.name, root.age_s, tree))


ROUTES: Final = (
    Route(
        "GET",
        "/v1/operations/tree",
        get_tree,
        Operation(
            id="getTree",
            summary="Every supervisor and actor of this server, for operators.",
            tag="operations",
            answer=TreeAnswer,
            query=TreeQuery,
            refusals=(Code.FORBIDDEN, Code.NOT_FOUND),
        ),
    ),
)
