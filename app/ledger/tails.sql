-- What those who watch accounts read.

-- name: account
-- An account of a line, its book's last posting, and which log this is.
select
    a.*,
    b.head,
    l.epoch
from account_seen as a
inner join book as b on a.book = b.id
cross join log_head as l
where b.line = $1 and a.id = $2;

-- name: heads
-- The last postings of books.
select
    id,
    head
from book
where id = any($1::text[]);

-- name: by_index
-- For the rest of the block: only what is asked for is read, along the indexes and in their order,
-- however much there is and whatever the statistics say.
select
    set_config('enable_seqscan', 'off', true),
    set_config('enable_bitmapscan', 'off', true),
    set_config('enable_hashjoin', 'off', true),
    set_config('enable_mergejoin', 'off', true),
    set_config('enable_sort', 'off', true);

-- name: steps
-- Of accounts that have more entries than $2, those after their postings $3: each account's first
-- $4, and the rest of the last posting among them.
select
    s.account,
    s.version,
    s.posting,
    s.leg,
    s.side,
    s.phase::text as phase,
    s.amount,
    s.posted,
    s.pending,
    s.balance_after,
    p.key,
    p.recorded_at,
    coalesce(p.effective_at, p.recorded_at) as effective_at,
    p.reverses,
    a.version as versions
from unnest($1::bigint[], $2::bigint[], $3::bigint[]) as wanted (account, version, posting)
inner join account as a on wanted.account = a.id and wanted.version < a.version
cross join lateral (
    select e.*
    from entry as e
    where e.account = wanted.account and e.posting > wanted.posting
    order by e.posting
    fetch first $4 rows with ties
) as s
inner join posting as p on s.book = p.book and s.posting = p.number
order by s.account, s.posting, s.leg;
