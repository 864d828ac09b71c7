-- Queries of storage itself: the migration runner's, whose files are in `migrations/`, and what it
-- wants to know of the role that serves.

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
-- The record of what was applied.
create table schema_version (
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

-- name: may_rewrite
-- Whether this role could do what triggers refuse: it has the privilege (the triggers' bits say of
-- what: 8 delete, 16 update, 32 truncate), or may do as the owner, who may switch them off.
select exists(
    select 1
    from pg_trigger as t
    inner join pg_proc as p on t.tgfoid = p.oid
    inner join pg_class as c on t.tgrelid = c.oid
    where
        p.proname = 'refuse_change'
        and c.relnamespace = current_schema()::regnamespace
        and (
            pg_has_role(c.relowner, 'member')
            or (t.tgtype & 8 > 0 and has_table_privilege(c.oid, 'delete'))
            or (t.tgtype & 16 > 0 and has_any_column_privilege(c.oid, 'update'))
            or (t.tgtype & 32 > 0 and has_table_privilege(c.oid, 'truncate'))
        )
);
