//! The way from the gateway to the providers: no socket, only delays, faults and the sandbox's function.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use paymux_sandbox::{Request, Response};
use port::{HttpRequest, HttpResponse, Transport, TransportError};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use crate::conditions::{Disturbance, PROVIDERS};
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
    async fn send(&self, base_url: &str, http_request: &HttpRequest) -> Result<HttpResponse, TransportError> {
        let world = &self.0;
        world.moment().await;
        let base = base_url.strip_prefix(SANDBOX_URL).expect("accounts point at the sandbox");
        let provider =
            PROVIDERS.iter().position(|name| base[1..].starts_with(name)).expect("one of the three");
        let disturbance = held(&world.conditions).disturbance(&world.random, provider, world.now());
        if disturbance.refused {
            sleep(Duration::from_millis(3)).await;
            world.log(&format!("refused {} {base}{}", http_request.method.as_str(), http_request.path));
            return Err(TransportError::NotSent("connection refused".to_owned()));
        }
        let (answer, answered) = oneshot::channel();
        world.network(travel(world.clone(), request_of(base, http_request), disturbance, answer));
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
    disturbance: Disturbance,
    answer: oneshot::Sender<Option<Response>>,
) {
    sleep(disturbance.there).await;
    if answer.is_closed() && !disturbance.outlives_caller {
        return;
    }
    let answered = world.serve(&request, disturbance.fault, true);
    sleep(Duration::from_millis(answered.delay_ms) + disturbance.back).await;
    // The caller may have given up.
    let _ = answer.send(answered.response);
}

fn request_of(base: &str, http_request: &HttpRequest) -> Request {
    let request = Request::new(http_request.method.as_str(), &format!("{base}{}", http_request.path))
        .body(http_request.body.clone());
    http_request.headers.iter().fold(request, |request, (name, value)| request.header(name, value.expose()))
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
