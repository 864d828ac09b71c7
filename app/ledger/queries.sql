-- The ledger's statements. Accounts are always locked in the order of their ids.

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
-- The accounts of a posting, locked in the order of their ids until the block ends. No row, and no
-- lock, unless all of them are open.
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
where
    a.book = $1
    and (
        select count(*)
        from account as o
        inner join unnest($2::text[], $3::text[]) as needed (path, currency)
            on o.path = needed.path and o.currency = needed.currency
        where o.book = $1
    ) = cardinality($2::text[])
order by a.id
for update of a;

-- name: record
-- Claims a posting's key, forever, and writes all of it: transfers ($4 to $7), their entries ($8 to
-- $13, each with the place of its transfer), and the accounts' counters ($14 to $17). No row, and
-- nothing written, where the key was claimed before.
with claimed as (
    insert into posting (id, book, key)
    values ($1, $2, $3)
    on conflict (book, key) do nothing
    returning id, book
),

moved as materialized (
    select
        nextval(pg_get_serial_sequence('transfer', 'id')) as id,
        claimed.id as posting,
        claimed.book,
        t.currency,
        t.debit_account,
        t.credit_account,
        t.amount,
        t.place
    from claimed
    cross join unnest($4::text[], $5::bigint[], $6::bigint[], $7::bigint[])
        with ordinality as t (currency, debit_account, credit_account, amount, place)
),

transferred as (
    insert into transfer (id, posting, book, currency, debit_account, credit_account, amount)
    overriding system value
    select
        id,
        posting,
        book,
        currency,
        debit_account,
        credit_account,
        amount
    from moved
),

entered as (
    insert into entry (account, version, transfer, side, amount, balance_after)
    select
        e.account,
        e.version,
        moved.id,
        e.side,
        e.amount,
        e.balance_after
    from moved
    inner join
        unnest(
            $8::bigint[], $9::bigint[], $10::bigint[], $11::text[], $12::bigint[], $13::bigint[]
        ) as e (account, version, place, side, amount, balance_after)
        on moved.place = e.place
),

counted as (
    update account
    set debits = u.debits, credits = u.credits, version = u.version
    from claimed
    cross join unnest($14::bigint[], $15::bigint[], $16::bigint[], $17::bigint[])
        as u (id, debits, credits, version)
    where account.id = u.id
)

select id from claimed;

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
