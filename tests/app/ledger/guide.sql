-- What the page about the ledger is held against.

-- name: watched
-- The views that have no rows, by name.
select viewname
from pg_views
where viewname like 'inv\_%'
order by viewname;
