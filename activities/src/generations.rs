//! The SDK's workers, of which one takes over from another now and then.
//!
//! Version 1.1 of the SDK keeps the token and the cancellation of every activity that a worker has ever begun, half a kilobyte each, for as
//! long as that worker lives. So after many of them another worker begins, and the one before stops to poll, ends what it has at work,
//! and goes with all that it keeps. Somebody polls at any moment. What may take hours moves to the one that took over.

use std::{
    mem,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::Context;
use temporalio_client::Client;
use temporalio_sdk::{
    Runtime, Worker, WorkerOptions,
    interceptors::{ActivityInboundInterceptor, ExecuteActivityInput, ExecuteActivityOutput, Next},
};
use tokio::{
    sync::{
        mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
        oneshot,
    },
    task::JoinHandle,
};

use crate::{leaving::Leaving, platform::Platform};

/// Activities that one worker begins before another takes over: some 5 MB, and with 200 runs at work some minutes.
const ACTIVITIES: u32 = 10_000;

/// When the process is to end, activities get this long before they are told; Temporal then has another worker take over.
const GRACE: Duration = Duration::from_secs(5);

/// Makes the options of a worker.
pub(crate) type MakeOptions = Box<dyn Fn() -> anyhow::Result<WorkerOptions> + Send + Sync>;

/// Whom to tell what became of the wish for another worker, if anybody wants to know.
type Wish = Option<oneshot::Sender<anyhow::Result<()>>>;

/// The workers at work.
pub(crate) struct Generations {
    wishes: UnboundedSender<Wish>,
    stop: oneshot::Sender<()>,
    keeping: JoinHandle<Result<(), String>>,
}

impl Generations {
    /// Begins the first one.
    ///
    /// # Errors
    /// When it can't be set up.
    pub(crate) fn begin(client: Client, platform: Arc<Platform>, options: MakeOptions) -> anyhow::Result<Self> {
        let runtime = Runtime::from_current_tokio(Default::default()).context("no runtime for the worker")?;
        let ((wishes, wished), (stop, stopped)) = (unbounded_channel(), oneshot::channel());
        let keeper = Keeper { runtime, platform, options, wishes: wishes.clone(), leaving: Leaving::default() };
        let first = keeper.begin(client)?;
        keeper.platform.polls.store(true, Ordering::Relaxed);
        Ok(Self { wishes, stop, keeping: tokio::spawn(keeper.keep(first, wished, stopped)) })
    }

    /// Has another one take over, as happens by itself after many activities.
    ///
    /// # Errors
    /// When none can be set up: the one that is there goes on.
    pub(crate) async fn renew(&self) -> anyhow::Result<()> {
        let (tell, told) = oneshot::channel();
        self.wishes.send(Some(tell)).ok().context("the worker has ended")?;
        told.await.context("the worker has ended")?
    }

    /// Stops polling, and waits until all have ended.
    ///
    /// # Errors
    /// What the newest one broke with.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        // Where nobody listens any more, all have ended.
        let _ = self.stop.send(());
        self.keeping.await?.map_err(anyhow::Error::msg)
    }
}

struct Keeper {
    runtime: Runtime,
    platform: Arc<Platform>,
    options: MakeOptions,
    wishes: UnboundedSender<Wish>,
    leaving: Leaving,
}

