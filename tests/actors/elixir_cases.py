"""Every test of Elixir's supervisors, registries and servers, and where we test the same.

The names are those of elixir-lang/elixir at 63a7a054ce (August 2026), below lib/elixir/test.
Else as in `otp_cases`.
"""

from typing import Final

from tests.actors.otp_cases import (
    NO_BEAM,
    NO_CODE_CHANGE,
    NO_INIT,
    NO_NAMES,
    NO_NODES,
    TYPED,
)

ONE_SPEC: Final = "not applicable: a child spec has one form"
CLOSURE: Final = "not applicable: a start is a function, and brings its own arguments"
NO_RESIZE: Final = "not applicable: the number of partitions is for good"
NO_ORPHANS: Final = "not applicable: nothing lives without a supervisor"
A_DICT: Final = "not applicable: it is one dict, with its rules for keys"
ONE_THREAD: Final = "not applicable: one thread, so there is nothing to lock and nothing parallel"
NO_MATCH: Final = "not applicable: no match specs; what to look for is written in Python"
NO_VALUES: Final = "not applicable: a name carries no value"
UNTIL_DEATH: Final = "not applicable: a name is an actor's until it dies"
NO_LISTENERS: Final = "not applicable: who waits for a name has `wait_for`, for an end a monitor"

DYNAMIC_SUPERVISOR: Final = {
    "can be supervised directly": "test_otp_dynamic::test_can_be_supervised_directly",
    "multiple supervisors can be supervised and identified with simple child spec": (
        "test_otp_dynamic::test_multiple_supervisors_can_be_supervised"
    ),
    "use/2 generates child_spec/1": "test_otp_dynamic::test_can_be_supervised_directly",
    "init/1 set default options": "test_otp_dynamic::test_set_default_options",
    "start_link/3 with non-ok init": "test_otp_dynamic::test_with_non_ok_init",
    "start_link/3 with registered process": NO_NAMES,
    "start_link/3 with spawn_opt": NO_BEAM,
    "start_link/3 sets initial call to the same as a regular supervisor": NO_BEAM,
    "code_change/3 with non-ok init": NO_CODE_CHANGE,
    "code_change/3 with ok init": NO_CODE_CHANGE,
    "start_child/2 supports old child spec": ONE_SPEC,
    "start_child/2 supports new child spec as tuple": ONE_SPEC,
    "start_child/2 supports new child spec": (
        "test_dynamic_supervisor::test_start_child_returns_the_ready_value"
    ),
    "start_child/2 supports extra arguments": CLOSURE,
    "start_child/2 with invalid child spec": "test_otp_dynamic::test_with_invalid_child_spec",
    "start_child/2 with different returns": (
        "test_dynamic_supervisor::test_start_child_that_returns_before_it_is_ready"
    ),
    "start_child/2 with throw/error/exit": (
        "test_dynamic_supervisor::test_start_child_with_a_crash_is_a_failed_start"
    ),
    "start_child/2 with max_children": (
        "test_dynamic_supervisor::test_start_child_with_max_children"
    ),
    "start_child/2 temporary child is not restarted regardless of reason": (
        "test_dynamic_supervisor::test_temporary_child_is_not_restarted"
    ),
    "start_child/2 transient child is restarted unless normal/shutdown/{shutdown, _}": (
        "test_dynamic_supervisor::test_transient_child_is_restarted_unless_it_returned"
    ),
    "start_child/2 permanent child is restarted regardless of reason": (
        "test_dynamic_supervisor::test_permanent_child_is_always_restarted"
    ),
    "start_child/2 child is restarted with different values": (
        "test_otp_dynamic::test_child_is_restarted_with_different_values"
    ),
    "start_child/2 restarting on init children counted in max_children": (
        "test_otp_dynamic::test_restarting_on_init_children_counted_in_max_children"
    ),
    "start_child/2 restarting on exit children counted in max_children": (
        "test_dynamic_supervisor::test_restarting_children_count_in_max_children"
    ),
    "start_child/2 restarting a child with extra_arguments successfully restarts child": CLOSURE,
    "start_child/2 child is restarted when trying again": (
        "test_dynamic_supervisor::test_child_is_restarted_when_trying_again"
    ),
    "start_child/2 child triggers maximum restarts": (
        "test_dynamic_supervisor::test_child_triggers_maximum_restarts"
    ),
    "start_child/2 child triggers maximum intensity when trying again": (
        "test_dynamic_supervisor::test_child_triggers_maximum_restarts"
    ),
    "start_child/2 with valid shutdown": (
        "test_dynamic_stops::test_terminate_child_with_brutal_kill"
    ),
    "start_child/2 with invalid valid shutdown": "test_otp_dynamic::test_with_invalid_child_spec",
    "terminate/2 terminates children with brutal kill": (
        "test_otp_dynamic::test_terminates_children_with_brutal_kill"
    ),
    "terminate/2 terminates children with infinity shutdown": (
        "test_otp_dynamic::test_terminates_children_with_abnormal_reason"
    ),
    "terminate/2 terminates children with infinity shutdown and abnormal reason": (
        "test_otp_dynamic::test_terminates_children_with_abnormal_reason"
    ),
    "terminate/2 terminates children with integer shutdown": (
        "test_dynamic_stops::test_children_stop_side_by_side"
    ),
    "terminate/2 terminates children with integer shutdown and abnormal reason": (
        "test_otp_dynamic::test_terminates_children_with_abnormal_reason"
    ),
    "terminate/2 terminates children with expired integer shutdown": (
        "test_dynamic_stops::test_children_stop_side_by_side"
    ),
    "terminate/2 terminates children with permanent restart and normal reason": (
        "test_otp_dynamic::test_terminates_children_with_abnormal_reason"
    ),
    "terminate/2 terminates with mixed children": (
        "test_otp_dynamic::test_terminates_with_mixed_children"
    ),
    "terminate_child/2 terminates child with brutal kill": (
        "test_dynamic_stops::test_terminate_child_with_brutal_kill"
    ),
    "terminate_child/2 terminates child with integer shutdown": (
        "test_dynamic_stops::test_terminate_child_with_integer_shutdown"
    ),
    "terminate_child/2 terminates restarting child": (
        "test_dynamic_stops::test_terminate_restarting_child"
    ),
}

