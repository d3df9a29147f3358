//! Exact arithmetic on the wires' decimals, for the prices that a provider's server works out by itself.

use paymux_port::{Currency, Decimal};

/// A decimal number that can be multiplied and added without losing a digit: `digits × 10^-scale`.
#[derive(Clone, Copy)]
pub(crate) struct Exact {
    digits: i128,
    scale: u32,
}

impl From<Decimal> for Exact {
    fn from(decimal: Decimal) -> Self {
        let (digits, scale) = decimal.parts();
        Self { digits, scale }
    }
}

impl Exact {
    /// `None` where the product does not fit.
    pub(crate) fn times(self, other: impl Into<Self>) -> Option<Self> {
        let other = other.into();
        let digits = self.digits.checked_mul(other.digits)?;
        Some(Self { digits, scale: self.scale.checked_add(other.scale)? })
    }

    /// `None` where the difference does not fit.
    pub(crate) fn minus(self, other: impl Into<Self>) -> Option<Self> {
        let other = other.into();
        let scale = self.scale.max(other.scale);
        let digits = self.widened(scale)?.checked_sub(other.widened(scale)?)?;
        Some(Self { digits, scale })
    }

    /// The nearest whole number of minor units, halves to even.
    pub(crate) fn to_minor(self, currency: Currency) -> Option<i64> {
        self.share_in_minor(Self::from(Decimal::whole(1)), Self::from(Decimal::whole(1)), currency)
    }

    /// `self × part ÷ whole` in minor units, rounded once, halves to even: what a tax of `part` per cent takes.
    pub(crate) fn share_in_minor(self, part: Self, whole: Self, currency: Currency) -> Option<i64> {
        let scale = part.scale.max(whole.scale);
        let (part, whole) = (part.widened(scale)?, whole.widened(scale)?);
        let upper = self.digits.checked_mul(part)?.checked_mul(ten_to(u32::from(currency.exponent()))?)?;
        let lower = whole.checked_mul(ten_to(self.scale)?)?;
        i64::try_from(half_even(upper, lower)?).ok()
    }

    pub(crate) fn is_zero(self) -> bool {
        self.digits == 0
    }

    /// `100 + self`, the whole of which an included tax is a part.
    pub(crate) fn plus_hundred(self) -> Option<Self> {
        let hundred = ten_to(self.scale)?.checked_mul(100)?;
        Some(Self { digits: self.digits.checked_add(hundred)?, ..self })
    }

    fn widened(self, scale: u32) -> Option<i128> {
        self.digits.checked_mul(ten_to(scale.checked_sub(self.scale)?)?)
    }
}

fn ten_to(power: u32) -> Option<i128> {
    10i128.checked_pow(power)
}

/// `upper ÷ lower` to the nearest whole number, halves to the even one; `lower` must be above zero.
fn half_even(upper: i128, lower: i128) -> Option<i128> {
    if lower <= 0 {
        return None;
    }
    let (floor, rest) = (upper.div_euclid(lower), upper.rem_euclid(lower));
    let up = match rest.cmp(&(lower - rest)) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Greater => true,
        std::cmp::Ordering::Equal => floor % 2 != 0,
    };
    floor.checked_add(i128::from(up))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(text: &str) -> Exact {
        text.parse::<Decimal>().unwrap().into()
    }

    #[test]
    fn halves_go_to_the_even_unit() {
        let eur = "EUR".parse().unwrap();
        let table =
            [("0.125", 12), ("0.135", 14), ("0.1251", 13), ("-0.125", -12), ("-0.135", -14), ("7", 700)];
        for (text, minor) in table {
            assert_eq!(exact(text).to_minor(eur), Some(minor), "{text}");
        }
    }

    #[test]
    fn tax_is_taken_of_the_exact_base_on_top_or_from_within() {
        let eur = "EUR".parse().unwrap();
        let hundred = exact("100");
        assert_eq!(exact("19.99").share_in_minor(exact("8.25"), hundred, eur), Some(165));
        let whole = exact("25").plus_hundred().unwrap();
        assert_eq!(exact("125").share_in_minor(exact("25"), whole, eur), Some(2500));
        assert_eq!(exact("1").share_in_minor(exact("12.5"), hundred, eur), Some(12));
    }

    #[test]
    fn what_does_not_fit_is_none() {
        let huge = exact("99999999999999999999999999999999999");
        assert!(huge.times(huge.digits_as_exact()).is_none());
        assert!(huge.to_minor("EUR".parse().unwrap()).is_none());
    }

    impl Exact {
        fn digits_as_exact(self) -> Self {
            Self { scale: 0, ..self }
        }
    }
}
