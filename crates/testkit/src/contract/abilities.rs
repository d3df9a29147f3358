//! An adapter can do exactly what its capabilities say.

use paymux_port::{
    Approach, CancelSupport, CaptureMode, CaptureSupport, Lookup, Money, ProviderError, RefundSupport,
};

use super::{Rule, RuleResult, Subject, every, must, some};
use crate::world::{checkout, currency};
use crate::{Operation, World};

pub(super) const RULES: &[Rule] = &[
    every("what it says it can, it can; what it says it cannot, it cannot", shows_what_it_claims),
    every("each approach, capture and delivery it offers has a recorded start", starts_are_recorded),
    every("a start gives the customer what the approach needs", starts_lead_somewhere),
    every("what it closes and gives back is what its recordings show", ends_are_recorded),
    every("what only reads sends nothing but reads", reads_only_read),
    some(
        "an amount that its wire cannot carry never leaves",
        |subject| subject.about.capabilities.currencies.max_decimals < 4,
        inexact_amounts_stay,
    ),
];

/// Whether the capabilities of an adapter include an operation.
fn offers(subject: &Subject, operation: Operation) -> bool {
    let capabilities = &subject.about.capabilities;
    match operation {
        Operation::Find => capabilities.lookup == Lookup::ByMerchantReference,
        Operation::Capture => capabilities.capture != CaptureSupport::Automatic,
        Operation::Cancel => capabilities.cancel != CancelSupport::None,
        Operation::Refund => capabilities.refund != RefundSupport::None,
        Operation::Submit => capabilities.submits_order,
        Operation::Create | Operation::Fetch | Operation::Notification => true,
        Operation::ProfileCreate | Operation::ProfileFetch | Operation::ProfileCancel => {
            capabilities.vault.is_some_and(|vault| !vault.approaches.is_empty())
        }
        Operation::ProfileList => capabilities.vault.is_some_and(|vault| vault.lists),
        Operation::ProfileStored => capabilities.vault.is_some_and(|vault| !vault.lists),
        Operation::ProfileCharge => capabilities.charges(),
        Operation::ProfileDetach => capabilities.vault.is_some_and(|vault| vault.detaches),
    }
}

fn shows_what_it_claims(subject: &Subject) -> RuleResult {
    for (operation, name) in Operation::ALL {
        if operation == Operation::Notification {
            continue;
        }
        if offers(subject, operation) {
            must(subject.working(operation).next().is_some(), || {
                format!("no recording shows {name} working")
            })?;
            for recording in subject.working(operation) {
                let played =
                    World::of(&recording.options).play(subject.about, operation, recording.answers());
                must(!played.failed(), || {
                    format!("{name} fails in {}: {:?}", recording.file, played.error())
                })?;
            }
        } else {
            let played = World::usual(operation).play(subject.about, operation, Vec::new());
            let unsupported = matches!(played.error(), Some(ProviderError::Unsupported(_)));
            must(unsupported && played.calls.is_empty(), || {
                format!("{name} is not among its capabilities, but ends in {:?}", played.end)
            })?;
            let recorded = subject.working(operation).next();
            must(recorded.is_none(), || format!("{name} is not among its capabilities, but recorded"))?;
        }
    }
    Ok(())
}

