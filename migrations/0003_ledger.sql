-- The ledger, whole: charts, holds, running balances, the ledger's own order.
--
-- A book's row is its lock, its order and its clock. Whoever posts to a book locks that row first,
-- and postings take the numbers that follow its `head`: they have no gaps and become visible in
-- their own order. A transfer is one row that carries what both of its accounts came to; `entry`
-- shows it as its two entries. Triggers count what is inserted, and refuse what does not continue
-- what is there: an account's counters can be changed in no other way, by nobody.

-- What is about to be moved -----------------------------------------------------------------------

drop view inv_posting_without_transaction;
drop view inv_capture_not_posted_once;
drop view inv_entry_chain_broken;
drop view inv_account_not_its_entries;
drop view inv_transfer_without_its_entries;
drop view inv_book_unbalanced;
alter table posting rename to posting_before;
alter table transfer rename to transfer_before;
alter table entry rename to entry_before;

-- Books and charts --------------------------------------------------------------------------------

alter table book
add column mode text not null default 'live' check (mode in ('importing', 'live', 'closed')),
-- The number of its last posting.
add column head bigint not null default 0 check (head >= 0),
-- Moves whenever an account, the chart or a lock of the book is changed other than by a posting:
-- who remembers accounts may go on as long as neither this nor `head` has moved.
add column revision bigint not null default 0,
-- Nothing may take effect before this moment any more.
add column locked_before timestamptz not null default '-infinity',
-- When the last posting was recorded: none is recorded before it, whatever the clock does.
add column recorded_at timestamptz not null default '-infinity';
alter table book set (fillfactor = 20);

-- Which accounts a book may have. A segment of a pattern is a word, `*` for any, or `{owner}` for
-- any, which is then the name of the person whose money it is.
create table chart (
    book text not null references book,
    pattern text not null
    check (pattern ~ '^[a-z][a-z-]*(:([A-Za-z0-9_.@-]+|\*|\{owner\}))*$'),
    kind text not null check (kind in ('asset', 'liability', 'equity', 'revenue', 'expense')),
    -- The least that may be available on an account that a transfer opens here, and the most that
    -- it may hold, in minor units; null: any.
    floor bigint,
    ceiling bigint,
    -- The same pattern, as a regular expression.
    matches text generated always as (
        '^'
        || replace(
            replace(replace(pattern, '.', '\.'), '{owner}', '[A-Za-z0-9_.@-]+'),
            '*', '[A-Za-z0-9_.@-]+'
        )
        || '$'
    ) stored,
    primary key (book, pattern),
    constraint chart_floor_below_ceiling check (floor <= ceiling)
);

create function give_standard_chart() returns trigger language plpgsql as $$
begin
    insert into chart (book, pattern, kind)
    values
        (new.id, 'gateway:*:clearing', 'asset'),
        (new.id, 'bank:*', 'asset'),
        (new.id, 'due-from:*', 'asset'),
        (new.id, 'due-to:*', 'liability'),
        (new.id, 'seller:{owner}:payable', 'liability'),
        (new.id, 'customer:{owner}:credit', 'liability'),
        (new.id, 'tax:*:payable', 'liability'),
        (new.id, 'shipping:payable', 'liability'),
        (new.id, 'refund:clearing', 'liability'),
        (new.id, 'opening', 'equity'),
        (new.id, 'conversion:liquidity', 'equity'),
        (new.id, 'conversion:spread', 'revenue'),
        (new.id, 'commission', 'revenue'),
        (new.id, 'expense:*', 'expense');
    return null;
end
$$;
create trigger book_has_chart after insert on book
for each row execute function give_standard_chart();

insert into chart (book, pattern, kind)
select
    b.id,
    standard.pattern,
    standard.kind
from book as b
cross join
    (values
        ('gateway:*:clearing', 'asset'),
        ('bank:*', 'asset'),
        ('due-from:*', 'asset'),
        ('due-to:*', 'liability'),
        ('seller:{owner}:payable', 'liability'),
        ('customer:{owner}:credit', 'liability'),
        ('tax:*:payable', 'liability'),
        ('shipping:payable', 'liability'),
        ('refund:clearing', 'liability'),
        ('opening', 'equity'),
        ('conversion:liquidity', 'equity'),
        ('conversion:spread', 'revenue'),
        ('commission', 'revenue'),
        ('expense:*', 'expense')
    ) as standard (pattern, kind);

