//! The table of all routes: method, path, scope, handler, and how the answer is rendered.
//!
//! `reads` changes nothing, except that `refresh` asks the provider first. `acts` changes something, once per idempotency
//! key. `starts` is `acts` for a request that creates a session: a repeat runs again if no provider was reached. `does` is
//! a change that is idempotent by itself. All of these run to their end even if the client disconnects. A `page` takes no
//! API key.
//!
//! After a colon comes the reader of the query or of the body; the handler gets its result. A route without a reader
//! takes no query, and if it `acts` no body. `edits` is `acts` for a body that is read together with the order that it
//! changes, which the handler does. [`Route`] describes what the readers take.

use std::collections::HashSet;

use actix_web::http::Method;
use actix_web::web::{self, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::future::LocalBoxFuture;
use port::{EndpointId, RefundId};

use super::auth::Scope;
use super::handlers::{attention, checkout, orders, payments, profiles, sessions, show, webhooks};
use super::idempotency::act;
use super::input::schema::Object;
use super::input::{
    self, Reader, decision, endpoint, endpoint_changes, fulfilment, item_changes, new_item, new_order,
    order_and_checkout, order_changes, part, profile_session, query, range, redelivery, refund, signature,
    submission,
};
use super::problem::Problem;
use super::request::{ApiRequest, RawRequest};
use super::serve::{fallback, serve};
use super::state::State;
use super::{notifications, pages, qr, returning, stream};

pub struct Route {
    pub method: &'static str,
    /// The pattern of the address, with its parameters in braces; also a metric label.
    pub path: &'static str,
    /// Reads the query of a route that `reads`, or else the body.
    pub(super) reader: Option<Reader<()>>,
    pub(super) handler: Handler,
}

impl Route {
    /// The methods that it answers: HEAD too where it answers GET, as RFC 9110 wants it.
    fn methods(&self) -> impl Iterator<Item = Method> {
        let method = Method::from_bytes(self.method.as_bytes()).expect("the table has methods of HTTP");
        let head = (method == Method::GET).then_some(Method::HEAD);
        [Some(method), head].into_iter().flatten()
    }

    /// Whether there is a query, which [`Route::input`] describes. Otherwise that is the body.
    pub fn takes_query(&self) -> bool {
        self.reader.is_some() && matches!(self.handler, Handler::Reads(..))
    }

    /// The parameters of the query or the fields of the body; `None` if the route takes neither.
    pub fn input(&self) -> Option<Object> {
        self.reader.map(input::describe_object)
    }
}

/// The routes that take an API key, in the order of the table. They describe their requests.
pub fn api_routes() -> impl Iterator<Item = &'static Route> {
    ROUTES.iter().filter(|route| !matches!(route.handler, Handler::Page(_)))
}

/// A function that answers a request.
type Answers<T> = fn(T) -> LocalBoxFuture<'static, Result<HttpResponse, Problem>>;

/// The handler of a route.
pub(super) enum Handler {
    /// Needs no API key.
    Page(Answers<RawRequest>),
    /// Takes a query.
    Reads(Scope, Answers<ApiRequest>),
    /// Takes a body.
    Acts(Scope, Answers<ApiRequest>),
}

macro_rules! handler {
    (public page $run:path) => {
        Handler::Page(|raw| Box::pin($run(raw)))
    };
    ($scope:ident reads $run:path $(: $query:path)?) => {
        Handler::Reads(Scope::$scope, |request| Box::pin(async move {
            $run(&request $(, request.query($query)?)?).await.map(HttpResponse::from)
        }))
    };
    ($scope:ident does $run:path $(: $body:path)?) => {
        Handler::Acts(Scope::$scope, |request| Box::pin(async move {
            $run(&request $(, request.read($body)?)?).await.map(HttpResponse::from)
        }))
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
        Handler::Acts(Scope::$scope, |request| Box::pin(act(request, $run, $show, $session)))
    };
}

macro_rules! reader {
    () => {
        None
    };
    ($input:path) => {
        Some(|value| $input(value).map(drop))
    };
}

