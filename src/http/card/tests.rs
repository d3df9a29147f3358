use super::{contains_pan, is_gtin};

/// Numbers that schemes and payment companies publish for tests.
#[rustfmt::skip]
const PUBLISHED: &[&str] = &[
    // Visa.
    "4242424242424242", "4000056655665556", "4000000000000002", "4000002500003155", "4000000760000002",
    "4000008260000000", "4111111111111111", "4111111145551142", "4012888888881881", "4444333322221111",
    "4462030000000000", "4508750015741019", "4571000000000001", "4988438843884305", "4871049999999910",
    "4035501428146300", "4360000001000005", "4013250000000000006", "4917610000000000", "4917610000000000003",
    "4293189100000008", "4166676667666746", "4646464646464644", "4000620000000007", "4988080000000000",
    "4001590000000001", "4002690000000008", "4400000000000008", "4484600000000004", "4607000000000009",
    "4977949494949497", "4017340000000003", "4005519000000006", "4131840000000003", "4151500000000008",
    "4199350000000002", "4001020000000009",
    // Mastercard.
    "5555555555554444", "2223003122003222", "5200828282828210", "5105105105105100", "5555552500001001",
    "2222400070000005", "2222410740360010", "5555341244441115", "5577000055770004", "5136333333333335",
    "5100290029002909", "5424000000000015", "5127880999999990", "5500000000000004", "2222410700000002",
    "2222400010000008", "2223000048410010", "2223520443560010", "5585558555855583", "5555444433331111",
    "5100081112223332", "5406675406675403",
    // American Express.
    "378282246310005", "371449635398431", "370000000000002", "341111111111111", "378734493671000",
    "346827630435344",
    // Diners Club.
    "3056930009020004", "36227206271667", "36006666333344", "30569309025904", "38520000023237",
    "36148900647913", "36259600000004", "38000000000006", "36700102000000", "30000000000004",
    // Discover.
    "6011111111111117", "6011000990139424", "6011981111111113", "6011601160116611", "6445644564456445",
    "6500000000000002", "6555900000604105", "6011000000000012", "6510000000000000",
    // JCB.
    "3566002020360505", "3569990010095841", "3530111333300000", "3528000700000000", "3088000000000017",
    "3566111111111113", "3528000000000007",
    // UnionPay.
    "6200000000000005", "6200000000000047", "6205500000000000004", "6243030000000001", "8171999927660000",
    "8171999900000000021", "6250941006528599", "6250946000000016", "6223164991230014",
    // Maestro, Bancontact.
    "6771798021000008", "6759649826438453", "6703444444444449", "67030000000000003", "6703000000000000003",
    "6304000000000000", "5018000000000009", "6759411100000008", "6759560045005727054", "6771830999991239",
    "6799990100000000019", "6304219447607087665",
    // Dankort, Elo, Hipercard, Hiper, Mir, Troy, RuPay, Verve, Humo, Napas.
    "5019555544445555", "5066991111111118", "6362970000457013", "6062828888666688", "6370950000000005",
    "2200770212727079", "2201382000000013", "9792030000000000", "6073849700004947", "5060990580000217499",
    "9860000000000000", "9704000000000018", "5019717010103742", "6035227716427021", "6007220000000004",
];

/// Digits in groups of these lengths; the last length repeats.
fn grouped(digits: &str, lengths: &[usize], separator: &str) -> String {
    let (mut parts, mut rest, mut lengths) = (Vec::new(), digits, lengths.iter());
    let mut length = 0;
    while !rest.is_empty() {
        length = lengths.next().copied().unwrap_or(length).min(rest.len());
        let (part, after) = rest.split_at(length);
        parts.push(part);
        rest = after;
    }
    parts.join(separator)
}

/// A number as people write it.
fn notations(number: &str) -> Vec<String> {
    let separators = [" ", "-", "\u{a0}", "\u{202f}", "  ", " - ", "\u{2011}", "\u{2013}", "\t"];
    let form: &[usize] = if matches!(number.len(), 14 | 15) { &[4, 6, 5] } else { &[4] };
    let mut texts = vec![number.to_owned()];
    texts.extend(separators.map(|separator| grouped(number, form, separator)));
    texts.extend(separators.map(|separator| grouped(number, &[4], separator)));
    texts
}

