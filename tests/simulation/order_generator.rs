//! What merchants sell, to whom and how: drawn orders and checkouts.

use std::time::Duration;

use paymux::domain::{LineItem, Metadata, PersonalData, Requirement, ReturnUrls, TaxRate};
use paymux::orders::Draft;
use paymux::payments::CheckoutRequest;
use port::{Address, Approach, CaptureMode, Customer, Env as _, ItemId, LinkDelivery};

use crate::world::World;

/// An order that is wanted. The first line's title is `mark`, so that nothing can be made twice unseen.
pub(crate) fn draft(world: &World, mark: &str) -> Draft {
    let rng = &world.rng;
    let mut items: Vec<LineItem> = (0..rng.between(1, 3)).map(|_| item(world)).collect();
    items[0].title = mark.to_owned();
    let signing =
        [Requirement::NotRequired, Requirement::NotRequired, Requirement::Optional, Requirement::Required];
    Draft {
        reference: rng.percent(50).then(|| mark.to_owned()),
        currency: rng.pick(&["EUR", "EUR", "EUR", "USD", "AED", "JPY", "KWD"]).parse().expect("a currency"),
        items,
        shipping: rng.pick(&[0, 0, 490]),
        tax_included: rng.percent(30),
        requires_signing: rng.pick(&signing),
        requires_approval: rng.percent(20),
        auto_submit: rng.percent(75),
        personal: personal(),
        idle_seconds: rng.between(600, 3 * 24 * 3_600),
    }
}

/// A line. Amounts end in a zero, so that most fit two decimals of a currency with three.
pub(crate) fn item(world: &World) -> LineItem {
    let rng = &world.rng;
    let unit_price = rng.minor(10, 2_000) * 10;
    LineItem {
        id: ItemId::from_uuid(world.clock.uuid()),
        sku: None,
        title: "Mug".to_owned(),
        quantity: rng.minor(1, 3),
        unit_price,
        tax_rate: rng.pick(&["0", "0", "25", "8.25"]).parse::<TaxRate>().expect("a tax rate"),
        discount: if rng.percent(15) { 50 } else { 0 },
        recurring: None,
    }
}

fn personal() -> PersonalData {
    let text = |text: &str| Some(text.to_owned());
    let customer = Customer {
        email: text("ann@example.test"),
        first_name: text("Ann"),
        last_name: text("Ex"),
        ..Customer::default()
    };
    let address = Address {
        name: text("Ann Ex"),
        line1: text("Street 1"),
        city: text("Riga"),
        country: text("LV"),
        ..Address::default()
    };
    PersonalData { customer, billing_address: Some(address), ..PersonalData::default() }
}

/// A checkout that is wanted.
pub(crate) fn checkout(world: &World) -> CheckoutRequest {
    let rng = &world.rng;
    let approach =
        rng.pick(&[Approach::Hosted, Approach::Hosted, Approach::Hosted, Approach::Link, Approach::Embedded]);
    let manual = rng.percent(30);
    let url = |path: &str| Some(format!("http://shop.test/{path}"));
    let lives = if rng.percent(85) { rng.between(300, 7_200) } else { rng.between(7_200, 3 * 24 * 3_600) };
    CheckoutRequest {
        approach,
        capture: if manual { CaptureMode::Manual } else { CaptureMode::Automatic },
        return_urls: ReturnUrls {
            success: url("paid"),
            in_progress: url("wait"),
            failure: url("sorry"),
            cancel: None,
        },
        link_delivery: LinkDelivery { email: approach == Approach::Link && rng.percent(30), sms: false },
        expires_in: Duration::from_secs(lives),
        language: None,
        save_payment_profile: None,
        payment_profile_id: None,
        charge: false,
        account: rng
            .percent(40)
            .then(|| rng.pick(&["telness-demo", "paymennt-demo", "decta-demo"]).to_owned()),
        metadata: Metadata::new(),
    }
}

/// A hosted checkout at an account.
pub(crate) fn checkout_at(world: &World, account: &str, capture: CaptureMode) -> CheckoutRequest {
    CheckoutRequest {
        approach: Approach::Hosted,
        capture,
        link_delivery: LinkDelivery::default(),
        account: Some(account.to_owned()),
        ..checkout(world)
    }
}
