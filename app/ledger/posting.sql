-- The statements of posting. A book's row is locked first, before anything of the book is read, and
-- held until the block ends; books in the order of their ids. What other blocks lock after it: the
-- event log's head.
--
-- What a batch names is looked up row by row, by a unique index each. A statement is planned once for
-- all batches to come, perhaps while the tables are all but empty, when reading all of a table looks
-- cheap: so it is made to look dear, and a posting is the first from its number or its key on, which
-- no other index finds that begins with the book. Nor is it planned anew for each batch, whose sizes
-- differ, which would take as long as to post a few.

-- name: lock_books
-- These books, locked in the order of their ids. Plans for the rest of the block read no whole table.
select
    id,
    mode,
    head,
    revision,
    nullif(locked_before, '-infinity') as locked_before,
    nullif(recorded_at, '-infinity') as recorded_at,
    set_config('enable_seqscan', 'off', true) as whole_tables,
    set_config('enable_bitmapscan', 'off', true) as bitmaps,
    set_config('plan_cache_mode', 'force_generic_plan', true) as plans
from book
where id = any($1::text[])
order by id
for update;

-- name: chart
-- A book's chart.
select
    pattern,
    kind,
    floor,
    ceiling
from chart
where book = $1;

-- name: facts
-- The time, which never goes back in a book, the postings that have one of the keys $2, and the
-- holds whose time is over, the longest since first. Asked once the book is locked.
with moment as (
    select greatest(clock_timestamp(), recorded_at) as now
    from book
    where id = $1
)

select
    moment.now,
    array(
        select p.number
        from unnest($2::text[]) as wanted (key)
        cross join lateral (
            select posting.number, posting.key from posting
            where posting.book = $1 and posting.key >= wanted.key
            order by posting.key
            limit 1
        ) as p
        where p.key = wanted.key
    ) as numbers,
    array(
        select h.posting || '.' || h.leg
        from hold as h
        where h.book = $1 and h.expires_at <= moment.now
        order by h.expires_at, h.posting, h.leg
        limit $3
    ) as due
from moment;

-- name: postings
-- Postings by their numbers.
select
    p.number,
    p.key,
    p.request_hash,
    p.recorded_at,
    coalesce(p.effective_at, p.recorded_at) as effective_at,
    p.reverses,
    p.pair_book is not null as paired,
    r.number as reversed_by
from unnest($2::bigint[]) as wanted (number)
cross join lateral (
    select * from posting
    where posting.book = $1 and posting.number >= wanted.number
    order by posting.number
    limit 1
) as p
left join lateral (
    select posting.number, posting.reverses from posting
    where posting.book = $1 and posting.reverses >= p.number
    order by posting.reverses
    limit 1
) as r on p.number = r.reverses
where p.number = wanted.number;

-- name: transfers
-- The transfers of postings, in their order.
select
    posting,
    leg,
    phase::text as phase,
    debit_account,
    credit_account,
    amount,
    currency,
    debit_balance_after,
    credit_balance_after,
    pending_posting,
    pending_leg,
    expires_at
from unnest($2::bigint[]) as wanted (number)
cross join lateral (
    select * from transfer
    where transfer.book = $1 and transfer.posting = wanted.number
    order by transfer.leg
) as t
order by t.posting, t.leg;

-- name: holds
-- Pending transfers by their names, and what ended them.
select
    t.posting,
    t.leg,
    t.debit_account,
    t.credit_account,
    t.amount,
    t.currency,
    t.expires_at,
    e.phase::text as ended
from unnest($2::bigint[], $3::smallint[]) as wanted (posting, leg)
cross join lateral (
    select * from transfer
    where
        transfer.book = $1 and transfer.posting = wanted.posting and transfer.leg = wanted.leg
        and transfer.phase = 'pending'
    limit 1
) as t
left join lateral (
    select transfer.phase from transfer
    where
        transfer.book = $1 and transfer.pending_posting = t.posting
        and transfer.pending_leg = t.leg
    limit 1
) as e on true;

-- name: quotes_used
-- Of these quotes, those that were used.
select quote from conversion
where book = $1 and quote = any($2::text[]);

-- name: accounts_by_key
-- Accounts of a book by their paths and currencies; no row for one that is not open.
select * from accounts_by_key($1, $2, $3);

-- name: accounts_by_id
-- Accounts of a book by their ids.
select a.*
from unnest($2::bigint[]) as wanted (id)
cross join lateral (
    select * from account_seen as seen
    where seen.book = $1 and seen.id = wanted.id
    limit 1
) as a;

-- name: open_accounts
-- Opens accounts, and gives their ids in the order in which they are named.
with opened as (
    insert into account (book, path, kind, currency, owner, floor, ceiling)
    select
        $1,
        wanted.path,
        wanted.kind,
        wanted.currency,
        wanted.owner,
        wanted.floor,
        wanted.ceiling
    from
        unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[])
        with ordinality as wanted (path, kind, currency, owner, floor, ceiling, place)
    order by wanted.place
    returning id
)

select id from opened
order by id;

-- name: record
-- Writes a batch, if the book is as it was decided on; see migration 0006. The triggers move the
-- accounts and the book along, end the holds, and refuse what does not continue them.
select record_batch(
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
    $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31
) as recorded_at;

-- name: record_conversions
-- Writes what was converted, beside its transfers.
insert into conversion (
    book, posting, leg, quote, source_currency, source_amount, target_currency, target_amount,
    rate_numerator, rate_denominator, spread_bp
)
select
    $1,
    c.*
from
    unnest(
        $2::bigint[], $3::smallint[], $4::text[], $5::text[], $6::bigint[], $7::text[],
        $8::bigint[], $9::bigint[], $10::bigint[], $11::integer[]
    ) as c;

-- name: books_due
-- Books with holds whose time is over, of those that take their end.
select distinct h.book
from hold as h
inner join book as b on h.book = b.id
where
    h.expires_at <= clock_timestamp()
    and b.mode = 'live'
    and b.locked_before <= clock_timestamp()
limit $1;
