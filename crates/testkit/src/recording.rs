//! Recordings: calls, their answers, and the facts that must follow. `README.md` describes the format.

use std::path::Path;
use std::time::Duration;

use paymux_port::{
    About, Approach, CaptureMode, Decimal, HttpResponse, LinkDelivery, Money, PaymentMethodType, Timestamp,
};

use crate::world::{self, Answer};

/// The method of the port that a recording shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as the methods of the port")]
pub enum Operation {
    Create,
    Fetch,
    Find,
    Capture,
    Cancel,
    Refund,
    Submit,
    Notification,
    ProfileCreate,
    ProfileFetch,
    ProfileCancel,
    ProfileList,
    ProfileStored,
    ProfileCharge,
    ProfileDetach,
}

impl Operation {
    /// Every operation with the prefix of its files.
    pub const ALL: [(Self, &str); 15] = [
        (Self::Create, "create"),
        (Self::Fetch, "fetch"),
        (Self::Find, "find"),
        (Self::Capture, "capture"),
        (Self::Cancel, "cancel"),
        (Self::Refund, "refund"),
        (Self::Submit, "submit"),
        (Self::Notification, "notification"),
        (Self::ProfileCreate, "profile_create"),
        (Self::ProfileFetch, "profile_fetch"),
        (Self::ProfileCancel, "profile_cancel"),
        (Self::ProfileList, "profile_list"),
        (Self::ProfileStored, "profile_stored"),
        (Self::ProfileCharge, "profile_charge"),
        (Self::ProfileDetach, "profile_detach"),
    ];

    /// Whether it must change nothing at the provider.
    pub fn only_reads(self) -> bool {
        let of_profiles = matches!(self, Self::ProfileFetch | Self::ProfileList | Self::ProfileStored);
        of_profiles || matches!(self, Self::Fetch | Self::Find)
    }
}

/// The source of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// A real answer.
    Recorded,
    /// A reading of the provider's documents.
    Documents,
}

/// The arguments of a recording's operation.
#[derive(Clone, Debug)]
pub struct RecordingOptions {
    /// The attempt's amount.
    pub money: Money,
    /// How the customer pays.
    pub approach: Approach,
    /// When the money is captured.
    pub capture: CaptureMode,
    /// What is captured or refunded, in major units, if not as usual.
    pub amount: Option<Decimal>,
    /// The provider's id, once there is one.
    pub reference: Option<String>,
    /// What the adapter has stored with the attempt.
    pub adapter_state: paymux_port::AdapterState,
    /// Changes to the usual settings.
    pub settings: Vec<(String, Option<String>)>,
    /// How the provider sends the link.
    pub notify: LinkDelivery,
    /// The payment profile.
    pub profile: Option<String>,
    /// Whether to store the method.
    pub save: bool,
    /// What the page is restricted to.
    pub methods: Vec<PaymentMethodType>,
    /// How often the customer may try.
    pub tries: Option<u8>,
    /// The merchant's reference of the order.
    pub merchant: Option<String>,
    /// The clock.
    pub at: Timestamp,
}

impl RecordingOptions {
    /// The defaults of an operation.
    pub fn usual(operation: Operation) -> Self {
        let starts = [Operation::Create, Operation::Find, Operation::ProfileCreate, Operation::ProfileCharge];
        let exists = !starts.contains(&operation);
        Self {
            money: world::euros(1250),
            approach: Approach::Hosted,
            capture: CaptureMode::Automatic,
            amount: None,
            reference: exists.then(|| world::REFERENCE.to_owned()),
            adapter_state: paymux_port::AdapterState::new(),
            settings: Vec::new(),
            notify: LinkDelivery::default(),
            profile: None,
            save: false,
            methods: Vec::new(),
            tries: None,
            merchant: None,
            at: Timestamp::from_seconds(world::NOW),
        }
    }
}

/// One call of a recording and its answer.
#[derive(Clone, Debug)]
pub struct Step {
    /// The method.
    pub method: String,
    /// The path below the base URL, with its query.
    pub path: String,
    /// Headers that must be there.
    pub headers: Vec<(String, String)>,
    /// The body; empty for none.
    pub body: String,
    /// The answer.
    pub answer: Answer,
}

