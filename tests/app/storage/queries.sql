-- What the tests of storage ask of PostgreSQL.

-- name: make_note
-- A table to write to.
create table note (id integer primary key, text text not null);

-- name: add_note
-- One row.
insert into note (id, text) values ($1, $2);

-- name: add_notes
-- Several rows.
insert into note (id, text)
select
    new.id,
    'a note'
from unnest($1::integer[]) as new (id);

-- name: every_note
-- All rows.
select id from note
order by id;

-- name: count_notes
-- How many rows there are.
select count(*) from note;

-- name: conflict
-- Fails as a block does that PostgreSQL gave up.
do $$ begin raise exception 'give way' using errcode = 'serialization_failure'; end $$;

-- name: end_myself
-- Ends the connection that runs it.
select pg_terminate_backend(pg_backend_pid());

-- name: end_client
-- Ends every connection of a client, by its application_name.
select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = $1;

-- name: count_clients
-- How many connections a client has, by its application_name.
select count(*) from pg_stat_activity where application_name = $1;

-- name: sleep_long
-- Runs until it is cancelled.
select pg_sleep(3600);

-- name: hurry
-- Gives the statements of this block ten milliseconds.
set local statement_timeout = '10ms';

-- name: my_session
-- What the connection was set up with.
select
    current_setting('timezone') as timezone,
    current_setting('application_name') as application_name,
    current_setting('jit') as jit,
    current_setting('transaction_isolation') as isolation,
    current_setting('transaction_read_only') as read_only,
    current_setting('statement_timeout') as statement_timeout,
    current_setting('lock_timeout') as lock_timeout;

-- name: my_pid
-- Which server process serves this connection.
select pg_backend_pid();

-- name: notify
-- Wakes listeners of a channel.
select pg_notify($1, $2);

-- name: mentions
-- Whether a relation exists.
select to_regclass($1) is not null;

-- name: durability
-- What a commit waits for.
select
    current_setting('fsync') as fsync,
    current_setting('synchronous_commit') as synchronous_commit,
    current_setting('full_page_writes') as full_page_writes;
