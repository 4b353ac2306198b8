//! One suite for both backends: every case runs over Postgres and over SQLite, and tries the
//! guards of the delivery protocol both ways.

#![expect(clippy::unwrap_used, reason = "a case panics where it fails")]

mod acts;
mod claims;
mod executions;
mod harness;
mod incidents;
mod intake;
mod janitor;
mod lanes;
mod leases;
mod limited;
mod lists;
mod record;
mod retention;
mod schema;
mod secrets;
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

cases! {
    intake {
        an_event_and_its_deliveries_enter_together
        an_event_that_nobody_wants_is_recorded
        a_commit_under_an_old_version_writes_nothing
        every_write_to_webhooks_raises_the_version
        a_repeated_key_answers_the_first
        a_key_twice_in_a_batch_counts_once
        events_without_key_are_never_repeats
        one_key_at_two_handles_at_once_makes_one_event
        batches_with_keys_crossed_both_end
        a_fresh_delivery_waits_for_its_sweep
        hurry_makes_never_claimed_deliveries_due
        a_limited_lane_has_no_sweep
        unclaimed_deliveries_are_counted
    }
    claims {
        the_road_claims_a_fresh_delivery_once
        the_road_never_claims_a_second_time
        the_road_leaves_closed_lanes_alone
        the_road_leaves_limited_lanes_alone
        the_road_leaves_webhooks_out_of_place_alone
        due_deliveries_are_claimed_oldest_first
        what_is_not_due_is_not_claimed
        due_deliveries_of_closed_lanes_stay
        claim_numbers_only_grow
        two_workers_never_share_a_claim
        a_claim_brings_what_its_attempt_needs
    }
    limited {
        only_the_leader_claims
        an_expired_lease_claims_nothing
        a_closed_lane_claims_nothing
        claims_of_the_old_leader_are_waited_for
        claims_from_before_the_lane_was_limited_are_waited_for
        a_lease_from_before_two_flips_is_worthless
        oldest_first_and_what_is_given_back_keeps_its_place
        an_hours_budget_is_counted_at_the_claim
        a_lane_that_becomes_limited_strands_nothing
        a_lane_that_becomes_unlimited_strands_nothing
    }
    record {
        a_delivery_is_delivered
        a_retry_waits
        a_failure_is_final
        a_release_gives_the_attempt_back
        a_late_outcome_changes_nothing_but_the_attempts
        recording_twice_is_harmless
        marks_stick
        a_refused_credential_holds_the_lane
        an_old_secrets_refusal_holds_nothing
        three_refusals_in_a_row_hold
        refusals_of_two_webhooks_hold
        an_answer_between_refusals_clears_them
        five_refusals_that_held_nothing_fail_the_delivery
        the_longer_pause_wins
        pauses_double_until_something_is_accepted
        any_text_can_be_recorded
        strangers_in_a_batch_hurt_nobody
        streaks_count_failures_since_the_last_success
    }
    janitor {
        a_lost_claim_is_given_back_and_marked
        a_running_claim_is_left_alone
        claims_expire_in_a_held_lane_and_follow_their_webhook
        five_losses_are_poison
        suspects_are_claimed_alone
        what_waits_follows_its_webhook_out_of_a_held_lane
        deliveries_of_deleted_webhooks_are_discarded
        deliveries_of_disabled_webhooks_are_discarded
        a_claimed_delivery_is_discarded_once_it_waits
        a_uuid_used_again_revives_nothing
    }
    lanes {
        a_survey_tells_what_a_worker_needs
        a_manual_hold_is_opened_by_hand_only
        a_probe_opens_only_its_own_hold
        the_canary_is_the_probes_alone
        the_canary_of_a_limited_lane_is_its_leaders
        one_probe_an_interval
        limited_lanes_are_probed_by_their_leader
        pauses_end_by_themselves
        limits_follow_the_settings
        a_lane_names_a_webhook_to_probe_with
    }
    leases {
        one_leader_at_a_time
        a_lane_without_work_is_not_led
        each_acquisition_raises_the_epoch
        renewal_needs_owner_and_epoch
        a_change_of_kind_ends_the_lease
    }
    webhooks {
        a_webhook_comes_back_as_written
        the_table_is_read_once_a_version
        a_deleted_webhook_is_found_by_number_only
        a_deleted_uuid_can_be_used_again
    }
    secrets {
        values_come_back
        a_new_value_opens_the_lanes_that_use_it
        a_written_secret_comes_back_by_uuid
        what_a_write_leaves_out_is_kept_and_names_are_unique
        a_secret_is_resolved_for_its_team_only
        a_change_of_name_or_team_opens_lanes_and_of_words_none
        nothing_secret_stands_in_the_rows
    }
    executions {
        a_test_goes_before_all_that_wait
        the_road_claims_a_test
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
        figures_add_up
    }
    retention {
        final_deliveries_go_and_open_ones_stay
        keys_outlive_nothing_open
        replay_starts_over
        replay_leaves_open_ones_and_lost_webhooks
        replay_may_forget_marks
    }
    incidents {
        one_monitor_at_a_time
        incidents_become_the_findings
        facts_name_held_lanes
    }
}
