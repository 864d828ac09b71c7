-- Revocations. The head's row is locked before anything is revoked, until the block ends.

-- name: revoked_session
-- What revokes a session, where something does.
select
    r.line,
    r.kind,
    r.name,
    r.position,
    extract(epoch from r.issued_until)::bigint as issued_until,
    extract(epoch from r.expires_at)::bigint as expires_at
from revocation as r
where r.line = $1 and r.kind = 'session' and r.name = $2;

-- name: count_of_line
-- How many revocations a line has, counted up to $2; null where there is no such line.
select (
    select count(*) from (
        select 1 from revocation as r
        where r.line = b.id
        limit $2
    ) as counted
)
from business_line as b
where b.id = $1;

-- name: next_position
-- The next number. Its row stays locked until the block ends, so that numbers show in their order.
update revocation_head
set position = position + 1
returning position;

-- name: revoke
-- Revokes a session, or a person's tokens that were issued up to now.
insert into revocation as r (line, kind, name, position, issued_until, expires_at)
values ($1, $2, $3, $4, date_trunc('second', clock_timestamp()), to_timestamp($5))
on conflict (line, kind, name) do update
set
    position = excluded.position,
    issued_until = excluded.issued_until,
    expires_at = greatest(r.expires_at, excluded.expires_at)
returning
    r.line,
    r.kind,
    r.name,
    r.position,
    extract(epoch from r.issued_until)::bigint as issued_until,
    extract(epoch from r.expires_at)::bigint as expires_at;

-- name: head
-- The last number that was given out.
select position from revocation_head;

-- name: newer
-- What was revoked after number $1 and still matters, in order, at most $2.
select
    r.line,
    r.kind,
    r.name,
    r.position,
    extract(epoch from r.issued_until)::bigint as issued_until,
    extract(epoch from r.expires_at)::bigint as expires_at
from revocation as r
where r.position > $1 and r.expires_at > now()
order by r.position
limit $2;

-- name: forget
-- Forgets what does not matter any more, at most $1 at a time.
delete from revocation
where (line, kind, name) in (
    select
        r.line,
        r.kind,
        r.name
    from revocation as r
    where r.expires_at <= now()
    order by r.expires_at
    limit $1
    for update skip locked
);
