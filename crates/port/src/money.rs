//! Exact money: integer minor units with their currency, and the decimal text that wires carry.
//!
//! No floats are used: a [`Decimal`] is read from the digits of the JSON text itself and written back the same way, and
//! it becomes [`Money`] only if the currency can hold every digit of it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::value::RawValue;

/// An ISO 4217 currency that has a minor unit. Ordered and compared by nothing but its identity.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency(iso_currency::Currency);

impl Currency {
    /// The three-letter code, upper case.
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// Reads a code as a provider states it, in any letter case.
    ///
    /// # Errors
    /// [`MoneyError::UnknownCurrency`].
    pub fn from_stated(code: &str) -> Result<Self, MoneyError> {
        code.trim().to_ascii_uppercase().parse()
    }

    /// The decimals of the minor unit by ISO 4217: 0 for JPY, 2 for EUR, 3 for KWD, 4 for CLF.
    pub fn exponent(self) -> u8 {
        self.0.exponent().and_then(|digits| u8::try_from(digits).ok()).unwrap_or(0)
    }
}

impl FromStr for Currency {
    type Err = MoneyError;

    /// Takes the code in upper case only. Metals, test codes and funds without a minor unit are no currency.
    fn from_str(code: &str) -> Result<Self, MoneyError> {
        match iso_currency::Currency::from_code(code) {
            Some(known) if known.exponent().is_some() && known.code() == code => Ok(Self(known)),
            _ => Err(MoneyError::UnknownCurrency),
        }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = std::borrow::Cow::<str>::deserialize(deserializer)?;
        code.parse().map_err(de::Error::custom)
    }
}

/// An amount in the minor units of its currency.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    /// Minor units: cents for EUR, whole yen for JPY, thousandths for KWD.
    #[serde(rename = "amount")]
    pub minor: i64,
    /// What the units are of.
    pub currency: Currency,
}

impl Money {
    /// `minor` units of `currency`.
    pub fn new(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }

    /// Reads a decimal in major units. Every digit must fit: `1.239` EUR is an error, `1.230` EUR is 123 cents.
    ///
    /// # Errors
    /// [`MoneyError::TooPrecise`] for a digit below the minor unit, [`MoneyError::TooLarge`] past `i64`.
    pub fn from_major(major: Decimal, currency: Currency) -> Result<Self, MoneyError> {
        let minor = major.scaled(currency.exponent())?;
        Ok(Self { minor: i64::try_from(minor).map_err(|_| MoneyError::TooLarge)?, currency })
    }

    /// Reads a decimal in major units as a provider states it. What is left of a binary float below a thousandth of the
    /// minor unit is not meant: `19.990000000000002` EUR is 1999 cents. Any other digit is, and makes it no amount.
    ///
    /// # Errors
    /// As [`Money::from_major`].
    pub fn from_stated(major: Decimal, currency: Currency) -> Result<Self, MoneyError> {
        let (minor, off, step) = major.nearest(currency.exponent())?;
        let is_noise = off < step / 1_000;
        if !is_noise {
            return Self::from_major(major, currency);
        }
        Ok(Self { minor: i64::try_from(minor).map_err(|_| MoneyError::TooLarge)?, currency })
    }

    /// The same amount in major units, with as many decimals as the currency has.
    pub fn to_major(self) -> Decimal {
        Decimal { digits: i128::from(self.minor), scale: u32::from(self.currency.exponent()) }
    }

    /// The amount in major units for a wire that takes at most `most` decimals; `None` if a digit would be lost.
    pub fn to_major_within(self, most: u8) -> Option<Decimal> {
        let exact = self.to_major();
        if exact.scale <= u32::from(most) {
            return Some(exact);
        }
        let digits = exact.scaled(most).ok()?;
        Some(Decimal { digits, scale: u32::from(most) })
    }

    /// The sum, or `None` if the currencies differ or it does not fit.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let minor = self.minor.checked_add(other.minor)?;
        (self.currency == other.currency).then_some(Self { minor, ..self })
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.to_major(), self.currency)
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why an amount could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Not an ISO 4217 code with a minor unit.
    #[error("not an ISO 4217 currency code")]
    UnknownCurrency,
    /// Not a plain decimal number.
    #[error("not a decimal number")]
    NotANumber,
    /// A digit below the currency's minor unit.
    #[error("more decimals than the currency has")]
    TooPrecise,
    /// Does not fit 63 bits of minor units.
    #[error("amount too large")]
    TooLarge,
}

