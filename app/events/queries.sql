-- The event log's statements.

-- name: append
-- Takes the next positions under the head's lock and writes the events there, in the arrays' order,
-- all in one statement: the lock is held for this, and for the commit. Listeners wake at the commit.
-- $2 and $3 are one text for each event: an array of topics and an object, both JSON. $4 is the
-- channel that listeners wait on.
with head as (
    update log_head
    set position = position + cardinality($1::text[])
    returning epoch, position
),

told as (
    select
        head.position - cardinality($1::text[]) + fact.place as position,
        fact.type,
        fact.topics::jsonb as topics,
        fact.data::jsonb as data
    from head
    cross join unnest($1::text[], $2::text[], $3::text[])
        with ordinality as fact (type, topics, data, place)
),

written as (
    insert into event (position, type, data)
    select told.position, told.type, told.data
    from told
    order by told.position
),

indexed as (
    insert into event_topic (topic, position)
    select topic.name, told.position
    from told
    cross join jsonb_array_elements_text(told.topics) as topic (name)
    order by topic.name, told.position
)

select head.epoch, head.position, pg_notify($4, '') as woken
from head;

-- name: head
-- The log, and the last position in this block's snapshot.
select epoch, position from log_head;

-- name: read_topic
-- What happened on topic $1 after position $2, up to $3, oldest first, at most $4.
select
    e.position,
    e.type,
    e.data,
    array(select o.topic from event_topic as o where o.position = e.position order by o.topic)
        as topics
from event_topic as t
inner join event as e on t.position = e.position
where t.topic = $1 and t.position > $2 and t.position <= $3
order by t.position
limit $4;

-- name: read_after
-- What happened on any topic after position $1, oldest first, at most $2.
select
    e.position,
    e.type,
    e.data,
    array(select o.topic from event_topic as o where o.position = e.position order by o.topic)
        as topics
from event as e
where e.position > $1
order by e.position
limit $2;

-- name: try_lead
-- Whether this session is now the one that leads: held until the session ends.
select pg_try_advisory_lock($1);
