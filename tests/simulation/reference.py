"""A book of the ledger a second time, in plain Python: what the real one is held against.

It reads requests as the JSON objects that callers send, and shares no line with what decides them
in `app.ledger`; it knows only the names and the order of the codes, which are documented. Where the
real one stops at the first reason to refuse, this one finds all that apply and takes the first of
the order. Where the real one plans, this one does everything on copies, and throws them away.

`Book.post` is one posting; `Book.expire` ends what is due, which the real one does at the beginning
of each batch. Time is what `now` is set to.
"""

import copy
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from app.domain.money import EXPONENTS
from app.ledger.codes import LedgerCode
from tests.simulation.reference_accounts import Account, AccountKey, Hold, Move, Place

Body = dict[str, Any]
"""A posting or a transfer, as JSON."""

Answer = tuple[Any, ...]
"""`("accepted", posting)`, the posting as JSON with times, or `("refused", code, leg)`."""

_LARGEST: Final = 10**15
_COUNTER_LARGEST: Final = 2**62 - 1
_ORDER: Final = {code: place for place, code in enumerate(LedgerCode)}
_LIQUIDITY: Final = "conversion:liquidity"
_SPREAD: Final = "conversion:spread"
_OURS: Final = ("capture:", "expire:")
_BETWEEN_BOOKS: Final = ("due-to:", "due-from:")


class Refused(Exception):  # noqa: N818 - it says what happened
    """Why a posting is not taken."""

    def __init__(self, codes: set[LedgerCode], leg: int | None = None) -> None:
        super().__init__()
        self.answer: Answer = ("refused", min(codes, key=lambda code: _ORDER[code]), leg)


@dataclass
class Outcome:
    """What a posting would do: its moves, the accounts with them, the quotes that it uses."""

    moves: list[Move]
    accounts: dict[AccountKey, Account]
    quotes: list[str]