SUPERVISOR: Final = {
    "generates child_spec/1": "test_otp_supervisor::test_sup_start_map",
    "child_spec/2": ONE_SPEC,
    "init/2": "test_otp_supervisor::test_sup_flags",
    "init/2 with old and new child specs": ONE_SPEC,
    "start_link/2 with via": NO_NAMES,
    "start_link/3 with global": NO_NAMES,
    "start_link/3 with local": NO_NAMES,
    "start_link/2": "test_supervisor::test_children_start_in_order_and_stop_in_reverse",
    "start_link/2 with old and new specs": ONE_SPEC,
    "start_link/3": NO_INIT,
    "start_child/2 supports old child spec": ONE_SPEC,
    "start_child/2 supports new child spec as tuple": ONE_SPEC,
    "start_child/2 supports new child spec": "test_otp_supervisor::test_child_adm",
    "start_child/2 with invalid child spec": "test_otp_supervisor::test_child_specs_of_start_child",
    "start_child/2 with valid child spec": "test_otp_supervisor::test_child_specs_map",
    "child life cycle": "test_otp_supervisor::test_child_adm",
}

PARTITION_SUPERVISOR: Final = {
    "child_spec uses the atom name as id": "test_otp_partition_registry::test_partition_child_spec",
    "child_spec uses the via value as id": NO_NAMES,
    "start_link/1 on success with atom name": (
        "test_otp_partition_registry::test_partition_on_success"
    ),
    "start_link/1 on success with via name": NO_NAMES,
    "start_link/1 with_arguments": "test_otp_partition_registry::test_partition_with_arguments",
    "start_link/1 raises without name": TYPED,
    "start_link/1 raises without child_spec": TYPED,
    "start_link/1 raises on bad partitions": (
        "test_otp_partition_registry::test_partition_raises_on_bad_partitions"
    ),
    "start_link/1 raises on bad with_arguments": TYPED,
    "start_link/1 raises with bad auto_shutdown": TYPED,
    "stop/1 is synchronous": "test_otp_partition_registry::test_partition_stop_is_synchronous",
    "stop/1 with via tuple": NO_NAMES,
    "partitions/1 raises noproc for unknown atom partition supervisor": (
        "test_otp_partition_registry::test_partition_stop_is_synchronous"
    ),
    "partitions/1 raises noproc for unknown via partition supervisor": NO_NAMES,
    "resize!/1 resizes the number of children": NO_RESIZE,
    "resize!/1 raises on lookup after resizing to zero": NO_RESIZE,
    "resize!/1 raises if trying to increase the number of partitions": NO_RESIZE,
    "which_children/1 returns all partitions": (
        "test_otp_partition_registry::test_partition_which_children"
    ),
    "count_children/1 with workers": "test_otp_partition_registry::test_partition_which_children",
    "count_children/1 with supervisors": (
        "test_otp_partition_registry::test_partition_which_children"
    ),
    "count_children/1 raises noproc for unknown partition supervisor": NO_NAMES,
    "count_children/1 with via tuple": NO_NAMES,
}