/// One operation with its calls.
#[derive(Clone, Debug)]
pub struct Recording {
    /// The file's name.
    pub file: String,
    /// What was done.
    pub operation: Operation,
    /// Its source.
    pub evidence: Evidence,
    /// Its arguments.
    pub options: RecordingOptions,
    /// The calls in order; of a notification, the one that came in.
    pub steps: Vec<Step>,
    /// The facts that must follow, one a line.
    pub expected: Vec<String>,
    /// The text of the file.
    pub text: String,
    placeholders: Vec<(String, String)>,
}

/// A recording that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{file}:{line}: {what}")]
pub struct RecordingError {
    file: String,
    line: usize,
    what: String,
}

/// Reads the recordings of `about` from its folder `exchanges`, by name.
///
/// # Errors
/// The first [`RecordingError`].
pub fn load(about: &About, exchanges: &Path) -> Result<Vec<Recording>, RecordingError> {
    let fault = |file: &str, what: String| RecordingError { file: file.to_owned(), line: 1, what };
    let entries = std::fs::read_dir(exchanges).map_err(|why| fault("exchanges", why.to_string()))?;
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    let read = |path: &std::path::PathBuf| {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let text = std::fs::read_to_string(path).map_err(|why| fault(&file, why.to_string()))?;
        Recording::parse(about, &file, &text)
    };
    paths.iter().filter(|path| path.extension().is_some_and(|end| end == "http")).map(read).collect()
}

impl Step {
    /// Whether it changes nothing.
    pub fn reads_only(&self) -> bool {
        self.method == "GET"
    }
}

impl Recording {
    /// Reads one file.
    ///
    /// # Errors
    /// [`RecordingError`] with the line.
    pub fn parse(about: &About, file: &str, text: &str) -> Result<Self, RecordingError> {
        let fault =
            |line: usize, what: String| RecordingError { file: file.to_owned(), line: line + 1, what };
        let evidence = match text {
            text if text.starts_with("# recorded ") => Evidence::Recorded,
            text if text.starts_with("# from documents") => Evidence::Documents,
            _ => return Err(fault(0, "begins with neither `# recorded` nor `# from documents`".to_owned())),
        };
        let stem = file.trim_end_matches(".http");
        let named = Operation::ALL.into_iter().find(|(_, prefix)| {
            stem.strip_prefix(prefix).is_some_and(|case| case.is_empty() || case.starts_with('_'))
        });
        let (operation, _) =
            named.ok_or_else(|| fault(0, "the name does not begin with an operation".to_owned()))?;
        let head = |text: &str| {
            let mut options = RecordingOptions::usual(operation);
            let lines = text.lines().enumerate().skip(1);
            for (number, line) in lines.take_while(|(_, line)| line.starts_with('#')) {
                read_key(&mut options, line).map_err(|what| fault(number, what))?;
            }
            Ok(options)
        };
        // The head is read twice, because its values have placeholders too and it says what some of them stand for.
        let placeholders = placeholders(about, &head(text)?);
        let filled =
            placeholders.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value));
        let options = head(&filled)?;
        let mut body = Body::default();
        for (number, line) in filled.lines().enumerate() {
            body.line(line).map_err(|what| fault(number, what))?;
        }
        let Body { steps, expected } = body;
        Ok(Self {
            file: file.to_owned(),
            operation,
            evidence,
            options,
            steps,
            expected,
            text: text.to_owned(),
            placeholders,
        })
    }

    /// The answers of its calls.
    pub fn answers(&self) -> Vec<Answer> {
        self.steps.iter().map(|step| step.answer.clone()).collect()
    }

    /// Whether it shows an operation that worked. One without facts shows nothing.
    pub fn succeeds(&self) -> bool {
        !self.expected.is_empty() && !self.expected.iter().any(|fact| fact.starts_with("error "))
    }

    /// The text with this recording's own values replaced by their placeholders, as it would stand in the file.
    pub fn with_placeholders(&self, text: &str) -> String {
        self.placeholders.iter().fold(text.to_owned(), |text, (name, value)| match value.as_str() {
            "" => text,
            value => text.replace(value, name),
        })
    }
}

