-- name: listings
-- What the demo sells, by id.
select id, price_amount, price_currency, stock from listing
where sale = 'demo'
order by id;

-- name: line
-- The demo's line with its commission.
select id, commission_bp from business_line;

-- name: people
-- Who is known on the demo's line.
select name, role from person
where line = 'demo'
order by name;

-- name: sell_one
-- Takes one piece away, as a capture does.
update listing set stock = stock - 1
where id = 'demo-mug';
