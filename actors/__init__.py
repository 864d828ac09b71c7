"""A small OTP for trio: supervised actors with bounded mailboxes. Knows neither sockets nor money.

The map, from the bottom. Words: `errors`, `events`, `limits`, `restart_state` and `tree`, all pure.
Messages: `trace`, `mailbox`, `mailbox_statistics`, `keep_latest`, `call`, `quarantine`. Time:
`timer_wheel`, which is pure, and `timers`. What a tree shares: `system`. Supervision: `spec` (what
a supervisor and a child tell each other), `child` (one life of one child), `slot`, `supervision`
and `supervisor` (who restarts whom, in order), `keeper` and `dynamic`, `brood` (without a task of
its own), `partitioned`, `root` (the top of a tree). Actors: `ref` (how others reach one),
`belongings`, `actor` (what an application writes), `address`, `host` (what runs it), `registry`,
`groups`, `virtual`. For tests: `testing`, `seeded`, `step_watch`.
"""

from actors.actor import Actor as Actor
from actors.belongings import Belonging as Belonging
from actors.brood import Brood as Brood
from actors.call import Reply as Reply
from actors.child import Child as Child
from actors.dynamic import DynamicStatistics as DynamicStatistics
from actors.dynamic import DynamicSupervisor as DynamicSupervisor
from actors.errors import ActorDown as ActorDown
from actors.errors import ActorError as ActorError
from actors.errors import AlreadyStarted as AlreadyStarted
from actors.errors import CallTimeout as CallTimeout
from actors.errors import ChildRuns as ChildRuns
from actors.errors import LinkedActorDown as LinkedActorDown
from actors.errors import MailboxClosed as MailboxClosed
from actors.errors import MailboxFull as MailboxFull
from actors.errors import MessageQuarantined as MessageQuarantined
from actors.errors import NameTaken as NameTaken
from actors.errors import NoSuchChild as NoSuchChild
from actors.errors import RestartIntensityExceeded as RestartIntensityExceeded
from actors.errors import StartFailed as StartFailed
from actors.errors import StartTimeout as StartTimeout
from actors.errors import TooManyChildren as TooManyChildren
from actors.events import Emit as Emit
from actors.events import drop_event as drop_event
from actors.groups import Groups as Groups
from actors.groups import GroupsStatistics as GroupsStatistics
from actors.host import actor_child as actor_child
from actors.host import only_life as only_life
from actors.mailbox import Mailbox as Mailbox
from actors.mailbox import Overflow as Overflow
from actors.mailbox_statistics import MailboxStatistics as MailboxStatistics
from actors.mailbox_statistics import Tally as Tally
from actors.partitioned import PartitionSupervisor as PartitionSupervisor
from actors.quarantine import Quarantine as Quarantine
from actors.quarantine import Quarantined as Quarantined
from actors.quarantine import QuarantineStatistics as QuarantineStatistics
from actors.ref import Down as Down
from actors.ref import End as End
from actors.ref import Ref as Ref
from actors.ref import Watch as Watch
from actors.registry import Registry as Registry
from actors.registry import RegistryStatistics as RegistryStatistics
from actors.restart_state import Backoff as Backoff
from actors.restart_state import Failure as Failure
from actors.restart_state import Intensity as Intensity
from actors.root import Supervised as Supervised
from actors.root import run_root as run_root
from actors.root import running as running
from actors.spec import BRUTAL as BRUTAL
from actors.spec import INFINITE as INFINITE
from actors.spec import AutoShutdown as AutoShutdown
from actors.spec import ChildSpec as ChildSpec
from actors.spec import Legacy as Legacy
from actors.spec import Lifeline as Lifeline
from actors.spec import Restart as Restart
from actors.spec import Start as Start
from actors.spec import Strategy as Strategy
from actors.supervisor import Supervisor as Supervisor
from actors.supervisor import SupervisorStatistics as SupervisorStatistics
from actors.system import System as System
from actors.timers import Timer as Timer
from actors.timers import Timers as Timers
from actors.timers import TimersStatistics as TimersStatistics
from actors.trace import TRACE as TRACE
from actors.tree import Vitals as Vitals
from actors.virtual import Lives as Lives
from actors.virtual import VirtualActors as VirtualActors
from actors.virtual import VirtualStatistics as VirtualStatistics
from actors.wakeup import Wakeup as Wakeup
