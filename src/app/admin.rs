//! Administration from the command line: API keys, erasure, stored notifications.
//!
//! It is done by the program that has the database open: by the running gateway, which listens on a socket beside the
//! database that only its owner may use, and else by the command itself.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::web::{self, Data, Json, JsonConfig};
use actix_web::{App, HttpResponse, HttpServer};
use port::{HttpRequest, Method, Timestamp, Transport as _, TransportError};
use serde::{Deserialize, Serialize};

use super::build::{BuildError, open_engine, open_existing};
use super::demo;
use super::keys::{self, Scope};
use super::output::{self, counted};
use crate::audit::{self, Erased, ErasureTarget, LastChangeCheck};
use crate::config::Store;
use crate::engine::Engine;
use crate::outbound::Outbound;
use crate::store::sqlite::OpenError;
use crate::store::{InboxFilter, StoreError};
use crate::{http, inbox};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum AdminRequest {
    CreateKey {
        merchant: String,
        scopes: Vec<Scope>,
        test: bool,
    },
    ListKeys,
    RevokeKey {
        key: String,
    },
    /// With the configured accounts, where they can be read.
    Erase {
        merchant: String,
        target: ErasureTarget,
        accounts: Option<Vec<String>>,
    },
    ReplayInbox {
        from: Timestamp,
        to: Timestamp,
        account: Option<String>,
        /// The accounts of the settings.
        configured: Vec<String>,
    },
}

#[derive(Serialize, Deserialize)]
struct AdminResponse {
    succeeded: bool,
    /// The result, for standard output.
    output: String,
    /// What an operator should know besides, for standard error.
    advice: String,
}

/// The one path on the socket.
const PATH: &str = "/admin";

/// The largest request, bytes.
const MAX_REQUEST: usize = 16 * 1024;

/// How long a command waits for the gateway: erasing looks at every order.
const TIMEOUT: Duration = Duration::from_secs(3_600);

/// How many ids a response lists of each kind; the numbers are always complete.
const MAX_LISTED: usize = 5_000;

/// Who carries requests out.
enum Administrator {
    /// The command itself, with the database open.
    Own(Engine),
    /// The gateway that listens on this socket.
    Running(PathBuf),
}

impl Administrator {
    /// Who has the database open, or the command itself if nobody has.
    async fn of(store: &Store, request: &AdminRequest) -> Result<Self, BuildError> {
        let creates = matches!(request, AdminRequest::CreateKey { .. });
        let opened =
            if creates { open_engine(store, Arc::default()) } else { open_existing(store, Arc::default()) };
        let engine = match opened {
            Ok(engine) => engine,
            Err(fault) => match fault.downcast_ref() {
                Some(OpenError::InUse(database)) => return Ok(Self::Running(socket_of(database))),
                _ => return Err(fault),
            },
        };
        if creates && demo::owns(&engine).await? {
            return Err(demo::refusal(&store.path).into());
        }
        if let LastChangeCheck::Unknown(why) | LastChangeCheck::Missing(why) =
            audit::check_last_change(&*engine.store, &store.path).await?
        {
            eprintln!("warning: {why}");
        }
        let socket = socket_of(&fs::canonicalize(&store.path)?);
        if socket.exists() {
            eprintln!("{} is left from a gateway that was killed; it is not used", socket.display());
        }
        Ok(Self::Own(engine))
    }

    async fn carry_out(&self, request: &AdminRequest) -> Result<AdminResponse, BuildError> {
        match self {
            Self::Own(engine) => Ok(carry_out(engine, request).await?),
            Self::Running(socket) => send(socket, request).await,
        }
    }

    /// Revokes a key that nobody has seen. Says what became of it.
    async fn take_back(&self, key: &str) -> String {
        let revoked = self.carry_out(&AdminRequest::RevokeKey { key: key.to_owned() }).await;
        match revoked {
            Ok(response) if response.succeeded => "it was revoked".to_owned(),
            _ => "it could not be revoked either: `keys list` shows it".to_owned(),
        }
    }
}

