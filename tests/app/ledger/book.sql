-- Books to post in, and ways to spoil them.

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
-- An account that is there before its first posting: book, path, kind, floor, debits, credits.
insert into account (book, path, kind, currency, owner, floor, debits, credits)
values ($1, $2, $3, 'EUR', $7, $4, $5, $6);

-- name: accounts
-- What every account shows.
select path, currency, debits, credits, version from account order by path, currency;

-- name: counts
-- How many postings, transfers and entries there are.
select
    (select count(*) from posting) as postings,
    (select count(*) from transfer) as transfers,
    (select count(*) from entry) as entries;

-- name: transfer_into_other_currency
-- The table's keys refuse it: an account of another currency.
insert into transfer (posting, book, currency, debit_account, credit_account, amount)
select p.id, p.book, 'JPY', t.debit_account, t.credit_account, 1
from posting as p inner join transfer as t on p.id = t.posting;

-- name: transfer_into_other_book
-- The table's keys refuse it: an account of another book.
insert into transfer (posting, book, currency, debit_account, credit_account, amount)
select p.id, p.book, t.currency, t.debit_account, a.id, 1
from posting as p
inner join transfer as t on p.id = t.posting
inner join account as a on p.book <> a.book;

-- name: transfer_to_itself
-- The table's check refuses it.
insert into transfer (posting, book, currency, debit_account, credit_account, amount)
select t.posting, t.book, t.currency, t.debit_account, t.debit_account, 1 from transfer as t;

-- name: transfer_nothing
-- The table's check refuses it.
insert into transfer (posting, book, currency, debit_account, credit_account, amount)
select t.posting, t.book, t.currency, t.debit_account, t.credit_account, 0 from transfer as t;

-- name: sink_account
-- The table's check refuses it: a balance below its floor.
update account set credits = credits + 1000000 where path = 'bank';

-- name: update_posting
-- Append-only.
update posting set key = 'other';

-- name: delete_posting
-- Append-only.
delete from posting;

-- name: truncate_posting
-- Append-only.
truncate posting cascade;

-- name: update_transfer
-- Append-only.
update transfer set amount = amount;

-- name: delete_transfer
-- Append-only.
delete from transfer;

-- name: truncate_transfer
-- Append-only.
truncate transfer cascade;

-- name: update_entry
-- Append-only.
update entry set amount = amount;

-- name: delete_entry
-- Append-only.
delete from entry;

-- name: truncate_entry
-- Append-only.
truncate entry;
