//! How an order moves: what each state allows, what proves that it may be submitted, and how it ends.

use super::submit::{Submission, submit};
use super::*;

impl Scenario {
    /// Does what an action's name says, and answers where the order then is, or why it is refused.
    pub(super) fn act(&mut self, action: &str) -> String {
        let (order, now, context) = (&self.order, self.now, &mut self.context());
        let outcome = match action {
            "edit" => cart::edit(order, order.header.content.clone(), false),
            "price" => cart::price_order(&order.header, now).map(|event| vec![event]),
            "sign" => cart::sign(order, signature()),
            "checkout" => payable(order).map(|_| Vec::new()),
            "submit" => submit(context, &external("r1")),
            "approve" => finish::approve(order),
            "reject" => finish::reject(context),
            "fulfil" => finish::fulfil(context, true, None),
            "fail" => finish::fulfil(context, false, None),
            "cancel" => finish::cancel(context),
            "expire" => Ok(finish::expire(context)),
            other => panic!("`{other}` is no action"),
        };
        self.done(outcome)
    }

    pub(super) fn submit(&mut self, with: &Submission) -> String {
        let outcome = submit(&mut self.context(), with);
        self.done(outcome)
    }

    fn done(&mut self, outcome: Result<Vec<Event>, DomainError>) -> String {
        match outcome {
            Ok(events) => {
                self.record(events);
                self.state().to_owned()
            }
            Err(DomainError::InvalidState { allowed, .. }) => {
                let names: Vec<&str> = allowed.iter().map(|state| state.as_str()).collect();
                format!("only {}", names.join(" "))
            }
            Err(error) => format!("{error:?}"),
        }
    }
}

pub(super) fn external(reference: &str) -> Submission {
    let external = ExternalPayment {
        reference: reference.to_owned(),
        receipt_description: None,
        receipt_url: None,
        received_at: at(0),
    };
    Submission { external: Some(external), ..Submission::default() }
}

fn with_session(id: SessionId) -> Submission {
    Submission { session: Some(id), ..Submission::default() }
}

/// A scenario whose order has come to a state.
fn in_state(state: &str) -> Scenario {
    let mut scenario =
        Scenario::cart(|header| header.content.requires_approval = state == "PENDING_APPROVAL");
    let steps = match state {
        "PENDING" => "",
        "PENDING_PAYMENT" => "checkout",
        "SUBMITTED" => {
            let (from, to) = (OrderState::Pending, OrderState::Submitted);
            scenario.record(vec![Event::OrderStateChanged { from, to, reason: None }]);
            ""
        }
        "PENDING_APPROVAL" | "PROCESSING" => "checkout PAID",
        "COMPLETED" => "checkout PAID fulfil",
        "CANCELLED" => "cancel",
        "FAILED" => "checkout PAID fail",
        "EXPIRED" => "late expire",
        other => panic!("`{other}` is no state"),
    };
    for step in steps.split_whitespace() {
        match step {
            "checkout" => scenario.checkout(CaptureMode::Automatic, HOLDS),
            "PAID" => assert!(scenario.see("PAID") > 0),
            "late" => scenario.now = scenario.order.header.expires_at,
            action => assert!(!scenario.act(action).starts_with("only")),
        }
    }
    assert_eq!(scenario.state(), state);
    scenario
}

