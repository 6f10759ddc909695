//! The handshake on the wire, from both sides, and the gate that lets nobody call without one.

use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::service::Interceptor;
use tonic::{Request, Response, Status, Streaming};

use super::channel::Channel;
use super::handshake::{NodeIdentity, Refusal, Transcript, Versions, nonce, nonce_of};
use super::sessions::Sessions;
use super::settings::MeshSettings;
use super::wire::greeting_client::GreetingClient;
use super::wire::greeting_server::Greeting;
use super::wire::{self, failure_of, from_caller, from_node};
use crate::Error;

/// The name of the session's token among a call's metadata.
pub(crate) const SESSION: &str = "settee-session-bin";
/// Longest message of a handshake in bytes.
pub(crate) const MESSAGE_MAX: usize = 4096;
/// Handshakes that may be under way.
const GREETINGS: usize = 64;

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Status {
        Status::unauthenticated(refusal.to_string())
    }
}

/// Lets callers in.
pub(crate) struct Greeter {
    settings: Arc<MeshSettings>,
    sessions: Arc<Sessions>,
    turns: Arc<Semaphore>,
}

impl Greeter {
    pub(crate) fn new(settings: Arc<MeshSettings>, sessions: Arc<Sessions>) -> Greeter {
        Greeter { settings, sessions, turns: Arc::new(Semaphore::new(GREETINGS)) }
    }
}

type Answers = mpsc::Sender<Result<wire::FromNode, Status>>;

#[tonic::async_trait]
impl Greeting for Greeter {
    type GreetStream = ReceiverStream<Result<wire::FromNode, Status>>;

