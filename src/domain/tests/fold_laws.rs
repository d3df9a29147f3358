//! What must hold for any observations, in any order: the laws of the fold.

use proptest::prelude::*;

use super::*;

const STATUSES: [PaymentStatus; 11] = [
    PaymentStatus::Pending,
    PaymentStatus::RequiresAction,
    PaymentStatus::Processing,
    PaymentStatus::Authorized,
    PaymentStatus::Paid,
    PaymentStatus::PartiallyRefunded,
    PaymentStatus::Refunded,
    PaymentStatus::Failed,
    PaymentStatus::Cancelled,
    PaymentStatus::Expired,
    PaymentStatus::Disputed,
];

const STAGES: [DisputeStage; 4] =
    [DisputeStage::Retrieval, DisputeStage::Chargeback, DisputeStage::Arbitration, DisputeStage::GoodFaith];

/// What a table's row may say, with the detail and the stage that go with it.
fn a_statement() -> impl Strategy<Value = Observation> {
    let status = (0..STATUSES.len(), 0..STAGES.len()).prop_map(|(status, stage)| {
        let disputed = STATUSES[status] == PaymentStatus::Disputed;
        let meaning = StatusMapping::Status(STATUSES[status]);
        Observation { meaning, stage: disputed.then_some(STAGES[stage]), ..seen("PENDING", at(0)) }
    });
    let detailed = prop_oneof![
        Just("FROM_AMOUNTS"),
        Just("FROM_AMOUNTS REFUND_FAILED"),
        Just("FROM_AMOUNTS REFUND_REVERSED"),
        Just("REVERSED REVERSED"),
        Just("UNCHANGED REFUND_PENDING"),
        Just("UNCHANGED"),
    ];
    prop_oneof![2 => status, 1 => detailed.prop_map(|says| seen(says, at(0)))]
}

fn an_amount() -> impl Strategy<Value = Option<Money>> {
    prop_oneof![
        3 => Just(None),
        2 => (0i64..=4).prop_map(|quarters| Some(eur(quarters * 25))),
        1 => (-10i64..=120).prop_map(|minor| Some(eur(minor))),
    ]
}

/// Any observation, at one of few moments, so that ties are common.
fn an_observation() -> impl Strategy<Value = Observation> {
    let amounts = (an_amount(), an_amount(), an_amount(), an_amount());
    (a_statement(), any::<bool>(), amounts, 0i64..12).prop_map(|(stated, last, amounts, place)| {
        let (authorized, captured, refunded, disputed) = amounts;
        let verbatim = format!("{:?} {:?} {last}", stated.meaning, stated.detail);
        Observation {
            terminal: last,
            authorized,
            captured,
            refunded,
            disputed,
            provider_status: ProviderStatus::new("order", verbatim),
            as_of: at(place),
            ..stated
        }
    })
}

fn some_terms() -> impl Strategy<Value = FoldTerms> {
    let requested = prop_oneof![2 => Just(None), 1 => (1i64..=100).prop_map(Some)];
    (any::<bool>(), any::<bool>(), requested).prop_map(|(authorizes, one_capture, capture_requested)| {
        FoldTerms { amount: 100, authorizes, one_capture, capture_requested }
    })
}

/// What a set of observations says together, folded from the left.
fn folded<'a>(set: impl IntoIterator<Item = &'a Observation>, terms: FoldTerms) -> PaymentState {
    let stated = set.into_iter().filter_map(|seen| PaymentState::of(seen, terms).ok());
    stated.fold(PaymentState::default(), |all, one| all.join(&one))
}

/// The same observations twice, shuffled.
fn a_set_and_its_shuffle() -> impl Strategy<Value = (Vec<Observation>, Vec<Observation>)> {
    prop::collection::vec(an_observation(), 0..9).prop_flat_map(|set| {
        let twice: Vec<_> = set.iter().chain(&set).cloned().collect();
        (Just(set), Just(twice).prop_shuffle())
    })
}

