-- Sales and listings. Locks are taken in this order: the sale's row, the listing's row, the event
-- log's head.

-- name: sales_of_line
-- A line's sales with ids above $2, in the order of their ids, at most $3.
select
    s.id,
    s.title,
    coalesce(s.closes_at <= clock_timestamp(), false) as closed
from sale as s
where s.line = $1 and s.id > $2
order by s.id
limit $3;

-- name: sale
-- One sale of a line. Not the block's own time: a close that this snapshot sees may have begun after
-- this block did.
select
    s.id,
    s.title,
    coalesce(s.closes_at <= clock_timestamp(), false) as closed
from sale as s
where s.line = $1 and s.id = $2;

-- name: listings_of_sale
-- What is for sale, in the order of the ids, at most $2.
select
    l.id,
    l.title,
    l.price_amount,
    l.price_currency,
    l.stock
from listing as l
where l.sale = $1
order by l.id
limit $2;

-- name: known_sales
-- Those of these sales that are of a line.
select s.id
from sale as s
where s.line = $1 and s.id = any($2::text []);

-- name: open_sale
-- No row where the id is taken.
insert into sale (id, line, title)
select
    $1,
    b.id,
    $3
from business_line as b
where b.id = $2
on conflict (id) do nothing
returning id;

-- name: lock_sale
-- A sale, locked against being closed or given listings by others until the block ends. Purchases,
-- which only refer to it, go on.
select coalesce(s.closes_at <= clock_timestamp(), false) as closed
from sale as s
where s.line = $1 and s.id = $2
for no key update;

-- name: close_sale
-- Ends a locked sale now.
update sale
set closes_at = now()
where line = $1 and id = $2;

-- name: count_listings
-- How many listings a sale has.
select count(*) from listing
where sale = $1;

-- name: add_listing
-- No row where the id is taken.
insert into listing (id, sale, line, seller, title, price_amount, price_currency, stock)
values ($1, $2, $3, $4, $5, $6, $7, $8)
on conflict (id) do nothing
returning id;

-- name: lock_shelf
-- A listing's stock, locked until the block ends.
select
    l.sale,
    l.seller,
    l.stock,
    l.reserved
from listing as l
where l.line = $1 and l.id = $2
for no key update;

-- name: restock
-- Changes a locked listing's stock and says what it is now.
update listing
set stock = stock + $2
where id = $1
returning stock;