-- Accounts ----------------------------------------------------------------------------------------

alter table account rename column debits to debits_posted;
alter table account rename column credits to credits_posted;
alter table account
drop constraint account_kind_check,
drop constraint account_path_check,
drop constraint account_not_below_floor,
add constraint account_kind_check
check (kind in ('asset', 'liability', 'equity', 'revenue', 'expense')),
add constraint account_path_check
check (length(path) <= 255 and path ~ '^[a-z][a-z-]*(:[A-Za-z0-9_.@-]+)*$'),
add column debits_pending bigint not null default 0 check (debits_pending >= 0),
add column credits_pending bigint not null default 0 check (credits_pending >= 0),
-- The most that it may hold, what is pending included; null: any.
add column ceiling bigint,
add column closed_at timestamptz,
-- So that no difference of counters passes a bigint.
add constraint account_within_counters check (
    debits_posted <= 4611686018427387903 - debits_pending
    and credits_posted <= 4611686018427387903 - credits_pending
),
-- What is pending against it is not available.
add constraint account_not_below_floor check (
    floor is null
    or (
        case
            when kind in ('asset', 'expense') then debits_posted - credits_posted - credits_pending
            else credits_posted - debits_posted - debits_pending
        end
    ) >= floor
),
add constraint account_not_above_ceiling check (
    ceiling is null
    or (
        case
            when kind in ('asset', 'expense') then debits_posted - credits_posted + debits_pending
            else credits_posted - debits_posted + credits_pending
        end
    ) <= ceiling
),
add constraint account_closed_is_empty check (
    closed_at is null
    or (debits_posted = credits_posted and debits_pending = 0 and credits_pending = 0)
);

create function check_account() returns trigger language plpgsql as $$
begin
    if not exists (
        select 1 from chart as c
        where c.book = new.book and c.kind = new.kind and new.path ~ c.matches
    ) then
        raise exception 'account % is not in the chart of book %', new.path, new.book
            using errcode = 'check_violation', constraint = 'account_in_chart';
    end if;
    if (new.debits_posted, new.credits_posted, new.debits_pending, new.credits_pending, new.version)
        <> (0, 0, 0, 0, 0) then
        raise exception 'account % does not begin at nothing', new.path
            using errcode = 'check_violation', constraint = 'account_begins_at_nothing';
    end if;
    return new;
end
$$;
create trigger account_checked before insert on account
for each row execute function check_account();

create function refuse_recount() returns trigger language plpgsql as $$
begin
    raise exception '% % changes only by what is posted', tg_table_name, old.id
        using errcode = 'restrict_violation';
end
$$;
create trigger account_counts_transfers before update on account
for each row when (
    pg_trigger_depth() = 0
    and (
        old.id, old.book, old.path, old.kind, old.currency, old.owner, old.created_at, old.version,
        old.debits_posted, old.credits_posted, old.debits_pending, old.credits_pending
    ) is distinct from (
        new.id, new.book, new.path, new.kind, new.currency, new.owner, new.created_at, new.version,
        new.debits_posted, new.credits_posted, new.debits_pending, new.credits_pending
    )
)
execute function refuse_recount();
create trigger account_stays before delete or truncate on account
for each statement execute function refuse_change();
create trigger book_counts_postings before update on book
for each row when (
    pg_trigger_depth() = 0
    and (old.id, old.line, old.head, old.recorded_at)
    is distinct from (new.id, new.line, new.head, new.recorded_at)
    or new.revision < old.revision
    or new.locked_before < old.locked_before
)
execute function refuse_recount();
create trigger book_stays before delete or truncate on book
for each statement execute function refuse_change();

-- Who locked a period, and when.
create table period_lock (
    id bigint generated always as identity primary key,
    book text not null references book,
    locked_before timestamptz not null,
    locked_by text not null,
    locked_at timestamptz not null default now()
);
create trigger period_lock_append_only before update or delete or truncate on period_lock
for each statement execute function refuse_change();

