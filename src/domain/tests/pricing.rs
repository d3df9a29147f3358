//! Totals and requirements.

use proptest::prelude::*;

use super::*;

fn sold(items: Vec<LineItem>, shipping: i64, tax_included: bool) -> OrderHeader {
    let header = order(items);
    let content = Content { shipping, tax_included, ..header.content };
    OrderHeader { content, ..header }
}

#[test]
fn a_line_comes_to_its_price_less_its_discount_and_its_tax_is_half_even() {
    let table = "
        # quantity, price, discount | rate, taxes included | gross, base, tax
        1 1000 0    | 25     no  | 1000 1000 250
        1 1000 0    | 25     yes | 1000 1000 200
        3 999 0     | 8.25   no  | 2997 2997 247
        3 999 97    | 8.25   no  | 2997 2900 239
        2 500 1000  | 25     no  | 1000 0 0
        1 0 0       | 25     yes | 0 0 0
        1 1000 0    | 0      no  | 1000 1000 0
        1 1000 0    | 0      yes | 1000 1000 0
        # A half goes to the even neighbour: 0.5, 1.5, 2.5 and 3.5 become 0, 2, 2 and 4.
        1 2 0       | 25     no  | 2 2 0
        1 6 0       | 25     no  | 6 6 2
        1 10 0      | 25     no  | 10 10 2
        1 14 0      | 25     no  | 14 14 4
        # And just beside it to the nearest.
        1 10 0      | 24.999 no  | 10 10 2
        1 10 0      | 25.001 no  | 10 10 3
        1 14 0      | 24.999 no  | 14 14 3
        # Included: base × rate / (100 + rate).
        1 3 0       | 100    yes | 3 3 2
        1 5 0       | 100    yes | 5 5 2
        1 12345 0   | 19     yes | 12345 12345 1971
        1 12345 0   | 0.000001 no | 12345 12345 0
        1 1000 0    | 1000   no  | 1000 1000 10000
        1 1100 0    | 1000   yes | 1100 1100 1000
        # As large as it gets.
        1 9223372036854775807 0 | 100  no | 9223372036854775807 9223372036854775807 9223372036854775807
        1 9223372036854775807 9223372036854775807 | 1000 no | 9223372036854775807 0 0
    ";
    for row in rows(table) {
        let [quantity, unit, discount] = numbers(row[0])[..] else { panic!("{row:?}") };
        let (rate, included) = row[1].split_once(' ').unwrap();
        let line = price_line(&item(quantity, unit, rate, discount), included.trim() == "yes").unwrap();
        assert_eq!(vec![line.gross, line.base, line.tax], numbers(row[2]), "{row:?}");
    }
}

fn numbers(text: &str) -> Vec<i64> {
    text.split_whitespace().map(|number| number.parse().unwrap()).collect()
}

#[test]
fn an_order_comes_to_the_sum_of_its_lines_and_its_shipping() {
    let lines = || vec![item(2, 1_000, "25", 0), item(1, 500, "8.25", 100), item(3, 333, "0", 0)];
    let table = "
        # currency, included, shipping | subtotal discount tax shipping total
        EUR no 0    | 3499 100 533 0 3932
        EUR no 490  | 3499 100 533 490 4422
        EUR yes 490 | 3499 100 430 490 3889
        JPY no 490  | 3499 100 533 490 4422
        KWD yes 490 | 3499 100 430 490 3889
    ";
    for row in rows(table) {
        let cells: Vec<&str> = row[0].split_whitespace().collect();
        let mut header = order(lines());
        header.currency = currency(cells[0]);
        header.content.tax_included = cells[1] == "yes";
        header.content.shipping = cells[2].parse().unwrap();
        let price = price(&header, at(9)).unwrap();
        let came = vec![price.subtotal, price.discount, price.tax, price.shipping, price.total];
        assert_eq!(came, numbers(row[1]), "{row:?}");
        assert_eq!((price.currency, price.calculated_at), (header.currency, at(9)));
    }
}

#[test]
fn minor_units_mean_what_the_currency_says() {
    let table = "JPY | 1999 JPY
                 EUR | 19.99 EUR
                 KWD | 1.999 KWD
                 CLF | 0.1999 CLF";
    for row in rows(table) {
        let mut header = order(vec![item(1, 1_999, "0", 0)]);
        header.currency = currency(row[0]);
        let total = price(&header, at(0)).unwrap().total;
        assert_eq!(Money::new(total, header.currency).to_string(), row[1]);
    }
}

#[test]
fn a_total_past_63_bits_is_refused_wherever_it_arises() {
    let most = i64::MAX;
    let priced = |items: Vec<LineItem>, shipping: i64, tax_included: bool| {
        price(&sold(items, shipping, tax_included), at(0)).map(|price| price.total)
    };
    assert_eq!(priced(vec![item(2, most, "0", 0)], 0, false), Err(DomainError::AmountTooLarge));
    assert_eq!(
        priced(vec![item(1, most, "0", 0), item(1, 1, "0", 0)], 0, false),
        Err(DomainError::AmountTooLarge)
    );
    assert_eq!(priced(vec![item(1, most, "0", 0)], 1, false), Err(DomainError::AmountTooLarge));
    assert_eq!(priced(vec![item(1, most, "25", 0)], 0, false), Err(DomainError::AmountTooLarge));
    assert_eq!(priced(vec![item(1, most, "101", 0)], 0, false), Err(DomainError::AmountTooLarge));
    assert_eq!(priced(vec![item(1, most, "1000", 0)], 0, true), Ok(most));
    assert_eq!(priced(vec![item(1, most, "0", most)], most, false), Ok(most));
    let large = Scenario::create(order(vec![item(2, most, "0", 0)]));
    assert_eq!(cart::price_order(&large.order.header, at(0)), Err(DomainError::AmountTooLarge));
}

