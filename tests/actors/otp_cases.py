"""Every case of OTP's suites for supervisors, servers, monitors and links, and where it is tested.

The names are those of erlang/otp in 2025: supervisor_SUITE and gen_server_SUITE of stdlib,
monitor_SUITE and erl_link_SUITE of the emulator. A case is in one of our files, in the test named
after the case (`file`) or in another (`file::test`), or is not applicable, for a reason.
`elixir_cases` is the same for Elixir, and `test_otp_cases` shows that each test is there.
"""

from typing import Final

NO_IGNORE: Final = "not applicable: a part that should not run is left out of its tree"
NO_CODE_CHANGE: Final = "not applicable: nothing is upgraded while it runs"
NO_SYS: Final = "not applicable: there are no `sys` messages, and nothing is formatted here"
NO_INIT: Final = "not applicable: there is no init callback; what it would return is written down"
NO_TIMING: Final = "not applicable: tests time nothing, the benchmark of actors does"
NO_LOGGER: Final = "not applicable: events are names with flat fields, for the host to format"
NO_NODES: Final = "not applicable: actors do not reach over to other nodes"
NO_NAMES: Final = "not applicable: who asks has the Ref; a name is looked up in a registry"
NO_REASONS: Final = "not applicable: an end has a kind and a crash, not any reason one gives"
NO_HEAP: Final = "not applicable: there is no heap to shrink; virtual actors end when idle"
NO_PROC_LIB: Final = "not applicable: no task becomes an actor later"
NO_BEAM: Final = "not applicable: of the emulator alone"
TYPED: Final = "not applicable: a wrong type is a checker's to find"

