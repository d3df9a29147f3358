//! The whole HTTP surface as one table: method, address, who may, what it does, and how its answer looks.
//!
//! `reads` answers from what is stored; `acts` changes something, once for each idempotency key, and runs to its end
//! even if the client hangs up; `starts` also tries again under the same key while no provider was reached; `does`
//! changes something that is the same however often it is done. A `page` takes no API key.
//!
//! Behind a colon stands the reader of the query or the body; the handler gets what it has read. A route without one
//! takes no query, and if it `acts` no body. `edits` is `acts` for a body that is read beside the order as it is, which
//! the handler does. [`Route`] says what the readers take.

use actix_web::http::Method;
use actix_web::web::{self, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::future::LocalBoxFuture;

use super::auth::Scope;
use super::handlers::{attention, checkout, orders, payments, problems, profiles, sessions, show, webhooks};
use super::idempotency::act;
use super::input::schema::Object;
use super::input::{
    self, Reader, decision, endpoint, endpoint_changes, fulfilment, item_changes, new_item, new_order,
    order_and_checkout, order_changes, part, profile_session, query, range, redelivery, refund, signature,
    submission,
};
use super::problem::Problem;
use super::request::{ApiRequest, RawRequest};
use super::serve::{fallback, run_detached, serve};
use super::state::State;
use super::{notifications, qr, returning, stream};

/// A line of the table.
pub struct Route {
    /// In capitals.
    pub method: &'static str,
    /// The pattern of the address, with its parameters in braces; also a metric label.
    pub path: &'static str,
    pub(super) query: Option<Reader<()>>,
    pub(super) body: Option<Reader<()>>,
    pub(super) handler: Handler,
}

impl Route {
    /// The names of the parameters in the path.
    pub fn path_parameters(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    }

    /// The parameters of the query; `None` if there are none.
    pub fn query(&self) -> Option<Object> {
        self.query.map(input::describe_object)
    }

    /// The fields of the body; `None` if there is none.
    pub fn body(&self) -> Option<Object> {
        self.body.map(input::describe_object)
    }
}

/// The routes that take an API key, in the order of the table. They describe their requests.
pub fn api_routes() -> impl Iterator<Item = &'static Route> {
    ROUTES.iter().filter(|route| matches!(route.handler, Handler::Api(..)))
}

