//! Temporal as the dispatcher sees it: three commands, each safe to repeat.

use std::time::Duration;

use domain::ids::Instance;
use temporalio_client::{
    Client, ClientOptions, Connection, ConnectionOptions, RetryOptions,
    request_extensions::RetryConfigForCall,
    tonic::{Code, Request, Status},
};
use temporalio_common::protos::{
    coresdk::AsJsonPayloadExt,
    temporal::api::{
        common::v1::{Payloads, WorkflowExecution, WorkflowType},
        enums::v1::{WorkflowExecutionStatus, WorkflowIdConflictPolicy, WorkflowIdReusePolicy},
        taskqueue::v1::TaskQueue,
        workflowservice::v1::{
            DescribeWorkflowExecutionRequest, RequestCancelWorkflowExecutionRequest, SignalWorkflowExecutionRequest,
            StartWorkflowExecutionRequest, TerminateWorkflowExecutionRequest,
        },
    },
};
use tokio::sync::RwLock;
use url::Url;
use uuid::Uuid;

use crate::place::EnginePlace;

/// No single call to the engine may take longer.
const CALL_LIMIT: Duration = Duration::from_secs(10);

/// Why the engine did not take a command.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// There is no connection, so it has seen nothing: try again later.
    #[error("{}", domain::sentences::engine_not_connected(.0))]
    NotConnected(String),
    /// It has no namespace of ours, so it has done nothing: try again later, when somebody has made it.
    #[error("{}", domain::sentences::engine_without_namespace(.0))]
    NoNamespace(String),
    /// It is down, starting or overloaded, and may have seen the command: try again later.
    #[error("{}", domain::sentences::engine_away(.0))]
    Unavailable(String),
    /// It understood and said no: trying again changes nothing.
    #[error("{}", domain::sentences::engine_refused(.0))]
    Refused(String),
}

/// What became of a command that the engine took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// Done now, or by an earlier try.
    Done,
    /// There is no open workflow that it could reach.
    NoSuchWorkflow,
}

/// Where the engine is and what our corner of it is called.
#[derive(Clone, Debug)]
pub struct EngineSettings {
    /// `http://host:port` of Temporal's frontend.
    pub target: Url,
    /// Temporal namespace.
    pub namespace: String,
    /// This installation.
    pub instance: Instance,
    /// Who we say we are, shown in Temporal's UI.
    pub identity: String,
}

/// A connection that is made when first needed and made again when it was lost.
pub struct Engine {
    settings: EngineSettings,
    client: RwLock<Option<Client>>,
}

/// A call that names a workflow.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The workflow.
    pub workflow_id: &'a str,
    /// The key by which Temporal knows a repeated request.
    pub request_id: Uuid,
}

impl Engine {
    /// Remembers where the engine is; nothing is connected yet.
    #[must_use]
    pub fn new(settings: EngineSettings) -> Self {
        Self { settings, client: RwLock::new(None) }
    }

    /// Settings it was made with.
    #[must_use]
    pub fn settings(&self) -> &EngineSettings {
        &self.settings
    }

    /// A connected client.
    ///
    /// # Errors
    /// [`EngineError::NotConnected`] while Temporal can't be reached.
    pub async fn client(&self) -> Result<Client, EngineError> {
        if let Some(client) = self.client.read().await.as_ref() {
            return Ok(client.clone());
        }
        let mut slot = self.client.write().await;
        if let Some(client) = slot.as_ref() {
            return Ok(client.clone());
        }
        let client = self.connect().await?;
        *slot = Some(client.clone());
        Ok(client)
    }

    /// A client with a connection of its own.
    ///
    /// # Errors
    /// [`EngineError::NotConnected`] while Temporal can't be reached.
    pub async fn connect(&self) -> Result<Client, EngineError> {
        let options =
            ConnectionOptions::new(self.settings.target.clone()).identity(self.settings.identity.clone()).build();
        let connecting = tokio::time::timeout(CALL_LIMIT, Connection::connect(options));
        let connection = connecting
            .await
            .map_err(|_| EngineError::NotConnected("no answer in time".to_owned()))?
            .map_err(|error| EngineError::NotConnected(error.to_string()))?;
        Client::new(connection, ClientOptions::new(self.settings.namespace.clone()).build())
            .map_err(|error| EngineError::Refused(error.to_string()))
    }

