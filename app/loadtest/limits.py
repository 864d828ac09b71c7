"""Every bound of the load tester, named, with its reason."""

from typing import Final

# What may be asked for ----------------------------------------------------------------------------

# Connections and rooms of one run: one machine has descriptors and ports for no more.
CONNECTIONS_MAX: Final = 250_000
ROOMS_MAX: Final = 100_000

# Bytes of filler in a message. Agio takes 128 KB in one message, envelope included.
PAYLOAD_BYTES_MAX: Final = 100_000

# Messages a second, over all rooms, and messages in flight in one: what no server here reaches.
RATE_MAX: Final = 1_000_000.0
WINDOW_MAX: Final = 10_000

# Processes: more than a machine's cores measure each other.
PROCESSES_MAX: Final = 64

# Connections a second while the crowd comes in.
RAMP_MAX: Final = 100_000.0

# Seconds of the measurement and of what surrounds it: a day shows every leak.
DURATION_MIN_S: Final = 0.1
DURATION_MAX_S: Final = 86_400.0
AROUND_MAX_S: Final = 600.0

# Characters of the topic, the event, the join parameters and all headers: as the servers' own.
TEXT_MAX: Final = 4_096

# Addresses to connect from: 28,000 ports each, so this many carry all connections there may be.
SOURCES_MAX: Final = 64

# Connecting ---------------------------------------------------------------------------------------

# Connections of one process that are not yet joined, at once: more only wait in the server's
# backlog, and would measure that.
OPENING_MAX: Final = 200

# Seconds from the first packet to the answer to the join. Clients give up after as many.
OPEN_S: Final = 10.0

# Seconds between two heartbeats of a connection: below the 60 that servers wait for a byte, and
# as many slices of the crowd, one a second.
HEARTBEAT_SLICES: Final = 25

# Bytes of a response's head: what no server answers an upgrade with.
HEAD_BYTES_MAX: Final = 16_384

# Descriptors that a process needs besides its connections: pipes, the selector, the interpreter.
DESCRIPTORS_SPARE: Final = 64

# Measuring ----------------------------------------------------------------------------------------

# Bytes of one read: what a socket buffer usually holds.
RECEIVE_BYTES: Final = 65_536

# Bytes of one message from the server. Ours are what we sent; a larger one is somebody else's.
MESSAGE_BYTES_MAX: Final = 1_048_576

# Bytes that wait for a server that does not read, of one connection. Beyond it a message is not
# sent, and is counted as that.
UNSENT_BYTES_MAX: Final = 1_048_576

# Bytes of received chunks that are kept to be recognised, and how long: the same chunk reaches all
# members of a room within moments.
CHUNK_BYTES_KEPT: Final = 16_777_216
FOLD_NS: Final = 50_000_000

# Sequence numbers that one member may miss and still be recognised when they come late.
MISSING_MAX: Final = 10_000

# Nanoseconds before a send at which waiting ends and polling begins: the kernel's timer for a poll
# counts in milliseconds.
POLL_NS: Final = 1_500_000

# Connections handled before the loop is given to other tasks: some milliseconds.
EVENTS_A_STEP: Final = 512

# Messages sent in open loop before what came is read again: a generator that is behind still reads.
PUBLISH_TURN_MAX: Final = 64

# Nanoseconds that the process may wait without looking at its clock.
WAIT_NS: Final = 50_000_000

# Seconds without any delivery after which what is in flight in a room is given up: so that one
# lost message does not end a run with a window.
STALL_S: Final = 2.0

# The largest latency that is told apart from larger ones: 2**42 ns are more than an hour.
LATENCY_BITS: Final = 42

# Points of the plot over time: one for every second or third pixel.
SLOTS_MAX: Final = 300

# The shortest span of such a point: less holds too few deliveries for a percentile.
SLOT_MIN_S: Final = 0.1

# The processes ------------------------------------------------------------------------------------

# Seconds that a process may say nothing, its start included: beyond it, it hangs.
WORKER_ANSWER_S: Final = 30.0

# Nanoseconds from the word to begin to the beginning: all processes have heard it by then.
LEAD_NS: Final = 200_000_000

# Seconds between two reports of progress.
PROGRESS_S: Final = 0.25

# Characters of a server's refusal that are shown.
REASON_MAX: Final = 200

# Judging ------------------------------------------------------------------------------------------

# Part of its time that the load generator may be busy before its own limit is what is measured.
BUSY_MAX: Final = 0.85

# Part of its time that it may wait for a processor while it has something to do.
STARVED_MAX: Final = 0.25

# Part of the intended messages that must have been sent for a rate to count as kept.
RATE_KEPT: Final = 0.99

# Part of the latency that may come from our own sending too late.
LAG_PART_MAX: Final = 0.2