GEN_SERVER: Final = {
    "generates child_spec/1": "test_otp_supervisor::test_sup_start_map",
    "start_link/3": "test_otp_calls::test_start",
    "start_link/3 with via": "test_actor_ends::test_a_name_is_taken_once",
    "start_link/3 with global": NO_NODES,
    "start_link/3 with local": "test_actor_ends::test_a_name_is_taken_once",
    "start_link/2, call/2 and cast/2": (
        "test_actor_ends::test_casts_to_a_dead_actor_are_lost_and_counted"
    ),
    "call/3 exit messages": "test_otp_calls::test_call_exit_messages",
    "nil name": NO_NAMES,
    "start/2": NO_ORPHANS,
    "abcast/3": NO_NODES,
    "multi_call/4": NO_NODES,
    "whereis/1": "test_actor_ends::test_a_ref_belongs_to_one_life",
    "stop/3": "test_actor_ends::test_stop_ends_after_the_message_being_handled",
}

PROCESS: Final = {
    "dictionary": NO_BEAM,
    "group_leader/2 and group_leader/0": NO_BEAM,
    "monitor/1 and monitor/2 are inlined": NO_BEAM,
    "monitor/2 with monitor options": NO_BEAM,
    "sleep/1": NO_BEAM,
    "sleep/1 with 2^32": NO_BEAM,
    "info/2": NO_BEAM,
    "info/2 with registered name": NO_BEAM,
    "send_after/3 sends messages once expired": "test_otp_calls::test_start_event_timeout",
    "send_after/4 with absolute time sends message once expired": (
        "not applicable: delays are relative"
    ),
    "send_after/3 returns a timer reference that can be read or cancelled": (
        "test_timers::test_a_cancelled_timer_does_not_fire"
    ),
    "exit(pid, :normal) does not cause the target process to exit": (
        "test_links::test_peace_and_shutdown_do_not_reach_through_a_link"
    ),
    "exit(self(), :normal) causes the calling process to exit": (
        "test_actor_ends::test_stop_ends_after_the_message_being_handled"
    ),
    "alias/0, alias/1, and unalias/1 simple alias + unalias flow": NO_BEAM,
    "alias/0, alias/1, and unalias/1 with :reply option when aliasing": NO_BEAM,
    "get_label/1 gets a process label, compatible with `:proc_lib.set_label/1`": NO_BEAM,
    "get_label/1 returns nil when not set": NO_BEAM,
    "set_label/1 sets a process label, compatible with `:proc_lib.get_label/1`": NO_BEAM,
}