fn is_money(status: PaymentStatus) -> bool {
    use PaymentStatus::{Authorized, Disputed, Paid, PartiallyRefunded, Refunded};
    matches!(status, Authorized | Paid | PartiallyRefunded | Refunded | Disputed)
}

fn within(state: &PaymentState, terms: FoldTerms) -> bool {
    let (held, taken, back) = (state.authorized, state.captured, state.refunded());
    0 <= back && back <= taken && taken <= 100 && held <= 100 && (!terms.authorizes || taken <= held)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn neither_order_nor_repeats_matter((set, shuffled) in a_set_and_its_shuffle(), terms in some_terms()) {
        prop_assert_eq!(folded(&set, terms), folded(&shuffled, terms));
    }

    #[test]
    fn a_join_is_commutative_associative_and_idempotent(
        a in prop::collection::vec(an_observation(), 0..4),
        b in prop::collection::vec(an_observation(), 0..4),
        c in prop::collection::vec(an_observation(), 0..4),
        terms in some_terms(),
    ) {
        let (a, b, c) = (folded(&a, terms), folded(&b, terms), folded(&c, terms));
        prop_assert_eq!(a.join(&b), b.join(&a));
        prop_assert_eq!(a.join(&b).join(&c), a.join(&b.join(&c)));
        prop_assert_eq!(a.join(&a), a);
    }

    #[test]
    fn amounts_stay_within_bounds(set in prop::collection::vec(an_observation(), 0..9), terms in some_terms()) {
        for end in 0..=set.len() {
            let state = folded(&set[..end], terms);
            prop_assert!(within(&state, terms), "{state:?}");
            prop_assert!((0..=100).contains(&state.disputed()));
            prop_assert!((0..=100).contains(&state.capturable()));
        }
    }

    #[test]
    fn what_was_held_or_taken_never_shrinks(
        set in prop::collection::vec(an_observation(), 0..9),
        more in an_observation(),
        terms in some_terms(),
    ) {
        let before = folded(&set, terms);
        let after = before.join(&folded([&more], terms));
        prop_assert!(after.authorized >= before.authorized && after.captured >= before.captured);
        let lowers = matches!(more.detail, Some(Detail::RefundFailed | Detail::RefundReversed));
        prop_assert!(lowers || after.refunded() >= before.refunded());
    }

    #[test]
    fn a_weaker_status_never_takes_money_back(
        set in prop::collection::vec(an_observation(), 0..9),
        weak in an_observation(),
        terms in some_terms(),
    ) {
        use PaymentStatus::{Cancelled, Expired, Failed, Pending, Processing, RequiresAction};
        let before = folded(&set, terms);
        let says = [Pending, RequiresAction, Processing, Failed, Cancelled, Expired];
        for status in says {
            let ends_authorization = matches!(status, Cancelled | Expired);
            let weak = Observation { meaning: StatusMapping::Status(status), detail: None, stage: None, ..weak.clone() };
            let refunded = None;
            let after = before.join(&folded([&Observation { refunded, ..weak }], terms));
            if is_money(before.status()) && (!ends_authorization || before.captured > 0) {
                prop_assert_eq!(shown(&after), shown(&before), "after {:?}", status);
            }
        }
    }

    #[test]
    fn a_statement_that_says_nothing_of_money_changes_nothing(place in 0i64..12, terms in some_terms()) {
        for says in ["UNMAPPED", "UNCHANGED", "UNCHANGED REVERSAL_PENDING", "UNCHANGED REVERSAL_FAILED", "UNCHANGED TEST"] {
            prop_assert_eq!(PaymentState::of(&seen(says, at(place)), terms), Ok(PaymentState::default()));
        }
    }
}