-- Postings, transfers, holds ----------------------------------------------------------------------

create table posting (
    book text collate "C" not null,
    -- Its place in the book's order, from 1, without gaps.
    number bigint not null check (number >= 1),
    -- What the caller knows it by; a book takes each once, forever.
    key text collate "C" not null check (length(key) between 1 and 255),
    -- SHA-256 of what was asked under the key.
    request_hash bytea not null,
    transfers smallint not null check (transfers >= 1),
    recorded_at timestamptz not null,
    -- When it takes effect, where that is earlier than when it was recorded.
    effective_at timestamptz check (effective_at < recorded_at),
    -- The posting that it reverses: each is reversed once at most.
    reverses bigint check (reverses < number),
    -- Its other half, where money moved between two books.
    pair_book text collate "C",
    pair_number bigint,
    imported boolean not null default false,
    meta jsonb check (pg_column_size(meta) <= 8192),
    primary key (book, number) include (key, recorded_at, effective_at),
    unique (book, key),
    constraint posting_is_one_half check ((pair_book is null) = (pair_number is null))
);
-- Those that took effect before they were recorded, which balances by effective time look for.
create index posting_back_dated on posting (book, number) include (effective_at)
where effective_at is not null;
create unique index posting_reversed_once on posting (book, reverses) where reverses is not null;

-- transfer: money moves. pending: it is held for that. post, void, expire: the one end of a hold.
create type transfer_phase as enum ('transfer', 'pending', 'post', 'void', 'expire');

create table transfer (
    book text collate "C" not null,
    posting bigint not null,
    -- Its place in the posting, from 0, without gaps.
    leg smallint not null check (leg >= 0),
    phase transfer_phase not null,
    currency text collate "C" not null,
    debit_account bigint not null,
    credit_account bigint not null,
    amount bigint not null check (amount between 1 and 1000000000000000),
    -- The hold that it ends, and all of what was held.
    pending_posting bigint,
    pending_leg smallint,
    pending_amount bigint,
    expires_at timestamptz check (expires_at is null or phase = 'pending'),
    -- How many entries each account had with this one, its balance on its normal side then, and
    -- what was pending then on the side that this entry is on.
    debit_version bigint not null check (debit_version >= 1),
    debit_balance_after bigint not null,
    debit_pending_after bigint not null check (debit_pending_after >= 0),
    credit_version bigint not null check (credit_version >= 1),
    credit_balance_after bigint not null,
    credit_pending_after bigint not null check (credit_pending_after >= 0),
    primary key (book, posting, leg),
    constraint transfer_moves_something check (debit_account <> credit_account),
    constraint transfer_ends_a_hold check (
        (phase in ('post', 'void', 'expire')) = (pending_posting is not null)
        and (pending_posting is null) = (pending_leg is null)
        and (pending_posting is null) = (pending_amount is null)
    ),
    constraint transfer_posts_no_more_than_held check (amount <= pending_amount),
    constraint transfer_releases_all check (
        phase not in ('void', 'expire') or amount = pending_amount
    )
);
create unique index transfer_debits on transfer (debit_account, posting, leg)
include (phase, amount, debit_balance_after, debit_pending_after);
create unique index transfer_credits on transfer (credit_account, posting, leg)
include (phase, amount, credit_balance_after, credit_pending_after);
create unique index transfer_ends_hold_once on transfer (book, pending_posting, pending_leg)
where pending_posting is not null;

-- The holds that are open. It says nothing that the transfers do not: it is their index.
create table hold (
    book text collate "C" not null,
    posting bigint not null,
    leg smallint not null,
    expires_at timestamptz,
    primary key (book, posting, leg)
);
create index hold_by_expiry on hold (expires_at, book) where expires_at is not null;

-- What was converted in a posting, at which rate. A quote is used once.
create table conversion (
    book text collate "C" not null,
    posting bigint not null,
    -- The conversion's first transfer.
    leg smallint not null,
    quote text collate "C" check (length(quote) between 1 and 255),
    source_currency text not null,
    source_amount bigint not null check (source_amount > 0),
    target_currency text not null,
    target_amount bigint not null check (target_amount > 0),
    -- Minor units of the target for one of the source.
    rate_numerator bigint not null check (rate_numerator > 0),
    rate_denominator bigint not null check (rate_denominator > 0),
    spread_bp integer not null check (spread_bp between 0 and 9999),
    primary key (book, posting, leg),
    foreign key (book, posting, leg) references transfer (book, posting, leg),
    unique (book, quote)
);
create trigger conversion_append_only before update or delete or truncate on conversion
for each statement execute function refuse_change();

