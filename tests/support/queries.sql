-- What the suite does to PostgreSQL as its administrator. `{name}` is a name that the suite made up;
-- these statements take no parameters.

-- name: create_empty
-- A database without anything in it.
create database {name} template template0;

-- name: create_from_template
-- A copy of the migrated template; by file, which is the fastest for a small one.
create database {name} template {template} strategy file_copy;

-- name: drop
-- Removes a database, also from under those connected to it.
drop database if exists {name} with (force);
