//! A `Debug` that shows no field, for what must not reach a log: personal data, the texts that open a page, what charges
//! a card.

/// Writes `Debug` for types, each as its name.
macro_rules! hidden {
    ($($name:ident),+) => {
        $(impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(hidden)"))
            }
        })+
    };
}
pub(crate) use hidden;

#[cfg(test)]
mod tests {
    use crate::{RedirectUrls, StoredProfile};

    #[test]
    fn what_opens_a_page_or_charges_a_card_is_not_shown() {
        let urls = RedirectUrls { success: "https://pay.test/r/token".to_owned(), ..RedirectUrls::default() };
        let stored = StoredProfile {
            reference: "card-1".to_owned(),
            provider_status: None,
            kind: "CARD".to_owned(),
            display_name: Some("Visa 4242".to_owned()),
            expires_on: None,
        };
        assert_eq!(format!("{urls:?} {stored:?}"), "RedirectUrls(hidden) StoredProfile(hidden)");
    }
}