#[test]
fn a_published_card_number_is_found_however_it_is_written() {
    for number in PUBLISHED {
        for text in notations(number) {
            let sentences = [
                text.clone(),
                format!("Please use my card {text}, thanks."),
                format!("card:{text};exp 12/25"),
                format!("{text} 12/25 123"),
                format!("{text} 1225 123"),
                format!("exp 12/2025 {text}"),
                format!("({text})"),
                format!("no_{text}"),
                format!("a\n{text}\nb"),
                format!("カード番号{text}です"),
                format!("DE89 3704 0044 0532 0130 00 and {text}"),
            ];
            for sentence in sentences {
                assert!(contains_pan(&sentence), "{sentence}");
            }
        }
    }
}

#[test]
fn a_number_after_a_plus_is_a_card_if_it_is_too_long_for_a_telephone() {
    assert!(contains_pan("+4242424242424242"));
    assert!(!contains_pan("+378282246310005"));
    assert!(contains_pan("call +371 2000 0000 or charge 4242424242424242"));
}

#[test]
fn what_only_looks_similar_is_let_through() {
    let harmless = [
        "",
        "4242424242424241",
        "1234567890123456",
        "0000000000000000",
        "42424242424242424242424242",
        // Part of a longer run of letters and digits.
        "ord_01h455vb4pex5vsknk084sn02q",
        "att_01h45504242424242424242424",
        "a4242424242424242",
        "4242424242424242f",
        // Groups of other lengths, and of a longer series of fours.
        "42424 24242 424242",
        "2026 1127 4242 4242 4242 4242",
        // Visa has no 13 digits any more; those of books and goods have.
        "4222222222222",
        "978-3-16-148410-0",
        "4753800752339",
        "0.4242424242424242",
        "19.4242424242424242",
        "2026-11-20T10:00:00.000Z",
        "2026112720003000",
    ];
    for text in harmless {
        assert!(!contains_pan(text), "{text}");
    }
}

#[test]
fn no_text_is_slow_or_breaks_it() {
    for part in ["1 ", "4", "4243 ", "SE03 ", "+", "é", "4 - "] {
        assert!(!contains_pan(&part.repeat(100_000)), "{part}");
    }
}

/// Numbers from a seed.
struct Draw(u64);

impl Draw {
    /// SplitMix64.
    fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn of(&mut self, alphabet: &str, length: usize) -> String {
        let letters = alphabet.as_bytes();
        let letter = |_| char::from(letters[self.number() as usize % letters.len()]);
        (0..length).map(letter).collect()
    }

    fn digits(&mut self, length: usize) -> String {
        self.of("0123456789", length)
    }

    /// Without a leading zero.
    fn whole(&mut self, length: usize) -> String {
        self.of("123456789", 1) + &self.digits(length - 1)
    }

    fn hex(&mut self, length: usize) -> String {
        self.of("0123456789abcdef", length)
    }

    fn base32(&mut self, length: usize) -> String {
        self.of("0123456789abcdefghjkmnpqrstvwxyz", length)
    }

    fn uuid(&mut self, version: char) -> String {
        let time = if version == '7' { format!("019{}", self.hex(5)) } else { self.hex(8) };
        let variant = self.of("89ab", 1);
        format!("{time}-{}-{version}{}-{variant}{}-{}", self.hex(4), self.hex(3), self.hex(3), self.hex(12))
    }

    /// With the check digit of GS1.
    fn gtin(&mut self, length: usize) -> String {
        let body = self.digits(length - 1);
        let weighted = body.bytes().rev().enumerate();
        let sum: u32 =
            weighted.map(|(at, digit)| u32::from(digit - b'0') * if at % 2 == 0 { 3 } else { 1 }).sum();
        format!("{body}{}", (10 - sum % 10) % 10)
    }

    /// An IBAN with its check digits, in printed groups.
    fn iban(&mut self, country: &str, bank: usize, length: usize) -> String {
        let body = self.of("ABCDEFGHIJKLMNOPQRSTUVWXYZ", bank) + &self.digits(length - bank);
        let moved = format!("{body}{country}00");
        let number = moved.bytes().fold(0u32, |rest, byte| match byte {
            b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
            letter => (rest * 100 + u32::from(letter - b'A') + 10) % 97,
        });
        grouped(&format!("{country}{:02}{body}", 98 - number), &[4], " ")
    }
}

/// How many texts of each kind are drawn.
const SAMPLES: usize = 20_000;

