-- Who may do what, by the catalogue; and what nobody who serves may.

-- name: granted
-- Every relation, function and schema of ours, with each privilege that somebody has besides its
-- owner; null where there is none. `everybody` is PUBLIC.
with ours as (
    select
        n.oid,
        n.nspname as name
    from pg_namespace as n
    where n.nspname <> 'information_schema' and n.nspname not like 'pg\_%'
),

relation as (
    select
        c.oid,
        c.relowner as owner,
        concat(nullif(ours.name, 'public') || '.', c.relname) as name,
        coalesce(
            c.relacl, acldefault(case c.relkind when 'S' then 's' else 'r' end::"char", c.relowner)
        ) as acl
    from pg_class as c
    inner join ours on c.relnamespace = ours.oid
    where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
),

thing as (
    select
        name,
        owner,
        acl,
        null as part
    from relation
    union all
    select
        relation.name,
        relation.owner,
        a.attacl as acl,
        a.attname as part
    from relation
    inner join pg_attribute as a on relation.oid = a.attrelid
    where a.attacl is not null
    union all
    select
        concat(p.proname, '(', oidvectortypes(p.proargtypes), ')') as name,
        p.proowner as owner,
        coalesce(p.proacl, acldefault('f', p.proowner)) as acl,
        null as part
    from pg_proc as p
    inner join ours on p.pronamespace = ours.oid
    union all
    select
        'schema ' || n.nspname as name,
        n.nspowner as owner,
        coalesce(n.nspacl, acldefault('n', n.nspowner)) as acl,
        null as part
    from pg_namespace as n
    inner join ours on n.oid = ours.oid
)

select
    thing.name,
    thing.part,
    lower(held.privilege_type) as verb,
    case
        when held.grantee = 0 then 'everybody'
        when held.grantee is not null then held.grantee::regrole::text
    end as grantee
from thing
left join lateral aclexplode(thing.acl) as held on held.grantee <> thing.owner
order by thing.name, held.grantee, held.privilege_type, thing.part;

-- name: roles
-- What the two roles are, beside their grants, and what they are members of.
select
    r.rolname as name,
    r.rolsuper or r.rolcreaterole or r.rolcreatedb or r.rolreplication or r.rolbypassrls as mighty,
    r.rolcanlogin as logs_in,
    array(select m.roleid::regrole::text from pg_auth_members as m where m.member = r.oid)
        as member_of
from pg_roles as r
where r.rolname in ('agio_node', 'agio_server')
order by r.rolname;

-- name: unguarded
-- Functions that run as their owner with a search path that somebody else could lay things in.
select p.proname as name
from pg_proc as p
where
    p.prosecdef
    and p.pronamespace = 'public'::regnamespace
    and p.proconfig[1] is distinct from 'search_path=public, pg_temp';

-- name: append_only
-- Tables that have the trigger, whether it refuses updates, too, and a column that can be set.
select
    c.relname as name,
    t.tgtype & 16 > 0 as whole,
    (
        select min(a.attname::text)
        from pg_attribute as a
        where
            a.attrelid = c.oid
            and a.attnum > 0
            and not a.attisdropped
            and (a.attidentity, a.attgenerated) = ('', '')
    ) as part
from pg_trigger as t
inner join pg_proc as p on t.tgfoid = p.oid
inner join pg_class as c on t.tgrelid = c.oid
where p.proname = 'refuse_change'
order by c.relname;

-- name: trigger_functions
-- What triggers call.
select p.proname as name
from pg_proc as p
where p.prorettype = 'trigger'::regtype and p.pronamespace = 'public'::regnamespace
order by p.proname;

-- name: explain
-- Has a statement planned, and its privileges looked at, and not run.
explain (generic_plan) {statement};

-- name: revoke
-- Takes one of its privileges from the server.
revoke {privilege} on {thing} from agio_server;

-- name: serve
-- Goes on as the server, until the block ends.
set local role agio_server;

-- name: open_line
-- A line without a book.
insert into business_line (id, name, commission_bp) values ('acme', 'A line', 0);

-- name: open_book
-- And its book.
insert into book (id, line) values ('acme', 'acme');

-- name: record_nonsense
-- A posting of one transfer between accounts that are not there.
select record_batch(
    in_book => 'acme', in_head => 0, in_revision => b.revision, in_recorded_at => null,
    others => '{}', in_imported => false, in_pair_book => null, in_pair_number => null,
    keys => '{nonsense}', request_hashes => '{00}', counts => '{}', effective_times => '{}',
    reversals => '{}', metas => '{}', postings => '{1}', legs => '{}', phases => '{}',
    currencies => '{EUR}', debit_accounts => '{1}', credit_accounts => '{2}', amounts => '{1}',
    debit_versions => '{1}', debit_balances => '{1}', debit_pendings => '{}',
    credit_versions => '{1}', credit_balances => '{1}', credit_pendings => '{}',
    pending_postings => '{}', pending_legs => '{}', pending_amounts => '{}', expiries => '{}'
)
from book as b
where b.id = 'acme';

-- name: update
-- Changes nothing, in every row.
update {table} set {part} = {part};

-- name: delete
-- Takes nothing away.
delete from {table} where false;

-- name: truncate
-- Takes everything away.
truncate {table};

-- name: switch_off
-- Silences a table's triggers.
alter table {table} disable trigger all;

-- name: alter
-- Makes a table another one.
alter table {table} add column more text;

-- name: own
-- Takes a table.
alter table {table} owner to current_user;

-- name: borrow
-- Puts a trigger's function on a table of one's own.
create trigger borrowed after insert on pg_temp.own execute function {function}();

-- name: own_table
-- A table of one's own.
create temporary table own (id integer);

-- name: replicate
-- Silences all triggers.
set session_replication_role = replica;

-- name: become_owner
-- Takes the owner's place.
set role agio;

-- name: make_table
-- Puts a table beside ours.
create table other (id integer);

-- name: join_owner
-- Becomes one of the owners.
grant agio to agio_node;

-- name: read_files
-- Reads what the server's user can read.
copy schema_version from program 'true';
