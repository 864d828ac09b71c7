-- What tests of sales start from.

-- name: open_line
-- A business line that keeps a tenth of each sale, with its book, unless it is there.
with line as (
    insert into business_line (id, name, commission_bp)
    values ($1, 'A line', 1000)
    on conflict (id) do nothing
    returning id
)

insert into book (id, line)
select line.id, line.id
from line;

-- name: hold
-- Some of a listing's stock is held by a purchase under way.
update listing set reserved = reserved + $2 where id = $1;

-- name: person
-- A person's role.
select role from person where line = $1 and name = $2;

-- name: revocations
-- How many revocations are kept.
select count(*) from revocation;

-- name: forget_revocations
-- As a database that was put back to a time before any.
with gone as (delete from revocation)

update revocation_head
set position = 0;
