"""A small OTP for trio: supervised actors with bounded mailboxes. Knows neither sockets nor money.

The map: `spec` (what a supervisor and a child tell each other), `child` (one life of one child),
`supervisor` and `dynamic` (who restarts whom), `restart_state` (the pure arithmetic of it),
`root` (the top of a tree); `mailbox`, `actor` (what an application writes), `ref` (how others
reach it), `host` (what runs it), `registry`; `wakeup` (the smallest signal), `errors`, `events`,
`limits`.
"""

from actors.actor import Actor as Actor
from actors.dynamic import DynamicStatistics as DynamicStatistics
from actors.dynamic import DynamicSupervisor as DynamicSupervisor
from actors.errors import ActorDown as ActorDown
from actors.errors import ActorError as ActorError
from actors.errors import AlreadyStarted as AlreadyStarted
from actors.errors import CallTimeout as CallTimeout
from actors.errors import MailboxClosed as MailboxClosed
from actors.errors import MailboxFull as MailboxFull
from actors.errors import NameTaken as NameTaken
from actors.errors import RestartIntensityExceeded as RestartIntensityExceeded
from actors.errors import StartFailed as StartFailed
from actors.errors import TooManyChildren as TooManyChildren
from actors.events import Emit as Emit
from actors.events import drop_event as drop_event
from actors.host import actor_child as actor_child
from actors.mailbox import Mailbox as Mailbox
from actors.mailbox import MailboxStatistics as MailboxStatistics
from actors.mailbox import Overflow as Overflow
from actors.ref import Ref as Ref
from actors.ref import Reply as Reply
from actors.registry import Registry as Registry
from actors.restart_state import Backoff as Backoff
from actors.restart_state import Failure as Failure
from actors.restart_state import Intensity as Intensity
from actors.root import Supervised as Supervised
from actors.root import run_root as run_root
from actors.spec import ChildSpec as ChildSpec
from actors.spec import Lifeline as Lifeline
from actors.spec import Restart as Restart
from actors.spec import Start as Start
from actors.spec import Strategy as Strategy
from actors.supervisor import ChildStatistics as ChildStatistics
from actors.supervisor import Supervisor as Supervisor
from actors.supervisor import SupervisorStatistics as SupervisorStatistics
from actors.wakeup import Wakeup as Wakeup