#[test]
fn a_rate_is_a_plain_decimal_up_to_a_thousand_percent() {
    for good in ["0", "25", "8.25", "0.000001", "1000", "1000.000000"] {
        assert!(good.parse::<TaxRate>().is_ok(), "{good}");
    }
    for bad in ["", "-1", "1001", "1000.000001", "1e2", "+5", "8,25", "0.0000001", "1/3", " 5", "NaN"] {
        assert!(bad.parse::<TaxRate>().is_err(), "{bad}");
    }
}

#[test]
fn what_an_order_needs_follows_from_its_total_its_lines_and_its_customer() {
    let table = "
        # total, recurring, customer id, signing | payment profile signing
        100 no  no  NOT_REQUIRED | REQUIRED NOT_REQUIRED NOT_REQUIRED
        100 no  yes OPTIONAL     | REQUIRED OPTIONAL OPTIONAL
        100 yes no  REQUIRED     | REQUIRED REQUIRED REQUIRED
        100 yes yes NOT_REQUIRED | REQUIRED REQUIRED NOT_REQUIRED
        0   no  no  NOT_REQUIRED | NOT_REQUIRED NOT_REQUIRED NOT_REQUIRED
        0   yes yes REQUIRED     | NOT_REQUIRED REQUIRED REQUIRED
    ";
    for row in rows(table) {
        let cells: Vec<&str> = row[0].split_whitespace().collect();
        let monthly = Recurring { interval: Interval::Month, count: 1 };
        let line = item(1, cells[0].parse().unwrap(), "0", 0);
        let mut header = order(vec![LineItem { recurring: (cells[1] == "yes").then_some(monthly), ..line }]);
        let id = (cells[2] == "yes").then(|| "c1".to_owned());
        let customer = Customer { id, ..Customer::default() };
        header.content.personal =
            Erasable::new(PersonalData { customer, ..PersonalData::default() }, [0; 16]);
        header.content.requires_signing = named(cells[3]);
        let total = price(&header, at(0)).unwrap().total;
        let needs = requirements(&header, total);
        let came = [needs.requires_payment, needs.requires_payment_profile, needs.requires_signing];
        let expected: Vec<Requirement> = row[1].split_whitespace().map(named).collect();
        assert_eq!(came.to_vec(), expected, "{row:?}");
    }
}

fn a_line() -> impl Strategy<Value = LineItem> {
    let rate = (0i64..=1_000_000, 0u8..=4).prop_map(|(digits, scale)| {
        let rate = port::Decimal::new(digits, scale).to_string();
        if rate.parse::<TaxRate>().is_ok() { rate } else { "25".to_owned() }
    });
    (1i64..=1_000, 0i64..=1_000_000_000, rate, 0u64..=100).prop_map(|(quantity, unit, rate, percent)| {
        let gross = quantity * unit;
        item(quantity, unit, &rate, gross / 100 * i64::try_from(percent).unwrap())
    })
}

proptest! {
    #[test]
    fn the_total_is_what_the_lines_and_the_shipping_come_to(
        items in prop::collection::vec(a_line(), 0..20),
        shipping in 0i64..1_000_000,
        tax_included in any::<bool>(),
    ) {
        let header = sold(items, shipping, tax_included);
        let price = price(&header, at(0)).unwrap();
        let lines: Vec<_> = header.content.items.iter().map(|item| price_line(item, tax_included).unwrap()).collect();
        let sum = |part: fn(&LinePrice) -> i64| lines.iter().map(part).sum::<i64>();
        prop_assert_eq!(price.subtotal - price.discount, sum(|line| line.base));
        prop_assert_eq!(price.tax, sum(|line| line.tax));
        let on_top = if tax_included { 0 } else { price.tax };
        prop_assert_eq!(price.total, sum(|line| line.base) + shipping + on_top);
        for line in lines {
            prop_assert!(line.tax >= 0 && line.base >= 0);
            prop_assert!(!tax_included || line.tax <= line.base);
        }
    }

    /// Twice the remainder never passes the divisor, and a tie is even: what "half-even" means.
    #[test]
    fn tax_is_the_nearest_minor_unit(line in a_line(), tax_included in any::<bool>()) {
        let (rate, scale) = line.tax_rate.percent().parts();
        let hundred = 100 * 10i128.pow(scale);
        let whole = if tax_included { hundred + rate } else { hundred };
        let priced = price_line(&line, tax_included).unwrap();
        let off = i128::from(priced.base) * rate - i128::from(priced.tax) * whole;
        prop_assert!(2 * off.abs() <= whole);
        prop_assert!(2 * off.abs() < whole || priced.tax % 2 == 0);
    }

    #[test]
    fn no_amounts_make_pricing_panic(quantity in any::<i64>(), unit in any::<i64>(), discount in any::<i64>(),
        shipping in any::<i64>(), tax_included in any::<bool>()) {
        let header = sold(vec![item(quantity, unit, "25", discount); 2], shipping, tax_included);
        let _ = price(&header, at(0));
    }
}
