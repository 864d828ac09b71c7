-- What an embedded PostgreSQL is told before its first start, in single-user mode.

-- name: create_database
-- The one database of the cluster.
create database agio;