-- One row a transfer and side.
create view entry as
select
    t.debit_account as account,
    t.debit_version as version,
    t.book,
    t.posting,
    t.leg,
    'debit' as side,
    t.phase,
    t.currency,
    t.amount,
    case when t.phase in ('transfer', 'post') then t.amount else 0 end as posted,
    case t.phase when 'transfer' then 0 when 'pending' then t.amount else -t.pending_amount end
        as pending,
    t.debit_balance_after as balance_after,
    t.debit_pending_after as pending_after
from transfer as t
union all
select
    t.credit_account as account,
    t.credit_version as version,
    t.book,
    t.posting,
    t.leg,
    'credit' as side,
    t.phase,
    t.currency,
    t.amount,
    case when t.phase in ('transfer', 'post') then t.amount else 0 end as posted,
    case t.phase when 'transfer' then 0 when 'pending' then t.amount else -t.pending_amount end
        as pending,
    t.credit_balance_after as balance_after,
    t.credit_pending_after as pending_after
from transfer as t;

-- What was posted before ------------------------------------------------------------------------------

insert into posting (book, number, key, request_hash, transfers, recorded_at)
select
    p.book,
    row_number() over (partition by p.book order by t.first) as number,
    p.key,
    sha256(convert_to(p.key, 'UTF8')) as request_hash,
    t.transfers,
    max(p.recorded_at) over (partition by p.book order by t.first) as recorded_at
from posting_before as p
inner join (
    select
        posting,
        min(id) as first,
        count(*) as transfers
    from transfer_before
    group by posting
) as t on p.id = t.posting;

insert into transfer (
    book, posting, leg, phase, currency, debit_account, credit_account, amount,
    debit_version, debit_balance_after, debit_pending_after,
    credit_version, credit_balance_after, credit_pending_after
)
select
    t.book,
    p.number,
    row_number() over (partition by t.posting order by t.id) - 1 as leg,
    'transfer' as phase,
    t.currency,
    t.debit_account,
    t.credit_account,
    t.amount,
    d.version,
    d.balance_after,
    0 as debit_pending_after,
    c.version,
    c.balance_after,
    0 as credit_pending_after
from transfer_before as t
inner join posting_before as b on t.posting = b.id
inner join posting as p on b.book = p.book and b.key = p.key
inner join entry_before as d on t.id = d.transfer and d.side = 'debit'
inner join entry_before as c on t.id = c.transfer and c.side = 'credit';

alter table book disable trigger book_counts_postings;
update book
set head = last.number, recorded_at = last.recorded_at
from (
    select
        p.book,
        max(p.number) as number,
        max(p.recorded_at) as recorded_at
    from posting as p
    group by p.book
) as last
where book.id = last.book;
alter table book enable trigger book_counts_postings;

drop table entry_before, transfer_before, posting_before;
-- Nothing refers to it any more, and an index less is one less to look rows up by.
alter table account drop constraint account_id_book_currency_key;

create trigger posting_append_only before update or delete or truncate on posting
for each statement execute function refuse_change();
create trigger transfer_append_only before update or delete or truncate on transfer
for each statement execute function refuse_change();

-- What an insert must be ------------------------------------------------------------------------------

-- Each of these runs once for all the rows of a statement, and knows no more of how many there are
-- than the planner guessed the first time. So they look rows up by index, and join nothing else.

-- Postings continue their books, each with all of its transfers, which come in the same statement:
-- each has no leg too many (continue_accounts), so together they have none too few.
create function continue_books() returns trigger
language plpgsql security definer
set search_path = public, pg_temp set enable_seqscan = off set enable_hashjoin = off
set enable_mergejoin = off as $$
declare
    sound boolean;
