-- What PostgreSQL may do to a batch, made to happen.

-- name: prepare
-- Each block that posts counts here, also where it is given up.
create sequence trouble;

-- name: prepare_table
-- How many of them fail, and how.
create table trouble_made (times bigint not null, code text not null);

-- name: prepare_function
-- Fails the first of them.
create function make_trouble() returns trigger
language plpgsql security definer set search_path = public as $$
declare
    made trouble_made;
begin
    select * into strict made from trouble_made;
    if nextval('trouble') <= made.times then
        raise exception 'trouble on purpose' using errcode = made.code;
    end if;
    return null;
end
$$;

-- name: while_writing
-- It comes while a batch is written.
create trigger trouble after insert on posting
for each statement execute function make_trouble();

-- name: while_committing
-- It comes when a batch, which is then of one posting, is committed.
create constraint trigger trouble after insert on posting
deferrable initially deferred
for each row execute function make_trouble();

-- name: make
-- So many times, with this code.
insert into trouble_made (times, code) values ($1, $2);

-- name: hold_book
-- The book is somebody else's until the block ends.
select id from book
where id = $1
for update;

-- name: hold_transfers
-- Whoever writes transfers waits until the block ends.
lock table transfer in share row exclusive mode;

-- name: end_waiting
-- Ends the connections that wait for that; how many there were.
select
    count(*) filter (where pg_terminate_backend(l.pid)) as ended
from pg_locks as l
where l.relation = 'transfer'::regclass and not l.granted;

-- name: clock
-- What PostgreSQL's clock says.
select clock_timestamp() as now;
