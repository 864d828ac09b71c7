-- The role that serves, and the group through which it may do what it does: for psql, as a role that
-- may create roles, and again after a change of the password.
--
--   psql -v password=… -f deploy/roles.sql "$ADMINISTRATOR_URL"
--
-- In docker-compose.yml the password comes from the file that NODE_PASSWORD_FILE names. `login` is
-- another name for the role, if it is to have one.
\set ON_ERROR_STOP on
\if :{?login} \else
\set login agio_node
\endif
\if :{?password} \else
\set password `cat "$NODE_PASSWORD_FILE"`
\endif

select 'create role agio_server nologin'
where not exists (select 1 from pg_roles where rolname = 'agio_server') \gexec

select format('create role %I login', :'login')
where not exists (select 1 from pg_roles where rolname = :'login') \gexec

alter role :"login" password :'password';
grant agio_server to :"login";
