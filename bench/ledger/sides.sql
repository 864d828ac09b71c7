-- What the ledger is measured beside, and the books that it is measured on. It runs as the owner.

-- name: make_plain
-- A ledger in the usual way: a function that locks two accounts in the order of their ids, moves
-- them, and writes a transfer with its two entries, each with a running balance.
create schema plain
create table plain.account (
    id bigint primary key,
    balance bigint not null default 0,
    version bigint not null default 0
)
create table plain.transfer (
    id bigint generated always as identity primary key,
    key text not null unique,
    debit_account bigint not null references plain.account,
    credit_account bigint not null references plain.account,
    amount bigint not null check (amount > 0),
    recorded_at timestamptz not null default now()
)
create table plain.entry (
    account bigint not null references plain.account,
    version bigint not null,
    transfer bigint not null references plain.transfer,
    amount bigint not null,
    balance_after bigint not null,
    primary key (account, version)
);
insert into plain.account (id) select * from generate_series(1, 10000);
create function plain.post(asked_key text, debit bigint, credit bigint, moved bigint)
returns bigint language plpgsql as $$
declare
    made bigint;
begin
    perform 1 from plain.account as a where a.id in (debit, credit) order by a.id for update;
    insert into plain.transfer (key, debit_account, credit_account, amount)
    values (asked_key, debit, credit, moved) returning id into made;
    with changed as (
        update plain.account as a
        set
            balance = a.balance + case when a.id = credit then moved else -moved end,
            version = a.version + 1
        where a.id in (debit, credit)
        returning a.id, a.balance, a.version
    )

    insert into plain.entry (account, version, transfer, amount, balance_after)
    select c.id, c.version, made, case when c.id = credit then moved else -moved end, c.balance
    from changed as c;
    return made;
end
$$;

-- name: post_plainly
-- One transfer in the usual way.
select plain.post($1, $2, $3, $4);

-- name: commit_nothing
-- A number that the commit has to make durable, and nothing else.
select pg_current_xact_id();

-- name: make_bare
-- Tables like those of the ledger, without an index, a constraint or a trigger.
create table bare_posting (like posting);
create table bare_transfer (like transfer);

-- name: sample_postings
-- Rows of the ledger, to be copied.
select * from posting where book = $1 order by number limit $2;

-- name: sample_transfers
-- Rows of the ledger, to be copied.
select * from transfer where book = $1 order by posting limit $2;

-- name: make_book
-- A line with a book of the same name.
with line as (
    insert into business_line (id, name, commission_bp)
    values ($1, 'A line', 0)
    returning id
)

insert into book (id, line)
select line.id, line.id
from line;

-- name: open_accounts
-- So many accounts of a book.
insert into account (book, path, kind, currency)
select $1, 'customer:c' || n || ':credit', 'liability', 'EUR'
from generate_series(0, $2::integer - 1) as n
order by n;

-- name: fill
-- What a book with a long past looks like: $3 postings more of a transfer each, in turns over its
-- 10,000 accounts ($2 is the first one's id). An account is debited and credited once in each turn,
-- so all that a row carries is known beforehand, and triggers have nothing to do.
with numbers as (
    select
        n,
        (n - 1) % 10000 as debit,
        (n - 1 + 5000) % 10000 as credit,
        (n - 1) / 10000 as turn
    from generate_series($4::bigint + 1, $4::bigint + $3::bigint) as n
),

posted as (
    insert into posting (book, number, key, request_hash, transfers, recorded_at)
    select $1, n, 'past-' || lpad(n::text, 12, '0'), '\x00', 1, '2026-01-01'::timestamptz
    from numbers
)

insert into transfer (
    book, posting, leg, phase, currency, debit_account, credit_account, amount,
    debit_version, debit_balance_after, debit_pending_after,
    credit_version, credit_balance_after, credit_pending_after
)
select
    $1,
    n,
    0,
    'transfer',
    'EUR',
    $2 + debit,
    $2 + credit,
    1,
    2 * turn + case when debit < 5000 then 1 else 2 end,
    case when debit < 5000 then -1 else 0 end,
    0,
    2 * turn + case when credit < 5000 then 2 else 1 end,
    case when credit < 5000 then 0 else 1 end,
    0
from numbers;

-- name: filled
-- What the accounts and the book come to after $2 postings in whole turns.
with counted as (
    update account
    set
        debits_posted = $2::bigint / 10000,
        credits_posted = $2::bigint / 10000,
        version = 2 * ($2::bigint / 10000)
    where book = $1
)

update book set head = $2, recorded_at = '2026-01-01' where id = $1;

-- name: triggers_off
-- Triggers say nothing on this connection until the block ends.
select set_config('session_replication_role', 'replica', true);

-- name: first_account
-- The first account of a book.
select min(id) from account where book = $1;

-- name: settle
-- What autovacuum does in its time.
vacuum (analyze) posting;

-- name: settle_transfers
-- What autovacuum does in its time.
vacuum (analyze) transfer;

-- name: settle_accounts
-- What autovacuum does in its time.
vacuum (analyze) account;

-- name: posting_by_number
-- A row by its primary key.
select key, recorded_at from posting where book = $1 and number = $2;

-- name: durability
-- What the server promises of a commit.
select
    current_setting('server_version') as version,
    current_setting('fsync') as fsync,
    current_setting('synchronous_commit') as synchronous_commit,
    current_setting('full_page_writes') as full_page_writes;
