//! Recurring work beside the requests, and what an operator erases.

use std::time::Duration;

use paymux::audit::{Erased, ErasureTarget, erase};
use paymux::jobs::Recurring;
use tokio::time::timeout;

use super::gateway::PATIENCE;
use super::{Gateway, id};

/// How often it looks at the clock.
const CLOCK_INTERVAL: Duration = Duration::from_secs(60);

const DAY: Duration = Duration::from_secs(24 * 3_600);

#[tokio::test]
async fn a_checkpoint_is_made_every_hour_over_what_was_changed_since() {
    let gateway = Gateway::start().await;
    let mut recurring = Recurring::new(gateway.orders.payments.engine.clone(), DAY, DAY);
    for (seconds, made) in [(0, 1), (3_599, 1), (1, 2)] {
        gateway.priced_order().await;
        gateway.clock.pass(Duration::from_secs(seconds));
        recurring.run_once().await;
        assert_eq!(gateway.store.checkpoints(0, 9).await.unwrap().len(), made, "{seconds} s later");
    }
}

#[tokio::test]
async fn what_is_due_stays_due_though_the_clock_is_set_back_while_the_gateway_runs() {
    let gateway = Gateway::start().await;
    gateway.session().await;
    let engine = gateway.orders.payments.engine.clone();
    let recurring = tokio::spawn(Recurring::new(engine.clone(), DAY, CLOCK_INTERVAL).run());
    let is_waiting = async {
        while !engine.metrics.render().contains("prune_inbox") {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, is_waiting).await.expect("it has done what was due");
    gateway.clock.set_back(DAY);
    tokio::time::pause();
    tokio::time::sleep(2 * CLOCK_INTERVAL).await;
    recurring.abort();
    tokio::time::resume();
    gateway.clock.pass(Duration::from_secs(8));
    let is_read = async {
        while gateway.provider.reads() == 0 {
            gateway.run_jobs().await;
        }
    };
    timeout(PATIENCE, is_read).await.expect("the payment is read as soon as it would have been");
}

#[tokio::test]
async fn nobody_is_erased_in_the_name_of_another_merchant() {
    let gateway = Gateway::start().await;
    let order = gateway.priced_order().await;
    gateway.post(&format!("/v1/orders/{}/cancel", id(&order))).await_it().await.expect(200);
    let engine = &gateway.orders.payments.engine;
    let email = order["customer"]["email"].as_str().unwrap().to_owned();
    let named = [
        ErasureTarget::Order(id(&order).parse().unwrap()),
        ErasureTarget::Customer("c-1".to_owned()),
        ErasureTarget::Email(email),
    ];
    for target in &named {
        assert_eq!(erase(engine, "other", target, None).await, Ok(Erased::default()));
    }
    let path = format!("/v1/orders/{}", id(&order));
    assert_eq!(gateway.get(&path).await.expect(200)["customer"], order["customer"]);
    assert_eq!(erase(engine, "shop", &named[0], None).await.unwrap().orders.len(), 1);
}