    async fn greet(
        &self,
        request: Request<Streaming<wire::FromCaller>>,
    ) -> Result<Response<Self::GreetStream>, Status> {
        let turn = self.turns.clone().try_acquire_owned();
        let turn = turn.map_err(|_| Status::resource_exhausted("too many handshakes"))?;
        let (answers, stream) = mpsc::channel(2);
        let (settings, sessions) = (self.settings.clone(), self.sessions.clone());
        tokio::spawn(async move {
            let _turn = turn;
            let greeting = admit(&settings, &sessions, request.into_inner(), &answers);
            let done = timeout(settings.timing.connect, greeting).await;
            let done = done.unwrap_or_else(|_| Err(Status::unauthenticated("too slow")));
            if let Err(refusal) = done {
                tracing::warn!(reason = refusal.message(), "a caller was not let into the mesh");
                // There is room for two, and a caller that is refused got one at most.
                let _ = answers.try_send(Err(refusal));
            }
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

/// The node's side of a handshake.
async fn admit(
    settings: &MeshSettings,
    sessions: &Sessions,
    mut caller: Streaming<wire::FromCaller>,
    answers: &Answers,
) -> Result<(), Status> {
    let Some(from_caller::Step::Hello(hello)) = said(&mut caller).await? else {
        return Err(Refusal::Malformed("no hello").into());
    };
    let offered = Versions { oldest: hello.oldest_version, newest: hello.newest_version };
    let version = settings.versions.agree(offered)?;
    let transcript = Transcript {
        version,
        offered,
        caller: NodeIdentity::of(hello.node)?,
        caller_nonce: nonce_of(&hello.nonce)?,
        node_nonce: nonce()?,
    };
    let nonce = bytes::Bytes::copy_from_slice(&transcript.node_nonce);
    let challenge = from_node::Step::Challenge(wire::Challenge { version, nonce });
    say(answers, challenge).await?;
    let Some(from_caller::Step::Proof(proof)) = said(&mut caller).await? else {
        return Err(Refusal::Malformed("no proof").into());
    };
    transcript.admit(&settings.secret, &proof)?;
    if transcript.caller.uuid == settings.node.uuid {
        return Err(Refusal::Itself.into());
    }
    let token = transcript.token(&settings.secret, &settings.node);
    let proof = transcript.node_proof(&settings.secret, &settings.node);
    sessions.begin(token, transcript.caller);
    let proof = bytes::Bytes::copy_from_slice(&proof);
    let node = Some((&settings.node).into());
    say(answers, from_node::Step::Welcome(wire::Welcome { node, proof })).await
}

async fn said(
    caller: &mut Streaming<wire::FromCaller>,
) -> Result<Option<from_caller::Step>, Status> {
    Ok(caller.message().await?.and_then(|message| message.step))
}

async fn say(answers: &Answers, step: from_node::Step) -> Result<(), Status> {
    let answer = wire::FromNode { step: Some(step) };
    answers.send(Ok(answer)).await.map_err(|_| Status::cancelled("the caller has gone"))
}

/// What a caller has when the node has let it in.
pub(crate) struct Welcomed {
    pub(crate) node: NodeIdentity,
    pub(crate) version: u32,
    pub(crate) token: [u8; 32],
}

/// The caller's side of a handshake. Whoever calls it gives up after a time.
pub(crate) async fn introduce(
    channel: Channel,
    settings: &MeshSettings,
    address: &str,
) -> Result<Welcomed, Error> {
    let refused = |status: Status| failure_of(&status, address);
    let strange = |refusal: Refusal| Error::Unreachable(format!("{address}: {refusal}"));
    let (say, stream) = mpsc::channel(2);
    let tell = async |step: from_caller::Step| {
        let message = wire::FromCaller { step: Some(step) };
        say.send(message).await.map_err(|_| strange(Refusal::Malformed("it has hung up")))
    };
    let caller_nonce = nonce().map_err(strange)?;
    let Versions { oldest, newest } = settings.versions;
    let hello = wire::Hello {
        oldest_version: oldest,
        newest_version: newest,
        node: Some((&settings.node).into()),
        nonce: bytes::Bytes::copy_from_slice(&caller_nonce),
    };
    tell(from_caller::Step::Hello(hello)).await?;
    let mut client = GreetingClient::new(channel).max_decoding_message_size(MESSAGE_MAX);
    let answers = client.greet(ReceiverStream::new(stream)).await.map_err(refused)?;
    let mut answers = answers.into_inner();
    let answer = answers.message().await.map_err(refused)?.and_then(|answer| answer.step);
    let Some(from_node::Step::Challenge(challenge)) = answer else {
        return Err(strange(Refusal::Malformed("no challenge")));
    };
    let version = challenge.version;
    if !settings.versions.contains(version) {
        let theirs = Versions { oldest: version, newest: version };
        return Err(strange(Refusal::Version { ours: settings.versions, theirs }));
    }
    let transcript = Transcript {
        version,
        offered: settings.versions,
        caller: settings.node.clone(),
        caller_nonce,
        node_nonce: nonce_of(&challenge.nonce).map_err(strange)?,
    };
    let proof = transcript.caller_proof(&settings.secret);
    tell(from_caller::Step::Proof(bytes::Bytes::copy_from_slice(&proof))).await?;
    let answer = answers.message().await.map_err(refused)?.and_then(|answer| answer.step);
    let Some(from_node::Step::Welcome(welcome)) = answer else {
        return Err(strange(Refusal::Malformed("no welcome")));
    };
    let node = NodeIdentity::of(welcome.node).map_err(strange)?;
    transcript.believe(&settings.secret, &node, &welcome.proof).map_err(strange)?;
    let token = transcript.token(&settings.secret, &node);
    Ok(Welcomed { node, version, token })
}

/// Lets no call pass that has no session, and tells the others who calls.
#[derive(Clone)]
pub(crate) struct Gate(pub(crate) Arc<Sessions>);

impl Interceptor for Gate {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let token = request.metadata().get_bin(SESSION).and_then(|token| token.to_bytes().ok());
        let caller = token.and_then(|token| self.0.caller(&token));
        let caller = caller.ok_or_else(|| {
            Status::unauthenticated("no session of this node: prove the cluster secret first")
        })?;
        request.extensions_mut().insert(caller);
        Ok(request)
    }
}
