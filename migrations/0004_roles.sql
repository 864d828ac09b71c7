-- Who may do what. The owner made all this and may do anything; the server, a login role of its own
-- that is a member of `agio_server`, may do what is said here and nothing else. What is recorded it
-- may read and add to: not update, delete or truncate, nor switch the triggers off, which is for a
-- table's owner alone. A migration that adds something says who may do what with it, too: a test
-- compares all privileges with a list.

-- Roles are the cluster's: another database of it may have made this one, or be about to.
do $$
begin
    if not exists (select 1 from pg_roles where rolname = 'agio_server') then
        create role agio_server nologin;
    end if;
exception
    when duplicate_object or unique_violation then null;
    when insufficient_privilege then
        raise exception 'may not create the role agio_server'
            using errcode = 'insufficient_privilege',
            hint = 'have an administrator run "create role agio_server nologin" once';
end
$$;

grant usage on schema public, test_gateway to agio_server;
revoke create on schema public from public;

-- What may be called. Triggers run their functions whoever fires them; but whoever may execute such
-- a function could put it on a table of his own, and some run as the owner.
revoke execute on function
refuse_change(), refuse_change_of_final(), refuse_recount(), check_account(), give_standard_chart(),
continue_books(), continue_accounts(), continue_holds(), violations(integer),
posting_by(text, timestamptz)
from public;
grant execute on function violations(integer), posting_by(text, timestamptz) to agio_server;

-- People and what they sell.
grant select on schema_version, business_line, person, sale, listing to agio_server;
grant insert (id, name, commission_bp) on business_line to agio_server;
grant insert (line, name, role) on person to agio_server;
grant insert (id, line, title), update (closes_at) on sale to agio_server;
grant
insert (id, sale, line, seller, title, price_amount, price_currency, stock),
update (stock, reserved)
on listing to agio_server;

-- The ledger. Heads, counters and holds are moved by triggers, from what is inserted.
grant
select
on book, chart, account, account_seen, period_lock, posting, transfer, entry, hold, conversion
to agio_server;
grant insert (id, line), update (mode, locked_before, revision) on book to agio_server;
-- A book's standard chart comes from a trigger, as whoever made the book.
grant insert (book, pattern, kind, floor, ceiling), update (floor, ceiling) on chart to agio_server;
grant
insert (book, path, kind, currency, owner, floor, ceiling),
update (floor, ceiling, closed_at)
on account to agio_server;
grant insert (book, locked_before, locked_by, locked_at) on period_lock to agio_server;
grant
insert (
    book, number, key, request_hash, transfers, recorded_at, effective_at, reverses, pair_book,
    pair_number, imported, meta
)
on posting to agio_server;
grant
insert (
    book, posting, leg, phase, currency, debit_account, credit_account, amount,
    pending_posting, pending_leg, pending_amount, expires_at,
    debit_version, debit_balance_after, debit_pending_after,
    credit_version, credit_balance_after, credit_pending_after
)
on transfer to agio_server;
grant
insert (
    book, posting, leg, quote, source_currency, source_amount, target_currency, target_amount,
    rate_numerator, rate_denominator, spread_bp
)
on conversion to agio_server;

-- The event log.
grant select on log_head, event, event_topic to agio_server;
grant update (position) on log_head to agio_server;
grant insert (position, type, data) on event to agio_server;
grant insert (topic, position) on event_topic to agio_server;

-- Purchases.
grant select on transaction, attempt, transaction_seen to agio_server;
grant
insert (
    id, line, buyer, key, request_hash, sale, listing, quantity, seller, amount, currency,
    commission_amount, payment_method, state, reserved_until
),
update (state, refusal, position, updated_at)
on transaction to agio_server;
grant
insert (id, transaction, amount, currency, state),
update (state, provider_reference, updated_at)
on attempt to agio_server;
grant
select, insert (attempt, outcome, amount, currency, payment_method, reference)
on test_gateway.charge to agio_server;

-- Revocations, which may be forgotten when their tokens have expired.
grant select on revocation_head, revocation to agio_server;
grant update (position) on revocation_head to agio_server;
grant
insert (line, kind, name, position, issued_until, expires_at),
update (position, issued_until, expires_at),
delete
on revocation to agio_server;

-- What must never have a row.
grant
select
on
inv_account_not_its_entries, inv_book_unbalanced, inv_book_with_gaps, inv_capture_not_posted_once,
inv_captured_without_payment, inv_conversion_not_its_transfers, inv_entry_chain_broken,
inv_hold_ended_wrongly, inv_hold_not_open,
inv_interline_not_paired, inv_interline_not_zero, inv_log_with_gaps,
inv_posting_in_locked_period, inv_posting_not_its_transfers, inv_posting_without_transaction,
inv_reserved_not_held, inv_transfer_crosses
to agio_server;
