//! One suite for both backends: every case runs over Postgres and over SQLite. Those of the delivery
//! protocol are the test kit's, and hold for the simulation's model too; what reads more than a
//! delivery depends on stands here.

#![expect(clippy::unwrap_used, reason = "a case panics where it fails")]

mod acts;
mod audit;
mod claims;
mod deadlines;
mod executions;
mod harness;
mod heartbeat;
mod incidents;
mod intake;
mod janitor;
mod lanes;
mod limits;
mod lists;
mod notifications;
mod pairs;
mod record;
mod retention;
mod schema;
mod secrets;
mod silence;
mod watch;
mod webhooks;

macro_rules! cases {
    ($($module:ident { $($case:ident)* })*) => {
        mod postgres { $(mod $module { $(
            #[tokio::test]
            async fn $case() {
                use crate::harness::{Kind, run};
                run(Kind::Postgres, crate::$module::$case).await;
            }
        )* })* }
        mod sqlite { $(mod $module { $(
            #[tokio::test]
            async fn $case() {
                use crate::harness::{Kind, run};
                run(Kind::Sqlite, crate::$module::$case).await;
            }
        )* })* }
    };
}

macro_rules! hot {
    ($($module:ident { $($case:ident)* })*) => {
        mod hot_postgres { $(mod $module { $(
            #[tokio::test]
            async fn $case() {
                use crate::harness::{Kind, run};
                use postrider_testkit::cases;
                run(Kind::Postgres, async |world| cases::$module::$case(&world).await).await;
            }
        )* })* }
        mod hot_sqlite { $(mod $module { $(
            #[tokio::test]
            async fn $case() {
                use crate::harness::{Kind, run};
                use postrider_testkit::cases;
                run(Kind::Sqlite, async |world| cases::$module::$case(&world).await).await;
            }
        )* })* }
    };
}

postrider_testkit::hot_cases!(hot);

macro_rules! postgres_only {
    ($($module:ident { $($case:ident)* })*) => { $($(
        #[tokio::test]
        async fn $case() {
            use crate::harness::{Kind, run};
            run(Kind::Postgres, crate::$module::$case).await;
        }
    )*)* };
}

postgres_only! {
    deadlines {
        a_silent_connection_ends_its_step_and_nothing_else
        silent_connections_never_use_up_the_pool
        a_client_lost_in_the_middle_of_a_request_holds_its_locks_for_seconds
        a_step_given_up_by_its_caller_takes_its_connection_along
        a_connection_that_dies_after_its_answer_leaves_the_pool
        idle_connections_that_died_are_noticed
        what_is_locked_for_long_is_asked_for_again
    }
    intake {
        webhooks_stand_still_while_a_commit_needs_it
    }
}