/// The placeholders of a file with their values.
fn placeholders(about: &About, options: &RecordingOptions) -> Vec<(String, String)> {
    let reference = options.reference.as_deref().unwrap_or(world::REFERENCE);
    let fixed = [
        ("attempt", world::ATTEMPT),
        ("order", world::ORDER),
        ("session", world::PROFILE_SESSION),
        ("refund", world::REFUND),
        ("reference", reference),
        ("version", env!("CARGO_PKG_VERSION")),
        ("base", ""),
    ];
    let fixed = fixed.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
    let settings = about.settings.iter().map(|setting| {
        let changed = options.settings.iter().rev().find(|(key, _)| key == setting.key);
        let value = changed.and_then(|(_, value)| value.clone());
        (setting.key.to_owned(), value.unwrap_or_else(|| world::setting_value(setting.key)))
    });
    settings.chain(fixed).map(|(name, value)| (format!("{{{name}}}"), value)).collect()
}

/// One line of the head: a key that changes the request, or a comment.
fn read_key(options: &mut RecordingOptions, line: &str) -> Result<(), String> {
    let Some((key, value)) = line.strip_prefix("# ").and_then(|rest| rest.split_once(": ")) else {
        return Ok(());
    };
    let pair = || {
        let (name, value) = value.split_once(" = ").ok_or("is not `name = value`")?;
        Ok::<_, String>((name.trim().to_owned(), value.trim().to_owned()))
    };
    match key {
        "request" => read_options(options, value)?,
        "amount" => options.amount = Some(value.parse().map_err(|fault| format!("{fault}"))?),
        "reference" => options.reference = Some(value.to_owned()),
        "state" => options.adapter_state.extend([pair()?]),
        "settings" if value.contains('=') => {
            let (name, value) = pair()?;
            options.settings.push((name, Some(value)));
        }
        "settings" => options.settings.push((value.to_owned(), None)),
        "notify" => {
            options.notify = LinkDelivery { email: value.contains("email"), sms: value.contains("sms") }
        }
        "profile" => options.profile = Some(value.to_owned()),
        "save" => options.save = value == "yes",
        "methods" => options.methods = methods(value)?,
        "merchant" => options.merchant = Some(value.to_owned()),
        "tries" => options.tries = Some(value.parse().map_err(|fault| format!("{fault}"))?),
        "at" => options.at = value.parse().map_err(|fault| format!("{fault}"))?,
        sentence if sentence.contains(' ') => {}
        unknown => return Err(format!("`{unknown}` is no key")),
    }
    Ok(())
}

/// The value of `# methods:`, as the API names them.
fn methods(value: &str) -> Result<Vec<PaymentMethodType>, String> {
    let named = |name: &str| serde_json::from_value(name.into()).map_err(|fault| format!("{name}: {fault}"));
    value.split_whitespace().map(named).collect()
}

/// The value of `# request:`: an amount with its currency, an approach, a capture mode; each may be left out.
fn read_options(options: &mut RecordingOptions, value: &str) -> Result<(), String> {
    let mut parts = value.split_whitespace();
    while let Some(part) = parts.next() {
        match part {
            "HOSTED" => options.approach = Approach::Hosted,
            "EMBEDDED" => options.approach = Approach::Embedded,
            "LINK" => options.approach = Approach::Link,
            "AUTOMATIC" => options.capture = CaptureMode::Automatic,
            "MANUAL" => options.capture = CaptureMode::Manual,
            code => {
                let currency = code.parse().map_err(|fault| format!("{code}: {fault}"))?;
                let major = parts.next().unwrap_or_default();
                let read = major.parse().and_then(|major| Money::from_major(major, currency));
                options.money = read.map_err(|fault| format!("{major}: {fault}"))?;
            }
        }
    }
    Ok(())
}

/// What follows the head.
#[derive(Default)]
struct Body {
    steps: Vec<Step>,
    expected: Vec<String>,
}

