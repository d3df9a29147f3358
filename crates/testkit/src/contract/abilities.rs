//! What an adapter says it can, it can; what it says it cannot, it cannot.

use paymux_port::{
    Approach, CancelSupport, CaptureMode, CaptureSupport, Lookup, Money, ProviderError, RefundSupport,
};

use super::{AdapterUnderTest, Rule, Verdict, every, must, some};
use crate::world::{checkout, currency};
use crate::{Operation, Setup};

pub(super) const RULES: &[Rule] = &[
    every("what it says it can, it can; what it says it cannot, it cannot", keeps_its_word),
    every("each approach, capture and delivery it offers has a recorded start", starts_are_recorded),
    every("a start gives the customer what the approach needs", starts_lead_somewhere),
    every("what it closes and gives back is what its recordings show", ends_are_recorded),
    every("what only reads sends nothing but reads", reads_only_read),
    some(
        "an amount that its wire cannot carry never leaves",
        |adapter| adapter.about.capabilities.currencies.max_decimals < 4,
        inexact_amounts_stay,
    ),
];

/// Whether an adapter offers an operation; for stored methods, what is not recorded may also be unsupported.
fn offers(adapter: &AdapterUnderTest, operation: Operation) -> bool {
    let capabilities = &adapter.about.capabilities;
    match operation {
        Operation::Find => capabilities.lookup == Lookup::ByMerchantReference,
        Operation::Capture => capabilities.capture != CaptureSupport::Automatic,
        Operation::Cancel => capabilities.cancel != CancelSupport::None,
        Operation::Refund => capabilities.refund != RefundSupport::None,
        Operation::HandOver => adapter.provider().submits_order(),
        Operation::Begin | Operation::Fetch | Operation::Note => true,
        _ => adapter.provider().vault().is_some() && adapter.working(operation).next().is_some(),
    }
}

fn keeps_its_word(adapter: &AdapterUnderTest) -> Verdict {
    for (operation, word) in Operation::ALL {
        if operation == Operation::Note {
            continue;
        }
        if offers(adapter, operation) {
            must(adapter.working(operation).next().is_some(), || {
                format!("no recording shows {word} working")
            })?;
            for recording in adapter.working(operation) {
                let run = Setup::of(&recording.input).play(adapter.about, operation, recording.answers());
                must(!run.failed(), || format!("{word} fails in {}: {:?}", recording.file, run.error()))?;
            }
        } else {
            let run = Setup::usual(operation).play(adapter.about, operation, Vec::new());
            let unsupported = matches!(run.error(), Some(ProviderError::Unsupported(_)));
            let says_so = (unsupported || operation == Operation::HandOver) && run.calls.is_empty();
            must(says_so, || format!("{word} is not among its abilities, but ends in {:?}", run.result))?;
            let recorded = adapter.working(operation).next();
            must(recorded.is_none(), || format!("{word} is not among its abilities, but recorded"))?;
        }
    }
    Ok(())
}

fn starts_are_recorded(adapter: &AdapterUnderTest) -> Verdict {
    let capabilities = &adapter.about.capabilities;
    for approach in capabilities.approaches {
        let recorded =
            adapter.working(Operation::Begin).any(|recording| recording.input.approach == *approach);
        must(recorded, || format!("no start is recorded for {approach:?}"))?;
    }
    let told = adapter.working(Operation::Begin).any(|recording| recording.input.link_delivery.any());
    must(told == capabilities.delivers_links, || {
        format!("a link that the provider sends is recorded: {told}; it says {}", capabilities.delivers_links)
    })?;
    let by_hand =
        adapter.working(Operation::Begin).any(|recording| recording.input.capture == CaptureMode::Manual);
    must(by_hand == (capabilities.capture != CaptureSupport::Automatic), || {
        format!("capture by hand is recorded: {by_hand}; it says {:?}", capabilities.capture)
    })
}

fn starts_lead_somewhere(adapter: &AdapterUnderTest) -> Verdict {
    for recording in adapter.working(Operation::Begin) {
        let needed = if recording.input.approach == Approach::Embedded { "widget " } else { "page " };
        let led = recording.expected.iter().any(|fact| fact.starts_with(needed));
        must(led, || format!("{} ends without a {needed}", recording.file))?;
    }
    Ok(())
}

fn ends_are_recorded(adapter: &AdapterUnderTest) -> Verdict {
    let capabilities = &adapter.about.capabilities;
    let closes = |mode| adapter.working(Operation::Cancel).any(|recording| recording.input.capture == mode);
    let (unpaid, hold) = (closes(CaptureMode::Automatic), closes(CaptureMode::Manual));
    must(
        (unpaid, hold) == (capabilities.cancel.cancels_checkout(), capabilities.cancel.voids_authorization()),
        || {
            format!(
                "recorded are cancels of an unpaid page: {unpaid}, of a hold (MANUAL): {hold}; it says {:?}",
                capabilities.cancel
            )
        },
    )?;
    let part = adapter.working(Operation::Refund).any(|recording| {
        let setup = Setup::of(&recording.input);
        setup.refund.money.minor < setup.attempt.money.minor
    });
    must(part == (capabilities.refund == RefundSupport::Partial), || {
        format!("a partial refund is recorded: {part}; it says {:?}", capabilities.refund)
    })
}

fn reads_only_read(adapter: &AdapterUnderTest) -> Verdict {
    for recording in adapter.recordings.iter().filter(|recording| recording.operation.only_reads()) {
        let run = Setup::of(&recording.input).play(adapter.about, recording.operation, recording.answers());
        let wrote = run.calls.iter().find(|call| !call.reads_only);
        must(wrote.is_none(), || format!("{} writes: {wrote:?}", recording.file))?;
    }
    Ok(())
}

fn inexact_amounts_stay(adapter: &AdapterUnderTest) -> Verdict {
    let capabilities = &adapter.about.capabilities;
    for (code, minor) in [("KWD", 1234), ("BHD", 1001), ("CLF", 12345)] {
        let money = Money::new(minor, currency(code));
        if capabilities.currencies.only.contains(&code) || capabilities.currencies.only.is_empty() {
            inexact_amount_stays(adapter, money)?;
        }
    }
    Ok(())
}

fn inexact_amount_stays(adapter: &AdapterUnderTest, money: Money) -> Verdict {
    must(adapter.about.capabilities.currencies.ineligible_because(money).is_some(), || {
        format!("it does not object to {money}")
    })?;
    for operation in [Operation::Begin, Operation::Capture, Operation::Refund] {
        let mut setup = Setup::usual(operation);
        setup.attempt.money = money;
        setup.request = checkout(money);
        (setup.captured, setup.refund.money) = (money, money);
        let run = setup.play(adapter.about, operation, Vec::new());
        must(run.failed() && run.calls.is_empty(), || {
            format!("{operation:?} of {money} sends {:?} and ends in {:?}", run.calls, run.result)
        })?;
    }
    Ok(())
}
