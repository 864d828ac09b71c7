-- What is kept beside a posting, as the database keeps it.

-- name: sizes
-- How many bytes each of these takes.
select pg_column_size(m.meta::jsonb) as size
from unnest($1::text[]) as m (meta);
