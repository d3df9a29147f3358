//! What the doors share: how inputs are written (a head of lines, an empty line, a body of any bytes), exact numbers,
//! and the providers' words.

use std::sync::LazyLock;

use paymux_testkit::ALL;
use port::{About, StatusTable};

/// The table of words of each adapter, in the order of [`ALL`].
pub(super) static TABLES: LazyLock<Vec<StatusTable>> = LazyLock::new(|| {
    let table =
        |about: &&About| StatusTable::parse(about.statuses).expect("an adapter's own table can be read");
    ALL.iter().map(table).collect()
});

/// The lines before the first empty one, and what stands behind it. Bytes of a head that are no text become `�`.
pub(super) fn head_and_body(input: &[u8]) -> (String, &[u8]) {
    let end = input.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = end.map_or((input, [].as_slice()), |end| (&input[..end], &input[end + 2..]));
    (String::from_utf8_lossy(head).into_owned(), body)
}

/// The lines `Name: value` among these; names in lower case, as the gateway hands them on.
pub(super) fn headers<'t>(lines: impl Iterator<Item = &'t str>) -> Vec<(String, String)> {
    let pair = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
    };
    lines.filter_map(pair).collect()
}

/// A number's sign, its digits without zeros at either end, and the power of ten that they are multiplied by. Made
/// from the text alone, so that it can check whoever counts with it.
pub(super) fn exact(number: &str) -> Option<(bool, String, i64)> {
    let (mantissa, power) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let unsigned = mantissa.strip_prefix('-').unwrap_or(mantissa);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let digits = [whole, fraction].concat();
    if whole.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let significant = digits.trim_end_matches('0');
    let behind =
        i64::try_from(fraction.len()).ok()? - i64::try_from(digits.len() - significant.len()).ok()?;
    let bare = significant.trim_start_matches('0');
    match bare {
        "" => Some((false, String::new(), 0)),
        _ => Some((
            mantissa.starts_with('-'),
            bare.to_owned(),
            power.parse::<i64>().ok()?.checked_sub(behind)?,
        )),
    }
}