/// Has a request carried out and prints the response.
///
/// # Errors
/// Why it was not carried out, or why that is not known, or why its result could not be shown.
pub(super) async fn run(store: &Store, request: &AdminRequest) -> Result<ExitCode, BuildError> {
    let creates = matches!(request, AdminRequest::CreateKey { .. });
    if creates && output::is_thrown_away() {
        return Err(
            "standard output is closed or `/dev/null`: nobody would see the key, so none was made".into()
        );
    }
    let administrator = Administrator::of(store, request).await?;
    let response = administrator.carry_out(request).await?;
    if let Err(why) = output::show(&response.output) {
        return Err(if creates {
            format!(
                "the key could not be shown: {why}; {}",
                administrator.take_back(response.output.trim_end()).await
            )
        } else {
            format!("it was done, but what came of it could not be shown: {why}")
        }
        .into());
    }
    eprint!("{}", response.advice);
    Ok(if response.succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn carry_out(engine: &Engine, request: &AdminRequest) -> Result<AdminResponse, StoreError> {
    match request {
        AdminRequest::CreateKey { merchant, scopes, test } => {
            let key = keys::create(engine, merchant, scopes, *test).await?;
            let advice = "Keep it now: only its hash is stored, and it cannot be shown again.\n";
            Ok(AdminResponse { succeeded: true, output: format!("{key}\n"), advice: advice.to_owned() })
        }
        AdminRequest::ListKeys => Ok(done(keys::list(engine).await?)),
        AdminRequest::RevokeKey { key } => Ok(if keys::revoke(engine, key).await? {
            done("revoked\n".to_owned())
        } else {
            failed("there is no such key, or more than one is listed with these letters\n")
        }),
        AdminRequest::Erase { merchant, target, accounts } => {
            let erased = audit::erase(engine, merchant, target, accounts.as_deref()).await?;
            Ok(erasure_report(&erased, target))
        }
        AdminRequest::ReplayInbox { from, to, account, configured } => {
            if let Some(unknown) = unknown_account(engine, account.as_deref(), configured).await? {
                return Ok(failed(&unknown));
            }
            let (from, to, account) = (*from, *to, account.clone());
            let filter = InboxFilter { from, to, account, after: None, limit: u32::MAX };
            let count = inbox::replay(engine, &filter).await?;
            Ok(done(replayed(count)))
        }
    }
}

fn replayed(count: u64) -> String {
    let are_due = if count == 1 { "is due" } else { "are due" };
    format!("{} {are_due} again, which the gateway acts on as it runs\n", counted(count, "notification"))
}

/// What to say of an account that is neither configured nor has stored notifications.
async fn unknown_account(
    engine: &Engine,
    account: Option<&str>,
    configured: &[String],
) -> Result<Option<String>, StoreError> {
    let Some(name) = account.filter(|name| !configured.iter().any(|known| known == name)) else {
        return Ok(None);
    };
    let mut known: BTreeSet<String> = engine.store.notified_accounts().await?.into_iter().collect();
    if known.contains(name) {
        return Ok(None);
    }
    known.extend(configured.iter().cloned());
    let known: Vec<String> = known.into_iter().collect();
    Ok(Some(format!("there is no account `{name}`; known are: {}\n", known.join(", "))))
}

fn done(output: String) -> AdminResponse {
    AdminResponse { succeeded: true, output, advice: String::new() }
}

fn failed(advice: &str) -> AdminResponse {
    AdminResponse { succeeded: false, output: String::new(), advice: advice.to_owned() }
}

fn erasure_report(erased: &Erased, target: &ErasureTarget) -> AdminResponse {
    let number = |count: usize, noun| counted(count as u64, noun);
    let (orders, sessions) = (erased.orders.len(), erased.profile_sessions.len());
    let (profiles, open) = (erased.profiles.len(), erased.still_open.len());
    if orders + sessions + profiles + open == 0 {
        return failed("nothing of this merchant was found; what was erased before is not found again\n");
    }
    let mut output = format!(
        "erased the personal data of {}, {} and {} that stored one\n",
        number(orders, "order"),
        number(profiles, "payment profile"),
        number(sessions, "session"),
    );
    let erased_ids =
        listed(&erased.orders).chain(listed(&erased.profiles)).chain(listed(&erased.profile_sessions));
    output.extend(erased_ids.map(|id| id + "\n"));
    if open > 0 {
        let (are, them) = if open == 1 { ("is", "it") } else { ("are", "them") };
        output.push_str(&format!(
            "{} {are} not finished: something of {them} is still open; erase again when nothing is\n",
            number(open, "order"),
        ));
        output.extend(listed(&erased.still_open).map(|id| id + "\n"));
    }
    let mut advice = String::new();
    if !matches!(target, ErasureTarget::Customer(_)) {
        advice.extend(erased.customer_ids.iter().take(MAX_LISTED).map(|id| {
            format!("an order names the customer {id}: --customer {id} also erases payment profiles\n")
        }));
    }
    AdminResponse { succeeded: true, output, advice }
}

fn listed<T: ToString>(ids: &[T]) -> impl Iterator<Item = String> {
    ids.iter().take(MAX_LISTED).map(ToString::to_string)
}

/// The socket of the gateway that has a database open, whose path is canonical.
fn socket_of(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(".sock");
    path.into()
}

async fn send(socket: &Path, request: &AdminRequest) -> Result<AdminResponse, BuildError> {
    let client = Outbound::on_socket(socket, TIMEOUT)?;
    let request = HttpRequest::new(Method::Post, PATH.to_owned()).json_bytes(serde_json::to_vec(request)?);
    let response = client.send("http://gateway", &request).await.map_err(|fault| match fault {
        TransportError::NotSent(why) => format!(
            "the database is in use, and no gateway answers on {}: {why}. A gateway may be starting, or another command \
             is running: try again",
            socket.display()
        ),
        TransportError::Lost(why) => {
            format!("the gateway's answer was lost: {why}. Whether it was done is not known")
        }
    })?;
    if !response.ok() {
        let why = String::from_utf8_lossy(&response.body);
        return Err(format!("the running gateway answered {}: {why}", response.status).into());
    }
    Ok(serde_json::from_slice(&response.body)?)
}

/// What the running gateway carries requests out with.
struct Running {
    engine: Engine,
    common: Arc<http::Common>,
}

/// The socket of the running gateway, which is removed when it stops.
pub(super) struct AdminSocket {
    path: PathBuf,
}

impl Drop for AdminSocket {
    fn drop(&mut self) {
        // If it stays, the next command says so and goes on.
        let _ = fs::remove_file(&self.path);
    }
}

/// Serves administration on the socket beside the database, on a thread of its own.
///
/// # Errors
/// Why there is no socket.
pub(super) fn serve(
    database: &Path,
    engine: Engine,
    common: Arc<http::Common>,
) -> Result<(Server, AdminSocket), BuildError> {
    let path = socket_of(&fs::canonicalize(database)?);
    let fault = |why: io::Error| {
        // The system takes about a hundred characters for a socket.
        let is_too_long = why.kind() == io::ErrorKind::InvalidInput;
        let advice = if is_too_long { "; move the database to a folder with a shorter path" } else { "" };
        format!("the administration socket {} could not be opened: {why}{advice}", path.display())
    };
    let listener = bind(&path).map_err(fault)?;
    let running = Data::new(Running { engine, common });
    let app = move || {
        let limit = JsonConfig::default().limit(MAX_REQUEST);
        App::new().app_data(running.clone()).app_data(limit).route(PATH, web::post().to(handle))
    };
    let server = HttpServer::new(app).workers(1).disable_signals().listen_uds(listener).map_err(fault)?.run();
    Ok((server, AdminSocket { path }))
}

/// Binds the socket in a folder that only its owner may enter, and moves it to its place once only its owner may connect.
/// One that a killed gateway left is replaced: who binds has locked the database.
fn bind(path: &Path) -> io::Result<UnixListener> {
    let mut folder = path.as_os_str().to_owned();
    folder.push(".new");
    let folder = PathBuf::from(folder);
    let new = folder.join("s");
    // What a kill between these steps left.
    let _ = (fs::remove_file(&new), fs::remove_dir(&folder));
    DirBuilder::new().mode(0o700).create(&folder)?;
    let listener = UnixListener::bind(&new)?;
    fs::set_permissions(&new, Permissions::from_mode(0o600))?;
    fs::rename(&new, path)?;
    fs::remove_dir(&folder)?;
    Ok(listener)
}

/// Carries a request out to its end, also if the command is gone meanwhile.
async fn handle(running: Data<Running>, request: Json<AdminRequest>) -> HttpResponse {
    let work = async move {
        let response = carry_out(&running.engine, &request).await;
        if matches!(*request, AdminRequest::CreateKey { .. } | AdminRequest::RevokeKey { .. }) {
            running.common.api_keys_changed();
        }
        response
    };
    match actix_web::rt::spawn(work).await {
        Ok(Ok(response)) => HttpResponse::Ok().json(response),
        Ok(Err(fault)) => HttpResponse::InternalServerError().body(fault.to_string()),
        Err(_) => {
            HttpResponse::InternalServerError().body("it ended with an error that is in the gateway's log")
        }
    }
}
