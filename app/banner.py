"""What `agio up` prints once it serves: where, tokens, and two snippets that work as pasted."""

import shlex
import sys
from typing import Final

from app.identity.model import Role, Scope
from app.identity.tokens import Tokens

# Whoever runs the demo may do all there is with its ledger.
_SCOPES: Final = {Role.OPERATOR: tuple(Scope)}

# The banner's last line: whoever waits for it to be whole waits for this.
LAST_LINE: Final = "Ctrl-C ends everything."

_BANNER: Final = """\

  Agio serves on {url}

  A token for each role, valid for {hours} hours:

  buyer     {buyer}
  seller    {seller}
  operator  {operator}

  Watch the demo sale (paste into a shell):

{python} - <<'END'
import json, trio, trio_websocket
async def watch():
    url = "{socket}/socket/websocket?vsn=2.0.0&token={seller}"
    async with trio_websocket.open_websocket_url(url) as socket:
        await socket.send_message(json.dumps(["1", "1", "sale:demo", "phx_join", {{}}]))
        heartbeat = trio.current_time() + 30
        while True:
            with trio.move_on_at(heartbeat):
                print(*json.loads(await socket.get_message())[3:], flush=True)
                continue
            await socket.send_message(json.dumps([None, "2", "phoenix", "heartbeat", {{}}]))
            heartbeat += 30
trio.run(watch)
END

  Buy in it (paste into another):

curl -s -w '\\n' {url}/v1/transactions \\
  -H 'Content-Type: application/json' \\
  -H "Idempotency-Key: $(date +%s)-$$" \\
  -H 'Authorization: Bearer {buyer}' \\
  -d '{{"sale": "demo", "listing": "demo-mug", "quantity": 1, "payment_method": "pm_card_visa"}}'

  {last}
"""


def banner(url: str, tokens: Tokens, ttl_s: int, *, python: str = sys.executable) -> str:
    """The text.

    Args:
        url: where it serves, such as `http://127.0.0.1:4000`.
        tokens: issues the three tokens.
        ttl_s: how long they live, in seconds.
        python: runs the snippet that watches.
    """
    issued = {
        role.value: tokens.issue(f"demo-{role}", role, "demo", ttl_s, _SCOPES.get(role, ()))
        for role in Role
    }
    return _BANNER.format(
        url=url,
        socket=url.replace("http", "ws", 1),
        python=shlex.quote(python),
        hours=ttl_s // 3600,
        last=LAST_LINE,
        **issued,
    )
