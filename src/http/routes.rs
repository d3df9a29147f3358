//! The whole HTTP surface as one table: method, address, who may, what it does, and how its answer looks.
//!
//! `reads` answers from what is stored; `acts` changes something, once for each idempotency key, and runs to its end
//! even if the client hangs up; `starts` also tries again under the same key while no provider was reached; `does`
//! changes something that is the same however often it is done. A `page` takes no API key.

use actix_web::http::Method;
use actix_web::web::{self, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::TryFutureExt as _;
use futures_util::future::LocalBoxFuture;

use super::auth::Scope;
use super::handlers::{attention, checkout, orders, payments, problems, profiles, sessions, show, webhooks};
use super::idempotency::act;
use super::problem::Problem;
use super::request::{ApiRequest, RawRequest};
use super::serve::{fallback, run_detached, serve};
use super::state::State;
use super::{notifications, qr, returning, stream};

/// A line of the table.
pub(super) struct Route {
    /// In capitals.
    pub(super) method: &'static str,
    /// The pattern of the address; also a metric label.
    pub(super) path: &'static str,
    /// What it does.
    pub(super) handler: Handler,
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
    ($scope:ident reads $run:path) => {
        Handler::Api(Scope::$scope, Api::Reads(|request| Box::pin($run(request).map_ok(HttpResponse::from))))
    };
    ($scope:ident does $run:path) => {
        Handler::Api(Scope::$scope, Api::Acts(|request| Box::pin($run(request).map_ok(HttpResponse::from))))
    };
    ($scope:ident acts $run:path => $show:path) => {
        Handler::Api(Scope::$scope, Api::Acts(|request| Box::pin(act(request, $run, $show, false))))
    };
    ($scope:ident starts $run:path => $show:path) => {
        Handler::Api(Scope::$scope, Api::Acts(|request| Box::pin(act(request, $run, $show, true))))
    };
}

macro_rules! routes {
    ($($method:ident $path:literal $scope:ident $kind:ident $run:path $(=> $show:path)?;)*) => {
        /// Every route.
        pub(super) static ROUTES: &[Route] = &[$(Route {
            method: stringify!($method),
            path: $path,
            handler: handler!($scope $kind $run $(=> $show)?),
        },)*];
    };
}

routes! {
    POST   "/v1/orders"                              Payments acts   orders::create         => show::created;
    GET    "/v1/orders"                              Payments reads  orders::list_all;
    GET    "/v1/orders/{order}"                      Payments reads  orders::read;
    PATCH  "/v1/orders/{order}"                      Payments acts   orders::change         => show::order;
    POST   "/v1/orders/{order}/items"                Payments acts   orders::add_item       => show::created;
    PATCH  "/v1/orders/{order}/items/{item}"         Payments acts   orders::change_item    => show::order;
    DELETE "/v1/orders/{order}/items/{item}"         Payments acts   orders::remove_item    => show::order;
    POST   "/v1/orders/{order}/price"                Payments acts   orders::price          => show::order;
    POST   "/v1/orders/{order}/sign"                 Payments acts   orders::sign           => show::order;
    POST   "/v1/orders/{order}/checkout"             Payments starts checkout::checkout     => show::session;
    POST   "/v1/orders/{order}/submit"               Payments acts   orders::submit         => show::submitted;
    POST   "/v1/orders/{order}/approve"              Payments acts   orders::approve        => show::order;
    POST   "/v1/orders/{order}/reject"               Payments acts   orders::reject         => show::order;
    POST   "/v1/orders/{order}/fulfil"               Payments acts   orders::fulfil         => show::order;
    POST   "/v1/orders/{order}/cancel"               Payments acts   orders::cancel         => show::order;
    GET    "/v1/orders/{order}/timeline"             Payments reads  orders::timeline;
    POST   "/v1/checkouts"                           Payments starts checkout::create_and_checkout
        => show::order_and_session;
    GET    "/v1/payment-sessions/{session}"          Payments reads  sessions::read;
    POST   "/v1/payment-sessions/{session}/cancel"   Payments acts   sessions::cancel
        => show::cancelled_session;
    GET    "/v1/payment-sessions/{session}/events"   Payments reads  stream::watch;
    GET    "/v1/payments"                            Payments reads  payments::list_all;
    GET    "/v1/payments/{payment}"                  Payments reads  payments::read;
    POST   "/v1/payments/{payment}/capture"          Payments acts   payments::capture      => show::operated;
    POST   "/v1/payments/{payment}/void"             Payments acts   payments::void         => show::operated;
    POST   "/v1/payments/{payment}/refunds"          Payments acts   payments::create_refund => show::refund;
    GET    "/v1/payments/{payment}/refunds"          Payments reads  payments::list_refunds;
    GET    "/v1/refunds/{refund}"                    Payments reads  payments::get_refund;
    POST   "/v1/payment-profiles/sessions"           Payments starts profiles::create_session
        => profiles::created_session;
    GET    "/v1/payment-profiles/sessions/{session}" Payments reads  profiles::read_session;
    POST   "/v1/payment-profiles/sessions/{session}/cancel" Payments acts profiles::cancel_session
        => profiles::cancelled_session;
    GET    "/v1/payment-profiles"                    Payments reads  profiles::list_all;
    GET    "/v1/payment-profiles/{profile}"          Payments reads  profiles::read;
    DELETE "/v1/payment-profiles/{profile}"          Payments does   profiles::remove;
    POST   "/v1/webhook-endpoints"                   Payments acts   webhooks::create       => webhooks::created;
    GET    "/v1/webhook-endpoints"                   Payments reads  webhooks::list_all;
    GET    "/v1/webhook-endpoints/{endpoint}"        Payments reads  webhooks::read;
    PATCH  "/v1/webhook-endpoints/{endpoint}"        Payments does   webhooks::change;
    DELETE "/v1/webhook-endpoints/{endpoint}"        Payments does   webhooks::remove;
    POST   "/v1/webhook-endpoints/{endpoint}/rotate-secret" Payments acts webhooks::rotate  => webhooks::rotated;
    POST   "/v1/webhook-endpoints/{endpoint}/replay" Ops      acts   webhooks::replay       => webhooks::replayed;
    GET    "/v1/webhook-endpoints/{endpoint}/deliveries" Payments reads webhooks::deliveries;
    GET    "/v1/events"                              Payments reads  webhooks::events;
    POST   "/v1/events/{event}/redeliver"            Payments acts   webhooks::redeliver    => webhooks::redelivered;
    GET    "/v1/attention"                           Ops      reads  attention::list_all;
    POST   "/v1/attention/{attention}/resolve"       Ops      acts   attention::resolve     => show::attention;
    GET    "/return/{token}"                         anybody  page   returning::handle_return;
    POST   "/return/{token}"                         anybody  page   returning::handle_return;
    GET    "/qr/{token}"                             anybody  page   qr::picture;
    POST   "/webhooks/{account}"                     anybody  page   notifications::receive;
    POST   "/webhooks/{account}/{key}"               anybody  page   notifications::receive;
    GET    "/problems/{code}"                        anybody  page   problems::page;
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
