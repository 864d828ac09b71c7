-- The people of a business line.

-- name: role_of
-- The role a line knows a person in.
select role from person
where line = $1 and name = $2;

-- name: meet
-- Gets to know a person, unless somebody else just did; nobody is known on a line that is not there.
insert into person (line, name, role)
select
    b.id,
    $2,
    $3
from business_line as b
where b.id = $1
on conflict (line, name) do nothing;

-- name: add_line
-- A business line with its book, which takes postings of the mode $4, and its commission in basis
-- points; nothing where it is there.
with line as (
    insert into business_line (id, name, commission_bp)
    values ($1, $2, $3)
    on conflict do nothing
    returning id
)

insert into book (id, line, mode)
select
    line.id,
    line.id,
    $4
from line
returning id;
