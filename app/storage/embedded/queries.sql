-- What an embedded PostgreSQL is told before it is started, in single-user mode: there a statement
-- ends at an empty line.

-- name: create_database
-- The one database of the cluster.
create database agio;

-- name: make_group
-- Those who serve, to whom migrations grant what they may do; nothing where it is there.
do $$
begin
    if not exists (select 1 from pg_roles where rolname = 'agio_server') then
        create role agio_server nologin;
    end if;
end
$$;

-- name: forget_server
-- A role that serves, left by a start that was cut off.
drop role if exists agio_node;

-- name: make_server
-- The role that serves. `{password}` is one that needs no quoting.
create role agio_node login password '{password}' in role agio_server;
