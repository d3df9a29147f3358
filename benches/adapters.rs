//! What an adapter costs: writing the requests and reading the answers of one start and one read, without a network.

use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use criterion::{Criterion, criterion_group, criterion_main};
use paymux_testkit::contract::Subject;
use paymux_testkit::{ALL, Answer, FixedSource, Memory, Operation, Recording, World, at_once};
use port::{About, Ctx, HttpRequest, HttpResponse, StatusTable, Timestamp, Transport, TransportError};

/// Gives the recorded answers in turn, for ever.
struct Instant {
    replies: Vec<HttpResponse>,
    given: AtomicUsize,
}

impl Instant {
    fn of(recording: &Recording) -> Self {
        let replies = recording.steps.iter().filter_map(|step| match &step.answer {
            Answer::Reply(response) => Some(response.clone()),
            Answer::NotSent | Answer::Lost => None,
        });
        Self { replies: replies.collect(), given: AtomicUsize::new(0) }
    }
}

#[async_trait]
impl Transport for Instant {
    async fn send(&self, _: &str, http_request: &HttpRequest) -> Result<HttpResponse, TransportError> {
        black_box(http_request);
        let number = self.given.fetch_add(1, Ordering::Relaxed) % self.replies.len();
        Ok(self.replies[number].clone())
    }
}

fn adapters(criterion: &mut Criterion) {
    for about in ALL {
        let subject = Subject::load(about).expect("the contract says why not");
        for (operation, file) in [(Operation::Create, "create_hosted.http"), (Operation::Fetch, "fetch_")] {
            let fits = |recording: &&Recording| {
                recording.operation == operation && recording.file.starts_with(file) && recording.succeeds()
            };
            let recording = subject.recordings.iter().find(fits).expect("the contract wants one");
            measure(criterion, about, recording);
        }
    }
}

fn measure(criterion: &mut Criterion, about: &'static About, recording: &Recording) {
    let world = World::of(&recording.options);
    let (attempt, request, provider) = (&world.attempt, &world.request, world.provider(about));
    let (transport, state_store) = (Instant::of(recording), Memory::default());
    let source = FixedSource::new(Timestamp::default());
    let statuses = StatusTable::parse(about.statuses).expect("the contract reads the table first");
    let calls = recording.steps.len();
    criterion.bench_function(&format!("{}/{} ({calls} calls)", about.name, recording.file), |bench| {
        bench.iter(|| {
            let ctx = Ctx::new(about.base_url, &statuses, &transport, &state_store, &source);
            match recording.operation {
                Operation::Create => {
                    at_once(provider.create(&ctx, attempt, request)).map(|created| created.view)
                }
                _ => at_once(provider.fetch(&ctx, attempt)),
            }
            .expect("it works in the contract")
        });
    });
}

criterion_group!(benches, adapters);
criterion_main!(benches);