SUPERVISOR_SUITE: Final = {
    "sup_start_normal": "test_otp_supervisor",
    "sup_start_ignore_init": NO_IGNORE,
    "sup_start_ignore_child": NO_IGNORE,
    "sup_start_ignore_temporary_child": NO_IGNORE,
    "sup_start_ignore_temporary_child_start_child": NO_IGNORE,
    "sup_start_ignore_temporary_child_start_child_simple": NO_IGNORE,
    "sup_start_ignore_permanent_child_start_child_simple": NO_IGNORE,
    "sup_start_error_return": NO_INIT,
    "sup_start_fail": NO_INIT,
    "sup_start_child_returns_error": "test_otp_supervisor",
    "sup_start_restart_child_returns_error": "test_otp_supervisor",
    "sup_start_child_returns_error_simple": (
        "test_dynamic_supervisor::test_start_child_with_a_crash_is_a_failed_start"
    ),
    "sup_start_map": "test_otp_supervisor",
    "sup_start_map_simple": "not applicable: no template; each child brings its spec",
    "sup_start_map_faulty_specs": "test_otp_supervisor::test_child_specs",
    "sup_stop_infinity": "test_otp_supervisor",
    "sup_stop_timeout": "test_supervisor::test_each_child_stops_within_its_own_time",
    "sup_stop_timeout_dynamic": "test_dynamic_stops::test_children_stop_side_by_side",
    "sup_stop_brutal_kill": "test_otp_supervisor",
    "sup_stop_brutal_kill_dynamic": ("test_otp_dynamic::test_terminates_children_with_brutal_kill"),
    "sup_stop_race": "test_otp_supervisor",
    "sup_stop_non_shutdown_exit_dynamic": (
        "test_otp_dynamic::test_terminates_children_with_abnormal_reason"
    ),
    "child_adm": "test_otp_supervisor",
    "child_adm_simple": "test_otp_dynamic",
    "extra_return": "test_otp_supervisor",
    "child_specs": "test_otp_supervisor",
    "child_specs_map": "test_otp_supervisor",
    "sup_flags": "test_otp_supervisor",
    "multiple_restarts": "test_restarts::test_intensity_forgets_what_lies_before_its_window",
    "one_for_one": "test_otp_restarts",
    "one_for_one_escalation": "test_otp_restarts",
    "one_for_all": "test_otp_restarts::test_one_for_one",
    "one_for_all_escalation": "test_otp_restarts::test_one_for_one_escalation",
    "one_for_all_other_child_fails_restart": "test_otp_restarts",
    "simple_one_for_one": "test_otp_dynamic::test_simple_one_for_one_escalation",
    "simple_one_for_one_shutdown": "test_dynamic_stops::test_children_stop_side_by_side",
    "simple_one_for_one_extra": ("test_otp_dynamic::test_child_is_restarted_with_different_values"),
    "simple_one_for_one_escalation": "test_otp_dynamic",
    "simple_one_for_one_corruption": (
        "test_otp_supervisor::test_do_not_save_start_parameters_for_temporary_children"
    ),
    "simple_one_for_one_restart_ignore": "test_otp_dynamic::test_child_is_restarted_to_nothing",
    "rest_for_one": "test_otp_restarts::test_one_for_one",
    "rest_for_one_escalation": "test_otp_restarts::test_one_for_one_escalation",
    "rest_for_one_other_child_fails_restart": (
        "test_otp_restarts::test_one_for_all_other_child_fails_restart"
    ),
    "external_start_no_progress_log": "not applicable: every start is told, as `actor.started`",
    "permanent_normal": "test_supervisor::test_restart_of_each_kind",
    "transient_normal": "test_supervisor::test_restart_of_each_kind",
    "temporary_normal": "test_otp_supervisor",
    "permanent_shutdown": "test_supervisor::test_restart_of_each_kind",
    "transient_shutdown": "test_otp_supervisor",
    "temporary_shutdown": "test_otp_supervisor::test_temporary_normal",
    "faulty_application_shutdown": (
        "test_restarts::test_a_nested_supervisor_that_cannot_start_unwinds_the_tree"
    ),
    "permanent_abnormal": "test_supervisor::test_restart_of_each_kind",
    "transient_abnormal": "test_supervisor::test_restart_of_each_kind",
    "temporary_abnormal": "test_otp_supervisor::test_temporary_normal",
    "temporary_bystander": (
        "test_supervisor::test_a_temporary_sibling_is_stopped_and_not_restarted"
    ),
    "child_unlink": "test_otp_supervisor",
    "tree": "test_otp_restarts",
    "nonsignificant_temporary": "test_otp_significant",
    "nonsignificant_transient": "test_otp_significant",
    "significant_temporary": "test_otp_significant",
    "significant_transient": "test_otp_significant",
    "significant_simple": "test_otp_significant",
    "significant_bystander": "test_otp_significant",
    "significant_escalation": "test_otp_significant",
    "significant_upgrade_never_any": NO_CODE_CHANGE,
    "significant_upgrade_any_never": NO_CODE_CHANGE,
    "significant_upgrade_never_all": NO_CODE_CHANGE,
    "significant_upgrade_all_never": NO_CODE_CHANGE,
    "significant_upgrade_any_all": NO_CODE_CHANGE,
    "significant_upgrade_all_any": NO_CODE_CHANGE,
    "significant_upgrade_child": NO_CODE_CHANGE,
    "count_children": "test_otp_dynamic",
    "count_children_supervisor": "test_otp_dynamic::test_count_children",
    "count_restarting_children": "test_otp_dynamic",
    "get_callback_module": "not applicable: no callback modules",
    "do_not_save_start_parameters_for_temporary_children": "test_otp_supervisor",
    "do_not_save_child_specs_for_temporary_children": "test_otp_supervisor",
    "simple_one_for_one_scale_many_temporary_children": NO_TIMING,
    "simple_global_supervisor": "test_otp_restarts",
    "hanging_restart_loop": "test_otp_restarts",
    "hanging_restart_loop_rest_for_one": "test_otp_restarts",
    "hanging_restart_loop_simple": "test_otp_restarts",
    "code_change": NO_CODE_CHANGE,
    "code_change_map": NO_CODE_CHANGE,
    "code_change_simple": NO_CODE_CHANGE,
    "code_change_simple_map": NO_CODE_CHANGE,
    "order_of_children": "test_otp_supervisor",
    "scale_start_stop_many_children": NO_TIMING,
    "format_log_1": NO_LOGGER,
    "format_log_2": NO_LOGGER,
    "already_started_outside_supervisor": "test_actor_ends::test_a_name_is_taken_once",
    "which_children": "test_otp_supervisor",
    "which_children_simple_one_for_one": "test_otp_dynamic",
}