/// A decimal number exactly as written: `digits × 10^-scale`. On the wire a JSON number; read also from a string.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Decimal {
    digits: i128,
    scale: u32,
}

/// Longer than any amount or rate a provider could mean.
const MAX_DECIMAL: usize = 36;

/// The most digits behind the point. A small exponent could otherwise print millions of zeros.
const MAX_PLACES: u32 = 36;

impl Decimal {
    /// `digits × 10^-scale`, for example `(825, 2)` for 8.25.
    pub fn new(digits: i64, scale: u8) -> Self {
        Self { digits: i128::from(digits), scale: u32::from(scale) }
    }

    /// A whole number.
    pub fn whole(number: i64) -> Self {
        Self::new(number, 0)
    }

    /// The number times 10^`exponent`, which must be whole.
    ///
    /// # Errors
    /// [`MoneyError::TooPrecise`] if a digit would be lost, [`MoneyError::TooLarge`] if it does not fit.
    pub fn scaled(self, exponent: u8) -> Result<i128, MoneyError> {
        let exponent = u32::from(exponent);
        if exponent >= self.scale {
            let factor = 10i128.checked_pow(exponent - self.scale).ok_or(MoneyError::TooLarge)?;
            return self.digits.checked_mul(factor).ok_or(MoneyError::TooLarge);
        }
        let factor = 10i128.checked_pow(self.scale - exponent).ok_or(MoneyError::TooPrecise)?;
        if self.digits % factor == 0 { Ok(self.digits / factor) } else { Err(MoneyError::TooPrecise) }
    }

    /// The whole number nearest to the number times 10^`exponent`, how far that is away, and what one is, both in the
    /// number's own last digit.
    fn nearest(self, exponent: u8) -> Result<(i128, i128, i128), MoneyError> {
        let Some(places) = self.scale.checked_sub(u32::from(exponent)) else {
            return Ok((self.scaled(exponent)?, 0, 1));
        };
        let step = 10i128.checked_pow(places).ok_or(MoneyError::TooPrecise)?;
        let (below, rest) = (self.digits.div_euclid(step), self.digits.rem_euclid(step));
        Ok(if rest < step - rest { (below, rest, step) } else { (below + 1, step - rest, step) })
    }

    /// The whole number nearest to the number times 10^`exponent`; half is rounded up.
    pub(crate) fn rounded(self, exponent: u8) -> Result<i128, MoneyError> {
        self.nearest(exponent).map(|(nearest, _, _)| nearest)
    }

    /// The digits without the point, and how many of them are behind it.
    pub fn parts(self) -> (i128, u32) {
        (self.digits, self.scale)
    }
}

impl FromStr for Decimal {
    type Err = MoneyError;

    /// Reads what JSON calls a number, at most 36 characters: sign, digits, fraction, exponent.
    fn from_str(text: &str) -> Result<Self, MoneyError> {
        if text.len() > MAX_DECIMAL {
            return Err(MoneyError::TooLarge);
        }
        let (mantissa, power) = match text.split_once(['e', 'E']) {
            Some((mantissa, power)) => (mantissa, power.parse::<i32>().map_err(|_| MoneyError::NotANumber)?),
            None => (text, 0),
        };
        let (negative, unsigned) = match mantissa.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, mantissa),
        };
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let dangling = unsigned.ends_with('.');
        if whole.is_empty() || dangling || !all_digits(whole) || !all_digits(fraction) {
            return Err(MoneyError::NotANumber);
        }
        let mut digits: i128 = 0;
        for byte in whole.bytes().chain(fraction.bytes()) {
            let next = digits.checked_mul(10).and_then(|tens| tens.checked_add(i128::from(byte - b'0')));
            digits = next.ok_or(MoneyError::TooLarge)?;
        }
        let behind = i32::try_from(fraction.len()).map_err(|_| MoneyError::TooLarge)?;
        let scale = behind.checked_sub(power).ok_or(MoneyError::TooLarge)?;
        Self { digits: if negative { -digits } else { digits }, scale: 0 }.shifted(scale)
    }
}