#[test]
fn every_action_is_allowed_in_its_states_and_a_refusal_names_them() {
    let table = "
        edit     | PENDING         | PENDING
        edit     | PENDING_PAYMENT | OrderLocked
        edit     | SUBMITTED PENDING_APPROVAL PROCESSING COMPLETED CANCELLED EXPIRED FAILED | only PENDING
        price    | PENDING         | PENDING
        price    | PENDING_PAYMENT | OrderLocked
        price    | SUBMITTED PENDING_APPROVAL PROCESSING COMPLETED CANCELLED EXPIRED FAILED | only PENDING
        sign     | PENDING         | PENDING
        sign     | PENDING_PAYMENT | PENDING_PAYMENT
        sign     | SUBMITTED PENDING_APPROVAL PROCESSING COMPLETED CANCELLED EXPIRED FAILED | only PENDING PENDING_PAYMENT
        checkout | PENDING         | PENDING
        checkout | PENDING_PAYMENT SUBMITTED PENDING_APPROVAL PROCESSING COMPLETED CANCELLED EXPIRED FAILED | only PENDING
        submit   | PENDING         | PROCESSING
        submit   | PENDING_PAYMENT | SessionOpen
        submit   | SUBMITTED PENDING_APPROVAL PROCESSING COMPLETED CANCELLED EXPIRED FAILED | only PENDING PENDING_PAYMENT
        approve  | PENDING_APPROVAL | PROCESSING
        approve  | PENDING PENDING_PAYMENT SUBMITTED PROCESSING COMPLETED CANCELLED EXPIRED FAILED | only PENDING_APPROVAL
        reject   | PENDING_APPROVAL | CANCELLED
        reject   | PENDING PENDING_PAYMENT SUBMITTED PROCESSING COMPLETED CANCELLED EXPIRED FAILED | only PENDING_APPROVAL
        fulfil   | PROCESSING      | COMPLETED
        fulfil   | PENDING PENDING_PAYMENT SUBMITTED PENDING_APPROVAL COMPLETED CANCELLED EXPIRED FAILED | only PROCESSING
        fail     | PROCESSING      | FAILED
        fail     | PENDING PENDING_PAYMENT SUBMITTED PENDING_APPROVAL COMPLETED CANCELLED EXPIRED FAILED | only PROCESSING
        cancel   | PENDING PENDING_PAYMENT SUBMITTED PENDING_APPROVAL | CANCELLED
        cancel   | PROCESSING COMPLETED CANCELLED EXPIRED FAILED | only PENDING PENDING_PAYMENT SUBMITTED PENDING_APPROVAL
    ";
    for row in rows(table) {
        for state in row[1].split_whitespace() {
            assert_eq!(in_state(state).act(row[0]), row[2], "{} in {state}", row[0]);
        }
    }
}

#[test]
fn an_order_is_checked_out_once_it_is_priced_and_there_is_something_to_pay() {
    let mut bare = Scenario::create(order(vec![item(1, 100, "0", 0)]));
    assert_eq!(bare.act("checkout"), "NotPriced");
    assert_eq!(bare.act("submit"), "NotPriced");
    let mut free = Scenario::cart(|header| header.content.items[0].unit_price = 0);
    assert_eq!(free.act("checkout"), "PaymentNotRequired");
    assert_eq!(payable(&Scenario::cart(|_| ()).order), Ok(eur(100)));
}

#[test]
fn any_change_but_of_notes_drops_the_price_and_the_signature() {
    let mut scenario = Scenario::cart(|_| ());
    scenario.act("sign");
    let content = scenario.order.header.content.clone();
    scenario.record(cart::edit(&scenario.order, content, true).unwrap());
    assert!(scenario.order.header.price.is_some() && scenario.order.header.signature.is_some());
    scenario.act("edit");
    let header = &scenario.order.header;
    assert!(header.price.is_none() && header.requirements.is_none() && header.signature.is_none());
}

#[test]
fn an_order_has_at_most_two_hundred_lines() {
    let scenario = Scenario::cart(|_| ());
    let lines =
        |count| Content { items: vec![item(1, 1, "0", 0); count], ..scenario.order.header.content.clone() };
    assert!(cart::edit(&scenario.order, lines(200), false).is_ok());
    assert_eq!(cart::edit(&scenario.order, lines(201), false), Err(DomainError::TooManyItems));
}