    /// Starts a workflow. A second start of the same id is a no-op, open or closed.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub async fn start(
        &self,
        target: Target<'_>,
        workflow_type: &str,
        input: &serde_json::Value,
    ) -> Result<Applied, EngineError> {
        let request = StartWorkflowExecutionRequest {
            namespace: self.settings.namespace.clone(),
            workflow_id: target.workflow_id.to_owned(),
            workflow_type: Some(WorkflowType { name: workflow_type.to_owned() }),
            task_queue: Some(TaskQueue { name: self.settings.instance.task_queue(), ..Default::default() }),
            input: Some(payloads(input)?),
            identity: self.settings.identity.clone(),
            request_id: target.request_id.to_string(),
            workflow_id_reuse_policy: WorkflowIdReusePolicy::RejectDuplicate as i32,
            workflow_id_conflict_policy: WorkflowIdConflictPolicy::UseExisting as i32,
            ..Default::default()
        };
        let client = self.client().await?;
        let mut service = client.connection().workflow_service();
        match limited(service.start_workflow_execution(single(request))).await {
            Ok(_) => Ok(Applied::Done),
            Err(status) if status.code() == Code::AlreadyExists => Ok(Applied::Done),
            Err(status) => Err(classify(&status)),
        }
    }

    /// Signals a workflow.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub async fn signal(
        &self,
        target: Target<'_>,
        signal: &str,
        input: &serde_json::Value,
    ) -> Result<Applied, EngineError> {
        let request = SignalWorkflowExecutionRequest {
            namespace: self.settings.namespace.clone(),
            workflow_execution: Some(execution(target.workflow_id)),
            signal_name: signal.to_owned(),
            input: Some(payloads(input)?),
            identity: self.settings.identity.clone(),
            request_id: target.request_id.to_string(),
            ..Default::default()
        };
        let client = self.client().await?;
        let mut service = client.connection().workflow_service();
        reached(limited(service.signal_workflow_execution(single(request))).await.map(drop))
    }

    /// Asks a workflow to end.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub async fn cancel(&self, target: Target<'_>, reason: &str) -> Result<Applied, EngineError> {
        let request = RequestCancelWorkflowExecutionRequest {
            namespace: self.settings.namespace.clone(),
            workflow_execution: Some(execution(target.workflow_id)),
            identity: self.settings.identity.clone(),
            request_id: target.request_id.to_string(),
            reason: reason.to_owned(),
            ..Default::default()
        };
        let client = self.client().await?;
        let mut service = client.connection().workflow_service();
        reached(limited(service.request_cancel_workflow_execution(single(request))).await.map(drop))
    }

    /// Ends a workflow at once, without a word to it.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub async fn terminate(&self, workflow_id: &str, reason: &str) -> Result<Applied, EngineError> {
        let request = TerminateWorkflowExecutionRequest {
            namespace: self.settings.namespace.clone(),
            workflow_execution: Some(execution(workflow_id)),
            reason: reason.to_owned(),
            identity: self.settings.identity.clone(),
            ..Default::default()
        };
        let client = self.client().await?;
        let mut service = client.connection().workflow_service();
        reached(limited(service.terminate_workflow_execution(single(request))).await.map(drop))
    }

    /// Where a workflow is.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub async fn state(&self, workflow_id: &str) -> Result<WorkflowState, EngineError> {
        let request = DescribeWorkflowExecutionRequest {
            namespace: self.settings.namespace.clone(),
            execution: Some(execution(workflow_id)),
        };
        let client = self.client().await?;
        let mut service = client.connection().workflow_service();
        match limited(service.describe_workflow_execution(single(request))).await {
            Ok(answer) => {
                let status = answer.into_inner().workflow_execution_info.map(|info| info.status()).unwrap_or_default();
                Ok(match status {
                    WorkflowExecutionStatus::Running | WorkflowExecutionStatus::Paused => WorkflowState::Open,
                    other => WorkflowState::Closed { status: plain_status(other) },
                })
            }
            Err(status) if is_missing(&status) => Ok(WorkflowState::Unknown),
            Err(status) => Err(classify(&status)),
        }
    }
}

/// Where a workflow is, as the engine sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkflowState {
    /// At work.
    Open,
    /// Over.
    Closed {
        /// How, in one word.
        status: &'static str,
    },
    /// Never started, or forgotten.
    Unknown,
}

/// How a workflow is over that was ended by force.
pub const TERMINATED: &str = "terminated";