GEN_SERVER_SUITE: Final = {
    "start": "test_otp_calls",
    "start_event_timeout": "test_otp_calls",
    "start_event_timeout_zero": "test_otp_calls",
    "stop1": "test_otp_calls::test_start",
    "stop2": NO_REASONS,
    "stop3": TYPED,
    "stop4": NO_NAMES,
    "stop5": NO_NAMES,
    "stop6": NO_NAMES,
    "stop7": NO_NAMES,
    "stop8": NO_NODES,
    "stop9": NO_NODES,
    "stop10": NO_NODES,
    "crash": "test_actor_ends::test_call_fails_in_the_moment_the_callee_crashes",
    "loop_start_fail": "test_otp_calls",
    "call": "test_otp_calls::test_call_timeout_abandons",
    "send_request": "test_otp_calls",
    "send_request_receive_reqid_collection": ("test_otp_calls::test_send_request_reqid_collection"),
    "send_request_wait_reqid_collection": "test_otp_calls::test_send_request_reqid_collection",
    "send_request_check_reqid_collection": "test_otp_calls::test_send_request_reqid_collection",
    "cast": "test_otp_calls::test_cast_returns_at_once",
    "cast_fast": "test_otp_calls::test_cast_returns_at_once",
    "info": "not applicable: messages are typed; what an actor asked for comes to methods",
    "abcast": NO_NODES,
    "continue": "test_actor_ends::test_messages_wait_for_started",
    "handle_event_timeout": "test_otp_calls::test_start_event_timeout",
    "handle_event_timeout_zero": "test_otp_calls::test_start_event_timeout_zero",
    "handle_event_timeout_plain": "not applicable: a timer is cancelled by who wants it no more",
    "multicall": NO_NODES,
    "multicall_down": NO_NODES,
    "multicall_remote": NO_NODES,
    "multicall_remote_old1": NO_NODES,
    "multicall_remote_old2": NO_NODES,
    "multicall_recv_opt_success": NO_NODES,
    "multicall_recv_opt_timeout": NO_NODES,
    "multicall_recv_opt_noconnection": NO_NODES,
    "call_remote1": NO_NODES,
    "call_remote2": NO_NODES,
    "call_remote3": NO_NODES,
    "call_remote_n1": NO_NODES,
    "call_remote_n2": NO_NODES,
    "call_remote_n3": NO_NODES,
    "calling_self": "test_actor::test_an_actor_does_not_call_itself",
    "spec_init": NO_PROC_LIB,
    "spec_init_local_registered_parent": NO_PROC_LIB,
    "spec_init_global_registered_parent": NO_PROC_LIB,
    "otp_5854": "test_otp_calls",
    "hibernate": NO_HEAP,
    "auto_hibernate": NO_HEAP,
    "otp_7669": "test_otp_calls::test_loop_start_fail",
    "call_format_status": NO_SYS,
    "error_format_status": NO_SYS,
    "terminate_crash_format": NO_SYS,
    "crash_in_format_status": NO_SYS,
    "throw_in_format_status": NO_SYS,
    "format_all_status": NO_SYS,
    "get_state": NO_SYS,
    "replace_state": NO_SYS,
    "call_with_huge_message_queue": "test_otp_calls",
    "undef_handle_call": "test_actor::test_an_actor_without_messages_tells_what_it_got",
    "undef_handle_cast": "test_actor::test_an_actor_without_messages_tells_what_it_got",
    "undef_handle_info": "test_monitors::test_an_actor_that_monitors_must_act_on_it",
    "undef_handle_continue": NO_INIT,
    "undef_init": NO_INIT,
    "undef_code_change": NO_CODE_CHANGE,
    "undef_terminate1": "test_otp_calls::test_undef_terminate",
    "undef_terminate2": "test_otp_calls::test_undef_terminate",
    "undef_in_terminate": "test_actor_ends::test_a_crash_in_the_goodbye_in_peace_is_a_crash",
    "undef_in_handle_info": "test_actor_ends::test_call_fails_in_the_moment_the_callee_crashes",
    "format_log_1": NO_LOGGER,
    "format_log_2": NO_LOGGER,
    "format_log_with_process_label": NO_LOGGER,
    "reply_by_alias_with_payload": "test_otp_calls::test_call_timeout_abandons",
}

