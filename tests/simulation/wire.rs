//! The way from the gateway to the providers: no socket, only delays, faults and the sandbox's function.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use paymux_sandbox::{Request, Response};
use port::{HttpRequest, HttpResponse, Transport, TransportError};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use crate::fault_plan::{CallFault, PROVIDERS};
use crate::world::{SANDBOX_URL, World, held};

/// How long the gateway's client waits for an answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The gateway's way out.
pub(crate) struct Wire(Arc<World>);

impl Wire {
    pub(crate) fn new(world: Arc<World>) -> Self {
        Self(world)
    }
}

#[async_trait]
impl Transport for Wire {
    async fn send(&self, base_url: &str, call: &HttpRequest) -> Result<HttpResponse, TransportError> {
        let world = &self.0;
        world.moment().await;
        let base = base_url.strip_prefix(SANDBOX_URL).expect("accounts point at the sandbox");
        let provider =
            PROVIDERS.iter().position(|name| base[1..].starts_with(name)).expect("one of the three");
        let fault = held(&world.fault_plan).call_fault(&world.rng, provider, world.now());
        if fault.refused {
            sleep(Duration::from_millis(3)).await;
            world.note(&format!("refused {} {base}{}", call.method.as_str(), call.path));
            return Err(TransportError::NotSent("connection refused".to_owned()));
        }
        let (answer, answered) = oneshot::channel();
        world.network(travel(world.clone(), request_of(base, call), fault, answer));
        let outcome = timeout(TIMEOUT, answered).await;
        world.moment().await;
        match outcome {
            Ok(Ok(Some(response))) => Ok(reply_of(response)),
            Ok(_) => Err(TransportError::Lost("the connection was closed".to_owned())),
            Err(_) => Err(TransportError::Lost("timed out".to_owned())),
        }
    }
}

/// The request is under way, and then its answer, whether or not anybody still waits.
async fn travel(
    world: Arc<World>,
    request: Request,
    fault: CallFault,
    answer: oneshot::Sender<Option<Response>>,
) {
    sleep(fault.there).await;
    if answer.is_closed() && !fault.outlives_caller {
        return;
    }
    let answered = world.serve(&request, fault.fault, true);
    sleep(Duration::from_millis(answered.delay_ms) + fault.back).await;
    // The caller may have given up.
    let _ = answer.send(answered.response);
}

fn request_of(base: &str, call: &HttpRequest) -> Request {
    let request = Request::new(call.method.as_str(), &format!("{base}{}", call.path)).body(call.body.clone());
    call.headers.iter().fold(request, |request, (name, value)| request.header(name, value.expose()))
}

fn reply_of(response: Response) -> HttpResponse {
    let named = |(name, _): &&(String, String)| name.eq_ignore_ascii_case("retry-after");
    let retry_after = response.headers.iter().find(named).and_then(|(_, seconds)| seconds.parse().ok());
    HttpResponse {
        status: response.status,
        retry_after: retry_after.map(Duration::from_secs),
        body: response.body.into_bytes(),
    }
}
