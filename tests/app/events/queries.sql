-- What tests of the log look at and break.

-- name: waiting_for_locks
-- Sessions of this database that wait for a lock.
select count(*) from pg_stat_activity
where datname = current_database() and wait_event_type = 'Lock';

-- name: leaders
-- Sessions of this database that hold an advisory lock.
select count(*)
from pg_locks as l
inner join pg_database as d on l.database = d.oid
where d.datname = current_database() and l.locktype = 'advisory' and l.granted;

-- name: end_leader
-- Cuts the session that holds an advisory lock.
select pg_terminate_backend(l.pid)
from pg_locks as l
inner join pg_database as d on l.database = d.oid
where d.datname = current_database() and l.locktype = 'advisory' and l.granted;

-- name: replace_log
-- The log becomes another one.
update log_head set epoch = 'another';

-- name: gaps
-- Whether the log's invariant is broken.
select count(*) from inv_log_with_gaps;

-- name: rewind_log
-- The log becomes shorter, as after a fail-over that lost its end.
update log_head set position = position - 1;
