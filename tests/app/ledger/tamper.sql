-- Ways to spoil a ledger behind its own back, each by one statement, as a superuser can.

-- name: switch_off
-- Triggers and foreign keys say nothing until the block ends.
select set_config('session_replication_role', 'replica', true);

-- name: account_counts_more
-- An account shows money that no transfer brought.
update account set debits_posted = debits_posted + 1 where kind = 'asset';

-- name: account_counts_both
-- Both sides are too large by the same amount: the book still balances.
update account set debits_posted = debits_posted + 7, credits_posted = credits_posted + 7
where kind = 'asset';

-- name: account_holds_more
-- An account shows a hold that is none.
update account set credits_pending = credits_pending + 1 where kind = 'asset';

-- name: account_version_jumps
-- An account counts an entry that is not there.
update account set version = version + 1 where kind = 'asset';

-- name: account_below_floor
-- An account is below a floor that it was given without a look.
alter table account drop constraint account_not_below_floor;

-- name: raise_floor
-- The floor for that.
update account set floor = 1000000 where kind = 'asset';

-- name: account_above_ceiling
-- An account is above a ceiling that it was given without a look.
alter table account drop constraint account_not_above_ceiling;

-- name: lower_ceiling
-- The ceiling for that.
update account set ceiling = 1 where kind = 'asset';

-- name: account_of_other_currency
-- An account counts something else than its transfers.
update account set currency = 'JPY' where kind = 'asset';

-- name: transfer_balance
-- A transfer says another balance than those before it make.
update transfer set debit_balance_after = debit_balance_after + 1;

-- name: transfer_pending
-- A transfer says that something else is pending than those before it make.
update transfer set credit_pending_after = credit_pending_after + 1 where credit_version = 1;

-- name: transfer_version
-- A transfer says that it is another one of its account's.
update transfer set debit_version = debit_version + 5 where debit_version = 1;

-- name: transfer_amount
-- A transfer says another amount than it moved.
update transfer set amount = amount + 1 where phase = 'transfer' and leg = 0 and posting = 1;

-- name: transfer_turned
-- A transfer's accounts have changed places.
update transfer set debit_account = credit_account, credit_account = debit_account
where leg = 0 and posting = 1;

-- name: transfer_of_nobody
-- A transfer's account is missing.
update transfer set debit_account = 999 where leg = 0 and posting = 1;

-- name: transfer_gone
-- A transfer is missing.
delete from transfer where leg = 1 and posting = 1;

-- name: posting_gone
-- A capture without its posting.
delete from posting where number = 1;

-- name: last_posting_gone
-- The end of a book is missing, with its transfers.
delete from transfer where posting = 2;

-- name: posting_of_nothing
-- A posting of a capture that never was.
update posting set key = 'capture:txn_x' where number = 1;

-- name: posting_of_other_size
-- A posting says that it has another transfer.
update posting set transfers = transfers + 1 where number = 1;

-- name: book_ahead
-- A book counts a posting that is not there.
update book set head = head + 1;

-- name: period_locked
-- A period was locked before the postings of it.
insert into period_lock (book, locked_before, locked_by, locked_at)
select id, 'infinity', 'nobody', '-infinity' from book;

-- name: hold_gone
-- A hold is open, and nothing shows it.
delete from hold;

-- name: hold_of_nothing
-- A hold is shown that is none.
insert into hold (book, posting, leg)
select book, number, 7 from posting;

-- name: hold_expires_later
-- A hold shows another time than its transfer.
update hold set expires_at = '2100-01-01';

-- name: hold_ended_in_part
-- What was released is not what was held.
update transfer set pending_amount = pending_amount + 1 where phase = 'post';

-- name: hold_ended_elsewhere
-- What was ended is no hold.
update transfer set pending_posting = 1 where phase = 'post';

-- name: half_of_nothing
-- A posting is half of one to another book, where there is no other half.
update posting set pair_book = 'other', pair_number = 1 where number = 1;

-- name: owes_a_book
-- A book owes another what that is not owed.
update account set path = 'due-to:other' where kind = 'liability';

-- name: conversion_of_nothing
-- A conversion is told of where none was.
insert into conversion (
    book, posting, leg, source_currency, source_amount, target_currency, target_amount,
    rate_numerator, rate_denominator, spread_bp
)
select book, number, 0, 'EUR', 900, 'JPY', 1, 1, 900, 0 from posting where number = 1;

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
