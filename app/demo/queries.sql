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
