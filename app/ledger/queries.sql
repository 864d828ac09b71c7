-- What is read of the ledger.

-- name: accounts_of_line
-- A page of a line's accounts.
select a.*
from account_seen as a
inner join book as b on a.book = b.id
where b.line = $1 and a.id > $2
order by a.id
limit $3;

-- name: accounts_of_owner
-- A page of a person's accounts.
select a.*
from account_seen as a
inner join book as b on a.book = b.id
where b.line = $1 and a.owner = $2 and a.id > $3
order by a.id
limit $4;

-- name: account_of_line
-- One account; no row where the line has none of this id.
select a.*
from account_seen as a
inner join book as b on a.book = b.id
where b.line = $1 and a.id = $2;

-- name: entries_of_account
-- A page of an account's entries after a place in the book, with what each records.
select
    e.account,
    e.version,
    e.posting,
    e.leg,
    p.key,
    e.side,
    e.phase::text as phase,
    e.amount,
    e.currency,
    e.balance_after,
    p.recorded_at
from entry as e
inner join posting as p on e.book = p.book and e.posting = p.number
where e.account = $1 and (e.posting, e.leg) > ($2, $3)
order by e.posting, e.leg
limit $4;

-- name: violations
-- What the inv_* views show, at most so many rows a view.
select
    invariant,
    broken::text as broken
from violations($1);

-- name: replay_accounts
-- Some accounts, by id.
select * from account_seen
where id > $1
order by id
limit $2;

-- name: replay_transfers
-- Some transfers, in the order of their books.
select
    book,
    posting,
    leg,
    phase::text as phase,
    currency,
    debit_account,
    credit_account,
    amount,
    pending_posting,
    pending_leg,
    pending_amount,
    debit_version,
    debit_balance_after,
    debit_pending_after,
    credit_version,
    credit_balance_after,
    credit_pending_after
from transfer
where (book, posting, leg) > ($1, $2, $3)
order by book, posting, leg
limit $4;
