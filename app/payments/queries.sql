-- The test gateway's statements. They touch its own schema and nothing else.

-- name: decide
-- The first to arrive decides an attempt: a charge or a cancellation.
insert into test_gateway.charge
(attempt, outcome, amount, currency, payment_method, reference)
values ($1, $2, $3, $4, $5, $6)
on conflict (attempt) do nothing;

-- name: decided
-- What was decided of an attempt; no row where nothing was.
select
    outcome,
    amount,
    currency,
    payment_method,
    reference
from test_gateway.charge
where attempt = $1;