UNIQUE_REGISTRY: Final = {
    "clean up registry on process crash": (
        "test_otp_partition_registry::test_registry_clean_up_on_crash"
    ),
    "does not lock when using different keys": ONE_THREAD,
    "locks when using the same key": ONE_THREAD,
    "locks when the one holding the lock raises": ONE_THREAD,
    "locks when the one holding the lock terminates": ONE_THREAD,
    "locks when the one waiting for the lock terminates": ONE_THREAD,
    "starts configured number of partitions": A_DICT,
    "counts 0 keys in an empty registry": "test_otp_partition_registry::test_registry_counts_keys",
    "counts the number of keys in a registry": (
        "test_otp_partition_registry::test_registry_counts_keys"
    ),
    "has unique registrations": (
        "test_otp_partition_registry::test_registry_has_unique_registrations"
    ),
    "has unique registrations across processes": "test_actor_ends::test_a_name_is_taken_once",
    "has unique registrations even if partition is delayed": (
        "test_otp_partition_registry::test_registry_delayed"
    ),
    "supports match patterns": NO_MATCH,
    "supports guard conditions": NO_MATCH,
    "supports reserved keys": NO_MATCH,
    "count_match supports match patterns": NO_MATCH,
    "count_match supports guard conditions": NO_MATCH,
    "unregister_match supports patterns": NO_MATCH,
    "unregister_match supports guards": NO_MATCH,
    "compares using ===": "not applicable: names are strings",
    "updates current process value": NO_VALUES,
    "dispatches to a single key": "test_otp_partition_registry::test_registry_counts_keys",
    "unregisters process by key": UNTIL_DEATH,
    "unregisters with no entries": UNTIL_DEATH,
    "allows listeners": NO_LISTENERS,
    "links and unlinks on register/unregister": UNTIL_DEATH,
    "raises on unknown registry name": NO_NAMES,
    "via callbacks": "test_otp_partition_registry::test_registry_restart_finds_its_name",
    "uses value provided in via": NO_VALUES,
    "empty list for empty registry": "test_otp_partition_registry::test_registry_counts_keys",
    "select all": "test_otp_partition_registry::test_registry_has_unique_registrations",
    "select supports full match specs": NO_MATCH,
    "select supports guard conditions": NO_MATCH,
    "select allows multiple specs": NO_MATCH,
    "select raises on incorrect shape of match spec": NO_MATCH,
    "count_select supports match specs": NO_MATCH,
    "count_select supports guard conditions": NO_MATCH,
    "count_select allows multiple specs": NO_MATCH,
    "count_select raises on incorrect shape of match spec": NO_MATCH,
    "doesn't grow ets on already_registered": (
        "test_otp_partition_registry::test_registry_already_registered_leaves_nothing"
    ),
    "doesn't grow ets on already_registered across processes": (
        "test_otp_partition_registry::test_registry_already_registered_leaves_nothing"
    ),
}

DUPLICATE_REGISTRY: Final = {
    "starts configured number of partitions": A_DICT,
    "counts 0 keys in an empty registry": (
        "test_otp_partition_registry::test_groups_duplicate_registrations"
    ),
    "counts the number of keys in a registry": (
        "test_otp_partition_registry::test_groups_duplicate_registrations"
    ),
    "has duplicate registrations": (
        "test_otp_partition_registry::test_groups_duplicate_registrations"
    ),
    "has duplicate registrations across processes": (
        "test_otp_partition_registry::test_groups_duplicate_registrations"
    ),
    "compares using matches": A_DICT,
    "dispatches to multiple keys in serial": "test_otp_partition_registry::test_groups_dispatch",
    "dispatches to multiple keys in parallel": ONE_THREAD,
    "unregisters by key": "test_otp_partition_registry::test_groups_unregister",
    "unregisters with no entries": "test_otp_partition_registry::test_groups_unregister",
    "supports match patterns": NO_MATCH,
    "supports guards": NO_MATCH,
    "uses exact complex keys in lookup and match": NO_MATCH,
    "count_match supports match patterns": NO_MATCH,
    "count_match supports guard conditions": NO_MATCH,
    "unregister_match supports patterns": NO_MATCH,
    "unregister_match supports guards": NO_MATCH,
    "allows listeners": NO_LISTENERS,
    "links and unlinks on register/unregister": (
        "test_otp_partition_registry::test_groups_unregister"
    ),
    "raises on unknown registry name": NO_NAMES,
    "raises if attempt to be used on via": TYPED,
    "empty list for empty registry": (
        "test_otp_partition_registry::test_groups_duplicate_registrations"
    ),
    "select all": "test_otp_partition_registry::test_groups_duplicate_registrations",
    "select supports full match specs": NO_MATCH,
    "select supports guard conditions": NO_MATCH,
    "select allows multiple specs": NO_MATCH,
    "count_select supports match specs": NO_MATCH,
    "count_select supports guard conditions": NO_MATCH,
    "count_select allows multiple specs": NO_MATCH,
    "rejects invalid tuple syntax": TYPED,
    "update_value is not supported": NO_VALUES,
    "supports reserved keys": NO_MATCH,
    "select with reserved-atom keys": NO_MATCH,
    "count_select with reserved-atom keys": NO_MATCH,
}

ELIXIR_CASES: Final = {
    f"{suite}: {case}": where
    for suite, cases in (
        ("DynamicSupervisor", DYNAMIC_SUPERVISOR),
        ("Supervisor", SUPERVISOR),
        ("PartitionSupervisor", PARTITION_SUPERVISOR),
        ("GenServer", GEN_SERVER),
        ("Process", PROCESS),
        ("Registry, unique keys", UNIQUE_REGISTRY),
        ("Registry, duplicate keys", DUPLICATE_REGISTRY),
    )
    for case, where in cases.items()
}
