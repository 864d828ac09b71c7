-- Revocations: sessions that are over, and people whose tokens are void up to a moment.
--
-- Nodes read what is newer than the last number that they saw. As with the event log, the number is
-- taken from one row whose lock is held through the commit: numbers become visible in their own
-- order, and nobody who has seen 8 can miss 7.

create table revocation_head (
    id boolean primary key default true check (id),
    position bigint not null check (position >= 0)
)
with (fillfactor = 10);
insert into revocation_head (position) values (0);

create table revocation (
    line text not null references business_line,
    kind text not null check (kind in ('session', 'person')),
    -- A token's own id, or a person's name. Nobody need have been met under it.
    name text not null check (length(name) between 1 and 63),
    -- Its number. A person who is revoked once more moves up.
    position bigint not null unique check (position >= 1),
    -- Tokens that were issued up to this whole second are revoked.
    issued_until timestamptz not null,
    -- From here on no token that this revokes is valid in any case: it may be forgotten.
    expires_at timestamptz not null,
    primary key (line, kind, name)
);
create index revocation_by_expiry on revocation (expires_at);