macro_rules! routes {
    ($(
        $method:ident $path:literal $scope:ident $kind:ident $run:path $(: $input:path)? $(=> $show:path)?;
    )*) => {
        pub(super) static ROUTES: &[Route] = &[$(Route {
            method: stringify!($method),
            path: $path,
            reader: reader!($($input)?),
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
    POST   "/v1/orders/{order}/fulfil"          Payments acts   orders::finish: fulfilment => show::order;
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
    GET    "/v1/payments/{payment}/refunds"     Payments reads  payments::list_refunds: query::page::<RefundId>;
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
    GET    "/v1/webhook-endpoints"              Payments reads  webhooks::list_all: query::page::<EndpointId>;
    GET    "/v1/webhook-endpoints/{endpoint}"   Payments reads  webhooks::read;
    PATCH  "/v1/webhook-endpoints/{endpoint}"   Payments does   webhooks::change: endpoint_changes;
    DELETE "/v1/webhook-endpoints/{endpoint}"   Payments does   webhooks::remove;
    POST   "/v1/webhook-endpoints/{endpoint}/rotate-secret" Payments acts   webhooks::rotate
        => webhooks::rotated;
    POST   "/v1/webhook-endpoints/{endpoint}/replay" Ops      acts   webhooks::replay: range
        => webhooks::replayed;
    GET    "/v1/webhook-endpoints/{endpoint}/deliveries" Payments reads  webhooks::deliveries: query::page::<u64>;
    GET    "/v1/events"                         Payments reads  webhooks::events: query::events;
    POST   "/v1/events/{event}/redeliver"       Payments acts   webhooks::redeliver: redelivery
        => webhooks::redelivered;
    GET    "/v1/attention"                      Ops      reads  attention::list_all: query::attention;
    POST   "/v1/attention/{attention}/resolve"  Ops      acts   attention::resolve: decision
        => show::attention;
    GET    "/return/{token}"                    public   page   returning::handle_return;
    POST   "/return/{token}"                    public   page   returning::handle_return;
    GET    "/qr/{token}"                        public   page   qr::picture;
    POST   "/webhooks/{account}"                public   page   notifications::receive;
    POST   "/webhooks/{account}/{key}"          public   page   notifications::receive;
    GET    "/problems/{code}"                   public   page   pages::problem;
    GET    "/problems"                          public   page   pages::problems;
    GET    "/problems/"                         public   page   pages::to_problems;
    GET    "/"                                  public   page   pages::home;
}

/// Adds the routes to a server. Unknown addresses, and methods that an address does not take, are answered as problems.
pub fn configure(cfg: &mut ServiceConfig, state: &State) {
    let mut seen = HashSet::new();
    let mut paths: Vec<_> = ROUTES.iter().map(|route| route.path).filter(|path| seen.insert(*path)).collect();
    // Routes are tried one after the other, and plain paths are compared faster than patterns. The sort is stable, so
    // the order of the table is kept otherwise.
    paths.sort_by_key(|path| path.contains('{'));
    for path in paths {
        cfg.service(resource(path, state));
    }
    cfg.default_service(refuse(Problem::not_found(), "unmatched", state));
}

fn resource(path: &'static str, state: &State) -> actix_web::Resource {
    let routes = || ROUTES.iter().filter(|route| route.path == path);
    let mut resource = web::resource(path);
    for route in routes() {
        let (state, metrics) = (state.clone(), state.metrics().route(route.method, path));
        let handler = move |request: HttpRequest, payload: Payload| {
            serve(route, metrics.clone(), state.clone(), request, payload)
        };
        for method in route.methods() {
            resource = resource.route(web::method(method).to(handler.clone()));
        }
    }
    let allow =
        routes().flat_map(Route::methods).map(|method| method.to_string()).collect::<Vec<_>>().join(", ");
    resource.default_service(refuse(Problem::method_not_allowed(allow), path, state))
}

fn refuse(problem: Problem, path: &'static str, state: &State) -> actix_web::Route {
    let (state, metrics) = (state.clone(), state.metrics().route("any", path));
    web::to(move |request: HttpRequest, payload: Payload| {
        fallback(problem.clone(), metrics.clone(), state.clone(), request, payload)
    })
}