MONITOR_SUITE: Final = {
    "case_1": "test_otp_links",
    "case_1a": "test_otp_links::test_case_1",
    "case_2": "not applicable: a monitor is an object; who has it may cancel it",
    "case_2a": "not applicable: a monitor is an object; who has it may cancel it",
    "mon_e_1": TYPED,
    "demon_e_1": TYPED,
    "demon_1": "test_monitors::test_a_cancelled_monitor_hears_nothing_and_leaves_nothing",
    "mon_1": "test_monitors::test_a_monitor_tells_of_every_kind_of_end",
    "mon_2": NO_NODES,
    "demon_2": "test_monitors::test_a_cancelled_monitor_hears_nothing_and_leaves_nothing",
    "demon_3": NO_NODES,
    "demonitor_flush": (
        "test_monitors::test_a_monitor_cancelled_after_the_death_may_still_be_told"
    ),
    "gh_5225_demonitor_alias": NO_BEAM,
    "local_remove_monitor": "test_otp_links",
    "remote_remove_monitor": NO_NODES,
    "large_exit": "test_monitors::test_a_monitor_tells_of_every_kind_of_end",
    "list_cleanup": "test_monitors::test_the_watched_forget_a_watcher_that_died",
    "mixer": "test_otp_links",
    "named_down": "test_otp_links",
    "otp_5827": "test_otp_links",
    "monitor_time_offset": NO_BEAM,
    "monitor_tag_storage": NO_BEAM,
    "unexpected_alias_at_demonitor_gh5310": NO_BEAM,
    "down_on_alias_gh5310": NO_BEAM,
    "monitor_3_noproc_gh6185": NO_BEAM,
}

ERL_LINK_SUITE: Final = {
    "links": "test_otp_links",
    "dist_links": NO_NODES,
    "monitor_nodes": NO_NODES,
    "process_monitors": "test_otp_links",
    "dist_process_monitors": NO_NODES,
    "busy_dist_port_monitor": NO_NODES,
    "busy_dist_port_link": NO_NODES,
    "otp_5772_link": "test_otp_links::test_demonitor_in_the_same_step",
    "otp_5772_dist_link": NO_NODES,
    "otp_5772_monitor": "test_otp_links::test_demonitor_in_the_same_step",
    "otp_5772_dist_monitor": NO_NODES,
    "otp_7946": NO_NODES,
}

OTP_CASES: Final = {
    f"{suite}: {case}": f"{where}::test_{case}" if where.isidentifier() else where
    for suite, cases in (
        ("supervisor_SUITE", SUPERVISOR_SUITE),
        ("gen_server_SUITE", GEN_SERVER_SUITE),
        ("monitor_SUITE", MONITOR_SUITE),
        ("erl_link_SUITE", ERL_LINK_SUITE),
    )
    for case, where in cases.items()
}
