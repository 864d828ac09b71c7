-- What the ledger's past is held against.

-- name: entries
-- Every entry, with both times of its posting.
select
    e.account,
    e.posting,
    e.leg,
    e.side,
    e.posted,
    e.pending,
    p.recorded_at,
    coalesce(p.effective_at, p.recorded_at) as effective_at
from entry as e
inner join posting as p on e.book = p.book and e.posting = p.number
order by e.posting, e.leg;

-- name: vacuum
-- Have the planner know how much there is, and index-only scans where they may be.
vacuum (analyze) transfer, posting, account;

-- name: switch_off
-- Triggers say nothing until the block ends.
select set_config('session_replication_role', 'replica', true);

-- name: debit_more
-- An entry says another balance than those before it make.
update transfer set debit_balance_after = debit_balance_after + 7 where posting = 3;
