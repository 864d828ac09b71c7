-- Queries of storage itself: the migration runner's. What it runs is in `migrations/`.

-- name: take_turn
-- Waits, at most the session's lock_timeout, until no other node migrates this database. Held by
-- the session, so it is given back however the session ends. The number is 'agio' in ASCII.
select pg_advisory_lock(1634167151);

-- name: set_for_session
-- Sets a setting for the rest of the session.
select set_config($1, $2, false);

-- name: set_for_block
-- Sets a setting for the rest of the atomic block.
select set_config($1, $2, true);

-- name: make_schema_version
-- The record of what was applied; nothing where it exists.
create table if not exists schema_version (
    number integer primary key check (number >= 1),
    name text not null,
    checksum text not null,
    applied_at timestamptz not null default now()
);

-- name: has_schema_version
-- Whether anything was ever noted here.
select to_regclass('schema_version') is not null;

-- name: applied
-- Every migration that was applied, in order.
select number, name, checksum from schema_version order by number;

-- name: record
-- Notes an applied migration, in the atomic block that applied it.
insert into schema_version (number, name, checksum) values ($1, $2, $3);
