-- What the tests of seals ask of PostgreSQL, and how they tamper with what was sealed.

-- name: seals
-- Every seal, without when it was made.
select book, first, last, encode(head, 'hex') as head from seal order by book, first;

-- name: rows
-- All that one book's first range says, and when it was sealed.
select
    s.book,
    s.first,
    s.last,
    extract(epoch from s.sealed_at)::text as sealed_at,
    s.content
from seal as s
where s.first = 1;

-- name: posting_rows
-- The postings of a range, in the order of the canonical form.
select
    number, key, encode(request_hash, 'hex') as request_hash, transfers,
    extract(epoch from recorded_at)::text as recorded_at,
    extract(epoch from effective_at)::text as effective_at,
    reverses, pair_book, pair_number, imported, meta::text as meta
from posting where book = $1 and number between $2 and $3 order by number;

-- name: transfer_rows
-- The transfers of a range.
select
    posting, leg, phase::text as phase, currency, debit_account, credit_account, amount,
    pending_posting, pending_leg, pending_amount,
    extract(epoch from expires_at)::text as expires_at,
    debit_version, debit_balance_after, debit_pending_after,
    credit_version, credit_balance_after, credit_pending_after
from transfer where book = $1 and posting between $2 and $3 order by posting, leg;

-- name: conversion_rows
-- The conversions of a range.
select
    posting, leg, quote, source_currency, source_amount, target_currency, target_amount,
    rate_numerator, rate_denominator, spread_bp
from conversion where book = $1 and posting between $2 and $3 order by posting, leg;

-- name: account_rows
-- The accounts of a book whose first entry is in a range.
select a.id, a.book, a.path, a.kind, a.currency, a.owner
from account as a
inner join entry as e on a.id = e.account and e.version = 1
where a.book = $1 and e.posting between $2 and $3
order by a.id;

-- name: columns
-- What is recorded, column by column.
select table_name, column_name, udt_name
from information_schema.columns
where
    table_name in ('posting', 'transfer', 'conversion')
    or (table_name = 'account' and column_name in ('id', 'book', 'path', 'kind', 'currency', 'owner'))
    or (table_name = 'seal' and column_name <> 'follows')
order by table_name, ordinal_position;

-- name: switch_off
-- Triggers and foreign keys say nothing until the block ends.
select set_config('session_replication_role', 'replica', true);

-- name: drop_checks
-- Nothing checks what is written any more, as an owner can bring it about.
do $$
declare
    seen record;
begin
    for seen in
        select c.conrelid::regclass as relation, c.conname
        from pg_constraint as c
        where
            c.contype in ('c', 'f')
            and c.conrelid::regclass::text
            in ('posting', 'transfer', 'conversion', 'account', 'seal', 'hold')
    loop
        execute format('alter table %s drop constraint %I', seen.relation, seen.conname);
    end loop;
    alter table account alter column id drop identity;
end
$$;

-- name: change
-- One column of one row says something else.
update {table} set {column} = {value}
where ctid = (select max(ctid) from {table});

-- name: one_byte
-- One letter of a text that somebody wrote.
update posting set meta = '{{"note": "b"}}' where number = 3;

-- name: one_row
-- A posting is gone, with its transfers; the later ones keep their numbers.
with gone as (
    delete from transfer where posting = 5
)

delete from posting where number = 5;

-- name: one_more
-- A transfer came to a posting that had one less.
insert into transfer
select
    book, posting, 90, phase, currency, debit_account, credit_account, amount, pending_posting,
    pending_leg, pending_amount, expires_at, debit_version + 900, debit_balance_after,
    debit_pending_after, credit_version + 900, credit_balance_after, credit_pending_after
from transfer where posting = 5;

-- name: one_order
-- Two postings of the same transfers change places: the first steps aside,
update posting set key = 'aside' where number = 5;

-- name: second_to_first
-- the second takes its place,
update posting set key = 'key-5' where number = 6;

-- name: first_to_second
-- and it takes the second's.
update posting set key = 'key-6' where number = 5;

-- name: truncated
-- The last postings are gone, and the book says that they never were.
with gone as (
    delete from transfer where posting > 6
),

gone_too as (
    delete from posting where number > 6
)

update book set head = 6;

-- name: seal_gone
-- A seal in the middle is gone.
delete from seal where first = 4;

-- name: account_of_another
-- The money is somebody else's.
update account set path = 'customer:eve:credit', owner = 'eve' where path = 'customer:ann:credit';

-- name: seal_rewritten
-- A seal says what the postings say now, and nothing after it was changed.
update seal
set content = $1::bytea, head = sha256(previous || $1::bytea)
where first = 4;

-- name: chain_rewritten
-- Every seal is gone, so that a sealer makes them again.
delete from seal;

-- name: last_seal_gone
-- The last seal is gone.
delete from seal where first = 7;

-- name: book_gone
-- The book is gone, with all that it has but its seals.
with a as (
    delete from transfer
),

b as (
    delete from posting
),

c as (
    delete from conversion
),

d as (
    delete from account
),

e as (
    delete from hold
)

delete from book;

-- name: forge
-- A seal as somebody would have it: first, last, its content, the head before and its own.
insert into seal (book, first, last, content, previous, head, sealed_at)
select
    'north',
    $1::bigint,
    $2::bigint,
    sha256('made up'),
    case when $3::bigint = 0 then sha256('nothing') else s.head end,
    sha256(case when $3::bigint = 0 then sha256('nothing') else s.head end || sha256($4::text::bytea)),
    now()
from seal as s
where s.last = case when $3::bigint = 0 then 9 else $3::bigint end;
