-- A database as it was before the ledger had an order of its own: forty captures in two books.

-- name: lines
-- Two lines, each with a book, a seller and something to sell.
with line as (
    insert into business_line (id, name, commission_bp)
    values ('acme', 'A line', 1000), ('other', 'Another', 1000)
    returning id
),

book as (
    insert into book (id, line)
    select line.id, line.id from line
),

seller as (
    insert into person (line, name, role)
    select line.id, 'sam', 'seller' from line
),

sale as (
    insert into sale (id, line, title)
    select 'sale-' || line.id, line.id, 'A sale' from line
)

insert into listing (id, sale, line, seller, title, price_amount, price_currency, stock)
select 'lamp-' || line.id, 'sale-' || line.id, line.id, 'sam', 'A lamp', 100, 'EUR', 50 from line;

-- name: captures
-- Captures in turn, in three currencies; the clock went back between some of them.
with sold as (
    select
        n,
        case when n % 2 = 0 then 'acme' else 'other' end as line,
        (array['EUR', 'JPY', 'KWD'])[1 + n % 3] as currency,
        100 * n as amount,
        timestamptz '2026-01-01' + n * interval '1 hour' - (n % 7) * interval '3 hours' as at
    from generate_series(1, 40) as n
),

event as (
    insert into event (position, type, data)
    select sold.n, 'purchase_captured', '{}' from sold
),

head as (
    update log_head set position = 40
),

transaction as (
    insert into transaction (
        id, line, buyer, key, request_hash, sale, listing, quantity, seller, amount, currency,
        commission_amount, payment_method, state, reserved_until, position
    )
    select
        'txn_' || sold.n, sold.line, 'sam', sold.n::text, '\x00', 'sale-' || sold.line,
        'lamp-' || sold.line, 1, 'sam', sold.amount, sold.currency, sold.amount / 10, 'card',
        'captured', sold.at, sold.n
    from sold
),

attempt as (
    insert into attempt (id, transaction, amount, currency, state)
    select 'atm_' || sold.n, 'txn_' || sold.n, sold.amount, sold.currency, 'succeeded' from sold
),

posting as (
    insert into posting (id, book, key, recorded_at)
    select 'pst_' || (100 - sold.n), sold.line, 'capture:txn_' || sold.n, sold.at from sold
)

insert into account (book, path, kind, currency, owner)
select distinct
    sold.line,
    place.path,
    place.kind,
    sold.currency,
    place.owner
from sold
cross join
    (values
        ('gateway:test:clearing', 'asset', null),
        ('seller:sam:payable', 'liability', 'sam'),
        ('commission', 'revenue', null)
    ) as place (path, kind, owner);

-- name: transfers
-- Two a capture, in the order in which they were made.
insert into transfer (posting, book, currency, debit_account, credit_account, amount)
select
    p.id,
    p.book,
    x.currency,
    d.id,
    c.id,
    case share.path when 'commission' then x.commission_amount
        else x.amount - x.commission_amount
    end
from transaction as x
inner join posting as p on 'capture:' || x.id = p.key
cross join (values ('seller:sam:payable', 0), ('commission', 1)) as share (path, place)
inner join account as d
    on p.book = d.book and x.currency = d.currency and d.path = 'gateway:test:clearing'
inner join account as c
    on p.book = c.book and x.currency = c.currency and share.path = c.path
order by x.position, share.place;

-- name: entries
-- Two a transfer, each account's counted, with its balance.
insert into entry (account, version, transfer, side, amount, balance_after)
select
    e.account,
    row_number() over running,
    e.transfer,
    e.side,
    e.amount,
    sum(e.amount) over running
from (
    select t.debit_account as account, t.id as transfer, 'debit' as side, t.amount
    from transfer as t
    union all
    select t.credit_account as account, t.id as transfer, 'credit' as side, t.amount
    from transfer as t
) as e
window running as (partition by e.account order by e.transfer);

-- name: counters
-- What every account comes to.
update account
set debits = e.debits, credits = e.credits, version = e.entries
from (
    select
        account as id,
        count(*) as entries,
        coalesce(sum(amount) filter (where side = 'debit'), 0) as debits,
        coalesce(sum(amount) filter (where side = 'credit'), 0) as credits
    from entry
    group by account
) as e
where account.id = e.id;

-- name: balances_before
-- What every account shows, before.
select id, debits as debited, credits as credited, version from account order by id;

-- name: balances_after
-- What every account shows, after.
select id, debits_posted as debited, credits_posted as credited, version from account order by id;

-- name: postings_after
-- The postings of a book, in its order.
select number, key, transfers, recorded_at from posting where book = $1 order by number;

-- name: books_after
-- How far the books are.
select id, head, recorded_at, mode from book order by id;

-- name: spoil
-- Patterns with limits that their accounts, which begin at nothing, are beyond.
insert into chart (book, pattern, kind, floor, ceiling)
values ('acme', 'ward-a:*', 'asset', 5, 90), ('acme', 'ward-b:*', 'asset', -90, -5);

-- name: wards
-- Those patterns as they are.
select
    floor,
    ceiling
from chart
where pattern like 'ward-%'
order by pattern;
