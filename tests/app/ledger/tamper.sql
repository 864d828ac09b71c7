-- Ways to spoil a ledger behind its own back, each by one statement, as a superuser can.

-- name: switch_off
-- Triggers and foreign keys say nothing until the block ends.
select set_config('session_replication_role', 'replica', true);

-- name: account_counts_more
-- An account shows money that no transfer brought.
update account set debits = debits + 1 where kind = 'asset';

-- name: account_counts_both
-- Both sides are too large by the same amount: the book still balances.
update account set debits = debits + 7, credits = credits + 7 where kind = 'asset';

-- name: account_version_jumps
-- An account counts an entry that is not there.
update account set version = version + 1 where kind = 'asset';

-- name: account_below_floor
-- An account is below a floor that it was given without a look.
alter table account drop constraint account_not_below_floor;

-- name: raise_floor
-- The floor for that.
update account set floor = 1000000 where kind = 'asset';

-- name: account_of_other_currency
-- An account counts something else than its transfers.
update account set currency = 'JPY' where kind = 'asset';

-- name: entry_amount
-- An entry says another amount than its transfer.
update entry set amount = amount + 1 where version = 1;

-- name: entry_balance
-- An entry says another balance than those before it make.
update entry set balance_after = balance_after + 1 where version = 1;

-- name: entry_gone
-- An entry is missing.
delete from entry where side = 'credit';

-- name: entry_of_nobody
-- An entry's account is missing.
update entry set account = 999 where side = 'debit';

-- name: transfer_amount
-- A transfer says another amount than its entries.
update transfer set amount = amount + 1;

-- name: transfer_gone
-- A transfer is missing.
delete from transfer where id = (select max(t.id) from transfer as t);

-- name: posting_gone
-- A capture without its posting.
delete from posting;

-- name: posting_of_nothing
-- A posting of a capture that never was.
insert into posting (id, book, key) select 'pst_x', b.id, 'capture:txn_x' from book as b;

-- name: capture_undone
-- A posting whose transaction says that nothing was paid.
update transaction set state = 'refused', refusal = 'declined', position = null
where state = 'captured';

-- name: capture_of_other_amount
-- A transaction of another price than what was posted.
update transaction set amount = amount + 1 where state = 'captured';

-- name: attempt_failed
-- A capture whose payment failed.
update attempt set state = 'failed' where state = 'succeeded';

-- name: stock_held_by_nobody
-- A piece is held for nobody.
update listing set reserved = reserved + 1;

-- name: event_gone
-- The log has a gap.
delete from event where position = 1;

-- name: head_ahead
-- The log's head is ahead of the log.
update log_head set position = position + 1;

-- name: views
-- Every invariant there is.
select viewname as name from pg_views where viewname like 'inv\_%' order by viewname;