cases! {
    heartbeat {
        a_worker_that_beats_keeps_what_it_has
        a_beat_of_a_clock_that_ran_ahead_is_no_life
        a_lease_that_ends_too_far_ahead_has_ended
        the_one_process_of_a_store_ends_what_was_before_it
        a_worker_says_what_its_machine_lacks_until_it_lacks_nothing
    }
    intake {
        an_event_and_its_deliveries_enter_together
        only_an_embedded_store_claims_as_it_commits
        a_key_with_a_term_holds_until_it_is_freed
        a_call_that_arrived_before_the_answer_is_a_repeat
        a_term_ends_by_itself
        a_senders_key_is_never_freed
        equal_content_at_two_handles_at_once_makes_one_event
        equal_content_in_a_batch_counts_once
    }
    claims {
        claim_numbers_only_grow
    }
    limits {
        credentials_that_share_a_limit_are_held_each_for_itself
        a_claim_lasts_as_long_as_its_webhook_says
        one_suspect_of_many_lanes
        an_unreadable_row_takes_no_other_with_it
        lanes_come_in_pages
    }
    record {
        a_delivery_is_delivered
        a_retry_waits
        any_text_can_be_recorded
        streaks_count_failures_since_the_last_success
        a_batch_that_was_half_recorded_counts_its_other_half
        late_successes_are_told
        requests_are_kept_as_text_or_as_what_renders_them
        an_attempt_without_a_word_is_a_lost_claim
    }
    janitor {
        a_lost_claim_is_no_failure
        five_losses_are_poison
        deliveries_of_deleted_webhooks_are_discarded
    }
    lanes {
        a_poll_tells_what_a_worker_needs
        a_manual_hold_is_opened_by_hand_only
        a_hold_by_hand_may_end_by_itself
        pauses_end_by_themselves
        limits_follow_the_settings
        what_was_sent_last_is_told
        a_lane_names_a_webhook_to_probe_with
    }
    webhooks {
        a_webhook_comes_back_as_written
        a_deleted_webhook_is_found_by_number_only
        a_deleted_uuid_can_be_used_again
        a_superseded_request_can_be_read_again
        revisions_go_with_the_attempts_that_used_them
    }
    secrets {
        values_come_back
        a_written_secret_comes_back_by_uuid
        what_a_write_leaves_out_is_kept_and_names_are_unique
        a_secret_is_resolved_for_its_team_only
        a_github_app_stands_for_no_value
        nothing_follows_a_github_app
        a_change_of_name_or_team_opens_lanes_and_of_words_none
        nothing_secret_stands_in_the_rows
    }
    audit {
        each_change_is_written_down_with_its_author
        what_changed_nothing_is_not_written_down
        the_audit_log_is_filtered_and_comes_in_pages
    }
    executions {
        a_test_goes_before_all_that_wait
        a_message_claims_a_test
        a_test_counts_in_the_hour
        any_outcome_of_a_test_is_final
        a_test_that_was_not_sent_is_first_again
        tests_are_no_streak
        a_withdrawal_or_a_claim_wins
        a_lost_test_is_not_sent_again
        nobody_waits_for_ever
        an_unsaved_webhook_is_never_listed
        a_refusal_holds_no_lane_that_nobody_uses
        a_held_lane_is_told_at_once
        the_canary_is_no_test
        a_disabled_webhook_can_be_tested
        lists_and_replays_leave_tests_out
        what_is_in_the_way_is_seen
        the_latest_event_of_a_pair_is_found
    }
    schema {
        an_empty_database_is_behind
        migrating_at_once_is_fine
        a_newer_schema_is_refused
        another_master_key_is_refused
    }
    lists {
        pages_follow_each_other
        filters_filter
        shown_states_follow_the_lane
        the_newest_delivery_of_each_event
        lists_look_at_a_bounded_number
        figures_add_up
    }
    retention {
        final_deliveries_go_and_open_ones_stay
        history_is_kept_from_the_outcome_on
        keys_outlive_nothing_open
        keys_that_stay_keep_no_others
        replay_starts_over
        replay_leaves_open_ones_and_lost_webhooks
        replay_may_forget_marks
        replay_is_oldest_first
        an_act_takes_a_delivery_once
        an_act_has_an_id_of_its_callers_own
        what_waits_is_discarded_by_filter
        webhooks_and_lanes_that_nothing_refers_to_go
    }
    incidents {
        one_monitor_at_a_time
        incidents_become_the_findings
        kinds_that_were_not_judged_stay
        incidents_come_in_pages
        incidents_can_be_acknowledged
        facts_name_held_lanes
    }
    notifications {
        each_channel_is_told_once
        nobody_tells_without_the_lease
        what_was_taken_and_not_settled_is_taken_again
        a_resolution_waits_for_its_opening
        each_reminder_is_written_once
        nobody_is_reminded_of_what_is_seen_or_over
        a_day_has_one_digest
        old_incidents_and_alerts_go
    }
    pairs {
        pairs_come_back_as_written
        pairs_are_found_by_name_and_in_pages
        events_tell_of_their_pair
        many_events_tell_little
        what_is_folded_in_is_remembered
        dispatches_are_told_by_their_deliveries
        brokers_answer_or_not
        pairs_outlive_their_events_for_a_while
    }
    watch {
        walks_come_back_as_written
        debts_are_known_as_long_as_they_are_seen
        another_contract_under_a_version_is_another_debt
        events_tell_which_versions_they_are_for
        debts_that_were_told_of_are_followed
        providers_are_learned_of
        relays_are_there_and_call
    }
}