begin
    with recorded as (
        select
            p.book,
            min(p.number) as first,
            max(p.number) as last,
            count(*) as postings,
            sum(p.transfers) as transfers,
            min(p.recorded_at) as recorded_at,
            max(p.recorded_at) as recorded_last,
            min(coalesce(p.effective_at, p.recorded_at)) as effective_at,
            case when bool_and(p.imported) then 'importing' when not bool_or(p.imported) then 'live' end
                as mode
        from new_posting as p
        group by p.book
    ),

    continued as (
        update book
        set head = r.last, recorded_at = r.recorded_at
        from recorded as r
        where
            book.id = r.book
            and book.head = r.first - 1
            and r.last - r.first + 1 = r.postings
            and r.recorded_at = r.recorded_last
            and r.recorded_at >= book.recorded_at
            and r.effective_at >= book.locked_before
            and r.mode = book.mode
            and r.transfers = (
                select count(*) from transfer as t
                where t.book = r.book and t.posting between r.first and r.last
            )
        returning book.id
    )

    select (select count(*) from continued) = (select count(*) from recorded) into sound;
    if not sound then
        raise exception 'a posting does not continue its book'
            using errcode = 'check_violation', constraint = 'posting_continues_its_book';
    end if;
    return null;
end
$$;

-- Transfers continue both of their accounts, whose counters move with them. Along an account's new
-- entries each balance differs from the one before by what the entry says, and the first from what
-- the account has; so do the pendings of each side.
create function continue_accounts() returns trigger
language plpgsql security definer
set search_path = public, pg_temp set enable_seqscan = off set enable_hashjoin = off
set enable_mergejoin = off as $$
declare
    sound boolean;
begin
    with side as (
        select
            n.debit_account as account,
            n.book,
            n.currency,
            n.posting,
            n.leg,
            true as debit,
            n.debit_version as version,
            n.debit_balance_after as balance_after,
            n.debit_pending_after as pending_after,
            case when n.phase in ('transfer', 'post') then n.amount else 0 end as posted,
            case n.phase
                when 'transfer' then 0 when 'pending' then n.amount else -n.pending_amount
            end as pending
        from new_transfer as n
        union all
        select
            n.credit_account as account,
            n.book,
            n.currency,
            n.posting,
            n.leg,
            false as debit,
            n.credit_version as version,
            n.credit_balance_after as balance_after,
            n.credit_pending_after as pending_after,
            case when n.phase in ('transfer', 'post') then n.amount else 0 end as posted,
            case n.phase
                when 'transfer' then 0 when 'pending' then n.amount else -n.pending_amount
            end as pending
        from new_transfer as n
    ),

    stepped as (
        select
            s.*,
            case when s.debit then s.posted else -s.posted end as increase,
            s.version - lag(s.version) over running as version_step,
            s.balance_after - lag(s.balance_after) over running as balance_step,
            s.pending_after - lag(s.pending_after) over of_side as pending_step
        from side as s
        window
            running as (partition by s.account order by s.posting, s.leg),
            of_side as (partition by s.account, s.debit order by s.posting, s.leg)
    ),

    change as (
        select
            s.account,
            min(s.book) as book,
            max(s.book) as book_too,
            min(s.currency) as currency,
            max(s.currency) as currency_too,
            count(*) as entries,
            coalesce(sum(s.posted) filter (where s.debit), 0)::bigint as debits_posted,
            coalesce(sum(s.posted) filter (where not s.debit), 0)::bigint as credits_posted,
            coalesce(sum(s.pending) filter (where s.debit), 0)::bigint as debits_pending,
            coalesce(sum(s.pending) filter (where not s.debit), 0)::bigint as credits_pending,
            min(s.version) as version,
            -- What the account had before, if it is a debit account, or else a credit account.
            min(s.balance_after - s.increase) filter (where s.version_step is null)
                as balance_of_debits,
            min(s.balance_after + s.increase) filter (where s.version_step is null)
                as balance_of_credits,
            min(s.pending_after - s.pending) filter (where s.debit and s.pending_step is null)
                as debits_pending_before,
            min(s.pending_after - s.pending) filter (where not s.debit and s.pending_step is null)
                as credits_pending_before,
            bool_and(coalesce(s.balance_step = s.increase, true)) as steps_of_debits,
            bool_and(coalesce(s.balance_step = -s.increase, true)) as steps_of_credits,
            bool_and(
                coalesce(s.version_step = 1, true) and coalesce(s.pending_step = s.pending, true)
            ) as steps
        from stepped as s
        group by s.account
    ),

    counted as (
        update account
        set
            debits_posted = account.debits_posted + c.debits_posted,
            credits_posted = account.credits_posted + c.credits_posted,
            debits_pending = account.debits_pending + c.debits_pending,
            credits_pending = account.credits_pending + c.credits_pending,
            version = account.version + c.entries
        from change as c
        where
            account.id = c.account
            and account.book = c.book
            and account.book = c.book_too
            and account.currency = c.currency
            and account.currency = c.currency_too
            and account.closed_at is null
            and account.version = c.version - 1
            and c.steps
            and case
                when account.normal = 'debit' then
                    c.steps_of_debits
                    and account.debits_posted - account.credits_posted = c.balance_of_debits
                else
                    c.steps_of_credits
                    and account.credits_posted - account.debits_posted = c.balance_of_credits
            end
            and coalesce(account.debits_pending = c.debits_pending_before, true)
            and coalesce(account.credits_pending = c.credits_pending_before, true)
        returning account.id
    )

    select (select count(*) from counted) = (select count(*) from change) into sound;
    if not sound then
        raise exception 'a transfer does not continue its accounts'
            using errcode = 'check_violation', constraint = 'transfer_continues_its_accounts';
    end if;
    perform 1
    from new_transfer as n
    left join posting as p on n.book = p.book and n.posting = p.number
    where p.number is null or n.leg >= p.transfers;
    if found then
        raise exception 'a transfer is none of its posting''s'
            using errcode = 'check_violation', constraint = 'transfer_has_its_posting';
    end if;
    return null;
