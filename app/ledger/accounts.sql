-- What is changed of accounts, charts and locks. The book's row is locked first.

-- name: moment
-- The time, which never goes back in a book. Asked once the book is locked.
select greatest(clock_timestamp(), recorded_at) as now from book
where id = $1;

-- name: revise
-- Whoever remembers accounts of the book learns that they may have changed.
update book set revision = revision + 1
where id = $1;

-- name: account_by_key
-- An account of a book; no row where it is not open.
select * from account_seen
where book = $1 and path = $2 and currency = $3;

-- name: account_by_id
-- An account of a book; no row where the book has none of this id.
select * from account_seen
where book = $1 and id = $2;

-- name: open_account
-- Opens an account.
insert into account (book, path, kind, currency, owner, floor, ceiling)
values ($1, $2, $3, $4, $5, $6, $7);

-- name: limit_account
-- Gives an account its limits.
update account set floor = $2, ceiling = $3
where id = $1;

-- name: close_account
-- Closes an account, for good.
update account set closed_at = $2
where id = $1;

-- name: add_pattern
-- Adds a pattern to a chart.
insert into chart (book, pattern, kind, floor, ceiling)
values ($1, $2, $3, $4, $5);

-- name: limit_pattern
-- Gives a pattern of a chart its limits.
update chart set floor = $3, ceiling = $4
where book = $1 and pattern = $2;

-- name: last_lock
-- The lock of a book that holds; no row where no period is locked.
select
    book,
    locked_before,
    locked_by,
    locked_at
from period_lock
where book = $1
order by id desc
limit 1;

-- name: record_lock
-- Notes who locks a period.
insert into period_lock (book, locked_before, locked_by, locked_at)
values ($1, $2, $3, $4);

-- name: lock_period
-- Locks a book's periods up to a moment.
update book set locked_before = $2
where id = $1;
