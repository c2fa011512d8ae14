//! The gateway role: everything put together and kept running.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use axum::{Router, serve::ListenerExt};
use chrono::Utc;
use dispatch::{Dispatcher, Engine, EngineSettings};
use domain::{run_limits::START_MAX_AGE, told_settings::ToldRole};
use socket2::{SockRef, TcpKeepalive};
use store::{Store, blobs::Blobs, reads::ReplicaOptions, role_settings};
use telemetry::{Telemetry, catalogue::Role, database};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    app::{AppParts, AppState, outside_router, router_with_console, runner_router},
    auth::SignIn,
    console::Console,
    engine_ui::EngineUi,
    settings::GatewaySettings,
};

const DATABASE_CONNECTIONS: u32 = 20;

/// A replica that is further behind is not asked: people would wonder.
const REPLICA_MAX_LAG: Duration = Duration::from_secs(10);

/// What requests under way get to finish in, once the role is asked to stop.
const LAST_REQUESTS: Duration = Duration::from_secs(10);

/// A connection on which nothing comes for so long is probed, so often and at such intervals; then its client is gone.
const SILENT_FOR: Duration = Duration::from_secs(15);
const PROBES_EVERY: Duration = Duration::from_secs(5);
const PROBES: u32 = 3;

/// Serves until `shutdown` ends, then finishes what is under way. Starts even while Postgres or Temporal is down.
///
/// # Errors
/// When the blob folder, the console's files or the address can't be had.
pub async fn serve(
    settings: GatewaySettings,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    role::logging::start(settings.log_format);
    let told = settings.told();
    let telemetry = Arc::new(Telemetry::new(Role::Gateway, &settings.telemetry)?);
    let mut store = Store::connect_lazy(settings.database_url.expose(), DATABASE_CONNECTIONS)?;
    if let Some(url) = &settings.database_read_url {
        store = store.with_replica(ReplicaOptions { url: url.expose(), max_lag: REPLICA_MAX_LAG })?;
    }
    let store = database::watched(store, &telemetry);
    let blobs = Blobs::local(&settings.blob_dir)?;
    let console = settings.console_dir.as_deref().map_or(Ok(Console::none()), Console::read)?;
    let engine = EngineSettings::at(&settings.engine, settings.instance.clone(), "gateway")?;
    let clock: dispatch::Clock = Arc::new(Utc::now);
    let engine = Engine::new(engine);
    let watch = Arc::clone(&telemetry);
    let dispatcher = Dispatcher::new(store.clone(), engine, Arc::clone(&clock), START_MAX_AGE, watch);
    let sign_in = settings.sign_in.map(|given| SignIn::new(&settings.instance, given)).transpose()?;
    let engine_ui = settings.temporal_ui_url.as_ref().map(EngineUi::new).transpose()?;
    let state = AppState::new(AppParts {
        store,
        dispatcher: Arc::clone(&dispatcher),
        blobs,
        webhook_secrets: settings.webhook_secrets,
        key: settings.key,
        buffer_bytes: None,
        egress_hosts: settings.egress_hosts,
        clock,
        telemetry: Arc::clone(&telemetry),
        sign_in,
        sealing: settings.sealing,
        engine_ui,
    });
    let _ops = state.ops().serve_if_wanted(settings.telemetry.metrics_bind).await?;
    let listener = listen(settings.bind).await?;
    let address = listener.local_addr()?;
    let (router, of_runners) = match settings.runner_bind {
        None => (router_with_console(state.clone(), console), None),
        Some(bind) => {
            (outside_router(state.clone(), console), Some((listen(bind).await?, runner_router(state.clone()))))
        }
    };
    tracing::info!(%address, runners = ?settings.runner_bind, instance = %settings.instance, "the gateway listens");
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let sweeper = tokio::spawn(dispatcher.sweep_until(async {
        let _ = stopped.await;
    }));
    let gaps = tokio::spawn(state.clone().keep_gaps());
    let upkeep = tokio::spawn(state.clone().keep_sign_in());
    let (of, now) = (state.store().clone(), state.now());
    let telling = tokio::spawn(async move { role_settings::put_in_time(&of, ToldRole::Gateway, &told, now).await });
    let shutdown = async move {
        shutdown.await;
        state.close_live();
    };
    serve_both((listener, router), of_runners, shutdown).await?;
    gaps.abort();
    upkeep.abort();
    telling.abort();
    drop(stop);
    sweeper.await?;
    telemetry.tracer.finish().await;
    tracing::info!("the gateway has stopped");
    Ok(())
}