end
$$;

-- A hold is open from its transfer to the one that ends it, which is like it. Only time, as it is
-- recorded, lets one expire, and after that nothing else ends it.
create function continue_holds() returns trigger
language plpgsql security definer
set search_path = public, pg_temp set enable_seqscan = off set enable_hashjoin = off
set enable_mergejoin = off as $$
declare
    ended bigint;
    due bigint;
begin
    insert into hold (book, posting, leg, expires_at)
    select n.book, n.posting, n.leg, n.expires_at
    from new_transfer as n
    where n.phase = 'pending';
    select count(*) into due from new_transfer as n where n.pending_posting is not null;
    if due = 0 then
        return null;
    end if;
    with released as (
        delete from hold
        using new_transfer as n, transfer as t, posting as p
        where
            (hold.book, hold.posting, hold.leg) = (n.book, n.pending_posting, n.pending_leg)
            and (t.book, t.posting, t.leg) = (n.book, n.pending_posting, n.pending_leg)
            and (p.book, p.number) = (n.book, n.posting)
            and (t.debit_account, t.credit_account, t.currency, t.amount)
            = (n.debit_account, n.credit_account, n.currency, n.pending_amount)
            and (n.phase = 'expire') = coalesce(t.expires_at <= p.recorded_at, false)
        returning 1
    )
    select count(*) into ended from released;
    if ended <> due then
        raise exception 'a transfer breaks transfer_ends_an_open_hold'
            using errcode = 'check_violation', constraint = 'transfer_ends_an_open_hold';
    end if;
    return null;
end
$$;

create trigger posting_continues_books after insert on posting
referencing new table as new_posting
for each statement execute function continue_books();
create trigger transfer_continues_accounts after insert on transfer
referencing new table as new_transfer
for each statement execute function continue_accounts();
create trigger transfer_continues_holds after insert on transfer
referencing new table as new_transfer
for each statement execute function continue_holds();

-- What must never have a row ----------------------------------------------------------------------

create view inv_book_unbalanced as
select
    a.book,
    a.currency,
    sum(a.debits_posted) as debits_posted,
    sum(a.credits_posted) as credits_posted,
    sum(a.debits_pending) as debits_pending,
    sum(a.credits_pending) as credits_pending
