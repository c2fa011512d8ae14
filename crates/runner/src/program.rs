//! A foreign program from its start until nothing of it is left.

use std::{
    io,
    pin::pin,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use futures::future::{Either, select};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    process::{ChildStdin, Command},
};
use tokio_util::sync::CancellationToken;

use crate::{descendants, group::Group};

const READ_BYTES: usize = 64 << 10;
/// Once every process is gone, reading to the end of its output takes no longer than this.
const DRAIN: Duration = Duration::from_secs(5);

/// How a program ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// By itself.
    Itself(ExitStatus),
    /// By the time limit.
    TooLate,
    /// By a cancel.
    Cancelled,
}

/// What ends a program that does not end by itself.
#[derive(Clone, Copy)]
pub(crate) struct Bounds<'a> {
    /// The time limit.
    pub(crate) time: Duration,
    /// The cancel.
    pub(crate) cancel: &'a CancellationToken,
}

/// Runs a program to its end, feeds it and reads it. Afterwards it has no process left, however they detached themselves.
pub(crate) async fn run(
    command: &mut Command,
    input: &str,
    bounds: Bounds<'_>,
    mut on_stdout: impl FnMut(&[u8]),
    mut on_stderr: impl FnMut(&[u8]),
) -> io::Result<Ended> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut group = Group::spawn(command)?;
    let (stdin, stdout, stderr) = (group.leader.stdin.take(), group.leader.stdout.take(), group.leader.stderr.take());
    let talk = pin!(async {
        tokio::join!(feed(stdin, input), read(stdout, &mut on_stdout), read(stderr, &mut on_stderr));
    });
    let watch = pin!(async {
        let ended = watch(&mut group, bounds).await?;
        group.kill_rest()?;
        descendants::kill_all().await?;
        Ok(ended)
    });
    match select(watch, talk).await {
        Either::Left((ended, talk)) => {
            if tokio::time::timeout(DRAIN, talk).await.is_err() {
                tracing::warn!("the output of a program does not come to an end");
            }
            ended
        }
        Either::Right(((), watch)) => watch.await,
    }
}

async fn watch(group: &mut Group, bounds: Bounds<'_>) -> io::Result<Ended> {
    let ended = tokio::select! {
        biased;
        () = bounds.cancel.cancelled() => Ended::Cancelled,
        status = group.ended() => Ended::Itself(status?),
        () = tokio::time::sleep(bounds.time) => Ended::TooLate,
    };
    if !matches!(ended, Ended::Itself(_)) {
        group.end().await?;
    }
    Ok(ended)
}

async fn feed(stdin: Option<ChildStdin>, input: &str) {
    if let Some(mut stdin) = stdin
        && let Err(error) = stdin.write_all(input.as_bytes()).await
    {
        tracing::debug!(%error, "a program did not read all of its input");
    }
}

async fn read(source: Option<impl AsyncRead + Unpin>, sink: &mut impl FnMut(&[u8])) {
    let Some(mut source) = source else { return };
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match source.read(&mut buffer).await {
            Ok(0) => return,
            Ok(count) => sink(&buffer[..count]),
            Err(error) => {
                tracing::warn!(%error, "the output of a program cannot be read");
                return;
            }
        }
    }
}
