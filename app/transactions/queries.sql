-- The statements of a purchase. Locks are taken in this order: the transaction's row, the listing's
-- row, the book's row, the event log's head.

-- name: find
-- The transaction under a buyer's key.
select * from transaction_seen
where line = $1 and buyer = $2 and key = $3;

-- name: load
-- One transaction.
select * from transaction_seen
where id = $1;

-- name: offer
-- What is for sale under this name in this line: price, who sells it, the line's terms; and in what
-- role the line knows the buyer, if it does. Not the block's own time: a close that is seen here may
-- have begun after this block did.
select
    l.seller,
    l.price_amount,
    l.price_currency,
    b.commission_bp,
    coalesce(s.closes_at <= clock_timestamp(), false) as closed,
    p.role
from listing as l
inner join sale as s on l.sale = s.id
inner join business_line as b on s.line = b.id
left join person as p on s.line = p.line and p.name = $4
where s.line = $1 and s.id = $2 and l.id = $3;

-- name: accept
-- Makes the transaction, holds its stock and writes down the intended charge. No row where the key
-- was taken meanwhile; no attempt where too little stock is left. The update of the listing itself
-- decides, on the newest row; the constraint on the table stands behind it.
with accepted as (
    insert into transaction (
        id, line, buyer, key, request_hash, sale, listing, quantity, payment_method,
        seller, amount, currency, commission_amount, state, reserved_until
    )
    values (
        $1, $2, $3, $4, $5, $6, $7, $8, $9,
        $10, $11, $12, $13, 'paying', now() + make_interval(secs => $14)
    )
    on conflict (line, buyer, key) do nothing
    returning *
),

held as (
    update listing
    set reserved = reserved + accepted.quantity
    from accepted
    where listing.id = accepted.listing and reserved + accepted.quantity <= stock
    returning accepted.id, accepted.amount, accepted.currency
),

intended as (
    insert into attempt (id, transaction, amount, currency, state)
    select $15, held.id, held.amount, held.currency, 'intended'
    from held
    returning id
)

select
    accepted.*,
    intended.id as attempt,
    null as epoch,
    false as overdue
from accepted
left join intended on true;

-- name: refuse_sold_out
-- Keeps the answer under the key, though nothing was held.
update transaction
set state = 'refused', refusal = 'sold_out', updated_at = now()
where id = $1;

-- name: take
-- The guard of a capture, and its first half: what was held is sold, and its attempt has succeeded.
-- No row where somebody settled before.
with taken as (
    select
        x.id,
        x.sale,
        x.listing,
        x.quantity,
        x.seller,
        x.amount,
        x.currency,
        x.commission_amount,
        b.id as book
    from transaction as x
    inner join book as b on x.line = b.line
    where x.id = $1 and x.state in ('paying', 'unknown')
    for update of x
),

sold as (
    update listing
    set stock = stock - taken.quantity, reserved = reserved - taken.quantity
    from taken
    where listing.id = taken.listing
    returning stock
),

succeeded as (
    update attempt
    set state = 'succeeded', provider_reference = $2, updated_at = now()
    from taken
    where attempt.transaction = taken.id
)

select
    taken.*,
    sold.stock
from taken
cross join sold;

-- name: capture
-- The end of a transaction whose row is locked: it is paid, and this event told of it.
with captured as (
    update transaction
    set state = 'captured', position = $2, updated_at = now()
    where id = $1
    returning *
)

select
    captured.*,
    attempt.id as attempt,
    $3::text as epoch,
    false as overdue
from captured
inner join attempt on captured.id = attempt.transaction;

-- name: refuse
-- The end of a transaction that was not paid: what was held is for sale again. No row where
-- somebody settled before.
with refused as (
    update transaction
    set state = 'refused', refusal = $2, updated_at = now()
    where id = $1 and state in ('paying', 'unknown')
    returning *
),

released as (
    update listing
    set reserved = reserved - refused.quantity
    from refused
    where listing.id = refused.listing
),

ended as (
    update attempt
    set state = $3, updated_at = now()
    from refused
    where attempt.transaction = refused.id
    returning attempt.id
)

select
    refused.*,
    ended.id as attempt,
    null as epoch,
    false as overdue
from refused
cross join ended;

-- name: mark_unknown
-- Says that the provider's answer was lost, and each time that somebody is still asking for it: a
-- node that reads a fresh `updated_at` leaves the transaction to them. Nothing, where it is settled.
with marked as (
    update transaction
    set state = 'unknown', updated_at = now()
    where id = $1 and state in ('paying', 'unknown')
    returning id
)

update attempt
set state = 'unknown', updated_at = now()
from marked
where attempt.transaction = marked.id and attempt.state = 'intended';

-- name: open_after
-- Open transactions that nobody has touched for a while, in the order of their ids.
select * from transaction_seen
where
    id > $1
    and state in ('paying', 'unknown')
    and updated_at <= now() - make_interval(secs => $2)
order by id
limit $3;

-- name: of_line
-- A page of a line's transactions, newest first.
select * from transaction_seen
where line = $1 and ($2 = '' or id < $2)
order by id desc
limit $3;

-- name: of_buyer
-- A page of what a person bought, newest first.
select * from transaction_seen
where line = $1 and buyer = $2 and ($3 = '' or id < $3)
order by id desc
limit $4;

-- name: of_seller
-- A page of what was bought of a person, newest first.
select * from transaction_seen
where line = $1 and seller = $2 and ($3 = '' or id < $3)
order by id desc
limit $4;
