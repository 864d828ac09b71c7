-- Books that simulations post to, and all that can be seen of them.

-- name: open_book
-- A business line with its book.
with line as (
    insert into business_line (id, name, commission_bp)
    values ($1, 'A line', 0)
    returning id
)

insert into book (id, line)
select
    line.id,
    line.id
from line;

-- name: extend_chart
-- One more kind of account: book, pattern, kind, floor, ceiling.
insert into chart (book, pattern, kind, floor, ceiling) values ($1, $2, $3, $4, $5);

-- name: unguard
-- Until the block ends, triggers say nothing.
select set_config('session_replication_role', 'replica', true);

-- name: set_time
-- The book's last posting was at this time: nothing is recorded before.
update book set recorded_at = $2 where id = $1;

-- name: set_closed
-- An account is closed, or open again: book, path, currency, since when.
update account set closed_at = $4 where book = $1 and path = $2 and currency = $3;

-- name: set_limits
-- An account's limits: book, path, currency, floor, ceiling.
update account set floor = $4, ceiling = $5 where book = $1 and path = $2 and currency = $3;

-- name: set_mode
-- What the book takes.
update book set mode = $2 where id = $1;

-- name: lock_period
-- Nothing takes effect before this time any more.
with locked as (
    update book set locked_before = $2
    where id = $1
    returning id, recorded_at
)

insert into period_lock (book, locked_before, locked_by, locked_at)
select
    locked.id,
    $2,
    'simulation',
    locked.recorded_at
from locked;

-- name: revise
-- Something changed that is no posting.
update book set revision = revision + 1 where id = $1;

-- name: accounts
-- A book's accounts with their counters.
select
    path,
    currency,
    debits_posted,
    credits_posted,
    debits_pending,
    credits_pending,
    version,
    floor,
    ceiling,
    closed_at is not null as closed
from account
where book = $1;

-- name: open_holds
-- The holds of a book that nothing has ended.
select
    posting || '.' || leg as name,
    expires_at
from hold
where book = $1;

-- name: postings
-- A book's postings, in its order.
select
    number,
    key,
    recorded_at
from posting
where book = $1
order by number;

-- name: quotes
-- The quotes that a book has used.
select quote from conversion
where book = $1 and quote is not null;

-- name: every_row
-- All rows of a book as text, each with the block that wrote it.
select
    b.xmin::text as written,
    b::text as content
from book as b
where b.id = $1
union all
select
    a.xmin::text as written,
    a::text as content
from account as a
where a.book = $1
union all
select
    p.xmin::text as written,
    p::text as content
from posting as p
where p.book = $1
union all
select
    t.xmin::text as written,
    t::text as content
from transfer as t
where t.book = $1
union all
select
    h.xmin::text as written,
    h::text as content
from hold as h
where h.book = $1
union all
select
    c.xmin::text as written,
    c::text as content
from conversion as c
where c.book = $1
order by written, content;

-- name: deadlocks
-- How many deadlocks PostgreSQL has resolved in this database.
select deadlocks from pg_stat_database
where datname = current_database();