type Kind = (&'static str, usize, fn(&mut Draw) -> String);

/// Kinds of text, and of how many in a thousand at most a card number may be suspected. Where it is not none, a number
/// cannot be told from a card number.
const KINDS: &[Kind] = &[
    ("UUID v4", 0, |draw| draw.uuid('4')),
    ("UUID v7", 0, |draw| draw.uuid('7')),
    ("UUID without dashes", 0, |draw| draw.hex(32)),
    ("ULID", 0, |draw| draw.base32(26).to_uppercase()),
    ("TypeID", 0, |draw| format!("ord_{}", draw.base32(26))),
    ("MongoDB id", 0, |draw| draw.hex(24)),
    ("SHA-1", 0, |draw| draw.hex(40)),
    ("SHA-256", 0, |draw| draw.hex(64)),
    ("base62 id", 0, |draw| draw.of("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", 22)),
    ("Stripe id", 0, |draw| format!("pi_3{}", draw.base32(23))),
    ("EAN-13", 0, |draw| draw.gtin(13)),
    ("ISBN", 0, |draw| {
        format!("978-{}-{}-{}-{}", draw.digits(1), draw.digits(4), draw.digits(4), draw.digits(1))
    }),
    ("13-digit order id", 0, |draw| draw.whole(13)),
    ("Amazon order id", 0, |draw| format!("{}-{}-{}", draw.whole(3), draw.digits(7), draw.digits(7))),
    ("lettered order number", 0, |draw| format!("SO{}", draw.digits(16))),
    ("snowflake id", 0, |draw| format!("1{}", draw.digits(18))),
    ("milliseconds", 0, |draw| format!("17{}", draw.digits(11))),
    ("microseconds", 0, |draw| format!("17{}", draw.digits(14))),
    ("nanoseconds", 0, |draw| format!("17{}", draw.digits(17))),
    ("fraction", 0, |draw| format!("{}.{}", draw.digits(2), draw.digits(16))),
    ("Swedish IBAN", 0, |draw| draw.iban("SE", 0, 20)),
    ("German IBAN", 0, |draw| draw.iban("DE", 0, 18)),
    ("French IBAN", 0, |draw| draw.iban("FR", 0, 23)),
    ("British IBAN", 0, |draw| draw.iban("GB", 4, 14)),
    ("Polish IBAN", 0, |draw| draw.iban("PL", 0, 24)),
    ("IBAN without blanks", 0, |draw| draw.iban("SE", 0, 20).replace(' ', "")),
    ("international telephone", 0, |draw| format!("+{}", draw.whole(12))),
    ("telephone in groups", 0, |draw| {
        format!("+{} {} {} {}", draw.whole(2), draw.digits(3), draw.digits(4), draw.digits(4))
    }),
    ("telephone with 00", 0, |draw| format!("00{} {} {}", draw.whole(2), draw.digits(3), draw.digits(8))),
    ("UPS", 0, |draw| format!("1Z{}", draw.of("0123456789ABCDEFGHJKLMNPQRSTUVWXYZ", 16))),
    ("universal postal id", 0, |draw| format!("RR{}DE", draw.digits(9))),
    ("USPS", 0, |draw| format!("9400{}", draw.digits(18))),
    ("USPS in groups", 0, |draw| grouped(&format!("94001{}", draw.digits(17)), &[4], " ")),
    ("FedEx", 0, |draw| draw.digits(12)),
    ("Swiss QR reference", 0, |draw| grouped(&draw.digits(27), &[2, 5], " ")),
    ("GTIN-14", 6, |draw| draw.gtin(14)),
    ("14 digits", 6, |draw| draw.whole(14)),
    ("15 digits", 4, |draw| draw.whole(15)),
    ("16 digits", 40, |draw| draw.whole(16)),
    ("17 digits", 15, |draw| draw.whole(17)),
    ("18 digits", 15, |draw| draw.whole(18)),
    ("19 digits", 30, |draw| draw.whole(19)),
    ("16 digits in fours", 40, |draw| grouped(&draw.whole(16), &[4], "-")),
];

#[test]
fn ids_barcodes_accounts_and_telephones_are_not_taken_for_cards() {
    let mut faults = Vec::new();
    for (seed, (kind, most, draw)) in KINDS.iter().enumerate() {
        let mut source = Draw(seed as u64);
        let found: Vec<String> =
            (0..SAMPLES).map(|_| draw(&mut source)).filter(|text| contains_pan(text)).collect();
        if found.len() * 1_000 > most * SAMPLES {
            faults.push(format!("{kind}: {} of {SAMPLES}, such as {}", found.len(), found[0]));
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn a_gtin_of_14_digits_has_its_check_digit() {
    let mut draw = Draw(1);
    assert!((0..1_000).all(|_| is_gtin(&draw.gtin(14))));
    for text in ["", "10614141000416", "1061414100041é", "4753800752339", "36227206271667"] {
        assert!(!is_gtin(text), "{text}");
    }
}
