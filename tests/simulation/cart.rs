//! What merchants sell, to whom and how: drawn orders and checkouts.

use std::time::Duration;

use paymux::domain::{LineItem, Metadata, PersonalData, Requirement, ReturnUrls, TaxRate};
use paymux::orders::NewOrder;
use paymux::payments::CheckoutRequest;
use port::{Address, Approach, CaptureMode, Customer, Env as _, ItemId, LinkDelivery, PaymentMethodType};

use crate::world::World;

/// An order that is wanted. The first line's title is `mark`, so that nothing can be made twice unseen.
pub(crate) fn new_order(world: &World, mark: &str) -> NewOrder {
    let random = &world.random;
    let mut items: Vec<LineItem> = (0..random.between(1, 3)).map(|_| item(world)).collect();
    items[0].title = mark.to_owned();
    let signing =
        [Requirement::NotRequired, Requirement::NotRequired, Requirement::Optional, Requirement::Required];
    NewOrder {
        reference: random.percent(50).then(|| mark.to_owned()),
        currency: random
            .pick(&["EUR", "EUR", "EUR", "USD", "AED", "JPY", "KWD"])
            .parse()
            .expect("a currency"),
        items,
        shipping: random.pick(&[0, 0, 490]),
        tax_included: random.percent(30),
        requires_signing: random.pick(&signing),
        requires_approval: random.percent(20),
        payment_optional: random.percent(10),
        profile_required: random.percent(10),
        auto_submit: random.percent(75),
        personal: personal(),
        idle_seconds: random.between(600, 3 * 24 * 3_600),
    }
}

/// A line. Amounts end in a zero, so that most fit two decimals of a currency with three.
pub(crate) fn item(world: &World) -> LineItem {
    let random = &world.random;
    let unit_price = random.minor(10, 2_000) * 10;
    LineItem {
        id: ItemId::from_uuid(world.clock.uuid()),
        sku: None,
        title: "Mug".to_owned(),
        quantity: random.minor(1, 3),
        unit_price,
        tax_rate: random.pick(&["0", "0", "25", "8.25"]).parse::<TaxRate>().expect("a tax rate"),
        discount: if random.percent(15) { 50 } else { 0 },
        recurring: None,
    }
}

fn personal() -> PersonalData {
    let text = |text: &str| Some(text.to_owned());
    let customer = Customer {
        id: text("customer-1"),
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
    let random = &world.random;
    let approach = random.pick(&[
        Approach::Hosted,
        Approach::Hosted,
        Approach::Hosted,
        Approach::Link,
        Approach::Embedded,
    ]);
    let manual = random.percent(30);
    let url = |path: &str| Some(format!("http://shop.test/{path}"));
    let lives =
        if random.percent(85) { random.between(300, 7_200) } else { random.between(7_200, 3 * 24 * 3_600) };
    CheckoutRequest {
        approach,
        capture: if manual { CaptureMode::Manual } else { CaptureMode::Automatic },
        return_urls: ReturnUrls {
            success: url("paid"),
            in_progress: url("wait"),
            failure: url("sorry"),
            cancel: None,
        },
        link_delivery: LinkDelivery { email: approach == Approach::Link && random.percent(30), sms: false },
        expires_in: Duration::from_secs(lives),
        language: None,
        payment_methods: if random.percent(15) { vec![PaymentMethodType::Card] } else { Vec::new() },
        max_attempts: random.percent(20).then(|| random.pick(&[1, 2, 5])),
        save_payment_profile: random.percent(10).then_some(true),
        payment_profile_id: None,
        charge: false,
        account: random
            .percent(40)
            .then(|| random.pick(&["telness-demo", "paymennt-demo", "decta-demo"]).to_owned()),
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
