-- The role that serves, and the group through which it may do what it does: for psql, as a role that
-- may create roles, and again after a change of the password.
--
--   NODE_PASSWORD_FILE=secrets/node_password psql -f deploy/roles.sql "$ADMINISTRATOR_URL"
--
-- The password is in a file, and not in the arguments, which everybody on the machine can see.
-- `-v login=…` gives the role another name.
\set ON_ERROR_STOP on
\if :{?login} \else
\set login agio_node
\endif
\set password `cat "$NODE_PASSWORD_FILE"`

select 'create role agio_server nologin'
where not exists (select 1 from pg_roles where rolname = 'agio_server') \gexec

select format('create role %I login', :'login')
where not exists (select 1 from pg_roles where rolname = :'login') \gexec

alter role :"login" password :'password';
grant agio_server to :"login";
