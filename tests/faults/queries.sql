-- name: hold_charges
-- Nobody is charged until this block ends.
lock table test_gateway.charge in exclusive mode;

-- name: charges_held
-- How many charges wait for that.
select count(*) from pg_locks where relation = 'test_gateway.charge'::regclass and not granted;

-- name: posted
-- A book's head, how many postings there are, and what its bank has.
select
    b.head,
    (select count(*) from posting as p where p.book = b.id) as postings,
    (
        select a.debits_posted - a.credits_posted from account as a
        where a.book = b.id and a.path = 'bank:a'
    )::bigint as bank
from book as b
where b.id = $1;
