//! How many parts an order may have.

use super::operate::MAX_REFUNDS;
use super::session_start::MAX_SESSIONS;
use super::*;

#[test]
fn after_so_many_sessions_or_refunds_an_order_takes_no_more() {
    let mut scenario = Scenario::session(CaptureMode::Automatic, HOLDS);
    scenario.see("FAILED last");
    let ended = scenario.the_session().clone();
    assert!(payable(&scenario.order).is_ok());
    scenario.order.sessions = vec![ended; MAX_SESSIONS];
    assert!(matches!(payable(&scenario.order), Err(DomainError::TooLate(_))));

    let mut scenario = Scenario::paid(CaptureMode::Automatic, HOLDS, "PAID");
    scenario.refund(Some(1)).unwrap();
    let failed = Refund { status: RefundStatus::Failed, ..scenario.order.refunds[0].clone() };
    scenario.order.refunds = vec![failed; MAX_REFUNDS];
    assert!(matches!(scenario.refund(Some(1)), Err(DomainError::TooLate(_))));
}
