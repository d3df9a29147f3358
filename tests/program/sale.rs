//! One checkout, with the names of everything that belongs to it.

use serde_json::{Value, json};

use super::shop::{Answer, Shop};

/// A checkout that was opened.
#[derive(Clone)]
pub struct Sale {
    pub order: String,
    pub session: String,
    pub payment: String,
    /// Where the customer pays.
    pub page: String,
    pub provider: String,
    /// The provider's name for its object.
    pub object: String,
}

impl Sale {
    /// Opens a checkout.
    pub async fn opened(shop: &Shop, key: &str, body: &Value) -> Self {
        let made = shop.send("/v1/checkouts", key, body).await;
        assert_eq!(made.status, 201, "{}", made.text);
        let (order, session) = (&made.body()["order"], &made.body()["session"]);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Self {
            order: text(&order["id"]),
            session: text(&session["id"]),
            payment: text(&session["paymentId"]),
            page: text(&session["checkoutUrl"]),
            provider: text(&session["provider"]),
            object: text(&session["providerReference"]),
        }
    }

    /// Opens a checkout, whose customer pays.
    pub async fn paid(shop: &Shop, key: &str, body: &Value) -> Self {
        let sale = Self::opened(shop, key, body).await;
        shop.pay(&sale.page).await;
        shop.until(&sale.order, |order| order["state"] == "PROCESSING").await;
        sale
    }

    /// Captures, voids or refunds, with a key of this payment's own.
    pub async fn operate(&self, shop: &Shop, what: &str, key: &str, body: Value) -> Answer {
        let path = format!("/v1/payments/{}/{what}", self.payment);
        shop.send(&path, &format!("{key}-{}", self.payment), &body).await
    }

    /// The payment, once it is as it should be.
    pub async fn until(&self, shop: &Shop, done: impl Fn(&Value) -> bool) -> Value {
        shop.until_at(&format!("/v1/payments/{}", self.payment), done).await
    }

    /// Sets its provider status.
    pub async fn says(&self, shop: &Shop, status: &str) {
        let body = json!({"provider": self.provider, "id": self.object, "word": status});
        assert_eq!(shop.control("advance", &body).await, 200, "{status}");
    }
}
