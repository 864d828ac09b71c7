-- Books to post in, what is so in them, and what they came to.

-- name: open_book
-- A line with a book of the same name.
with line as (
    insert into business_line (id, name, commission_bp)
    values ($1, 'A line', 0)
    returning id
)

insert into book (id, line)
select line.id, line.id
from line;

-- name: open_account
-- An account that is there before its first posting: book, path, currency, floor, ceiling.
insert into account (book, path, kind, currency, floor, ceiling)
select $1, $2, c.kind, $3, $4, $5
from chart as c
where c.book = $1 and $2 ~ c.matches;

-- name: add_pattern
-- A kind of account more: book, pattern, kind, floor, ceiling.
insert into chart (book, pattern, kind, floor, ceiling)
values ($1, $2, $3, $4, $5);

-- name: lock_period
-- Nothing takes effect before now and so much.
update book set locked_before = clock_timestamp() + $2::interval, revision = revision + 1
where id = $1;

-- name: set_mode
-- What the book takes from now on.
update book set mode = $2, revision = revision + 1 where id = $1;

-- name: close_account
-- An account takes nothing any more.
update account set closed_at = clock_timestamp()
where book = $1 and path = $2 and currency = $3;

-- name: account
-- An account of a book.
select * from account_seen where book = $1 and path = $2 and currency = $3;

-- name: switch_off
-- Triggers and foreign keys say nothing until the block ends.
select set_config('session_replication_role', 'replica', true);

-- name: move_posting_back
-- Every posting was recorded earlier.
update posting set recorded_at = recorded_at - $1::interval, effective_at = effective_at - $1::interval;

-- name: move_transfer_back
-- Every hold expires earlier.
update transfer set expires_at = expires_at - $1::interval;

-- name: move_hold_back
-- The same, in the index of those that are open.
update hold set expires_at = expires_at - $1::interval;

-- name: move_book_back
-- Every book was posted to, and locked, earlier.
update book
set recorded_at = recorded_at - $1::interval, locked_before = locked_before - $1::interval;

-- name: accounts
-- Every account of a book.
select
    path,
    currency,
    case when normal = 'debit' then debits_posted - credits_posted else credits_posted - debits_posted end
        as balance
from account
where book = $1
order by path, currency;

-- name: dump_book
-- The books, whole.
select b::text as line from book as b order by b.id;

-- name: dump_chart
-- The charts, whole.
select c::text as line from chart as c order by c.book, c.pattern;

-- name: dump_account
-- The accounts, whole.
select a::text as line from account as a order by a.id;

-- name: dump_posting
-- The postings, whole.
select p::text as line from posting as p order by p.book, p.number;

-- name: dump_transfer
-- The transfers, whole.
select t::text as line from transfer as t order by t.book, t.posting, t.leg;

-- name: dump_hold
-- The open holds, whole.
select h::text as line from hold as h order by h.book, h.posting, h.leg;

-- name: dump_conversion
-- The conversions, whole.
select c::text as line from conversion as c order by c.book, c.posting, c.leg;

-- name: locked_before
-- Until when a book is locked.
select locked_before from book where id = $1;

-- name: set_floor
-- The least that may be available on an account: book, path, floor.
update account set floor = $3 where book = $1 and path = $2;

-- name: holds
-- The open holds of a book.
select posting, leg from hold where book = $1 order by posting, leg;

-- name: keys
-- The keys of a book's postings.
select key from posting where book = $1 order by number;