#[test]
fn an_order_is_submitted_with_the_proofs_that_it_needs_and_no_others() {
    let table = "
        # total, recurring, signing, signed | proofs | outcome
        100 once  NOT_REQUIRED unsigned | nothing              | RequirementUnmet([\"requiresPayment\"])
        100 once  NOT_REQUIRED unsigned | external             | PROCESSING
        100 once  NOT_REQUIRED unsigned | profile              | RequirementUnmet([\"requiresPayment\"])
        100 once  OPTIONAL     unsigned | external             | PROCESSING
        100 once  REQUIRED     unsigned | external             | RequirementUnmet([\"requiresSigning\"])
        100 once  REQUIRED     signed   | external             | PROCESSING
        100 again NOT_REQUIRED unsigned | external             | RequirementUnmet([\"requiresPaymentProfile\"])
        100 again NOT_REQUIRED unsigned | external and profile | PROCESSING
        100 again REQUIRED     unsigned | nothing              | RequirementUnmet([\"requiresPayment\", \"requiresPaymentProfile\", \"requiresSigning\"])
        0   once  NOT_REQUIRED unsigned | nothing              | PROCESSING
        0   once  NOT_REQUIRED unsigned | external             | PaymentProofNotWanted
        0   once  REQUIRED     unsigned | nothing              | RequirementUnmet([\"requiresSigning\"])
        0   again NOT_REQUIRED unsigned | nothing              | RequirementUnmet([\"requiresPaymentProfile\"])
        0   again NOT_REQUIRED unsigned | profile              | PROCESSING
    ";
    for row in rows(table) {
        let cells: Vec<&str> = row[0].split_whitespace().collect();
        let mut scenario = Scenario::cart(|header| {
            header.content.items[0].unit_price = cells[0].parse().unwrap();
            header.content.items[0].recurring =
                (cells[1] == "again").then_some(Recurring { interval: Interval::Month, count: 1 });
            header.content.requires_signing = named(cells[2]);
        });
        if cells[3] == "signed" {
            scenario.act("sign");
        }
        let mut with = if row[1].contains("external") { external("r1") } else { Submission::default() };
        with.profile_session =
            row[1].contains("profile").then(|| port::ProfileSessionId::from_uuid(Uuid::from_u128(9)));
        assert_eq!(scenario.submit(&with), row[2], "{row:?}");
    }
}

#[test]
fn an_order_that_may_be_unpaid_is_submitted_without_a_proof_and_takes_one() {
    let table = "
        # total, what is given | outcome
        100 nothing  | PROCESSING
        100 external | PROCESSING
        0   nothing  | PROCESSING
        0   external | PaymentProofNotWanted
    ";
    for row in rows(table) {
        let (total, given) = row[0].split_once(' ').unwrap();
        let mut scenario = Scenario::cart(|header| {
            header.content.items[0].unit_price = total.parse().unwrap();
            header.content.payment_optional = true;
        });
        let with = if given.trim() == "external" { external("r1") } else { Submission::default() };
        assert_eq!(scenario.submit(&with), row[1], "{row:?}");
    }
    let mut paying = Scenario::cart(|header| header.content.payment_optional = true);
    paying.checkout(CaptureMode::Automatic, HOLDS);
    assert_eq!(paying.submit(&Submission::default()), "SessionOpen");
    paying.wait(10).see("PAID");
    assert_eq!(paying.state(), "PROCESSING", "a payment counts as usual");
}

#[test]
fn submitting_again_with_the_same_proof_changes_nothing_and_with_another_is_refused() {
    let mut scenario = Scenario::cart(|header| header.content.requires_approval = true);
    assert_eq!(scenario.submit(&external("r1")), "PENDING_APPROVAL");
    assert_eq!(scenario.order.header.submitted_at, Some(scenario.now));
    let before = scenario.order.clone();
    assert_eq!(scenario.wait(5).submit(&external("r1")), "PENDING_APPROVAL");
    assert_eq!(scenario.order, before);
    assert_eq!(scenario.submit(&external("r2")), "only PENDING PENDING_PAYMENT");
    assert_eq!(scenario.submit(&Submission::default()), "only PENDING PENDING_PAYMENT");
    let mut free = Scenario::cart(|header| header.content.items[0].unit_price = 0);
    assert_eq!(free.submit(&Submission::default()), "PROCESSING");
    assert_eq!(free.submit(&Submission::default()), "PROCESSING");
}

#[test]
fn the_merchants_own_collection_is_a_payment_that_nothing_can_be_done_with() {
    let mut scenario = Scenario::cart(|_| ());
    scenario.submit(&external("r1"));
    let payment = scenario.payment();
    assert_eq!((scenario.payment_state().as_str(), payment.external), ("PAID 0/100/0", true));
    assert_eq!(scenario.order.header.external_payment_id, Some(payment.id));
    assert_eq!(
        operate::capture(&scenario.order, payment.id, None, scenario.now),
        Err(DomainError::ExternalPayment)
    );
    assert_eq!(operate::void(&scenario.order, payment.id, scenario.now), Err(DomainError::ExternalPayment));
    assert_eq!(operate::refundable(&scenario.order, payment), 0);
    assert_eq!(next_read(&scenario.order, payment, scenario.now, 0), None);
}

#[test]
fn a_session_proves_a_payment_while_it_is_this_orders_completed_unused_and_its_money_stands() {
    let unusable = |why: &str| format!("SessionUnusable({why:?})");
    let gone = unusable("its money was refunded, lost or is disputed");
    let table = [
        ("PAID", "PROCESSING"),
        ("AUTHORIZED", "PROCESSING"),
        ("PAID; FROM_AMOUNTS refunded=40", "PROCESSING"),
        ("PENDING", &unusable("it is not COMPLETED")),
        ("FAILED last", &unusable("it is not COMPLETED")),
        ("PAID; REFUNDED", &gone),
        ("PAID; DISPUTED CHARGEBACK", &gone),
        ("PAID; DISPUTED CHARGEBACK; PAID", "PROCESSING"),
        ("AUTHORIZED; CANCELLED", &gone),
    ];
    for (line, outcome) in table {
        let mut scenario = Scenario::cart(|header| header.content.auto_submit = false);
        scenario.checkout(CaptureMode::Manual, HOLDS);
        scenario.see_all(line);
        let session = scenario.the_session().id;
        assert_eq!(scenario.submit(&with_session(session)), outcome, "{line}");
    }
    let mut scenario = Scenario::cart(|_| ());
    let other = with_session(SessionId::from_uuid(Uuid::from_u128(5)));
    assert_eq!(scenario.submit(&other), unusable("it is not of this order"));
}

#[test]
fn a_session_of_another_amount_proves_nothing_for_the_cart_that_was_changed_after_it() {
    let mut scenario = Scenario::cart(|header| header.content.auto_submit = false);
    scenario.checkout(CaptureMode::Automatic, HOLDS);
    scenario.wait(10).see("PAID");
    scenario.wait(10).see("FROM_AMOUNTS refunded=100");
    assert_eq!(scenario.state(), "PENDING");
    let mut dearer = scenario.order.header.content.clone();
    dearer.items[0].quantity = 5;
    scenario.record(cart::edit(&scenario.order, dearer, false).unwrap());
    scenario.price();
    scenario.wait(10).see("FROM_AMOUNTS REFUND_REVERSED refunded=0");
    assert_eq!(scenario.payment_state(), "PAID 100/100/0");
    let session = scenario.the_session().id;
    assert_eq!(scenario.submit(&with_session(session)), "SessionUnusable(\"it is for another amount\")");
}

#[test]
fn a_completed_session_submits_its_order_as_soon_as_nothing_else_is_missing() {
    let mut scenario = Scenario::cart(|header| header.content.requires_signing = Requirement::Required);
    scenario.checkout(CaptureMode::Automatic, HOLDS);
    scenario.wait(10).see("PAID");
    assert_eq!((scenario.session_status().as_str(), scenario.state()), ("COMPLETED", "PENDING_PAYMENT"));
    assert_eq!(scenario.act("sign"), "PROCESSING");
    assert_eq!(scenario.order.header.payment_proof, Some(PaymentProof::Session(scenario.the_session().id)));
    assert!(scenario.the_session().used);

    // Signed first, paid later.
    let mut scenario = Scenario::cart(|header| header.content.requires_signing = Requirement::Required);
    scenario.checkout(CaptureMode::Automatic, HOLDS);
    assert_eq!(scenario.act("sign"), "PENDING_PAYMENT");
    scenario.wait(10).see("PAID");
    assert_eq!(scenario.state(), "PROCESSING");

    // Signed when the money was gone again.
    let mut scenario = Scenario::cart(|header| header.content.requires_signing = Requirement::Required);
    scenario.checkout(CaptureMode::Automatic, HOLDS);
    scenario.wait(10).see("PAID");
    scenario.wait(10).see("DISPUTED CHARGEBACK");
    assert_eq!(scenario.act("sign"), "PENDING_PAYMENT");
    // And then it is the merchant's after all.
    scenario.wait(10).see("PAID");
    assert_eq!(scenario.state(), "PROCESSING");

    // Only asked for by hand.
    let mut scenario = Scenario::cart(|header| header.content.auto_submit = false);
    scenario.checkout(CaptureMode::Automatic, HOLDS);
    scenario.wait(10).see("PAID");
    assert_eq!((scenario.act("sign").as_str(), scenario.state()), ("PENDING_PAYMENT", "PENDING_PAYMENT"));
}

#[test]
fn a_signature_submits_no_cart_even_if_late_money_lies_on_it() {
    let mut scenario = Scenario::cart(|header| header.content.requires_signing = Requirement::Required);
    scenario.checkout(CaptureMode::Manual, HOLDS);
    for says in ["AUTHORIZED", "CANCELLED", "AUTHORIZED"] {
        scenario.wait(10).see(says);
    }
    assert_eq!((scenario.state(), scenario.attention().as_str()), ("PENDING", "LATE_PAYMENT"));
    assert_eq!(scenario.act("sign"), "PENDING");
}

#[test]
fn before_it_is_submitted_an_order_whose_money_is_gone_is_a_cart_again() {
    let table = "
        AUTHORIZED; CANCELLED          | PENDING
        AUTHORIZED; EXPIRED            | PENDING
        AUTHORIZED; REVERSED REVERSED  | PENDING
        PAID; REFUNDED                 | PENDING
        PAID; FROM_AMOUNTS refunded=40 | PENDING_PAYMENT
        PAID; DISPUTED CHARGEBACK      | PENDING_PAYMENT
    ";
    for row in rows(table) {
        let mut scenario = Scenario::cart(|header| header.content.auto_submit = false);
        scenario.checkout(CaptureMode::Manual, HOLDS);
        scenario.see_all(row[0]);
        assert_eq!((scenario.session_status().as_str(), scenario.state()), ("COMPLETED", row[1]), "{row:?}");
    }
}

#[test]
fn an_earlier_session_whose_money_went_back_does_not_unlock_the_order_from_a_newer_one() {
    let mut scenario = Scenario::cart(|header| header.content.auto_submit = false);
    scenario.checkout(CaptureMode::Automatic, HOLDS);
    let first = scenario.order.attempts[0].id;
    scenario.wait(10).see("PAID");
    scenario.wait(10).see("REFUNDED");
    scenario.wait(10).checkout(CaptureMode::Automatic, HOLDS);
    scenario.see_of(first, "REFUNDED");
    assert_eq!((scenario.session_status().as_str(), scenario.state()), ("PENDING", "PENDING_PAYMENT"));
    scenario.wait(10).see("PAID");
    scenario.see_of(first, "REFUNDED");
    assert_eq!((scenario.session_status().as_str(), scenario.state()), ("COMPLETED", "PENDING_PAYMENT"));
}

#[test]
fn an_order_that_nobody_touches_expires_unless_money_is_held_collected_or_uncertain() {
    let table = "
        # statements       | at its time     | a day later
                           | EXPIRED none    | EXPIRED none
        FAILED last        | EXPIRED none    | EXPIRED none
        PROCESSING         | PENDING_PAYMENT none | PENDING_PAYMENT none
        PAID               | PENDING_PAYMENT PAID_NOT_SUBMITTED | PENDING_PAYMENT PAID_NOT_SUBMITTED
        AUTHORIZED         | PENDING_PAYMENT PAID_NOT_SUBMITTED | PENDING_PAYMENT PAID_NOT_SUBMITTED
        PAID; REFUNDED     | EXPIRED none    | EXPIRED none
        FAILED last; PAID  | PENDING LATE_PAYMENT PAID_NOT_SUBMITTED | PENDING LATE_PAYMENT PAID_NOT_SUBMITTED
    ";
    for row in rows(table) {
        let mut scenario = Scenario::cart(|header| header.content.auto_submit = false);
        if !row[0].is_empty() {
            scenario.checkout(CaptureMode::Manual, HOLDS);
        }
        scenario.actor = Actor::Provider;
        for says in row[0].split(';').filter(|says| !says.is_empty()) {
            scenario.wait(10).see(says);
        }
        assert_eq!(scenario.act("expire"), scenario.state(), "nothing is due yet");
        assert!(!scenario.order.header.state.is_final());
        scenario.now = scenario.order.header.expires_at;
        for column in [1, 2] {
            scenario.act("expire");
            assert_eq!(format!("{} {}", scenario.state(), scenario.attention()), row[column], "{row:?}");
            scenario.wait(24 * 3_600);
        }
    }
}

#[test]
fn an_order_with_an_open_session_expires_after_the_provider_ended_it() {
    let mut scenario = Scenario::cart(|header| header.idle_seconds = 60);
    scenario.checkout(CaptureMode::Automatic, HOLDS);
    scenario.actor = Actor::Scheduler;
    scenario.now = at(3_599);
    assert_eq!(scenario.act("expire"), "PENDING_PAYMENT");
    assert!(scenario.payment().operation.is_none(), "never before the session's own time");
    scenario.now = at(3_600);
    scenario.act("expire");
    assert_eq!(scenario.payment().operation.as_ref().unwrap().kind, OperationKind::Close);
    scenario.wait(5).see("CANCELLED");
    assert_eq!((scenario.session_status().as_str(), scenario.state()), ("FAILED EXPIRED", "PENDING"));
    assert_eq!(scenario.act("expire"), "EXPIRED");
}

#[test]
fn only_the_merchant_keeps_an_order_from_expiring() {
    let mut scenario = Scenario::cart(|_| ());
    let week = Duration::from_secs(7 * 24 * 3_600);
    scenario.wait(100).act("sign");
    assert_eq!(scenario.order.header.expires_at, at(100).plus(week));
    scenario.checkout(CaptureMode::Automatic, HOLDS);
    scenario.actor = Actor::Provider;
    scenario.wait(100).see("FAILED last");
    assert_eq!(scenario.order.header.expires_at, at(100).plus(week));
}

#[test]
fn money_beside_the_proof_that_an_order_is_submitted_with_raises_attention() {
    let table = "
        # of a completed session       | another proof
        PAID                           | DUPLICATE_PAYMENT
        PAID; FROM_AMOUNTS refunded=40 | DUPLICATE_PAYMENT
        AUTHORIZED                     | DUPLICATE_PAYMENT
        PAID; REFUNDED                 | none
        AUTHORIZED; CANCELLED          | none
    ";
    for row in rows(table) {
        let mut scenario = Scenario::cart(|header| header.content.auto_submit = false);
        scenario.checkout(CaptureMode::Manual, HOLDS);
        scenario.see_all(row[0]);
        assert_eq!(scenario.submit(&external("r1")), "PROCESSING", "{row:?}");
        assert_eq!(scenario.attention(), row[1], "{row:?}");
    }
}
