-- What the tests of several lines, of seals and of imports ask of PostgreSQL.

-- name: balances
-- Each account's balance on its normal side, of all books.
select
    book || ' ' || path as account,
    case normal when 'debit' then debits_posted - credits_posted else credits_posted - debits_posted end
        as balance
from account
order by 1;

-- name: everything
-- All that the ledger holds, as text: equal where no byte was changed.
select 'book' as what, b::text as row from book as b
union all
select 'account' as what, a::text as row from account as a
union all
select 'posting' as what, p::text as row from posting as p
union all
select 'transfer' as what, t::text as row from transfer as t
union all
select 'hold' as what, h::text as row from hold as h
order by 1, 2;

-- name: postings
-- Every posting, in the order of its book.
select book, number, key, pair_book, pair_number, imported from posting order by book, number;

-- name: violations
-- What the inv_* views show.
select distinct invariant from violations(10) order by invariant;

-- name: set_floor
-- Gives the accounts of a path a floor.
update account set floor = $2 where path = $1;

-- name: bump
-- Says that an account of the book was changed.
update book set revision = revision + 1 where id = $1;

-- name: due_now
-- Lets every hold's time be over.
update transfer set expires_at = '2026-01-01' where expires_at is not null;

-- name: hold_due_now
-- Says the same of the open holds.
update hold set expires_at = '2026-01-01' where expires_at is not null;

-- name: switch_off
-- Triggers and foreign keys say nothing until the block ends.
select set_config('session_replication_role', 'replica', true);

-- name: half_of_another
-- Damage: one half names a posting that is not its other half.
update posting set pair_number = pair_number + 1 where book = 'north' and pair_number is not null;

-- name: half_alone
-- Damage: one half says that it is a posting like any other.
update posting set pair_book = null, pair_number = null where book = 'north' and number = 1;

-- name: owes_more
-- Damage: one book owes more than the other is owed.
update account set credits_posted = credits_posted + 1 where path like 'due-to:%';

-- name: owed_by_nobody
-- Damage: one book is owed what no other owes.
update account set path = 'due-from:nobody' where path like 'due-from:%';

-- name: rewrite_first
-- Damage: the first posting has another key.
update posting set key = key || '-' where number = 1;

-- name: make_importing
-- The table's trigger refuses it: past postings beside present ones.
update book set mode = 'importing' where id = 'south';

-- name: make_live
-- The table's trigger refuses it: the totals were not as wanted.
update book set mode = 'live' where id = 'north';

-- name: close_and_open
-- The table's trigger refuses the second.
update book set mode = 'closed' where id = 'north'; update book set mode = 'live' where id = 'north';

-- name: change_run
-- Append-only.
update import_run set wanted = has;

-- name: drop_run
-- Append-only.
delete from import_run;