/// What serves a route.
pub(super) enum Handler {
    /// Anybody's.
    Page(fn(RawRequest) -> LocalBoxFuture<'static, Result<HttpResponse, Problem>>),
    /// A merchant's, whose key has the scope.
    Api(Scope, Api),
}

/// What serves a merchant.
pub(super) enum Api {
    /// Looks.
    Reads(fn(ApiRequest) -> LocalBoxFuture<'static, Result<HttpResponse, Problem>>),
    /// Changes something.
    Acts(fn(ApiRequest) -> LocalBoxFuture<'static, Result<HttpResponse, Problem>>),
}

macro_rules! handler {
    (anybody page $run:path) => {
        Handler::Page(|raw| Box::pin($run(raw)))
    };
    ($scope:ident reads $run:path $(: $query:path)?) => {
        Handler::Api(Scope::$scope, Api::Reads(|request| Box::pin(async move {
            $run(&request $(, request.query($query)?)?).await.map(HttpResponse::from)
        })))
    };
    ($scope:ident does $run:path $(: $body:path)?) => {
        Handler::Api(Scope::$scope, Api::Acts(|request| Box::pin(async move {
            $run(&request $(, request.read($body)?)?).await.map(HttpResponse::from)
        })))
    };
    ($scope:ident acts $run:path => $show:path) => {
        handler!($scope, async |request| $run(request.with_empty_body()?).await, $show, false)
    };
    ($scope:ident acts $run:path : $body:path => $show:path) => {
        handler!($scope, async |request| $run(request, request.read($body)?).await, $show, false)
    };
    ($scope:ident edits $run:path : $body:path => $show:path) => {
        handler!($scope, async |request| $run(request, $body).await, $show, false)
    };
    ($scope:ident starts $run:path : $body:path => $show:path) => {
        handler!($scope, async |request| $run(request, request.read($body)?).await, $show, true)
    };
    ($scope:ident, $run:expr, $show:path, $session:literal) => {
        Handler::Api(Scope::$scope, Api::Acts(|request| Box::pin(act(request, $run, $show, $session))))
    };
}

macro_rules! query {
    (reads $query:path) => {
        Some(|value| $query(value).map(drop))
    };
    ($kind:ident $($body:path)?) => {
        None
    };
}

macro_rules! body {
    (reads $($query:path)?) => {
        None
    };
    ($kind:ident $body:path) => {
        Some(|value| $body(value).map(drop))
    };
    ($kind:ident) => {
        None
    };
}

macro_rules! routes {
    ($(
        $method:ident $path:literal $scope:ident $kind:ident $run:path $(: $input:path)? $(=> $show:path)?;
    )*) => {
        /// Every route.
        pub(super) static ROUTES: &[Route] = &[$(Route {
            method: stringify!($method),
            path: $path,
            query: query!($kind $($input)?),
            body: body!($kind $($input)?),
            handler: handler!($scope $kind $run $(: $input)? $(=> $show)?),
        },)*];
    };
}

routes! {
    POST   "/v1/orders"                         Payments acts   orders::create: new_order => show::created;
    GET    "/v1/orders"                         Payments reads  orders::list_all: query::orders;
    GET    "/v1/orders/{order}"                 Payments reads  orders::read;
    PATCH  "/v1/orders/{order}"                 Payments edits  orders::change: order_changes => show::order;
    POST   "/v1/orders/{order}/items"           Payments edits  orders::add_item: new_item => show::created;
    PATCH  "/v1/orders/{order}/items/{item}"    Payments edits  orders::change_item: item_changes
        => show::order;
    DELETE "/v1/orders/{order}/items/{item}"    Payments acts   orders::remove_item => show::order;
    POST   "/v1/orders/{order}/price"           Payments acts   orders::price => show::order;
    POST   "/v1/orders/{order}/sign"            Payments acts   orders::sign: signature => show::order;
    POST   "/v1/orders/{order}/checkout"        Payments starts checkout::checkout: input::checkout
        => show::session;
    POST   "/v1/orders/{order}/submit"          Payments acts   orders::submit: submission => show::submitted;
    POST   "/v1/orders/{order}/approve"         Payments acts   orders::approve => show::order;
    POST   "/v1/orders/{order}/reject"          Payments acts   orders::reject => show::order;
    POST   "/v1/orders/{order}/fulfil"          Payments acts   orders::fulfil: fulfilment => show::order;
    POST   "/v1/orders/{order}/cancel"          Payments acts   orders::cancel => show::order;
    GET    "/v1/orders/{order}/timeline"        Payments reads  orders::timeline: query::timeline;
    POST   "/v1/checkouts"                      Payments starts checkout::create_and_checkout
        : order_and_checkout => show::order_and_session;
    GET    "/v1/payment-sessions/{session}"     Payments reads  sessions::read: query::refresh;
    POST   "/v1/payment-sessions/{session}/cancel" Payments acts   sessions::cancel
        => show::cancelled_session;
    GET    "/v1/payment-sessions/{session}/events" Payments reads  stream::watch;
    GET    "/v1/payments"                       Payments reads  payments::list_all: query::payments;
    GET    "/v1/payments/{payment}"             Payments reads  payments::read;
    POST   "/v1/payments/{payment}/capture"     Payments acts   payments::capture: part => show::operated;
    POST   "/v1/payments/{payment}/void"        Payments acts   payments::void => show::operated;
    POST   "/v1/payments/{payment}/refunds"     Payments acts   payments::create_refund: refund
        => show::refund;
    GET    "/v1/payments/{payment}/refunds"     Payments reads  payments::list_refunds: query::page;
    GET    "/v1/refunds/{refund}"               Payments reads  payments::get_refund;
    POST   "/v1/payment-profiles/sessions"      Payments starts profiles::create_session: profile_session
        => profiles::created_session;
    GET    "/v1/payment-profiles/sessions/{session}" Payments reads  profiles::read_session: query::refresh;
    POST   "/v1/payment-profiles/sessions/{session}/cancel" Payments acts   profiles::cancel_session
        => profiles::cancelled_session;
    GET    "/v1/payment-profiles"               Payments reads  profiles::list_all: query::profiles;
    GET    "/v1/payment-profiles/{profile}"     Payments reads  profiles::read;
    DELETE "/v1/payment-profiles/{profile}"     Payments does   profiles::remove;
    POST   "/v1/webhook-endpoints"              Payments acts   webhooks::create: endpoint
        => webhooks::created;
    GET    "/v1/webhook-endpoints"              Payments reads  webhooks::list_all: query::page;
    GET    "/v1/webhook-endpoints/{endpoint}"   Payments reads  webhooks::read;
    PATCH  "/v1/webhook-endpoints/{endpoint}"   Payments does   webhooks::change: endpoint_changes;
    DELETE "/v1/webhook-endpoints/{endpoint}"   Payments does   webhooks::remove;
    POST   "/v1/webhook-endpoints/{endpoint}/rotate-secret" Payments acts   webhooks::rotate
        => webhooks::rotated;
    POST   "/v1/webhook-endpoints/{endpoint}/replay" Ops      acts   webhooks::replay: range
        => webhooks::replayed;
    GET    "/v1/webhook-endpoints/{endpoint}/deliveries" Payments reads  webhooks::deliveries: query::page;
    GET    "/v1/events"                         Payments reads  webhooks::events: query::events;
    POST   "/v1/events/{event}/redeliver"       Payments acts   webhooks::redeliver: redelivery
        => webhooks::redelivered;
    GET    "/v1/attention"                      Ops      reads  attention::list_all: query::attention;
    POST   "/v1/attention/{attention}/resolve"  Ops      acts   attention::resolve: decision
        => show::attention;
    GET    "/return/{token}"                    anybody  page   returning::handle_return;
    POST   "/return/{token}"                    anybody  page   returning::handle_return;
    GET    "/qr/{token}"                        anybody  page   qr::picture;
    POST   "/webhooks/{account}"                anybody  page   notifications::receive;
    POST   "/webhooks/{account}/{key}"          anybody  page   notifications::receive;
    GET    "/problems/{code}"                   anybody  page   problems::page;
}

impl Api {
    /// Serves a merchant's request; a change runs to its end whatever becomes of the client.
    pub(super) async fn handle(&'static self, request: ApiRequest) -> Result<HttpResponse, Problem> {
        let permit = request.in_flight.as_ref().map(|in_flight| in_flight.permit.clone());
        let work = match self {
            Self::Reads(read) => return read(request).await,
            Self::Acts(act) => act(request),
        };
        run_detached(async move {
            let outcome = work.await;
            if let (Err(problem), Some(permit)) = (&outcome, &permit) {
                permit.refused(problem);
            }
            outcome
        })
        .await
    }
}

/// Puts the table into a server. Addresses that it does not have, and methods that they do not take, are answered
/// as problems too.
pub fn configure(cfg: &mut ServiceConfig, state: &State) {
    let mut paths: Vec<&str> = Vec::new();
    for route in ROUTES {
        if !paths.contains(&route.path) {
            paths.push(route.path);
        }
    }
    // They are tried one after the other, and a plain text is compared faster than a pattern. Of two of a kind the
    // first in the table goes first.
    paths.sort_by_key(|path| path.contains('{'));
    for path in paths {
        cfg.service(resource(path, state));
    }
    let (state, metrics) = (state.clone(), state.metrics().route("any", "unmatched"));
    cfg.default_service(web::to(move |request: HttpRequest, payload: Payload| {
        fallback(Problem::not_found(), metrics.clone(), state.clone(), request, payload)
    }));
}

fn resource(path: &'static str, state: &State) -> actix_web::Resource {
    let routes = || ROUTES.iter().filter(|route| route.path == path);
    let mut resource = web::resource(path);
    for route in routes() {
        let method = Method::from_bytes(route.method.as_bytes()).expect("the table has methods of HTTP");
        let (state, metrics) = (state.clone(), state.metrics().route(route.method, path));
        let handler = move |request: HttpRequest, payload: Payload| {
            serve(route, metrics.clone(), state.clone(), request, payload)
        };
        resource = resource.route(web::method(method).to(handler));
    }
    let allow = routes().map(|route| route.method).collect::<Vec<_>>().join(", ");
    let (state, metrics) = (state.clone(), state.metrics().route("any", path));
    resource.default_service(web::to(move |request: HttpRequest, payload: Payload| {
        fallback(Problem::method_not_allowed(allow.clone()), metrics.clone(), state.clone(), request, payload)
    }))
}