impl Body {
    /// One line of the whole file.
    fn line(&mut self, line: &str) -> Result<(), String> {
        if line.starts_with('#') {
            return Ok(());
        }
        if let Some(request) = line.strip_prefix("> ") {
            self.steps.push(step(request)?);
            return Ok(());
        }
        if let Some(fact) = line.strip_prefix("= ") {
            self.expected.push(fact.to_owned());
            return Ok(());
        }
        let Some(step) = self.steps.last_mut() else {
            return Err("before the first call only `#`".to_owned());
        };
        if let Some(answer) = line.strip_prefix("< ") {
            step.answer = read_answer(answer)?;
            return Ok(());
        }
        match &mut step.answer {
            Answer::Reply(response) if response.status == 0 => match header(line) {
                Some(header) if step.body.is_empty() => step.headers.push(header),
                _ => append(&mut step.body, line),
            },
            Answer::Reply(response) => match header(line) {
                Some((name, value))
                    if response.body.is_empty() && name.eq_ignore_ascii_case("retry-after") =>
                {
                    let seconds = value.parse().map_err(|_| "Retry-After is not a number of seconds")?;
                    response.retry_after = Some(Duration::from_secs(seconds));
                }
                _ => {
                    let mut body = String::from_utf8_lossy(&response.body).into_owned();
                    append(&mut body, line);
                    response.body = body.into_bytes();
                }
            },
            Answer::NotSent | Answer::Lost => return Err("there is no body where nothing came".to_owned()),
        }
        Ok(())
    }
}

fn append(body: &mut String, line: &str) {
    if !body.is_empty() {
        body.push('\n');
    }
    body.push_str(line);
}

/// A call that has no answer yet: status 0 marks that until the `<` line.
fn step(request: &str) -> Result<Step, String> {
    let (method, path) = request.split_once(' ').ok_or("is not `> METHOD path`")?;
    Ok(Step {
        method: method.to_owned(),
        path: path.to_owned(),
        headers: Vec::new(),
        body: String::new(),
        answer: Answer::Reply(HttpResponse { status: 0, retry_after: None, body: Vec::new() }),
    })
}

fn read_answer(answer: &str) -> Result<Answer, String> {
    match answer {
        "lost" => Ok(Answer::Lost),
        "not sent" => Ok(Answer::NotSent),
        status => {
            let status = status.parse().map_err(|_| "is not `< status`, `< lost` or `< not sent`")?;
            Ok(Answer::reply(status, Vec::new()))
        }
    }
}

fn header(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(": ")?;
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    is_name.then(|| (name.to_owned(), value.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about() -> &'static About {
        paymux_providers::ALL[0]
    }

    fn read(file: &str, text: &str) -> Result<Recording, String> {
        Recording::parse(about(), file, text).map_err(|fault| fault.to_string())
    }

    #[test]
    fn a_file_reads_as_calls_answers_and_facts() {
        let text = "# from documents: a page\n# request: KWD 1.230 LINK MANUAL\n# amount: 0.500\n\
            > GET {base}/a/{reference}/\nX-Key: {attempt}\n{\"a\":\n 1}\n< 429\nRetry-After: 7\n<html>\n= error busy 7 s\n";
        let recording = read("refund_part.http", text).unwrap();
        assert_eq!(recording.options.money.to_string(), "1.230 KWD");
        assert_eq!(
            (recording.options.approach, recording.options.capture),
            (Approach::Link, CaptureMode::Manual)
        );
        let step = &recording.steps[0];
        assert_eq!(step.path, format!("/a/{}/", world::REFERENCE));
        assert_eq!(step.headers, [("X-Key".to_owned(), world::ATTEMPT.to_owned())]);
        assert_eq!(step.body, "{\"a\":\n 1}");
        assert!(step.reads_only());
        let Answer::Reply(response) = &step.answer else { panic!("a reply") };
        assert_eq!((response.status, response.retry_after), (429, Some(Duration::from_secs(7))));
        assert_eq!(response.body, b"<html>");
        assert_eq!(recording.expected, ["error busy 7 s"]);
        assert!(!recording.succeeds());
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said_with_its_line() {
        for (file, text, complaint) in [
            ("fetch.http", "> GET /a\n", ":1: begins with neither"),
            ("look.http", "# recorded 2026-11-20\n", ":1: the name does not begin"),
            ("fetch.http", "# recorded 2026-11-20\n# requests: EUR\n", ":2: `requests` is no key"),
            ("fetch.http", "# recorded 2026-11-20\n> GET\n", ":2: is not `> METHOD path`"),
            ("fetch.http", "# recorded 2026-11-20\n> GET /a\n< fine\n", ":3: is not `< status`"),
            ("fetch.http", "# recorded 2026-11-20\n# request: EUR 0.005\n", ":2: 0.005: more decimals"),
        ] {
            let said = read(file, text).unwrap_err();
            assert!(said.contains(complaint), "{said}");
        }
    }
}
