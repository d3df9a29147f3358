//! A request's place in a trace (W3C Trace Context), carried along to the providers that are called for it.

tokio::task_local! {
    static PARENT: Option<String>;
}

/// Runs `work`: what it sends has `parent` as its `traceparent`. A task that it spawns has to be given it again.
pub async fn within<T>(parent: Option<String>, work: impl Future<Output = T>) -> T {
    PARENT.scope(parent, work).await
}

/// The `traceparent` of the work that is running, if it has one.
pub fn current() -> Option<String> {
    PARENT.try_with(Clone::clone).ok().flatten()
}
