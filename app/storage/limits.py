"""Every bound of what is stored and carried, named, with its reason."""

from typing import Final

# The annex ----------------------------------------------------------------------------------------

# A thread starts in milliseconds; this long means that the machine is stuck.
ANNEX_START_S: Final = 5.0

# How long units of work may take to end at a stop: inside the 5 s that a stop may take in all.
ANNEX_STOP_S: Final = 1.5

# How long work that was asked to end may clean up before it is asked again: a rollback's time, many
# times over.
ANNEX_CANCEL_AGAIN_S: Final = 1.0

# Calls from the annex that wait for the trio loop. Each stands for a batch, so this many means that
# the loop has stood still, and memory is better given up than filled.
ANNEX_POSTS_MAX: Final = 65_536

# PostgreSQL ---------------------------------------------------------------------------------------

# Connections of one node. 16 saturate a core, 64 bring nothing more (`make bench-annex`); six
# nodes still fit the server's usual 100.
POSTGRES_POOL_SIZE: Final = 16

# How long to try to connect: across an ocean with TLS it takes about one second.
POSTGRES_CONNECT_S: Final = 5.0

# How long a block may wait for a connection: a caller is better told `unavailable` than kept.
POSTGRES_ACQUIRE_S: Final = 5.0

# How long a connection may be idle and still be trusted: firewalls forget quiet ones after some
# minutes, without a word.
POSTGRES_IDLE_S: Final = 240.0

# How long one statement may run on the server. The longest of ours takes milliseconds.
POSTGRES_STATEMENT_S: Final = 10.0

# How much longer to wait for a statement's answer than the server lets it run: the server's own
# deadline passes first, which keeps the connection; this one is for a server gone without a word.
POSTGRES_ANSWER_LATER_S: Final = 2.0

# How long to wait for a lock. Blocks hold theirs for milliseconds.
POSTGRES_LOCK_S: Final = 5.0

# How long an open block may do nothing before the server ends it: it holds locks others wait for.
POSTGRES_IDLE_IN_BLOCK_S: Final = 10.0

# How long closing the pool may take: then connections are cut.
POSTGRES_CLOSE_S: Final = 1.0

# How often a write block is run in all when PostgreSQL gives it up for a conflict, and the first
# pause's bound, which doubles: five cover a pile-up of 16 connections.
WRITE_ATTEMPTS_MAX: Final = 5
WRITE_RETRY_S: Final = 0.005

# Migrations ---------------------------------------------------------------------------------------

# How long a node waits for another that is migrating the same database.
MIGRATION_TURN_S: Final = 60.0

# How long a migration may wait for a lock: behind it all of the table's traffic waits, too.
MIGRATION_LOCK_S: Final = 3.0

# How long one migration may run.
MIGRATION_RUN_S: Final = 300.0

# Embedded servers ---------------------------------------------------------------------------------

# How long making a cluster may take: about a second, much longer on a slow disk.
EMBEDDED_INIT_S: Final = 60.0

# How long a server may take to start: a moment, longer after a crash, when it replays its log.
EMBEDDED_START_S: Final = 30.0

# Connections that the embedded PostgreSQL takes, and how many of them all workers together pool:
# the rest is for those that listen, for `agio ledger check`, and for a person who looks.
EMBEDDED_CONNECTIONS_MAX: Final = 100
EMBEDDED_CONNECTIONS: Final = 64

# How often a server that ends while it starts is started again, and the pause between: what it
# waits for, the last children of one that was killed, is gone within a second.
EMBEDDED_START_TRIES_MAX: Final = 4
EMBEDDED_RETRY_S: Final = 0.3

# How long a server may take to end when asked: inside the 5 s that a stop may take in all.
EMBEDDED_STOP_S: Final = 2.0

# The pause between two looks at a server that starts or ends: a start takes some ten of them.
EMBEDDED_POLL_S: Final = 0.005

# How long `--version` of a binary may take.
EMBEDDED_PROBE_S: Final = 10.0

# What Valkey may keep: a bus keeps only what a slow node has not read.
VALKEY_MEMORY_BYTES: Final = 256 * 1024 * 1024

# The bus between nodes ----------------------------------------------------------------------------

# How long Redis may take to answer. It answers in a millisecond; a bus that needs a second is no
# realtime bus.
BUS_ANSWER_S: Final = 2.0

# How often a cluster is asked who owns what, where nothing says that it changed; and how many
# primaries it may have: two connections each.
BUS_TOPOLOGY_S: Final = 10.0
BUS_SHARDS_MAX: Final = 128

# The listener's connection, the publisher's, and room for one of each that is being replaced.
BUS_CONNECTIONS_MAX: Final = 4

# Messages from other nodes that wait for the trio loop: some hundred milliseconds of them.
BUS_INBOX_MAX: Final = 8_192

# Commands of one pipeline: enough that the round trip no longer counts, little enough that its
# answers do not fill the socket's buffer.
BUS_PIPELINE_MAX: Final = 1_000

# What is read from Redis at once: as much as a socket's buffer usually holds.
BUS_READ_BYTES: Final = 256 * 1024

# Bytes of one message that is not whole yet. The largest we send is below one megabyte.
BUS_FRAME_BYTES_MAX: Final = 16 * 1024 * 1024

# Bus channels that a node hears: one a topic with local members. Far more than one node's members.
BUS_SUBSCRIPTIONS_MAX: Final = 200_000

# How long a quiet connection is trusted; a dead one is noticed after twice this.
BUS_SILENCE_S: Final = 5.0

# The pause before the first new attempt to connect, and the longest one, to which it doubles.
BUS_BACKOFF_FIRST_S: Final = 0.1
BUS_BACKOFF_CEILING_S: Final = 2.0

# How long it is remembered how far a topic's history went: who comes back within a week, having
# missed nothing, is told so, and need not reload.
HISTORY_HEAD_S: Final = 7 * 86_400.0

# How long a batch waits for a connection to a server that failed last: connecting goes on without
# it, and what belongs to other shards need not wait for one that does not answer.
HISTORY_LINK_WAIT_S: Final = 0.25

# How long closing a connection may take.
BUS_CLOSE_S: Final = 0.5
