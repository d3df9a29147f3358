//! Ids that name their subject, and the rows that lead to it.

use std::collections::BTreeSet;

use port::{PaymentId, ProfileId, ProfileSessionId};
use proptest::prelude::*;

use super::replay::{STEPS, walk};
use super::*;

/// Numbers are 24 bits long.
const NUMBERS: u64 = 1 << 24;

/// Any UUID of version 7, as ids are made.
fn a_uuid() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(|bits| {
        let version = (bits & !(0xf << 76)) | (0x7 << 76);
        Uuid::from_u128((version & !(0x3 << 62)) | (0x2 << 62))
    })
}

/// A row of few, so that sets overlap.
fn a_row() -> impl Strategy<Value = Lookup> {
    let reference = || (0..3u8).prop_map(|number| format!("r-{number}"));
    let account = || prop_oneof![Just("one".to_owned()), Just("two".to_owned())];
    prop_oneof![
        reference().prop_map(Lookup::OrderReference),
        (account(), reference())
            .prop_map(|(account, reference)| Lookup::ProviderReference { account, reference }),
        (account(), reference())
            .prop_map(|(account, reference)| Lookup::ProfileReference { account, reference }),
        (1..3u64).prop_map(|number| Lookup::CustomerProfile {
            customer_id: "ann".to_owned(),
            id: ProfileId::from_uuid(subject_id(number)),
        }),
        (1..3u64).prop_map(|n| Lookup::ProfileSessionUsed(ProfileSessionId::from_uuid(subject_id(n)))),
        (1..3u64, any::<bool>()).prop_map(|(number, open)| Lookup::Payment {
            id: PaymentId::from_uuid(part_of(subject_id(1), number)),
            account: "one".to_owned(),
            status: PaymentStatus::Paid,
            open,
            created_at: at(0),
        }),
    ]
}

fn rows_of(rows: &[Lookup]) -> BTreeSet<Lookup> {
    rows.iter().cloned().collect()
}

/// The rows after a change, from the rows before it and the difference.
fn changed_rows(before: &[Lookup], after: &[Lookup]) -> BTreeSet<Lookup> {
    let (gone, added) = difference(before.to_vec(), after.to_vec());
    let gone = rows_of(&gone);
    let kept = before.iter().filter(|row| !gone.contains(row)).cloned();
    kept.chain(added).collect()
}

proptest! {
    #[test]
    fn the_id_of_a_part_gives_its_subject_and_its_number(id in a_uuid(), number in 0..NUMBERS) {
        let subject = subject_of(id);
        let part = part_of(id, number);
        prop_assert_eq!((subject_of(part), number_of(part)), (subject, number));
        prop_assert_eq!((subject_of(subject), number_of(subject)), (subject, 0));
        prop_assert_eq!(part_of(part, number), part, "the part of a part is one of the subject");
        prop_assert_eq!((part.get_version_num(), subject.get_version_num()), (7, 7));
        prop_assert_eq!(part.get_variant(), id.get_variant());
    }

    #[test]
    fn parts_of_different_subjects_or_numbers_have_different_ids(
        a in a_uuid(),
        b in a_uuid(),
        m in 0..NUMBERS,
        n in 0..NUMBERS,
    ) {
        let same = subject_of(a) == subject_of(b) && m == n;
        prop_assert_eq!(part_of(a, m) == part_of(b, n), same);
    }

    #[test]
    fn a_refund_of_money_that_nobody_asked_for_has_an_id_that_no_refund_gets(
        id in a_uuid(),
        number in 1..NUMBERS / 2,
    ) {
        let refund = mismatch_refund(AttemptId::from_uuid(part_of(id, number))).uuid();
        prop_assert_eq!((subject_of(refund), refund.get_version_num()), (subject_of(id), 7));
        prop_assert!(number_of(refund) > NUMBERS / 2);
    }

    #[test]
    fn rows_before_less_those_gone_and_with_those_added_are_the_rows_after(
        before in prop::collection::vec(a_row(), 0..8),
        after in prop::collection::vec(a_row(), 0..8),
    ) {
        prop_assert_eq!(changed_rows(&before, &after), rows_of(&after));
        let (gone, added) = difference(before.clone(), after.clone());
        prop_assert!(gone.iter().all(|row| before.contains(row) && !after.contains(row)));
        prop_assert!(added.iter().all(|row| after.contains(row) && !before.contains(row)));
    }
}

/// Of two payments that are given back by one decision the first needs no refund, or cannot have one.
#[test]
fn a_number_that_a_decision_left_out_makes_no_two_parts_the_same() {
    for late in ["AUTHORIZED", "DISPUTED CHARGEBACK"] {
        let mut scenario = Scenario::cart(|header| header.content.requires_approval = true);
        scenario.checkout(CaptureMode::Manual, HOLDS);
        let first = scenario.the_session().attempt;
        scenario.see_all("EXPIRED");
        scenario.checkout(CaptureMode::Manual, HOLDS);
        scenario.see_all("PAID");
        scenario.see_of(first, late);
        assert_eq!(scenario.act("cancel"), "CANCELLED");
        scenario.step("declined");
        scenario.step("refund 40");
        let ids: BTreeSet<_> = scenario.order.refunds.iter().map(|refund| refund.id.uuid()).collect();
        assert_eq!((ids.len(), scenario.order.refunds.len()), (2, 2), "{late}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_is_done_parts_are_numbered_as_they_come_and_name_their_order_and_rows_follow_the_changes(
        steps in prop::collection::vec((0..STEPS.len(), 1i64..120, prop::bool::weighted(0.2)), 1..25),
    ) {
        let mut scenario = Scenario::session(CaptureMode::Manual, HOLDS_FOR_MANY);
        let mut rows = rows_of(&scenario.order.lookups());
        for (step, amount, orphan) in steps {
            let before = scenario.order.lookups();
            walk(&mut scenario, STEPS[step], amount, orphan);
            let (gone, added) = difference(before, scenario.order.lookups());
            rows.retain(|row| !gone.contains(row));
            rows.extend(added);
        }
        let order = &scenario.order;
        prop_assert_eq!(rows, rows_of(&order.lookups()));
        let ids = [
            order.sessions.iter().map(|part| part.id.uuid()).collect::<Vec<_>>(),
            order.attempts.iter().map(|part| part.id.uuid()).collect(),
            order.payments.iter().map(|part| part.id.uuid()).collect(),
            order.refunds.iter().map(|part| part.id.uuid()).collect(),
            order.attention.iter().map(|part| part.id.uuid()).collect(),
            scenario.events().iter().map(|event| event.id().uuid()).collect(),
        ];
        for of_one_kind in ids {
            let numbers: Vec<u64> = of_one_kind.iter().map(|id| number_of(*id)).collect();
            prop_assert!(numbers.is_sorted_by(|one, next| one < next) && !numbers.contains(&0));
            prop_assert!(of_one_kind.iter().all(|id| subject_of(*id) == order.id().uuid()));
        }
    }
}
