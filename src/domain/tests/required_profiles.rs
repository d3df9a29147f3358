//! Orders that require a payment profile.

use port::ProfileId;

use super::submit::{Submission, chargeable};
use super::*;

/// An order that needs a payment profile, with a session that was asked to store the one it is paid with.
fn subscription(auto_submit: bool) -> Scenario {
    let mut scenario = Scenario::cart(|header| {
        header.content.items[0].recurring = Some(Recurring { interval: Interval::Month, count: 1 });
        header.content.auto_submit = auto_submit;
    });
    scenario.saves_method = true;
    scenario.checkout(CaptureMode::Automatic, HOLDS);
    scenario
}

#[test]
fn a_required_payment_profile_is_one_that_the_provider_has_shown_and_not_one_that_was_asked_for() {
    let table = "
        # submits itself, method found | order, attention | submitted with the session
        yes yes | PROCESSING none                 | PROCESSING
        yes no  | PENDING_PAYMENT PROFILE_MISSING | RequirementUnmet([\"requiresPaymentProfile\"])
        no  yes | PENDING_PAYMENT none            | PROCESSING
        no  no  | PENDING_PAYMENT PROFILE_MISSING | RequirementUnmet([\"requiresPaymentProfile\"])
    ";
    for row in rows(table) {
        let (auto_submit, found) = row[0].split_once(' ').unwrap();
        let mut scenario = subscription(auto_submit == "yes");
        scenario.wait(10).see("PAID");
        assert_eq!((scenario.session_status().as_str(), scenario.state()), ("COMPLETED", "PENDING_PAYMENT"));
        let with = Submission { session: Some(scenario.the_session().id), ..Submission::default() };
        let unmet = "RequirementUnmet([\"requiresPaymentProfile\"])";
        assert_eq!(scenario.submit(&with), unmet, "nobody has looked yet");
        scenario.profiles_synced(found.trim() == "yes");
        assert_eq!(format!("{} {}", scenario.state(), scenario.attention()), row[1], "{row:?}");
        scenario.profiles_synced(true);
        assert_eq!(scenario.submit(&with), row[2], "{row:?}");
    }
}

#[test]
fn a_session_that_stores_a_method_beside_the_payment_goes_on_where_the_payment_stored_none() {
    let mut scenario = subscription(true);
    scenario.wait(10).see("PAID");
    scenario.profiles_synced(false);
    let profile_session = Some(port::ProfileSessionId::from_uuid(Uuid::from_u128(9)));
    let session = Some(scenario.the_session().id);
    let with = Submission { session, profile_session, ..Submission::default() };
    assert_eq!(scenario.submit(&with), "PROCESSING");
}

#[test]
fn the_payment_profile_of_money_that_came_late_is_looked_for_so_that_it_can_be_kept() {
    let mut scenario = subscription(true);
    scenario.wait(10).see("EXPIRED last");
    assert!(!awaits_profiles(&scenario.order, scenario.the_session()));
    scenario.wait(10).see("PAID");
    assert_eq!(scenario.attention(), "LATE_PAYMENT");
    assert!(awaits_profiles(&scenario.order, scenario.the_session()));
    scenario.profiles_synced(false);
    assert_eq!((scenario.state(), scenario.attention().as_str()), ("PENDING", "LATE_PAYMENT"));
}

#[test]
fn a_payment_profile_can_be_required_of_an_order_that_is_not_billed_again() {
    let required = Scenario::cart(|header| header.content.profile_required = true).order.header.requirements;
    assert_eq!(required.unwrap().requires_payment_profile, Requirement::Required);
}

#[test]
fn a_method_that_is_shown_later_submits_no_order_whose_money_is_on_its_way_back() {
    let mut scenario = subscription(true);
    scenario.wait(10).see("PAID");
    scenario.refund(None).unwrap();
    scenario.profiles_synced(true);
    assert_eq!(scenario.state(), "PENDING_PAYMENT");
}

#[test]
fn a_payment_profile_is_charged_only_for_an_order_that_lacks_nothing_else_and_can_be_paid_now() {
    let charged = |scenario: &Scenario| chargeable(&scenario.order, ProfileId::from_uuid(Uuid::from_u128(9)));
    assert_eq!(charged(&Scenario::cart(|_| ())), Ok(true));
    let unsigned = Scenario::cart(|header| header.content.requires_signing = Requirement::Required);
    assert_eq!(charged(&unsigned), Err(DomainError::RequirementUnmet(vec!["requiresSigning"])));
    assert_eq!(charged(&Scenario::session(CaptureMode::Manual, HOLDS)), Err(DomainError::SessionOpen));
    let mut ended = Scenario::cart(|_| ());
    ended.act("cancel");
    assert!(matches!(charged(&ended), Err(DomainError::InvalidState { .. })));
}
