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
