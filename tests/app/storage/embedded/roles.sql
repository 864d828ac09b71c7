-- Roles of a cluster, as its administrator makes and removes them.

-- name: forget_server
-- The cluster as it was before there was a role that serves.
drop role agio_node;

-- name: forget_group
-- And before there was a group.
drop role agio_server;

-- name: hire
-- Somebody with a name, and with nothing else.
create role plain login password 'plain';

-- name: promote
-- Somebody who may make roles.
alter role plain createrole;

-- name: demote
-- And who may not any more.
alter role plain nocreaterole;

-- name: give_database
-- A database of somebody's own.
create database plain owner plain;

-- name: my_name
-- Who asks.
select current_user;
