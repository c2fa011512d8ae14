//! Keeping one role alive.

use std::time::{Duration, Instant};

use tokio::{sync::mpsc::UnboundedSender, task::JoinHandle, time};
use tokio_util::sync::CancellationToken;

use super::Role;
use crate::processes::{Program, Running};

/// The first pause before a restart; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// A role that lived this long starts with the first pause again.
const STABLE: Duration = Duration::from_secs(30);
/// How long a role may take to end.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// What happened to a role.
#[derive(Debug)]
pub(super) enum Event {
    /// It ended by itself.
    Died { role: Role, how: String, pause: Duration },
    /// It runs again.
    Restarted { role: Role, pid: i32 },
}

/// The task that watches over one role.
#[derive(Debug)]
pub(super) struct Keeper {
    pub(super) role: Role,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Keeper {
    /// Watches over `running`, and starts `program` again whenever it ends.
    pub(super) fn watch(role: Role, program: Program, running: Running, events: UnboundedSender<Event>) -> Self {
        let stop = CancellationToken::new();
        let watching = Watch { role, program, events, stop: stop.clone() };
        Self { role, stop, task: tokio::spawn(watching.run(running)) }
    }

    /// Ends the role and everything in its process group.
    pub(super) async fn end(self) {
        self.stop.cancel();
        let _ = self.task.await;
    }
}

struct Watch {
    role: Role,
    program: Program,
    events: UnboundedSender<Event>,
    stop: CancellationToken,
}

impl Watch {
    async fn run(self, mut running: Running) {
        let mut pause = FIRST_PAUSE;
        loop {
            let began = Instant::now();
            let how = tokio::select! {
                () = self.stop.cancelled() => return running.stop(STOP_LIMIT).await,
                end = running.wait() => end.map_or_else(|error| error.to_string(), |status| status.to_string()),
            };
            // What it had started must not live beside its successor.
            running.stop(Duration::ZERO).await;
            if began.elapsed() > STABLE {
                pause = FIRST_PAUSE;
            }
            match self.start_again(how, &mut pause).await {
                Some(fresh) => running = fresh,
                None => return,
            }
        }
    }

    /// Starts the program, however many tries it takes; `None` when asked to stop meanwhile.
    async fn start_again(&self, mut how: String, pause: &mut Duration) -> Option<Running> {
        loop {
            let _ = self.events.send(Event::Died { role: self.role, how, pause: *pause });
            tokio::select! {
                () = self.stop.cancelled() => return None,
                () = time::sleep(*pause) => {}
            }
            *pause = (*pause * 2).min(LONGEST_PAUSE);
            match self.program.spawn() {
                Ok(fresh) => {
                    let _ = self.events.send(Event::Restarted { role: self.role, pid: fresh.pid() });
                    return Some(fresh);
                }
                Err(error) => how = error.to_string(),
            }
        }
    }
}
