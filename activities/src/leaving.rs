//! How an activity learns that its worker leaves.
//!
//! The SDK tells it only when the grace of a worker is over, which is long: another worker has taken over, and a clone may end where it
//! began. Two do not wait for that: who only watches goes on elsewhere at once, so that nothing of the worker stays for its sake; and
//! when the whole process ends, all have to.

use tokio_util::sync::CancellationToken;

use crate::beat::OnCancel;

tokio::task_local! {
    /// Of the worker by which the current activity was begun.
    static LEAVING: Leaving;
}

/// What tells the activities of one worker.
#[derive(Clone, Debug, Default)]
pub(crate) struct Leaving {
    taken_over: CancellationToken,
    ends: CancellationToken,
}

impl Leaving {
    /// For one more worker of the same process.
    pub(crate) fn of_another(&self) -> Self {
        Self { taken_over: CancellationToken::new(), ends: self.ends.clone() }
    }

    /// Another worker has taken over from this one.
    pub(crate) fn taken_over(&self) {
        self.taken_over.cancel();
    }

    /// The process ends, with all its workers.
    pub(crate) fn end(&self) {
        self.ends.cancel();
    }

    /// Lets an activity hear of it.
    pub(crate) fn heard_by<A: Future>(&self, activity: A) -> impl Future<Output = A::Output> + use<A> {
        LEAVING.scope(self.clone(), activity)
    }
}

/// Ends when the current activity is to end here and be begun anew by another worker; for one that has to finish, never.
pub(crate) async fn told_to_leave(on_cancel: OnCancel) {
    let Ok(leaving) = LEAVING.try_with(Leaving::clone) else { return std::future::pending().await };
    match on_cancel {
        OnCancel::Finish => std::future::pending().await,
        OnCancel::Stop => leaving.ends.cancelled().await,
        OnCancel::StopAndMove => tokio::select! {
            () = leaving.taken_over.cancelled() => {}
            () = leaving.ends.cancelled() => {}
        },
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    const ALL: [OnCancel; 3] = [OnCancel::Finish, OnCancel::Stop, OnCancel::StopAndMove];

    fn told(leaving: &Leaving) -> [bool; 3] {
        ALL.map(|on_cancel| leaving.heard_by(told_to_leave(on_cancel)).now_or_never().is_some())
    }

    #[test]
    fn who_watches_leaves_with_its_worker_others_with_the_process_and_who_finishes_never() {
        let first = Leaving::default();
        let second = first.of_another();
        assert_eq!(told(&first), [false, false, false]);
        first.taken_over();
        assert_eq!((told(&first), told(&second)), ([false, false, true], [false, false, false]));
        second.end();
        assert_eq!((told(&first), told(&second)), ([false, true, true], [false, true, true]));
        assert!(
            ALL.iter().all(|on_cancel| told_to_leave(*on_cancel).now_or_never().is_none()),
            "outside of any worker"
        );
    }
}