fn plain_status(status: WorkflowExecutionStatus) -> &'static str {
    match status {
        WorkflowExecutionStatus::Completed => "completed",
        WorkflowExecutionStatus::Failed => "failed",
        WorkflowExecutionStatus::Canceled => "cancelled",
        WorkflowExecutionStatus::Terminated => TERMINATED,
        WorkflowExecutionStatus::TimedOut => "timed out",
        _ => "closed",
    }
}

impl EngineSettings {
    /// Settings for a role that works there.
    ///
    /// # Errors
    /// When the address is none.
    pub fn at(place: &EnginePlace, instance: Instance, role: &str) -> Result<Self, url::ParseError> {
        let target = Url::parse(&format!("http://{}", place.address))?;
        let identity = format!("{instance}-{role}");
        Ok(Self { target, namespace: place.namespace.to_string(), instance, identity })
    }

    /// `host:port` of the frontend, and nothing else that an address may hold.
    #[must_use]
    pub fn address(&self) -> String {
        let (host, port) = (self.target.host_str().unwrap_or_default(), self.target.port_or_known_default());
        port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }
}

fn execution(workflow_id: &str) -> WorkflowExecution {
    WorkflowExecution { workflow_id: workflow_id.to_owned(), run_id: String::new() }
}

pub(crate) fn payloads(input: &serde_json::Value) -> Result<Payloads, EngineError> {
    let payload = input.as_json_payload().map_err(|error| EngineError::Refused(error.to_string()))?;
    Ok(Payloads { payloads: vec![payload] })
}

/// Without the client's own repeats: the outbox repeats, and of a single call it is known whether it was ever sent.
pub(crate) fn single<T>(request: T) -> Request<T> {
    let mut request = Request::new(request);
    request.extensions_mut().insert(RetryConfigForCall(RetryOptions::no_retries()));
    request
}

pub(crate) async fn limited<T>(call: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
    tokio::time::timeout(CALL_LIMIT, call).await.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer in time")))
}

pub(crate) fn reached(answer: Result<(), Status>) -> Result<Applied, EngineError> {
    match answer {
        Ok(()) => Ok(Applied::Done),
        Err(status) if is_missing(&status) => Ok(Applied::NoSuchWorkflow),
        Err(status) => Err(classify(&status)),
    }
}

/// Whether what was asked for is not there. Of a namespace that is not there it can't be said what would be in it: one that is named
/// wrongly must not look like one in which every workflow has ended.
pub(crate) fn is_missing(status: &Status) -> bool {
    status.code() == Code::NotFound && !lacks_namespace(status)
}

/// Temporal says in the details of a status what it does not find.
fn lacks_namespace(status: &Status) -> bool {
    const KIND: &[u8] = b"temporal.api.errordetails.v1.NamespaceNotFoundFailure";
    status.details().windows(KIND.len()).any(|part| part == KIND)
}

/// Only what says that the request itself is wrong is final; everything else may pass.
pub(crate) fn classify(status: &Status) -> EngineError {
    match status.code() {
        Code::InvalidArgument | Code::PermissionDenied | Code::Unauthenticated | Code::Unimplemented => {
            EngineError::Refused(status.message().to_owned())
        }
        _ if lacks_namespace(status) => EngineError::NoNamespace(status.message().to_owned()),
        code if never_sent(status) => EngineError::NotConnected(format!("{code:?}: {}", status.message())),
        code => EngineError::Unavailable(format!("{code:?}: {}", status.message())),
    }
}

/// Whether the call can't have reached anybody: there was nobody to connect to.
fn never_sent(status: &Status) -> bool {
    let mut cause = std::error::Error::source(status);
    while let Some(error) = cause {
        if error.downcast_ref::<std::io::Error>().is_some_and(|io| io.kind() == std::io::ErrorKind::ConnectionRefused) {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_wrong_request_is_final() {
        assert!(matches!(classify(&Status::invalid_argument("x")), EngineError::Refused(_)));
        for passing in [Status::unavailable("x"), Status::deadline_exceeded("x"), Status::resource_exhausted("x")] {
            assert!(matches!(classify(&passing), EngineError::Unavailable(_)), "{passing:?}");
        }
    }

    #[test]
    fn only_a_refused_connection_proves_that_nothing_was_sent() {
        for (kind, proof) in
            [(std::io::ErrorKind::ConnectionRefused, true), (std::io::ErrorKind::ConnectionReset, false)]
        {
            let status = Status::from_error(Box::new(std::io::Error::from(kind)));
            assert_eq!(matches!(classify(&status), EngineError::NotConnected(_)), proof, "{status:?}");
        }
    }
}
