//! The store: one suite for every database, and what only one of them has.

mod deliveries;
pub mod fixtures;
mod jobs;
mod lists;
mod records;
mod rows;
mod sqlite;
mod subjects;

use std::sync::Arc;

use paymux::store::{Change, Store, StoreError, Write};

/// A store to test.
type Db = Arc<dyn Store>;

/// Runs every test of the suite on a database. `$fresh` makes an empty store, with what must outlive it.
macro_rules! suite {
    ($database:ident, $fresh:expr) => {
        mod $database {
            suite! { @subjects $fresh,
                a_subject_reads_back_as_every_change_made_it
                an_id_of_another_kind_leads_nowhere
                its_changes_read_back_as_they_were_hashed
                of_two_changes_of_one_version_the_second_leaves_no_trace
                of_many_changes_of_one_version_at_once_exactly_one_wins
                what_is_in_use_is_refused_and_sinks_no_neighbour
                a_providers_reference_leads_to_all_that_have_it
                those_who_listen_hear_of_changed_subjects_and_of_nothing_else
                a_long_history_reads_back_as_it_was_after_each_event
                no_read_is_older_than_a_commit_that_was_answered
            }
            suite! { @rows $fresh,
                an_idempotency_key_is_given_once
                a_key_whose_request_had_no_effect_goes_to_the_first_who_tries_again
                a_notification_is_stored_once
                notifications_are_listed_by_when_they_came_and_pruned_by_age
                checkpoints_chain_every_change_in_the_order_of_commits
                an_api_key_is_kept_by_its_hash_and_can_be_revoked
                the_first_value_of_a_setting_stays
            }
            suite! { @jobs $fresh,
                what_is_due_is_claimed_oldest_first_by_lane_and_urgency
                a_lease_ends_by_itself_or_when_its_job_has_run
                of_many_who_claim_at_once_each_job_goes_to_one
                a_wake_makes_a_job_sooner_and_says_what_it_is_about
                a_change_makes_a_job_sooner_and_never_later
                a_subject_that_was_woken_is_looked_at_although_it_left_the_lane
                a_job_is_put_off_unless_something_came_meanwhile
                a_job_that_failed_knows_how_often_and_what_woke_it
            }
            suite! { @deliveries $fresh,
                what_is_enqueued_is_claimed_oldest_first_by_one_only
                a_delivery_moves_its_stream_on_or_is_tried_again
                what_is_enqueued_while_a_delivery_is_under_way_is_delivered
                a_delivery_of_a_stream_that_was_dropped_does_not_end_a_new_one
                a_replay_has_a_stream_of_its_own_and_makes_all_of_its_order_due
                tries_are_listed_newest_first_and_forgotten_after_a_month
                endpoints_are_listed_with_when_they_began_to_fail
            }
            suite! { @lists $fresh,
                orders_are_listed_newest_first_as_the_filter_says
                pages_of_orders_leave_none_out_that_were_created_in_time
                payments_are_listed_newest_first_as_the_filter_says
                attention_is_listed_newest_first_as_the_filter_says
                profiles_are_listed_newest_first_until_they_are_deleted
                pages_do_not_move_while_rows_are_added
                public_changes_are_those_with_public_events
            }
            suite! { @records $fresh,
                personal_data_is_not_in_the_history
                a_customer_who_is_erased_leaves_a_history_that_can_be_checked
                a_customer_who_is_erased_leaves_no_notification_about_them
                an_open_order_keeps_the_personal_data_of_its_customer
                what_pays_for_an_order_is_kept_when_a_dispute_was_seen_before_the_payment
                records_that_are_in_order_are_found_so
            }
        }
    };
    (@$part:ident $fresh:expr, $($test:ident)*) => {$(
        #[tokio::test]
        async fn $test() {
            let (store, _kept) = $fresh;
            $crate::store::$part::$test(store).await;
        }
    )*};
}

suite!(sqlite_with_threads, crate::store::sqlite::fresh(true));
suite!(sqlite_in_place, crate::store::sqlite::fresh(false));

async fn commit(store: &Db, change: Change) {
    let name = change.name;
    assert_eq!(store.commit(change).await, Ok(()), "{name}");
}

async fn write(store: &Db, write: Write) -> Result<(), StoreError> {
    store.commit(Change::plain("write", vec![write])).await
}