from account as a
group by a.book, a.currency
having
    sum(a.debits_posted) <> sum(a.credits_posted)
    or sum(a.debits_pending) <> sum(a.credits_pending);

create view inv_account_not_its_entries as
select
    a.id as account,
    a.debits_posted,
    a.credits_posted,
    a.debits_pending,
    a.credits_pending,
    a.version,
    e.entries
from account as a
left join (
    select
        e.account,
        count(*) as entries,
        coalesce(sum(e.posted) filter (where e.side = 'debit'), 0) as debits_posted,
        coalesce(sum(e.posted) filter (where e.side = 'credit'), 0) as credits_posted,
        coalesce(sum(e.pending) filter (where e.side = 'debit'), 0) as debits_pending,
        coalesce(sum(e.pending) filter (where e.side = 'credit'), 0) as credits_pending
    from entry as e
    group by e.account
) as e on a.id = e.account
where
    (a.debits_posted, a.credits_posted, a.debits_pending, a.credits_pending, a.version)
    is distinct from (
        coalesce(e.debits_posted, 0), coalesce(e.credits_posted, 0),
        coalesce(e.debits_pending, 0), coalesce(e.credits_pending, 0), coalesce(e.entries, 0)
    );

create view inv_entry_chain_broken as
select * from (
    select
        e.account,
        e.version,
        e.posting,
        e.leg,
        e.balance_after,
        e.pending_after,
        row_number() over running as version_replayed,
        sum(case when e.side = a.normal then e.posted else -e.posted end) over running
            as balance_replayed,
        sum(e.pending) over (partition by e.account, e.side order by e.posting, e.leg)
            as pending_replayed
    from entry as e
    inner join account as a on e.account = a.id
    window running as (partition by e.account order by e.posting, e.leg)
) as replay
where
    replay.version <> replay.version_replayed
    or replay.balance_after <> replay.balance_replayed
    or replay.pending_after <> replay.pending_replayed;

create view inv_transfer_crosses as
select
    t.book,
    t.posting,
    t.leg,
    d.book as debit_book,
    d.currency as debit_currency,
    c.book as credit_book,
    c.currency as credit_currency
from transfer as t
left join account as d on t.debit_account = d.id
left join account as c on t.credit_account = c.id
where
    (d.book, d.currency) is distinct from (t.book, t.currency)
    or (c.book, c.currency) is distinct from (t.book, t.currency);

create view inv_book_with_gaps as
select
    b.id as book,
    b.head,
    p.postings,
    p.last
from book as b
left join (
    select
        posting.book,
        count(*) as postings,
        max(posting.number) as last
    from posting
    group by posting.book
) as p on b.id = p.book
where (b.head, b.head) is distinct from (coalesce(p.postings, 0), coalesce(p.last, 0));

create view inv_posting_not_its_transfers as
select
    coalesce(p.book, t.book) as book,
    coalesce(p.number, t.posting) as posting,
    p.transfers,
    t.found
from posting as p
full join (
    select
        transfer.book,
        transfer.posting,
        count(*) as found,
        max(transfer.leg) as last
    from transfer
    group by transfer.book, transfer.posting
) as t on p.book = t.book and p.number = t.posting
where (p.transfers::bigint, p.transfers - 1) is distinct from (t.found, t.last);

create view inv_posting_in_locked_period as
select
    p.book,
    p.number,
    p.effective_at,
    k.locked_before,
    k.locked_at
from posting as p
inner join period_lock as k
    on p.book = k.book and coalesce(p.effective_at, p.recorded_at) < k.locked_before
where p.recorded_at > k.locked_at;

create view inv_hold_not_open as
select
    coalesce(h.book, o.book) as book,
    coalesce(h.posting, o.posting) as posting,
    coalesce(h.leg, o.leg) as leg
from hold as h
full join (
    select
        t.book,
        t.posting,
        t.leg,
        t.expires_at
    from transfer as t
    left join transfer as e
        on t.book = e.book and t.posting = e.pending_posting and t.leg = e.pending_leg
    where t.phase = 'pending' and e.posting is null
) as o on h.book = o.book and h.posting = o.posting and h.leg = o.leg
where
    h.book is null
    or o.book is null
    or h.expires_at is distinct from o.expires_at;

