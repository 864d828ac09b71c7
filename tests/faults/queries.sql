-- name: hold_charges
-- Nobody is charged until this block ends.
lock table test_gateway.charge in exclusive mode;

-- name: charges_held
-- How many charges wait for that.
select count(*) from pg_locks where relation = 'test_gateway.charge'::regclass and not granted;