async fn listen(bind: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(bind).await.with_context(|| format!("listen on {bind}"))
}

/// Serves one port, or two, until `shutdown` ends.
async fn serve_both(
    (listener, router): (TcpListener, Router),
    of_runners: Option<(TcpListener, Router)>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let Some((for_runners, runner_router)) = of_runners else { return serve_until(listener, router, shutdown).await };
    let stop = CancellationToken::new();
    let asked = stop.clone();
    tokio::spawn(async move {
        shutdown.await;
        asked.cancel();
    });
    tokio::try_join!(
        serve_until(listener, router, stop.clone().cancelled_owned()),
        serve_until(for_runners, runner_router, stop.cancelled_owned()),
    )?;
    Ok(())
}

/// Serves until `shutdown` ends; requests under way then have a while to finish.
pub(crate) async fn serve_until(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let keepalive = TcpKeepalive::new().with_time(SILENT_FOR).with_interval(PROBES_EVERY).with_retries(PROBES);
    let listener = listener.tap_io(move |stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "small answers may be delayed");
        }
        // A pod that is gone with its network says no farewell, and its call of the model would be held for good.
        if let Err(error) = SockRef::from(&*stream).set_tcp_keepalive(&keepalive) {
            tracing::debug!(%error, "a client that is gone may not be noticed");
        }
    });
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    // Whoever limits clients needs to know who connects.
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let serving = axum::serve(listener, service).with_graceful_shutdown(async {
        shutdown.await;
        drop(stop);
    });
    let deadline = async {
        let _ = stopped.await;
        tokio::time::sleep(LAST_REQUESTS).await;
    };
    tokio::select! {
        served = async { serving.await } => served.context("serve requests"),
        () = deadline => {
            tracing::warn!("requests that were still under way are cut off");
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::extract::ConnectInfo;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
    };

    use super::*;

    /// The kernel's timer of the server's end of a connection, as its table has it: `02` is the one that probes a silent client.
    fn timer(server: SocketAddr, client: SocketAddr) -> Option<(String, Duration)> {
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let port = |address: SocketAddr| format!(":{:04X}", address.port());
        let line = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).find(|fields| {
            fields.get(1).is_some_and(|local| local.ends_with(&port(server)))
                && fields.get(2).is_some_and(|remote| remote.ends_with(&port(client)))
        })?;
        let (kind, ticks) = line.get(5)?.split_once(':')?;
        let hundredths = u64::from_str_radix(ticks, 16).ok()?;
        Some((kind.to_owned(), Duration::from_millis(hundredths * 10)))
    }

    #[tokio::test]
    async fn a_client_that_has_gone_silent_is_probed() {
        let listener = listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let peer = async |ConnectInfo(peer): ConnectInfo<SocketAddr>| peer.to_string();
        let router = Router::new().route("/", axum::routing::get(peer));
        let serving = tokio::spawn(serve_until(listener, router, async {
            let _ = stopped.await;
        }));
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nhost: here\r\n\r\n").await.unwrap();
        let mut answer = [0; 512];
        let read = client.read(&mut answer).await.unwrap();
        let own = client.local_addr().unwrap();
        assert!(answer[..read].ends_with(own.to_string().as_bytes()), "it is served, and known who it is");
        // What was sent is acknowledged a moment later; until then another timer runs.
        let probes = async {
            loop {
                match timer(address, own) {
                    Some((kind, left)) if kind == "02" => break left,
                    _ => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        };
        let left = tokio::time::timeout(Duration::from_secs(10), probes).await.expect("the kernel is to probe it");
        assert!(left <= SILENT_FOR, "{left:?}");
        drop(client);
        stop.send(()).unwrap();
        serving.await.unwrap().unwrap();
    }
}