fn starts_are_recorded(subject: &Subject) -> RuleResult {
    let capabilities = &subject.about.capabilities;
    for approach in capabilities.approaches {
        let recorded =
            subject.working(Operation::Create).any(|recording| recording.options.approach == *approach);
        must(recorded, || format!("no start is recorded for {approach:?}"))?;
    }
    for approach in capabilities.vault.map(|vault| vault.approaches).unwrap_or_default() {
        let recorded = subject
            .working(Operation::ProfileCreate)
            .any(|recording| recording.options.approach == *approach);
        must(recorded, || {
            format!("no start of a session that stores a method is recorded for {approach:?}")
        })?;
    }
    let sent = subject.working(Operation::Create).any(|recording| recording.options.notify.any());
    must(sent == capabilities.delivers_links, || {
        format!("a link that the provider sends is recorded: {sent}; it says {}", capabilities.delivers_links)
    })?;
    let restricted =
        subject.working(Operation::Create).any(|recording| !recording.options.methods.is_empty());
    must(restricted != capabilities.restricts_to.is_empty(), || {
        format!("a page restricted to some methods is recorded: {restricted}; it says otherwise")
    })?;
    let limited = subject.working(Operation::Create).any(|recording| recording.options.tries.is_some());
    must(limited == capabilities.limits_attempts, || {
        format!("a limit of tries is recorded: {limited}; it says {}", capabilities.limits_attempts)
    })?;
    let manual =
        subject.working(Operation::Create).any(|recording| recording.options.capture == CaptureMode::Manual);
    must(manual == (capabilities.capture != CaptureSupport::Automatic), || {
        format!("manual capture is recorded: {manual}; it says {:?}", capabilities.capture)
    })
}

fn starts_lead_somewhere(subject: &Subject) -> RuleResult {
    for recording in subject.working(Operation::Create) {
        let needed = if recording.options.approach == Approach::Embedded { "widget " } else { "page " };
        let led = recording.expected.iter().any(|fact| fact.starts_with(needed));
        must(led, || format!("{} ends without a {needed}", recording.file))?;
    }
    Ok(())
}

fn ends_are_recorded(subject: &Subject) -> RuleResult {
    let capabilities = &subject.about.capabilities;
    let closes = |mode| subject.working(Operation::Cancel).any(|recording| recording.options.capture == mode);
    let (unpaid, authorized) = (closes(CaptureMode::Automatic), closes(CaptureMode::Manual));
    must(
        (unpaid, authorized)
            == (capabilities.cancel.cancels_checkout(), capabilities.cancel.voids_authorization()),
        || {
            format!(
                "recorded are cancels of an unpaid page: {unpaid}, of an authorization (MANUAL): {authorized}; it says {:?}",
                capabilities.cancel
            )
        },
    )?;
    let part = subject.working(Operation::Refund).any(|recording| {
        let world = World::of(&recording.options);
        world.refund.money.minor < world.attempt.money.minor
    });
    must(part == (capabilities.refund == RefundSupport::Partial), || {
        format!("a partial refund is recorded: {part}; it says {:?}", capabilities.refund)
    })
}

fn reads_only_read(subject: &Subject) -> RuleResult {
    for recording in subject.recordings.iter().filter(|recording| recording.operation.only_reads()) {
        let played =
            World::of(&recording.options).play(subject.about, recording.operation, recording.answers());
        let wrote = played.calls.iter().find(|http_request| !http_request.reads_only());
        must(wrote.is_none(), || format!("{} writes: {wrote:?}", recording.file))?;
    }
    Ok(())
}

fn inexact_amounts_stay(subject: &Subject) -> RuleResult {
    let capabilities = &subject.about.capabilities;
    for (code, minor) in [("KWD", 1234), ("BHD", 1001), ("CLF", 12345)] {
        let money = Money::new(minor, currency(code));
        if capabilities.currencies.only.contains(&code) || capabilities.currencies.only.is_empty() {
            inexact_amount_stays(subject, money)?;
        }
    }
    Ok(())
}

fn inexact_amount_stays(subject: &Subject, money: Money) -> RuleResult {
    must(subject.about.capabilities.currencies.ineligible_because(money).is_some(), || {
        format!("it does not refuse {money}")
    })?;
    for operation in [Operation::Create, Operation::Capture, Operation::Refund] {
        let mut world = World::usual(operation);
        world.attempt.money = money;
        world.request = checkout(money);
        (world.captured, world.refund.money) = (money, money);
        let played = world.play(subject.about, operation, Vec::new());
        must(played.failed() && played.calls.is_empty(), || {
            format!("{operation:?} of {money} sends {:?} and ends in {:?}", played.calls, played.end)
        })?;
    }
    Ok(())
}
