"""The bounds of this layer, each with its reason. Every one can be set per actor or supervisor."""

from typing import Final

# A mailbox longer than this hides an overload instead of showing it: at the hundred thousand
# messages a second that one actor handles, 1,024 wait ten milliseconds.
MAILBOX_CAPACITY: Final = 1024

# What Elixir chose, long proven: a fault that comes back four times in five seconds is not
# cured by starting again, so somebody further up has to know.
RESTARTS_MAX: Final = 3
RESTART_WINDOW_S: Final = 5.0

# A child that is not ready by then hangs: nothing of ours takes so long to start that says nothing
# of how long it may. Its supervisor, which starts one after the other, has others to look after.
START_S: Final = 60.0

# OTP's five seconds for a worker to finish in peace before it is cancelled.
SHUTDOWN_S: Final = 5.0

# A message in whose handling two lives ended is the cause, not the victim. Each of them was also a
# failure to its supervisor, which forgives three: poison alone does not make it give up.
ATTEMPTS_MAX: Final = 2

# Quarantined messages kept for somebody to look at: as many as a person reads; all are counted.
QUARANTINE_KEPT: Final = 100

# Children of one supervisor that a picture of the tree lists: what a person scrolls through. The
# rest are counted.
TREE_CHILDREN_MAX: Final = 50

# Partitions of a supervisor: each is a supervisor of its own, so more than a machine has cores,
# times the shards a core can serve, only costs memory.
PARTITIONS_MAX: Final = 1024

# A tick is 7.8 ms: a timeout or an idle time is not felt to be late by that, and no wheel wakes
# more often than so many times a second. A power of two, so that seconds and ticks convert exactly.
TIMER_TICKS_PER_S: Final = 128

# So many entries of a slot are a crowd: it is opened when it begins, due or not, so that nothing in
# it is late because many had to be handed down before. Fewer are asked one by one, in a few
# microseconds, which of them is due first, and are handed down then, in no more time.
TIMER_CROWD: Final = 64

# Callbacks in a row before other tasks run: a few microseconds each, so the loop is held for about
# a millisecond, and the switch between tasks costs little beside them.
TIMER_BATCH: Final = 256
