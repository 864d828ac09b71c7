-- What a purchase needs, and what tests look at afterwards.

-- name: open_line
-- A business line that keeps a tenth of each sale, with its book.
with line as (
    insert into business_line (id, name, commission_bp)
    values ($1, 'A line', $2)
    returning id
)

insert into book (id, line)
select line.id, line.id
from line;

-- name: meet_seller
-- Somebody who sells.
insert into person (line, name, role) values ($1, 'sam', 'seller');

-- name: open_sale
-- A sale without an end.
insert into sale (id, line, title) values ($2, $1, 'A sale');

-- name: close_sale
-- The sale has ended by the database's clock.
update sale set closes_at = now() where id = $1;

-- name: reopen_sale
-- The sale goes on.
update sale set closes_at = null where id = $1;

-- name: restock
-- More pieces on the shelf.
update listing set stock = stock + $2 where id = $1;

-- name: close_accounts
-- Nothing is posted to any account any more.
update account set closed_at = now();

-- name: reopen_accounts
-- Every account takes postings again.
update account set closed_at = null;

-- name: open_account
-- An account that a capture will use.
insert into account (book, path, kind, currency)
values ($1, 'commission', 'revenue', 'EUR');

-- name: list
-- A listing: line, sale, id, price, currency, stock.
insert into listing (line, sale, id, seller, title, price_amount, price_currency, stock)
values ($1, $2, $3, 'sam', 'A thing', $4, $5, $6);

-- name: shelf
-- A listing's stock and what of it is held.
select stock, reserved from listing where id = $1;

-- name: run_out
-- Every reservation has run out.
update transaction set reserved_until = now() where state in ('paying', 'unknown');

-- name: reopen_transactions
-- The database refuses it: what ended is open again.
update transaction set state = 'paying', refusal = null, position = null;

-- name: delete_transactions
-- The database refuses it: what ended is forgotten.
delete from transaction;

-- name: oversell
-- The database refuses it: more is held than there is.
update listing set reserved = stock + 1;

-- name: tally
-- How many transactions ended in which way.
select coalesce(refusal, state) as outcome, count(*) as times from transaction group by 1;

-- name: events
-- What was told, in order.
select e.type, t.topic, e.data::text as data
from event as e
inner join event_topic as t on e.position = t.position
order by e.position;

-- name: balances
-- Every account's balance, by its path.
select
    path,
    case when normal = 'debit' then debits_posted - credits_posted else credits_posted - debits_posted end
        as balance
from account;

-- name: attempts
-- Every attempt's state.
select state from attempt order by id;

-- name: role_of
-- Who a person is.
select role from person where line = $1 and name = $2;