impl Decimal {
    /// Moves the point `places` to the left; to the right where negative.
    fn shifted(self, places: i32) -> Result<Self, MoneyError> {
        if self.digits == 0 {
            return Ok(Self { digits: 0, scale: 0 });
        }
        match u32::try_from(places) {
            Ok(scale) if scale > MAX_PLACES => Err(MoneyError::TooPrecise),
            Ok(scale) => Ok(Self { scale, ..self }),
            Err(_) => {
                let factor = 10i128.checked_pow(places.unsigned_abs()).ok_or(MoneyError::TooLarge)?;
                let digits = self.digits.checked_mul(factor).ok_or(MoneyError::TooLarge)?;
                Ok(Self { digits, scale: 0 })
            }
        }
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.digits < 0 { "-" } else { "" };
        let digits = self.digits.unsigned_abs().to_string();
        let scale = self.scale as usize;
        if scale == 0 {
            return write!(f, "{sign}{digits}");
        }
        let padded = format!("{digits:0>width$}", width = scale + 1);
        let (whole, fraction) = padded.split_at(padded.len() - scale);
        write!(f, "{sign}{whole}.{fraction}")
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Decimal {
    /// A JSON number with exactly these digits.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw = RawValue::from_string(self.to_string()).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    /// A JSON number, or a string that holds one (some servers quote their amounts).
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        let bare = raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(raw);
        without_endless_digits(bare).parse().map_err(de::Error::custom)
    }
}

/// A number that is longer than any that is meant, cut far below every minor unit: some servers print a binary float to
/// its last digit, `19.989999999999998436805981327779591083526611328125`.
fn without_endless_digits(number: &str) -> &str {
    const PLACES: usize = 20;
    let fraction = number.split_once('.').map_or("", |(_, fraction)| fraction);
    let endless = number.len() > MAX_DECIMAL && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let end = number.len() - fraction.len().saturating_sub(PLACES);
    number.get(..end).filter(|_| endless).unwrap_or(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn currency(code: &str) -> Currency {
        code.parse().unwrap()
    }

    /// ISO 4217's exceptions from "two decimals", written out, so that a change in the library's data shows here.
    #[test]
    fn exponents_are_those_of_iso_4217() {
        let none = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF";
        let three = "BHD IQD JOD KWD LYD OMR TND";
        let four = "CLF UYW";
        for code in none.split(' ') {
            assert_eq!(currency(code).exponent(), 0, "{code}");
        }
        for code in three.split(' ') {
            assert_eq!(currency(code).exponent(), 3, "{code}");
        }
        for code in four.split(' ') {
            assert_eq!(currency(code).exponent(), 4, "{code}");
        }
        for code in "EUR USD GBP AED SEK HUF TWD COP MGA".split(' ') {
            assert_eq!(currency(code).exponent(), 2, "{code}");
        }
    }

    #[test]
    fn what_is_no_currency_is_refused() {
        for code in ["eur", "EURO", "", "XAU", "XXX", "XTS", "ZZZ"] {
            assert_eq!(code.parse::<Currency>(), Err(MoneyError::UnknownCurrency), "{code}");
        }
    }

    #[test]
    fn decimals_are_read_and_printed_exactly() {
        let table = [
            ("19.99", "EUR", Ok(1999)),
            ("0.3", "EUR", Ok(30)),
            ("12", "JPY", Ok(12)),
            ("12.0", "JPY", Ok(12)),
            ("1.5", "JPY", Err(MoneyError::TooPrecise)),
            ("1.234", "KWD", Ok(1234)),
            ("1.230", "EUR", Ok(123)),
            ("1.239", "EUR", Err(MoneyError::TooPrecise)),
            ("-0.05", "EUR", Ok(-5)),
            ("1.25e1", "EUR", Ok(1250)),
            ("125E-1", "EUR", Ok(1250)),
            ("92233720368547758.07", "EUR", Ok(i64::MAX)),
            ("92233720368547758.08", "EUR", Err(MoneyError::TooLarge)),
            ("1e40", "EUR", Err(MoneyError::TooLarge)),
            ("0e99999", "EUR", Ok(0)),
            ("1e-100000", "EUR", Err(MoneyError::TooPrecise)),
        ];
        for (text, code, expected) in table {
            let read = text.parse::<Decimal>().and_then(|major| Money::from_major(major, currency(code)));
            assert_eq!(read.map(|money| money.minor), expected, "{text} {code}");
        }
        for bad in ["", "-", ".5", "5.", "1,5", "0x10", "NaN", "1e", "--1", "1 "] {
            assert!(bad.parse::<Decimal>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_left_of_a_binary_float_is_not_meant_and_any_other_digit_is() {
        let long = "19.989999999999998436805981327779591083526611328125";
        for (text, code, expected) in [
            ("19.990000000000002", "EUR", Ok(1999)),
            ("19.989999999999998", "EUR", Ok(1999)),
            (long, "EUR", Ok(1999)),
            ("120.50000000000001", "AED", Ok(12050)),
            ("-0.30000000000000004", "EUR", Ok(-30)),
            ("7.000000000000001", "JPY", Ok(7)),
            ("1.2340000000000002", "KWD", Ok(1234)),
            ("19.990009", "EUR", Ok(1999)),
            ("19.98999001", "EUR", Ok(1999)),
            ("19.99001", "EUR", Err(MoneyError::TooPrecise)),
            ("19.98999", "EUR", Err(MoneyError::TooPrecise)),
            ("19.991", "EUR", Err(MoneyError::TooPrecise)),
            ("19.995", "EUR", Err(MoneyError::TooPrecise)),
            ("1.5", "JPY", Err(MoneyError::TooPrecise)),
            ("92233720368547758.08", "EUR", Err(MoneyError::TooLarge)),
        ] {
            for stated in [text.to_owned(), format!("\"{text}\"")] {
                let read: Decimal = serde_json::from_str(&stated).unwrap();
                let read = Money::from_stated(read, currency(code)).map(|money| money.minor);
                assert_eq!(read, expected, "{stated} {code}");
            }
        }
        let exact = long.parse::<Decimal>();
        assert!(exact.is_err(), "what is sent is never cut");
    }

    #[test]
    fn a_stated_currency_may_be_in_any_letter_case() {
        for code in ["EUR", "eur", "Eur", " eur "] {
            assert_eq!(Currency::from_stated(code), Ok(currency("EUR")), "{code}");
        }
        assert_eq!(Currency::from_stated("euro"), Err(MoneyError::UnknownCurrency));
    }

    #[test]
    fn a_third_decimal_goes_out_only_when_it_is_zero() {
        let fils = |minor| Money::new(minor, currency("KWD")).to_major_within(2).map(|d| d.to_string());
        assert_eq!(fils(1230), Some("1.23".into()));
        assert_eq!(fils(1234), None);
        let yen = Money::new(5, currency("JPY")).to_major_within(2).map(|d| d.to_string());
        assert_eq!(yen, Some("5".into()));
    }

    #[test]
    fn json_keeps_the_digits() {
        let read: Decimal = serde_json::from_str("0.10000000000000000555").unwrap();
        assert_eq!(read.to_string(), "0.10000000000000000555");
        let quoted: Decimal = serde_json::from_str("\"12.50\"").unwrap();
        assert_eq!(serde_json::to_string(&quoted).unwrap(), "12.50");
        assert!(serde_json::from_str::<Decimal>("true").is_err());
    }

    proptest! {
        #[test]
        fn money_survives_the_wire(minor in any::<i64>(), index in 0usize..4) {
            let money = Money::new(minor, currency(["JPY", "EUR", "KWD", "CLF"][index]));
            let wire = serde_json::to_string(&money.to_major()).unwrap();
            let back: Decimal = serde_json::from_str(&wire).unwrap();
            prop_assert_eq!(Money::from_major(back, money.currency), Ok(money));
        }

        /// The noise of a float is a few parts in 10^16, in front of which any amount of a checkout keeps its cents.
        #[test]
        fn noise_below_a_thousandth_of_the_minor_unit_changes_no_amount(
            minor in -1_000_000_000_000i64..1_000_000_000_000, noise in -999i64..=999, index in 0usize..4,
        ) {
            let money = Money::new(minor, currency(["JPY", "EUR", "KWD", "CLF"][index]));
            let exact = money.to_major();
            let noisy = Decimal {
                digits: exact.digits * 1_000_000 + i128::from(noise),
                scale: exact.scale + 6,
            };
            prop_assert_eq!(Money::from_stated(noisy, money.currency), Ok(money));
            let meant = Decimal { digits: noisy.digits + if noise < 0 { -1_000 } else { 1_000 }, ..noisy };
            prop_assert!(Money::from_stated(meant, money.currency).is_err());
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in ".{0,40}", digits in "[0-9.eE+-]{0,80}") {
            let _ = text.parse::<Decimal>();
            let _ = serde_json::from_str::<Decimal>(&digits);
            let _ = serde_json::from_str::<Decimal>(&format!("\"{digits}\""));
        }
    }
}
