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
