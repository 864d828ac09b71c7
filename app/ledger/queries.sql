-- The ledger's statements. Accounts are always locked in the order of their ids.

-- name: record_posting
-- Claims a posting's key in its book, forever; no row where it was claimed before.
insert into posting (id, book, key)
values ($1, $2, $3)
on conflict (book, key) do nothing
returning id;

-- name: posting_recorded
-- Whether a posting of this key is there.
select exists(select 1 from posting where book = $1 and key = $2);

-- name: open_accounts
-- Opens what is not open yet, in the order of the paths; those that are open are not touched.
insert into account (book, path, kind, currency, owner)
select
    $1,
    wanted.path,
    wanted.kind,
    wanted.currency,
    wanted.owner
from unnest($2::text[], $3::text[], $4::text[], $5::text[])
    as wanted (path, kind, currency, owner)
where
    not exists (
        select 1
        from account as a
        where a.book = $1 and a.path = wanted.path and a.currency = wanted.currency
    )
order by wanted.path, wanted.currency
on conflict (book, path, currency) do nothing;

-- name: lock_accounts
-- The accounts of a posting, locked in the order of their ids until the block ends.
select
    a.id,
    a.book,
    a.path,
    a.kind,
    a.currency,
    a.owner,
    a.floor,
    a.debits,
    a.credits,
    a.version
from account as a
inner join unnest($2::text[], $3::text[]) as wanted (path, currency)
    on a.path = wanted.path and a.currency = wanted.currency
where a.book = $1
order by a.id
for update of a;

-- name: record_transfers
-- The ids come in the order of the arrays: the identity counts above the sort.
insert into transfer (posting, book, currency, debit_account, credit_account, amount)
select
    $1,
    $2,
    t.currency,
    t.debit_account,
    t.credit_account,
    t.amount
from unnest($3::text[], $4::bigint[], $5::bigint[], $6::bigint[])
    with ordinality as t (currency, debit_account, credit_account, amount, place)
order by t.place
returning id;

-- name: record_entries
-- Writes entries: account, version, transfer, side, amount, balance after.
insert into entry (account, version, transfer, side, amount, balance_after)
select *
from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::bigint[], $6::bigint[]);

-- name: update_accounts
-- Writes counters as they were decided: ids, debits, credits, versions.
update account as a
set debits = u.debits, credits = u.credits, version = u.version
from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[])
    as u (id, debits, credits, version)
where a.id = u.id;

-- name: accounts_of_line
-- A page of a line's accounts.
select
    a.id,
    a.book,
    a.path,
    a.kind,
    a.currency,
    a.owner,
    a.floor,
    a.debits,
    a.credits,
    a.version
from account as a
inner join book as b on a.book = b.id
where b.line = $1 and a.id > $2
order by a.id
limit $3;

-- name: accounts_of_owner
-- A page of a person's accounts.
select
    a.id,
    a.book,
    a.path,
    a.kind,
    a.currency,
    a.owner,
    a.floor,
    a.debits,
    a.credits,
    a.version
from account as a
inner join book as b on a.book = b.id
where b.line = $1 and a.owner = $2 and a.id > $3
order by a.id
limit $4;

-- name: account_of_line
-- One account; no row where the line has none of this id.
select
    a.id,
    a.book,
    a.path,
    a.kind,
    a.currency,
    a.owner,
    a.floor,
    a.debits,
    a.credits,
    a.version
from account as a
inner join book as b on a.book = b.id
where b.line = $1 and a.id = $2;

-- name: entries_of_account
-- A page of an account's entries, with what each records.
select
    e.version,
    e.transfer,
    t.posting,
    p.key,
    e.side,
    e.amount,
    t.currency,
    e.balance_after,
    e.recorded_at
from entry as e
inner join transfer as t on e.transfer = t.id
inner join posting as p on t.posting = p.id
where e.account = $1 and e.version > $2
order by e.version
limit $3;

-- name: violations
-- What the inv_* views show, at most so many rows a view.
select
    invariant,
    broken::text as broken
from violations($1);

-- name: replay_accounts
-- Some accounts, by id.
select
    id,
    book,
    path,
    kind,
    currency,
    owner,
    floor,
    debits,
    credits,
    version
from account
where id > $1
order by id
limit $2;

-- name: replay_transfers
-- Some transfers, by id.
select
    id,
    book,
    currency,
    debit_account,
    credit_account,
    amount
from transfer
where id > $1
order by id
limit $2;

-- name: replay_entries
-- Some entries, by account and version.
select
    account,
    version,
    transfer,
    side,
    amount,
    balance_after
from entry
where (account, version) > ($1, $2)
order by account, version
limit $3;
