//! The delivery protocol's guards, both ways, over any [`HotStore`](crate::HotStore). Each case
//! has a store of its own.

#![expect(missing_docs, reason = "a case says what it is about by its name")]
#![expect(clippy::unwrap_used, reason = "a case panics where it fails")]
// Clippy leaves the imports of tests alone.
#![cfg_attr(not(test), expect(clippy::wildcard_imports, reason = "the words of all cases"))]

pub mod claims;
pub mod heartbeat;
pub mod intake;
pub mod janitor;
pub mod lanes;
pub mod leases;
pub mod limited;
pub mod limits;
pub mod parked;
pub mod record;
pub mod secrets;
pub mod unclaim;
pub mod webhooks;

/// Hands the names of all cases to a macro that makes a test of each: `module { case … } …`.
#[macro_export]
macro_rules! hot_cases {
    ($tests:ident) => {
        $tests! {
            unclaim {
                a_fresh_claim_goes_back_unmarked
                what_is_kept_stays_claimed
                an_older_claim_of_the_same_delivery_keeps_nothing
                claims_of_others_and_of_other_lanes_stay
                a_leaders_claim_goes_back_with_its_count
                a_leaders_claim_goes_back_though_its_lane_has_left
                a_late_one_gives_nothing_back
                a_worker_without_a_heartbeat_gives_nothing_back
            }
            heartbeat {
                a_dead_workers_claims_come_back_before_their_sweep
                a_silent_worker_keeps_claims_that_have_not_ended
                a_claim_that_ends_too_far_ahead_has_ended
                a_silent_worker_keeps_the_claim_of_a_slow_webhook
            }
            intake {
                an_event_that_nobody_wants_is_recorded
                a_commit_under_an_old_version_writes_nothing
                every_write_to_webhooks_raises_the_version
                a_repeated_key_answers_the_first
                a_key_twice_in_a_batch_counts_once
                events_without_key_are_never_repeats
                one_key_at_two_handles_at_once_makes_one_event
                batches_with_keys_crossed_both_end
                a_fresh_delivery_waits_for_its_sweep
                never_claimed_deliveries_can_be_made_due
                a_limited_lane_has_no_sweep
                unclaimed_deliveries_are_counted
                a_commit_claims_what_a_message_could
                a_commit_that_enters_nothing_claims_nothing
            }
            claims {
                a_message_claims_a_fresh_delivery_once
                a_message_never_claims_a_second_time
                a_message_leaves_closed_lanes_alone
                a_message_leaves_limited_lanes_alone
                a_message_leaves_webhooks_out_of_place_alone
                due_deliveries_are_claimed_oldest_first
                what_is_not_due_is_not_claimed
                due_deliveries_of_closed_lanes_stay
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
            limits {
                credentials_that_share_a_limit_never_exceed_it_together
                nothing_is_claimed_while_all_lanes_are_held
                a_pause_is_for_all_lanes_of_the_limit
                unlimited_lanes_share_pauses
                old_claims_of_any_lane_of_the_limit_are_waited_for
                a_lane_moves_to_another_limit
                a_change_of_kind_is_for_all_lanes_of_the_limit
                claims_take_their_turns_of_the_limit
                a_full_hour_tells_when_it_frees
                many_lanes_are_claimed_from_at_once
                a_lease_of_another_limit_probes_nothing
                a_probes_delivery_counts_in_the_limit
            }
            parked {
                a_refusal_elsewhere_parks_the_webhook_alone
                what_waits_for_a_parked_webhook_stands_aside_and_comes_back
                a_parked_webhook_is_probed_one_delivery_after_the_other
                a_held_lane_is_probed_one_delivery_after_the_other
                a_good_probe_opens_what_it_was_made_for
                what_ends_a_park
                an_old_refusal_parks_nothing
                two_parked_webhooks_hold_the_lane_and_are_parked_no_more
                a_secret_that_all_lack_holds_the_lane
                a_delivery_that_is_refused_alone_fails
                a_parked_webhook_of_a_limited_lane_is_its_leaders_to_probe
                attempts_are_numbered_without_end
            }
            record {
                a_failure_is_final
                a_release_gives_the_attempt_back
                a_late_outcome_changes_nothing_but_the_attempts
                recording_twice_is_harmless
                marks_stick
                a_refused_credential_holds_the_lane
                an_old_secrets_refusal_holds_nothing
                refusals_of_two_webhooks_hold
                an_answer_between_refusals_clears_them
                the_longer_pause_wins
                pauses_double_until_something_is_accepted
                answers_that_came_back_together_double_the_pause_once
                strangers_in_a_batch_hurt_nobody
                a_repeated_batch_is_folded_in_once
                plain_successes_clear_what_is_left_of_trouble
            }
            janitor {
                a_lost_claim_is_given_back_and_marked
                a_running_claim_is_left_alone
                claims_expire_in_a_held_lane_and_follow_their_webhook
                suspects_are_claimed_alone
                what_waits_follows_its_webhook_out_of_a_held_lane
                deliveries_of_disabled_webhooks_are_discarded
                a_claimed_delivery_is_discarded_once_it_waits
                a_uuid_used_again_revives_nothing
            }
            lanes {
                a_probe_opens_only_its_own_hold
                the_canary_is_the_probes_alone
                the_canary_of_a_limited_lane_is_its_leaders
                one_probe_an_interval
                limited_lanes_are_probed_by_their_leader
                caches_are_told_where_a_kind_changes
            }
            leases {
                one_leader_at_a_time
                a_lane_without_work_is_not_led
                each_acquisition_raises_the_epoch
                renewal_needs_owner_and_epoch
                a_change_of_kind_ends_the_lease
            }
            webhooks {
                the_table_is_read_once_a_version
            }
            secrets {
                a_new_value_opens_the_lanes_that_use_it
                a_new_value_makes_refusals_start_over
            }
        }
    };
}