create view inv_hold_ended_wrongly as
select
    e.book,
    e.posting,
    e.leg,
    e.phase,
    e.pending_posting,
    e.pending_leg
from transfer as e
left join transfer as t
    on
        e.book = t.book
        and e.pending_posting = t.posting
        and e.pending_leg = t.leg
        and t.phase = 'pending'
where
    e.pending_posting is not null
    and (t.debit_account, t.credit_account, t.currency, t.amount)
    is distinct from (e.debit_account, e.credit_account, e.currency, e.pending_amount);

create view inv_conversion_not_its_transfers as
select
    c.book,
    c.posting,
    c.leg,
    s.amount as source_moved,
    t.amount as target_moved
from conversion as c
left join transfer as s on c.book = s.book and c.posting = s.posting and c.leg = s.leg
left join transfer as t on c.book = t.book and c.posting = t.posting and c.leg + 1 = t.leg
where
    (s.currency, s.amount, t.currency, t.amount) is distinct from (
        c.source_currency,
        c.source_amount - div(c.source_amount::numeric * c.spread_bp, 10000),
        c.target_currency,
        c.target_amount
    )
    or c.target_amount <> div(s.amount::numeric * c.rate_numerator, c.rate_denominator);

create view inv_interline_not_paired as
select
    p.book,
    p.number,
    p.pair_book,
    p.pair_number
from posting as p
left join posting as o on p.pair_book = o.book and p.pair_number = o.number
where
    p.pair_book is not null
    and (o.pair_book, o.pair_number, o.key) is distinct from (p.book, p.number, p.key);

create view inv_interline_not_zero as
select
    coalesce(t.book, f.pair) as owing,
    coalesce(t.pair, f.book) as owed,
    coalesce(t.currency, f.currency) as currency,
    t.balance as due_to,
    f.balance as due_from
from (
    select
        a.book,
        a.currency,
        substr(a.path, 8) as pair,
        a.credits_posted - a.debits_posted as balance
    from account as a
    where a.path like 'due-to:%'
) as t
full join (
    select
        a.book,
        a.currency,
        substr(a.path, 10) as pair,
        a.debits_posted - a.credits_posted as balance
    from account as a
    where a.path like 'due-from:%'
) as f on t.book = f.pair and t.pair = f.book and t.currency = f.currency
where coalesce(t.balance, 0) <> coalesce(f.balance, 0);

create view inv_capture_not_posted_once as
select
    x.id as transaction,
    x.state,
    x.amount,
    p.number as posting,
    p.credited
from transaction as x
left join (
    select
        posting.number,
        posting.key,
        sum(t.amount) as credited,
        min(t.currency) as currency
    from posting
    inner join transfer as t on posting.book = t.book and posting.number = t.posting
    where posting.key like 'capture:%'
    group by posting.book, posting.number, posting.key
) as p on 'capture:' || x.id = p.key
where
    (x.state = 'captured') <> (p.number is not null)
    or (p.number is not null and (p.credited, p.currency) is distinct from (x.amount, x.currency));

create view inv_posting_without_transaction as
select
    p.book,
    p.number,
    p.key
from posting as p
where
    p.key like 'capture:%'
    and not exists (select 1 from transaction as x where 'capture:' || x.id = p.key);

-- The number of a book's last posting that was recorded by then; 0: none. Times never go back along
-- the numbers, so the place is found by halving, and needs no index of its own.
create function posting_by(wanted_book text, wanted_at timestamptz)
returns bigint language plpgsql stable as $$
declare
    low bigint := 0;
    high bigint;
    middle bigint;
begin
    select b.head into high from book as b where b.id = wanted_book;
    while low < high loop
        middle := (low + high + 1) / 2;
        if (
            select p.recorded_at <= wanted_at
            from posting as p where p.book = wanted_book and p.number = middle
        ) then
            low := middle;
        else
            high := middle - 1;
        end if;
    end loop;
    return low;
end
$$;

-- An account as the code reads it.
create view account_seen as
select
    id,
    book,
    path,
    kind,
    currency,
    owner,
    floor,
    ceiling,
    debits_posted,
    credits_posted,
    debits_pending,
    credits_pending,
    version,
    closed_at
from account;
