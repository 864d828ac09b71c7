-- What nobody may insert, and nobody may change: each is one statement on a book with one sale of
-- 100 (posting 1) and two open holds of 10 (posting 2), by whoever owns the tables. `posted` says
-- what would be right: $1 changes it.

-- name: post
-- One posting with its transfers, as JSON says: what is left out is what would be right.
with asked as (
    select
        $1::jsonb as p,
        b.*
    from book as b
    where b.id = 'acme'
),

legs as (
    select
        t.*,
        row_number() over () - 1 as place
    from asked,
        jsonb_to_recordset(asked.p -> 'transfers') as t (
            posting bigint, leg smallint, phase text, book text, currency text, debit bigint,
            credit bigint, amount bigint, pending_posting bigint, pending_leg smallint,
            pending_amount bigint, expires_at timestamptz, debit_version bigint,
            debit_balance bigint, debit_pending bigint, credit_version bigint,
            credit_balance bigint, credit_pending bigint
        )
),

written as (
    insert into posting (
        book, number, key, request_hash, transfers, recorded_at, effective_at, imported
    )
    select
        'acme',
        coalesce((asked.p ->> 'number')::bigint, asked.head + 1),
        'hostile',
        '\x00',
        coalesce((asked.p ->> 'legs')::smallint, (select count(*) from legs)),
        clock_timestamp() + coalesce((asked.p ->> 'later')::interval, '0'),
        clock_timestamp() - (asked.p ->> 'earlier')::interval,
        coalesce((asked.p ->> 'imported')::boolean, false)
    from asked
    where not coalesce((asked.p ->> 'unwritten')::boolean, false)
)

insert into transfer (
    book, posting, leg, phase, currency, debit_account, credit_account, amount,
    pending_posting, pending_leg, pending_amount, expires_at,
    debit_version, debit_balance_after, debit_pending_after,
    credit_version, credit_balance_after, credit_pending_after
)
select
    coalesce(t.book, 'acme'),
    coalesce(t.posting, asked.head + 1),
    coalesce(t.leg, t.place),
    coalesce(t.phase, 'transfer')::transfer_phase,
    coalesce(t.currency, 'EUR'),
    coalesce(t.debit, d.id),
    coalesce(t.credit, c.id),
    coalesce(t.amount, 10),
    t.pending_posting,
    t.pending_leg,
    t.pending_amount,
    t.expires_at,
    coalesce(t.debit_version, d.version + 1),
    coalesce(t.debit_balance, d.debits_posted - d.credits_posted + 10),
    coalesce(t.debit_pending, d.debits_pending),
    coalesce(t.credit_version, c.version + 1),
    coalesce(t.credit_balance, c.credits_posted - c.debits_posted + 10),
    coalesce(t.credit_pending, c.credits_pending)
from asked
cross join legs as t
inner join account as d on d.book = 'acme' and d.path = 'bank:main' and d.currency = 'EUR'
inner join account as c on c.book = 'acme' and c.path = 'seller:sam:payable' and c.currency = 'EUR';

-- name: ids
-- The accounts by their paths and currencies.
select book || ' ' || path || ' ' || currency as name, id from account;

-- name: transfer_alone
-- A posting that was, and one transfer more.
insert into transfer
select t.book, t.posting, 1, t.phase, t.currency, t.debit_account, t.credit_account, t.amount,
    null, null, null, null,
    d.version + 1, t.debit_balance_after + t.amount, d.debits_pending,
    c.version + 1, t.credit_balance_after + t.amount, c.credits_pending
from transfer as t
inner join account as d on t.debit_account = d.id
inner join account as c on t.credit_account = c.id
where t.posting = 1 and t.book = 'acme';

-- name: count_account
-- An account counts what was not posted.
update account set debits_posted = debits_posted + 1, credits_posted = credits_posted + 1;

-- name: hold_account
-- An account holds what is not held.
update account set debits_pending = debits_pending + 1;

-- name: age_account
-- An account has another version.
update account set version = version + 1;

-- name: move_account
-- An account has another place.
update account set path = 'bank:other' where path = 'bank:main';

-- name: change_kind
-- An account grows on its other side.
update account set kind = 'liability' where path = 'bank:main';

-- name: give_account_away
-- An account is another person's.
update account set owner = 'eve' where path = 'seller:sam:payable';

-- name: exchange_account
-- An account counts another currency.
update account set currency = 'JPY' where path = 'bank:main';

-- name: sink_floor
-- A floor above what is available.
update account set floor = 1000000 where path = 'bank:main';

-- name: sink_ceiling
-- A ceiling below what it holds.
update account set ceiling = 1 where path = 'bank:main';

-- name: close_full_account
-- An account is closed with money on it.
update account set closed_at = now() where path = 'bank:main';

-- name: open_full_account
-- An account begins with money.
insert into account (book, path, kind, currency, debits_posted, credits_posted)
values ('acme', 'bank:rich', 'asset', 'EUR', 5, 5);

-- name: open_account_nowhere
-- An account that the chart has not.
insert into account (book, path, kind, currency) values ('acme', 'vault', 'asset', 'EUR');

-- name: open_account_of_other_kind
-- An account that the chart has as another kind.
insert into account (book, path, kind, currency) values ('acme', 'bank:x', 'revenue', 'EUR');

-- name: delete_account
-- An account is gone.
delete from account where path = 'bank:other';

-- name: truncate_account
-- All accounts are gone.
truncate account cascade;

-- name: move_head
-- A book counts a posting that is not there.
update book set head = head + 1;

-- name: turn_clock
-- A book was posted to later.
update book set recorded_at = recorded_at + interval '1 hour';

-- name: rename_book
-- A book has another name.
update book set id = 'mine';

-- name: turn_revision_back
-- Who remembers a book is not to notice.
update book set revision = revision - 1;

-- name: unlock_period
-- A locked period is open again.
update book set locked_before = '-infinity';

-- name: delete_book
-- A book is gone.
delete from book;

-- name: truncate_book
-- All books are gone.
truncate book cascade;

-- name: update_posting
-- A posting says something else.
update posting set key = 'other';

-- name: delete_posting
-- A posting is gone.
delete from posting;

-- name: truncate_posting
-- All postings are gone.
truncate posting cascade;

-- name: update_transfer
-- A transfer says the same again.
update transfer set amount = amount;

-- name: delete_transfer
-- A transfer is gone.
delete from transfer;

-- name: truncate_transfer
-- All transfers are gone.
truncate transfer cascade;

-- name: insert_hold
-- A hold of nothing.
insert into hold (book, posting, leg) values ('acme', 1, 0);

-- name: update_hold
-- A hold expires now.
update hold set expires_at = now();

-- name: delete_hold
-- A hold is forgotten.
delete from hold;

-- name: truncate_hold
-- All holds are forgotten.
truncate hold;

-- name: update_conversion
-- A conversion says the same again.
update conversion set quote = quote;

-- name: delete_conversion
-- A conversion is gone.
delete from conversion;

-- name: update_period_lock
-- Somebody else locked it.
update period_lock set locked_by = 'eve';

-- name: rows_touched
-- Rows that this block has read so far, of all tables.
select sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::bigint as touched
from pg_stat_xact_user_tables;