impl Keeper {
    async fn keep(
        self,
        first: Generation,
        mut wished: UnboundedReceiver<Wish>,
        mut stopped: oneshot::Receiver<()>,
    ) -> Result<(), String> {
        let (mut newest, mut before) = (first, Vec::new());
        let broken = loop {
            tokio::select! {
                ended = &mut newest.ended => break Some(ended),
                _ = &mut stopped => {
                    (newest.shut_down)();
                    break None;
                }
                Some(wish) = wished.recv() => {
                    let another = self.another().await;
                    if let Err(error) = &another {
                        // The one that is there goes on, and asks again after as many activities.
                        tracing::warn!(error = format!("{error:#}"), "no other worker can take over");
                    }
                    let took_over = another.map(|next| {
                        let leaves = mem::replace(&mut newest, next);
                        (leaves.shut_down)();
                        leaves.leaving.taken_over();
                        before.retain(|before: &Generation| before.ended.is_empty());
                        before.push(leaves);
                        tracing::info!("another of the SDK's workers has taken over");
                    });
                    // Whoever asked may have gone.
                    let _ = wish.map(|tell| tell.send(took_over));
                }
            }
        };
        self.platform.polls.store(false, Ordering::Relaxed);
        let mut all_ended = pin!(async {
            for before in before {
                let _ = before.ended.await;
            }
            match broken {
                Some(ended) => ended,
                None => newest.ended.await,
            }
        });
        let ended = match tokio::time::timeout(GRACE, &mut all_ended).await {
            Ok(ended) => ended,
            Err(_) => {
                self.leaving.end();
                all_ended.await
            }
        };
        ended.unwrap_or_else(|_| Err("the worker's thread panicked".to_owned()))
    }

    async fn another(&self) -> anyhow::Result<Generation> {
        // Of its own: a connection has one worker of a kind.
        let client = self.platform.dispatcher.engine().connect().await?;
        self.begin(client)
    }

    /// A worker that polls. Workflow code runs on a thread of its own, activities on the current runtime.
    fn begin(&self, client: Client) -> anyhow::Result<Generation> {
        let mut options = (self.options)()?;
        let leaving = self.leaving.of_another();
        options.activity_inbound_interceptor(OfOneWorker {
            tally: Tally::new(self.wishes.clone()),
            leaving: leaving.clone(),
        });
        let mut worker = Worker::new(&self.runtime, client, options).context("the worker can't be set up")?;
        let shut_down = Box::new(worker.shutdown_handle());
        let (tell, ended) = oneshot::channel();
        let pool = tokio::runtime::Handle::current();
        let run = move || {
            let ran = pool.block_on(worker.run()).map_err(|error| error.to_string());
            // Nobody listens once the platform is gone.
            let _ = tell.send(ran);
        };
        thread::Builder::new().name("workflows".to_owned()).spawn(run)?;
        Ok(Generation { shut_down, leaving, ended })
    }
}

struct Generation {
    shut_down: Box<dyn Fn() + Send>,
    leaving: Leaving,
    ended: oneshot::Receiver<Result<(), String>>,
}

/// Counts what one worker begins, and asks for another each time that it was many.
struct Tally {
    begun: AtomicU32,
    wishes: UnboundedSender<Wish>,
}

impl Tally {
    fn new(wishes: UnboundedSender<Wish>) -> Self {
        Self { begun: AtomicU32::new(0), wishes }
    }

    fn one_more(&self) {
        let begun = self.begun.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        if begun.is_multiple_of(ACTIVITIES) {
            // Nobody listens once the worker is asked to stop.
            let _ = self.wishes.send(None);
        }
    }
}

/// Around every activity of one worker.
struct OfOneWorker {
    tally: Tally,
    leaving: Leaving,
}

impl ActivityInboundInterceptor for OfOneWorker {
    fn execute_activity<'a>(
        &'a self,
        input: ExecuteActivityInput,
        next: Next<'a, ExecuteActivityInput, ExecuteActivityOutput<'a>>,
    ) -> ExecuteActivityOutput<'a> {
        self.tally.one_more();
        Box::pin(self.leaving.heard_by(next.run(input)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_worker_is_asked_for_after_many_activities_and_again_if_none_came() {
        let (wishes, mut wished) = unbounded_channel();
        let tally = Tally::new(wishes);
        for _ in 0..2 {
            (1..ACTIVITIES).for_each(|_| tally.one_more());
            assert!(wished.try_recv().is_err());
            tally.one_more();
            assert!(wished.try_recv().is_ok());
        }
    }
}
