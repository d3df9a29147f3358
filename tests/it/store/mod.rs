//! The store: one suite for every back-end, and what only one of them has.

mod agenda;
mod files;
pub mod fixtures;
mod keys;
mod lists;
mod sqlite;

use std::sync::Arc;

use paymux::store::{Change, Store, StoreError, Write};

/// A store to test.
type TestStore = Arc<dyn Store>;

/// Runs every test of the suite on a back-end. `$fresh` makes an empty store, with what must outlive it.
macro_rules! suite {
    ($backend:ident, $fresh:expr) => {
        mod $backend {
            suite! { @files $fresh,
                a_file_reads_back_as_every_change_made_it
                its_events_read_back_as_they_were_hashed
                of_two_changes_of_one_file_the_second_leaves_no_trace
                of_many_changes_of_one_file_at_once_exactly_one_wins
                changes_that_fail_do_not_sink_their_neighbours
                an_order_has_one_open_attempt
                everything_that_belongs_to_an_order_leads_to_it
                those_who_listen_hear_of_changed_orders_and_of_nothing_else
            }
            suite! { @keys $fresh,
                a_reference_is_unique_for_its_merchant
                an_idempotency_key_is_given_once
                a_key_whose_effect_failed_is_given_again_to_the_first_who_asks
                an_idempotency_key_is_one_name_whatever_its_request_makes
                a_notification_is_stored_once
                an_api_key_is_kept_by_its_hash_and_can_be_withdrawn
                the_first_value_of_a_setting_stays
            }
            suite! { @lists $fresh,
                orders_are_listed_newest_first_as_the_filter_says
                payments_are_listed_with_their_orders
                pages_do_not_move_while_orders_are_added
            }
            suite! { @agenda $fresh,
                what_is_due_is_claimed_oldest_first_and_by_one_only
                a_lease_that_ends_makes_it_due_again
                who_claimed_it_says_when_again_or_that_it_is_done
                a_change_that_writes_it_anew_ends_the_lease
                the_oldest_of_each_kind_is_known
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

async fn commit(store: &TestStore, change: Change) {
    let name = change.name;
    assert_eq!(store.commit(change).await, Ok(()), "{name}");
}

async fn write(store: &TestStore, write: Write) -> Result<(), StoreError> {
    store.commit(Change::plain("write", vec![write])).await
}
