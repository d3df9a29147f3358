//! Propagates a request's `traceparent` (W3C Trace Context) to the calls made for it.

tokio::task_local! {
    static PARENT: Option<String>;
}

/// Runs `work`: what it sends has `parent` as its `traceparent`. Spawned tasks do not inherit it.
pub async fn within<T>(parent: Option<String>, work: impl Future<Output = T>) -> T {
    PARENT.scope(parent, work).await
}

/// The `traceparent` of the work that is running, if it has one.
pub fn current() -> Option<String> {
    PARENT.try_with(Clone::clone).ok().flatten()
}
