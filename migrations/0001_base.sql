-- The frame: business lines and people, sales and stock, the ledger, transactions, the event log.
--
-- Money is bigint minor units beside a currency; invariants are constraints here, so that they hold
-- against any client; what a constraint cannot say, a view inv_* shows: it has a row only where
-- something is wrong.

-- People and what they sell -----------------------------------------------------------------------

create table business_line (
    id text primary key check (id ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
    name text not null,
    -- What the line keeps of each sale, in basis points of the price.
    commission_bp integer not null check (commission_bp between 0 and 10000),
    created_at timestamptz not null default now()
);

create table person (
    line text not null references business_line,
    name text not null check (name ~ '^[A-Za-z0-9][A-Za-z0-9_.@-]{0,62}$'),
    role text not null check (role in ('buyer', 'seller', 'operator')),
    created_at timestamptz not null default now(),
    primary key (line, name)
);

create table sale (
    id text primary key check (id ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
    line text not null references business_line,
    title text not null check (length(title) between 1 and 200),
    -- Null while the sale has no planned end.
    closes_at timestamptz,
    created_at timestamptz not null default now(),
    unique (id, line)
);
create index sale_by_line on sale (line, id);

create table listing (
    id text primary key check (id ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
    sale text not null,
    line text not null,
    seller text not null,
    title text not null check (length(title) between 1 and 200),
    price_amount bigint not null check (price_amount between 1 and 1000000000000000),
    price_currency text not null check (price_currency ~ '^[A-Z]{3}$'),
    -- Pieces not yet sold: what everyone sees. It falls when a purchase is captured.
    stock integer not null,
    -- Pieces of that stock held by purchases whose payment is under way.
    reserved integer not null default 0,
    created_at timestamptz not null default now(),
    foreign key (sale, line) references sale (id, line),
    foreign key (line, seller) references person (line, name),
    constraint listing_stock_not_negative check (stock >= 0),
    constraint listing_reserved_within_stock check (reserved between 0 and stock)
)
with (fillfactor = 50);
create index listing_by_sale on listing (sale, id);

-- The ledger --------------------------------------------------------------------------------------

-- One a business line: it must be there before the line sells anything.
create table book (
    id text primary key,
    line text not null unique references business_line,
    created_at timestamptz not null default now()
);

create table account (
    id bigint generated always as identity primary key,
    book text not null references book,
    -- Its place in the chart: 'gateway:test:clearing', 'seller:demo-seller:payable', 'commission'.
    path text not null check (path ~ '^[a-z]+(:[A-Za-z0-9_.@-]+)*$'),
    kind text not null check (kind in ('asset', 'liability', 'revenue', 'expense')),
    -- The side that increases it: assets and expenses grow by debits.
    normal text generated always as (
        case when kind in ('asset', 'expense') then 'debit' else 'credit' end
    ) stored,
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    -- Whose money it is, where it is a person's.
    owner text,
    -- The least balance it may show, in minor units; null: none.
    floor bigint,
    debits bigint not null default 0 check (debits >= 0),
    credits bigint not null default 0 check (credits >= 0),
    -- How many entries it has: the last entry's version.
    version bigint not null default 0,
    created_at timestamptz not null default now(),
    unique (book, path, currency),
    unique (id, book, currency),
    constraint account_not_below_floor check (
        floor is null
        or (case when kind in ('asset', 'expense') then debits - credits else credits - debits end)
        >= floor
    )
)
with (fillfactor = 50);
create index account_by_owner on account (book, owner) where owner is not null;

-- A group of transfers that commits whole or not at all.
create table posting (
    id text primary key,
    book text not null references book,
    -- Derived from what it records ('capture:txn_…'), so that it can be posted once, forever.
    key text not null check (length(key) between 1 and 300),
    recorded_at timestamptz not null default now(),
    unique (book, key),
    unique (id, book)
);

-- One debit and one credit of one amount, in one book and one currency: the foreign keys say so.
create table transfer (
    id bigint generated always as identity primary key,
    posting text not null,
    book text not null,
    currency text not null,
    debit_account bigint not null,
    credit_account bigint not null check (credit_account <> debit_account),
    amount bigint not null check (amount between 1 and 1000000000000000),
    foreign key (posting, book) references posting (id, book),
    foreign key (debit_account, book, currency) references account (id, book, currency),
    foreign key (credit_account, book, currency) references account (id, book, currency)
);
create index transfer_by_posting on transfer (posting);

-- Two a transfer; `version` counts an account's entries without gaps.
create table entry (
    account bigint not null references account,
    version bigint not null check (version >= 1),
    transfer bigint not null references transfer,
    side text not null check (side in ('debit', 'credit')),
    amount bigint not null check (amount > 0),
    -- The account's balance on its normal side, this entry included.
    balance_after bigint not null,
    recorded_at timestamptz not null default now(),
    primary key (account, version),
    unique (transfer, side)
);

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only', tg_table_name using errcode = 'restrict_violation';
end
$$;
create trigger posting_append_only before update or delete or truncate on posting
    for each statement execute function refuse_change();
create trigger transfer_append_only before update or delete or truncate on transfer
    for each statement execute function refuse_change();
create trigger entry_append_only before update or delete or truncate on entry
    for each statement execute function refuse_change();

-- The event log -----------------------------------------------------------------------------------

-- One row: the last position given out. It is updated as the last statement before a commit, and
-- its row lock is held through that commit: positions have no gaps, become visible in their own
-- order, and a snapshot's head is exactly what that snapshot contains.
create table log_head (
    id boolean primary key default true check (id),
    epoch text not null check (epoch ~ '^[0-9a-z]{1,16}$'),
    position bigint not null check (position >= 0)
)
with (fillfactor = 10);
insert into log_head (epoch, position)
values (left(replace(gen_random_uuid()::text, '-', ''), 8), 0);

create table event (
    position bigint primary key check (position >= 1),
    type text not null check (type ~ '^[a-z][a-z_]{0,62}$'),
    data jsonb not null,
    recorded_at timestamptz not null default now()
);

create table event_topic (
    topic text not null check (length(topic) between 1 and 255),
    position bigint not null references event,
    primary key (topic, position)
);
create index event_topic_by_position on event_topic (position);
create trigger event_append_only before update or delete or truncate on event
    for each statement execute function refuse_change();
create trigger event_topic_append_only before update or delete or truncate on event_topic
    for each statement execute function refuse_change();

-- Transactions ------------------------------------------------------------------------------------

create table transaction (
    id text primary key,
    line text not null,
    buyer text not null,
    -- The caller's idempotency key: one transaction and one answer, forever.
    key text not null check (length(key) between 1 and 255),
    request_hash bytea not null,
    sale text not null,
    listing text not null references listing,
    quantity integer not null check (quantity between 1 and 1000000),
    seller text not null,
    amount bigint not null check (amount between 1 and 1000000000000000),
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    commission_amount bigint not null check (commission_amount between 0 and amount),
    payment_method text not null check (length(payment_method) between 1 and 255),
    -- paying: stock is reserved and an attempt exists; unknown: the provider's answer was lost.
    state text not null check (state in ('paying', 'unknown', 'captured', 'refused')),
    refusal text check (refusal in ('sold_out', 'declined', 'expired')),
    -- When a purchase that has not been paid is to be given up, by the database's clock.
    reserved_until timestamptz not null,
    -- The event that told of the capture.
    position bigint unique references event,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    unique (line, buyer, key),
    foreign key (line, buyer) references person (line, name),
    foreign key (sale, line) references sale (id, line),
    constraint transaction_refusal_says_why check ((state = 'refused') = (refusal is not null)),
    constraint transaction_capture_was_told check ((state = 'captured') = (position is not null))
);
create index transaction_by_buyer on transaction (line, buyer, id);
create index transaction_by_seller on transaction (line, seller, id);
create index transaction_by_line on transaction (line, id);
create index transaction_open on transaction (id) where state in ('paying', 'unknown');
create index transaction_open_by_listing on transaction (listing)
    where state in ('paying', 'unknown');

create function refuse_change_of_final() returns trigger language plpgsql as $$
begin
    raise exception 'a transaction that is % stays so', old.state
        using errcode = 'restrict_violation';
end
$$;
create trigger transaction_final before update or delete on transaction
    for each row when (old.state in ('captured', 'refused'))
    execute function refuse_change_of_final();

-- One intended call to the provider, committed before the call; its id is the provider's
-- idempotency key.
create table attempt (
    id text primary key,
    transaction text not null unique references transaction,
    amount bigint not null,
    currency text not null,
    state text not null check (state in ('intended', 'unknown', 'succeeded', 'failed', 'cancelled')),
    provider_reference text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

-- A transaction as it is read: with its attempt, the log it was told in, and whether its
-- reservation has run out.
create view transaction_seen as
select
    x.id,
    x.line,
    x.buyer,
    x.key,
    x.request_hash,
    x.sale,
    x.listing,
    x.quantity,
    x.seller,
    x.amount,
    x.currency,
    x.commission_amount,
    x.payment_method,
    x.state,
    x.refusal,
    a.id as attempt,
    h.epoch,
    x.position,
    x.reserved_until <= now() as overdue,
    x.created_at,
    x.updated_at
from transaction as x
left join attempt as a on x.id = a.transaction
cross join log_head as h;

-- What the test gateway, standing in for a provider on the other side of a network, remembers. It
-- is written in atomic blocks of its own and nothing of ours refers to it.
create schema test_gateway;
create table test_gateway.charge (
    attempt text primary key,
    outcome text not null check (outcome in ('approved', 'declined', 'cancelled')),
    -- What was asked: null where an attempt was cancelled before its charge arrived.
    amount bigint,
    currency text,
    payment_method text,
    -- The provider's own name for money that moved.
    reference text unique,
    created_at timestamptz not null default now(),
    constraint charge_says_what_was_asked check (
        outcome = 'cancelled'
        or (amount is not null and currency is not null and payment_method is not null)
    ),
    constraint charge_approved_has_reference check (
        (outcome = 'approved') = (reference is not null)
    )
);

-- What must never have a row ----------------------------------------------------------------------

create view inv_book_unbalanced as
select
    a.book,
    a.currency,
    sum(a.debits) as debits,
    sum(a.credits) as credits
from account as a
group by a.book, a.currency
having sum(a.debits) <> sum(a.credits);

create view inv_transfer_without_its_entries as
select
    t.id as transfer,
    t.amount,
    d.account as debited,
    c.account as credited
from transfer as t
left join entry as d on t.id = d.transfer and d.side = 'debit'
left join entry as c on t.id = c.transfer and c.side = 'credit'
where
    (d.account, d.amount) is distinct from (t.debit_account, t.amount)
    or (c.account, c.amount) is distinct from (t.credit_account, t.amount);

create view inv_account_not_its_entries as
select
    a.id as account,
    a.debits,
    a.credits,
    a.version,
    coalesce(sum(e.amount) filter (where e.side = 'debit'), 0) as entries_debits,
    coalesce(sum(e.amount) filter (where e.side = 'credit'), 0) as entries_credits,
    count(e.version) as entries
from account as a
left join entry as e on a.id = e.account
group by a.id
having
    a.debits <> coalesce(sum(e.amount) filter (where e.side = 'debit'), 0)
    or a.credits <> coalesce(sum(e.amount) filter (where e.side = 'credit'), 0)
    or a.version <> count(e.version)
    or a.version <> coalesce(max(e.version), 0);

create view inv_entry_chain_broken as
select * from (
    select
        e.account,
        e.version,
        e.balance_after,
        sum(case when e.side = a.normal then e.amount else -e.amount end)
            over (partition by e.account order by e.version) as balance_replayed
    from entry as e
    inner join account as a on e.account = a.id
) as replay
where replay.balance_after <> replay.balance_replayed;

create view inv_capture_not_posted_once as
select
    x.id as transaction,
    x.state,
    x.amount,
    p.id as posting,
    p.credited
from transaction as x
left join (
    select
        posting.id,
        posting.key,
        sum(t.amount) as credited,
        min(t.currency) as currency
    from posting
    inner join transfer as t on posting.id = t.posting
    group by posting.id
) as p on 'capture:' || x.id = p.key
where
    (x.state = 'captured') <> (p.id is not null)
    or (p.id is not null and (p.credited, p.currency) is distinct from (x.amount, x.currency));

create view inv_posting_without_transaction as
select p.id as posting, p.key
from posting as p
where
    p.key like 'capture:%'
    and not exists (select 1 from transaction as x where 'capture:' || x.id = p.key);

create view inv_reserved_not_held as
select
    l.id as listing,
    l.reserved,
    coalesce(sum(x.quantity), 0) as held
from listing as l
left join transaction as x on l.id = x.listing and x.state in ('paying', 'unknown')
group by l.id
having l.reserved <> coalesce(sum(x.quantity), 0);

create view inv_captured_without_payment as
select x.id as transaction, x.state, a.state as attempt_state
from transaction as x
left join attempt as a on x.id = a.transaction
where
    (x.state = 'captured') <> coalesce(a.state = 'succeeded', false)
    or (x.state = 'refused' and x.refusal <> 'sold_out' and a.state not in ('failed', 'cancelled'));

create view inv_log_with_gaps as
select h.position as head, count(e.position) as events, max(e.position) as last
from log_head as h
left join event as e on true
group by h.position
having h.position <> count(e.position) or h.position <> coalesce(max(e.position), 0);

-- Every row of every inv_* view, at most `most` a view: what `agio ledger check` reads. It finds
-- the views by their name, so that one added later is looked at too.
create function violations(most integer)
returns table (invariant text, broken jsonb)
language plpgsql stable as $$
declare
    seen text;
begin
    for seen in
        select viewname from pg_views
        where schemaname = current_schema() and viewname like 'inv\_%'
        order by viewname
    loop
        return query execute
            format('select %L::text, to_jsonb(v) from %I as v limit $1', seen, seen) using most;
    end loop;
end
$$;