class Book:
    """A book, its accounts, and all that was posted to it.

    Attributes:
        now: the time of whatever is posted next.
        mode: what it takes.
        locked_before: nothing may take effect before; None: anything may.
        accounts: those that are open.
        postings: what was recorded, in order, as callers are told of it.
        asked: what was asked under each key, as text; None: by nobody.
        holds: by their names.
        quotes: those that were used.
    """

    def __init__(self, name: str, chart: dict[str, Place], now: datetime) -> None:
        self.name = name
        self.chart = chart
        self.now = now
        self.mode = "live"
        self.locked_before: datetime | None = None
        self.accounts: dict[AccountKey, Account] = {}
        self.postings: list[Body] = []
        self.asked: dict[str, str | None] = {}
        self.holds: dict[str, Hold] = {}
        self.quotes: set[str] = set()
        self.reversed: set[int] = set()

    def open_holds(self) -> dict[str, Hold]:
        """Those that nothing has ended."""
        return {name: hold for name, hold in self.holds.items() if hold.ended is None}

    def due(self) -> list[str]:
        """The holds whose time is over, the longest since first."""
        waiting: list[tuple[Any, ...]] = [
            (hold.expires_at, *map(int, name.split(".")), name)
            for name, hold in self.open_holds().items()
            if hold.expires_at is not None and hold.expires_at <= self.now
        ]
        return [name for *_, name in sorted(waiting)]

    def expire(self, names: list[str]) -> None:
        """End these holds, each by a posting of its own."""
        for name in names:
            hold = self.holds[name]
            move = Move(
                *("expire", hold.debit, hold.credit, hold.currency, hold.amount),
                ends=name,
                releases=hold.amount,
            )
            self._record({"key": f"expire:{name}"}, [move], self._moved([move]), [])
            self.asked[f"expire:{name}"] = None

    def would(self, body: Body) -> Answer | None:
        """The answer, as of now, where it is known without posting: else it would be accepted."""
        found = self._worked_out(body)
        return found if isinstance(found, tuple) else None

    def post(self, body: Body) -> Answer:
        """What a posting comes to; one that is refused leaves all as it was."""
        found = self._worked_out(body)
        if isinstance(found, tuple):
            return found
        self.asked[body["key"]] = _text(body)
        return ("accepted", self._record(body, found.moves, found.accounts, found.quotes))

    def _worked_out(self, body: Body) -> Answer | Outcome:
        key = body["key"]
        if key.startswith(_OURS):
            return ("refused", LedgerCode.KEY_RESERVED, None)
        if key in self.asked:
            if self.asked[key] != _text(body):
                return ("refused", LedgerCode.KEY_REUSED, None)
            return ("accepted", next(each for each in self.postings if each["key"] == key))
        quotes: list[str] = []
        try:
            self._judge_whole(body)
            moves = self._reversal(body) if "reverses" in body else self._moves(body, quotes)
            accounts = self._moved(moves)
            self._judge_limits(moves, accounts)
        except Refused as refused:
            return refused.answer
        return Outcome(moves, accounts, quotes)

    # Reasons to refuse ----------------------------------------------------------------------------

    def _judge_whole(self, body: Body) -> None:
        codes = set()
        if self.mode != "live":
            codes.add(LedgerCode.BOOK_CLOSED)
        effective_at = body.get("effective_at") or self.now
        if effective_at > self.now:
            codes.add(LedgerCode.EFFECTIVE_IN_FUTURE)
        if self.locked_before is not None and effective_at < self.locked_before:
            codes.add(LedgerCode.PERIOD_LOCKED)
        if "reverses" not in body and not body.get("transfers"):
            codes.add(LedgerCode.POSTING_EMPTY)
        if codes:
            raise Refused(codes)

    def _reversal(self, body: Body) -> list[Move]:
        codes = set()
        if body.get("transfers"):
            codes.add(LedgerCode.REVERSAL_HAS_TRANSFERS)
        number = body["reverses"]
        moves: list[Move] = []
        if number > len(self.postings):
            codes.add(LedgerCode.REVERSED_UNKNOWN)
        else:
            posting = self.postings[number - 1]
            legs = posting["transfers"]
            types = {leg["type"] for leg in legs}
            if posting["reverses"] is not None or not types <= {"transfer", "post"}:
                codes.add(LedgerCode.NOT_REVERSIBLE)
            if number in self.reversed:
                codes.add(LedgerCode.ALREADY_REVERSED)
            moves = [
                Move("transfer", leg["credit"], leg["debit"], leg["currency"], leg["amount"])
                for leg in legs
            ]
            codes |= {LedgerCode.ACCOUNT_CLOSED for move in moves if self._closed(move)}
        if codes:
            raise Refused(codes)
        return moves

    def _moves(self, body: Body, quotes: list[str]) -> list[Move]:
        """What the transfers of a posting do, one after the other."""
        moves: list[Move] = []
        for place, asked in enumerate(body["transfers"]):
            if asked["type"] in {"transfer", "pending"}:
                codes, found = self._plain(asked)
            elif asked["type"] == "convert":
                codes, found = self._converted(asked, quotes)
            else:
                codes, found = self._ended(asked, moves)
            if codes:
                raise Refused(codes, place)
            moves += found
        return moves

    def _plain(self, asked: Body) -> tuple[set[LedgerCode], list[Move]]:
        move = Move(*(asked[name] for name in ("type", "debit", "credit", "currency", "amount")))
        if "expires_after_s" in asked:
            move.expires_at = self.now + timedelta(seconds=asked["expires_after_s"])
        return self._judge_amount(move.amount) | self._judge_accounts(move), [move]

    def _judge_amount(self, amount: int) -> set[LedgerCode]:
        codes = set()
        if amount < 1:
            codes.add(LedgerCode.AMOUNT_NOT_POSITIVE)
        if amount > _LARGEST:
            codes.add(LedgerCode.AMOUNT_TOO_LARGE)
        return codes

    def _judge_accounts(self, move: Move) -> set[LedgerCode]:
        codes = set()
        if move.currency not in EXPONENTS:
            codes.add(LedgerCode.CURRENCY_UNKNOWN)
        if move.debit == move.credit:
            codes.add(LedgerCode.SAME_ACCOUNT)
        for path in (move.debit, move.credit):
            if path.startswith(_BETWEEN_BOOKS):
                codes.add(LedgerCode.ACCOUNT_RESERVED)
            if path not in self.chart:
                codes.add(LedgerCode.ACCOUNT_UNKNOWN)
        if self._closed(move):
            codes.add(LedgerCode.ACCOUNT_CLOSED)
        return codes

    def _closed(self, move: Move) -> bool:
        found = (self.accounts.get((path, move.currency)) for path in (move.debit, move.credit))
        return any(account is not None and account.is_closed for account in found)

    def _converted(self, asked: Body, quotes: list[str]) -> tuple[set[LedgerCode], list[Move]]:
        codes = self._judge_rate(asked)
        quote_codes = self._judge_quote(asked, quotes)
        if codes:
            return codes | quote_codes, []
        amount, source, target = asked["amount"], asked["currency"], asked["target_currency"]
        spread = amount * asked.get("spread_bp", 0) // 10_000
        worth = (amount - spread) * asked["rate"][0] // asked["rate"][1]
        codes = self._judge_amount(worth) - {LedgerCode.AMOUNT_NOT_POSITIVE} | quote_codes
        if worth < 1:
            codes.add(LedgerCode.CONVERTS_TO_NOTHING)
        moves = [
            Move("transfer", asked["debit"], _LIQUIDITY, source, amount - spread),
            Move("transfer", _LIQUIDITY, asked["credit"], target, worth),
        ]
        if spread:
            moves.append(Move("transfer", asked["debit"], _SPREAD, source, spread))
        if "quote" in asked:
            quotes.append(asked["quote"])
        # Its source, its target and its spread are looked at one after the other.
        parts = (found for move in moves if (found := self._judge_accounts(move)))
        return codes or next(parts, set()), moves

    def _judge_rate(self, asked: Body) -> set[LedgerCode]:
        numerator, denominator = asked["rate"]
        codes = self._judge_amount(asked["amount"])
        if {asked["currency"], asked["target_currency"]} - EXPONENTS.keys():
            codes.add(LedgerCode.CURRENCY_UNKNOWN)
        if asked["currency"] == asked["target_currency"]:
            codes.add(LedgerCode.SAME_CURRENCY)
        fits = 1 <= min(numerator, denominator) and max(numerator, denominator) <= _LARGEST
        if not fits or not 0 <= asked.get("spread_bp", 0) <= 9_999:
            codes.add(LedgerCode.RATE_INVALID)
        return codes

    def _judge_quote(self, asked: Body, quotes: list[str]) -> set[LedgerCode]:
        codes = set()
        if "valid_until" in asked and asked["valid_until"] <= self.now:
            codes.add(LedgerCode.QUOTE_EXPIRED)
        if "quote" in asked and (asked["quote"] in self.quotes or asked["quote"] in quotes):
            codes.add(LedgerCode.QUOTE_USED)
        return codes

    def _ended(self, asked: Body, moves: list[Move]) -> tuple[set[LedgerCode], list[Move]]:
        """The end of a hold, which an earlier transfer of the same posting may have ended."""
        name = asked["pending"]
        hold = self.holds.get(name)
        codes = self._judge_amount(asked["amount"]) if "amount" in asked else set()
        if hold is None:
            return codes | {LedgerCode.PENDING_UNKNOWN}, []
        ended = hold.ended or next((move.type for move in moves if move.ends == name), None)
        if ended == "post":
            codes.add(LedgerCode.PENDING_ALREADY_POSTED)
        if ended == "void":
            codes.add(LedgerCode.PENDING_ALREADY_VOIDED)
        if ended == "expire" or (hold.expires_at is not None and hold.expires_at <= self.now):
            codes |= {LedgerCode.PENDING_EXPIRED} if ended in {None, "expire"} else set()
        amount = asked.get("amount", hold.amount)
        if amount > hold.amount:
            codes.add(LedgerCode.EXCEEDS_PENDING)
        move = Move(asked["type"], hold.debit, hold.credit, hold.currency, amount)
        move.ends, move.releases = name, hold.amount
        return codes, [move]

    def _judge_limits(self, moves: list[Move], accounts: dict[AccountKey, Account]) -> None:
        codes = set()
        touched = {(path, move.currency) for move in moves for path in (move.debit, move.credit)}
        for account in (accounts[key] for key in touched):
            for side in ("debit", "credit"):
                if account.posted[side] + account.held[side] > _COUNTER_LARGEST:
                    codes.add(LedgerCode.OVERFLOW)
            if account.floor is not None and account.available < account.floor:
                codes.add(LedgerCode.BELOW_FLOOR)
            if account.ceiling is not None and account.expected > account.ceiling:
                codes.add(LedgerCode.ABOVE_CEILING)
        if codes:
            raise Refused(codes)

    # What happens ---------------------------------------------------------------------------------

    def _moved(self, moves: list[Move]) -> dict[AccountKey, Account]:
        """The accounts as these transfers would leave them."""
        accounts = copy.deepcopy(self.accounts)
        for move in moves:
            self._move(accounts, move)
        return accounts

    def _move(self, accounts: dict[AccountKey, Account], move: Move) -> tuple[int, int]:
        """Carry out one transfer; what the two accounts' balances are then."""
        balances = []
        for side, path in (("debit", move.debit), ("credit", move.credit)):
            place, key = self.chart[path], (path, move.currency)
            fresh = Account(place.grows, place.floor, place.ceiling)
            account = accounts.setdefault(key, fresh)
            account.entries += 1
            account.posted[side] += move.amount if move.type in {"transfer", "post"} else 0
            account.held[side] += move.amount if move.type == "pending" else -move.releases
            balances.append(account.balance)
        return balances[0], balances[1]

    def _record(
        self, body: Body, moves: list[Move], accounts: dict[AccountKey, Account], quotes: list[str]
    ) -> Body:
        """Take a posting into the log."""
        number, legs = len(self.postings) + 1, []
        for place, move in enumerate(moves):
            debited, credited = self._move(self.accounts, move)
            leg = {
                "leg": place,
                "type": move.type,
                "debit": move.debit,
                "credit": move.credit,
                "amount": move.amount,
                "currency": move.currency,
                "debit_balance_after": debited,
                "credit_balance_after": credited,
                **({"pending": move.ends} if move.ends else {}),
                **({"expires_at": move.expires_at} if move.expires_at else {}),
            }
            legs.append(leg)
            if move.type == "pending":
                self.holds[f"{number}.{place}"] = Hold(
                    *(move.debit, move.credit, move.currency, move.amount, move.expires_at)
                )
            if move.ends:
                self.holds[move.ends].ended = move.type
        assert self.accounts == accounts, "what was tried is what was done"
        self.quotes.update(quotes)
        if "reverses" in body:
            self.reversed.add(body["reverses"])
        posting = {
            "book": self.name,
            "number": number,
            "key": body["key"],
            "recorded_at": self.now,
            "effective_at": body.get("effective_at") or self.now,
            "transfers": tuple(legs),
            "reverses": body.get("reverses"),
        }
        self.postings.append(posting)
        return posting


def _text(body: Body) -> str:
    """A body, by which it is known again."""
    return json.dumps(body, sort_keys=True, default=str)
