-- name: add_line
-- The business line with its book, and a commission of 8 %; nothing where it is already there.
with line as (
    insert into business_line (id, name, commission_bp)
    values ('demo', 'Demo', 800)
    on conflict do nothing
    returning id
)

insert into book (id, line)
select line.id, line.id
from line
returning id;

-- name: add_people
-- One person of each role, under the names that `agio token` uses by default.
insert into person (line, name, role)
values
    ('demo', 'demo-buyer', 'buyer'),
    ('demo', 'demo-seller', 'seller'),
    ('demo', 'demo-operator', 'operator')
on conflict do nothing;

-- name: add_sale
-- The sale that clients find at the topic `sale:demo`.
insert into sale (id, line, title)
values ('demo', 'demo', 'The demo sale')
on conflict do nothing;

-- name: add_listings
-- Three currencies with two, no and three decimals. Listings are shown in the order of their ids, so
-- the mug comes first.
insert into listing (id, sale, line, seller, title, price_amount, price_currency, stock)
values
    ('demo-mug', 'demo', 'demo', 'demo-seller', 'A mug', 1250, 'EUR', 50),
    ('demo-poster', 'demo', 'demo', 'demo-seller', 'A poster', 1800, 'JPY', 500),
    ('demo-vase', 'demo', 'demo', 'demo-seller', 'A vase', 24500, 'KWD', 20)
on conflict do nothing;