fn a_checkout() -> impl Strategy<Value = (CaptureMode, PaymentCapabilities)> {
    let capture = prop_oneof![Just(CaptureMode::Automatic), Just(CaptureMode::Manual)];
    (capture, prop_oneof![Just(HOLDS), Just(HOLDS_FOR_MANY), Just(TAKES)])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// `Scenario::record` checks bounds, sequences, the replay and the sums of refunds after every step.
    #[test]
    fn whatever_is_seen_the_order_keeps_its_laws_and_a_repeat_changes_nothing(
        (capture, capabilities) in a_checkout(),
        set in prop::collection::vec(an_observation(), 0..9),
    ) {
        let mut scenario = Scenario::session(capture, capabilities);
        let attempt = scenario.order.attempts[0].id;
        for seen in &set {
            scenario.wait(60).observe(attempt, seen);
            let once = scenario.order.clone();
            prop_assert_eq!(scenario.wait(60).observe(attempt, seen), 0);
            prop_assert_eq!(&once, &scenario.order);
        }
    }

    /// What makes no event has changed nothing but moments: not the status, no amount, no dispute.
    #[test]
    fn the_order_keeps_the_join_of_what_was_recorded_and_the_rest_was_no_news(
        (capture, capabilities) in a_checkout(),
        set in prop::collection::vec(an_observation(), 0..9),
    ) {
        let mut scenario = Scenario::session(capture, capabilities);
        let attempt = scenario.order.attempts[0].id;
        for seen in &set {
            let before = scenario.payment().state.clone();
            let joined = before.join(&folded([seen], scenario.payment().terms()));
            scenario.observe(attempt, seen);
            let after = &scenario.payment().state;
            if *after != joined {
                prop_assert_eq!(after, &before);
                prop_assert_eq!(shown(&joined), shown(&before));
                prop_assert_eq!(joined.disputed(), before.disputed());
            }
        }
    }

    /// Reads of a payment go out one after the other. A repeat of an old one changes nothing, at any time.
    #[test]
    fn observations_in_the_order_of_their_moments_end_as_the_laws_say_whatever_repeats_come_between(
        (capture, capabilities) in a_checkout(),
        set in prop::collection::vec(an_observation(), 1..9),
        repeats in prop::collection::vec(any::<prop::sample::Index>(), 9),
    ) {
        let mut scenario = Scenario::session(capture, capabilities);
        let attempt = scenario.order.attempts[0].id;
        let terms = scenario.payment().terms();
        let places = (0..).map(|step| at(step * 10));
        let set: Vec<_> = set.into_iter().zip(places).map(|(seen, as_of)| Observation { as_of, ..seen }).collect();
        for (end, repeat) in (1..=set.len()).zip(&repeats) {
            scenario.observe(attempt, &set[end - 1]);
            let before = scenario.order.clone();
            scenario.observe(attempt, repeat.get(&set[..end]));
            prop_assert_eq!(&before, &scenario.order);
            prop_assert_eq!(scenario.payment_state(), shown(&folded(&set[..end], terms)));
        }
    }

    #[test]
    fn late_money_is_kept_and_flagged(
        (capture, capabilities) in a_checkout(),
        end in prop_oneof![Just("FAILED last"), Just("CANCELLED"), Just("EXPIRED")],
        money in prop_oneof![Just("PAID"), Just("PARTIALLY_REFUNDED refunded=40"), Just("DISPUTED CHARGEBACK")],
        earlier in any::<bool>(),
    ) {
        let mut scenario = Scenario::session(capture, capabilities);
        let attempt = scenario.order.attempts[0].id;
        scenario.wait(100).see(end);
        let session = scenario.session_status();
        prop_assert!(session.starts_with("FAILED"));
        let as_of = if earlier { at(50) } else { at(150) };
        scenario.wait(100).observe(attempt, &seen(money, as_of));
        prop_assert!(scenario.payment().state.holds_money());
        prop_assert!(scenario.attention().contains("LATE_PAYMENT"), "{}", scenario.attention());
        prop_assert_eq!((scenario.session_status(), scenario.state()), (session, "PENDING"));
    }
}
