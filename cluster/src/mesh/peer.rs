//! Another node, as this one reaches it: one connection made when it is needed and made anew after
//! failures, calls with deadlines and in bounded number, and a belief about whether it is alive.
//! Decides nothing itself: `backoff`, `detector` and `handshake` do.

use std::future::Future;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use settee_engine::ShardId;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep, timeout};
use tonic::codegen::InterceptedService;
use tonic::metadata::MetadataValue;
use tonic::service::Interceptor;
use tonic::{Code, Request, Response, Status};

use super::backoff::Backoff;
use super::channel::Channel;
use super::detector::{Detector, Limits, Liveness};
use super::greet::{self, SESSION};
use super::handshake::NodeIdentity;
use super::settings::{MeshSettings, Timing};
use super::wire::health_client::HealthClient;
use super::wire::raft_client::RaftClient;
use super::wire::shards_client::ShardsClient;
use super::wire::{self, failure_of};
use crate::Error;
use crate::flight::Flights;
use crate::raft::NodeId;
use crate::views::Hash;

/// Bytes of one stream that may be under way unread.
pub(crate) const STREAM_WINDOW: u32 = 256 << 10;
/// Bytes beside those of streams.
const CALLS_WINDOW: u32 = 16 << 20;

/// Bytes of so many streams and of calls that may be under way unread: though nobody takes anything of
/// all these streams, pings find room.
pub(crate) fn connection_window(streams: usize) -> u32 {
    const MOST: u32 = (1 << 31) - 1;
    let streams = u32::try_from(streams).unwrap_or(u32::MAX);
    streams.saturating_mul(STREAM_WINDOW).saturating_add(CALLS_WINDOW).min(MOST)
}
/// How much longer than the caller the other node goes on, so that it is the caller's own clock that
/// ends a call.
const GRACE: Duration = Duration::from_millis(500);

/// Indexes that somebody waits for.
pub(crate) type Builds = Flights<(ShardId, Hash), Result<(), Error>>;

/// A node that can be called. Clones are the same peer. As long as one lives, the peer is pinged.
#[derive(Clone)]
pub struct Peer(Arc<Inner>);

struct Inner {
    /// `host:port`.
    address: String,
    /// Which member it is, if that is known.
    member: Option<NodeId>,
    settings: Arc<MeshSettings>,
    detector: Mutex<Detector>,
    link: Mutex<Link>,
    /// Held by who makes a connection.
    dialing: tokio::sync::Mutex<()>,
    /// Places for calls.
    calls: Semaphore,
    /// Places for those of Raft and of what concerns all nodes: a leader that cannot say that it lives is
    /// none, however many documents are on their way.
    group_calls: Semaphore,
    streams: Arc<Semaphore>,
    /// Indexes that are built there and waited for here: of which shard, of which design document.
    builds: Builds,
    /// Tells those who wait for an answer that there will be none.
    fell: Notify,
    /// The number of the newest connection.
    met: watch::Sender<u64>,
}

/// The connection, or when to try again.
struct Link {
    session: Option<Session>,
    /// Connections so far; names them.
    made: u64,
    backoff: Backoff,
    not_before: Option<Instant>,
    /// Why the last attempt failed.
    failure: Arc<str>,
}

/// A connection whose other end has proved itself.
#[derive(Clone)]
struct Session {
    number: u64,
    channel: Channel,
    token: [u8; 32],
    version: u32,
    node: NodeIdentity,
}

/// A connection to make one call on.
pub(crate) struct Line {
    session: Session,
    call: Duration,
    message_max: usize,
}

/// Puts the session and the deadline into every call.
#[derive(Clone)]
pub(crate) struct Token {
    token: [u8; 32],
    call: Duration,
}

type Authorized = InterceptedService<Channel, Token>;

impl Interceptor for Token {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert_bin(SESSION, MetadataValue::from_bytes(&self.token));
        request.set_timeout(self.call + GRACE);
        Ok(request)
    }
}

impl Line {
    fn token(&self) -> Token {
        Token { token: self.session.token, call: self.call }
    }

    pub(crate) fn shards(&self) -> ShardsClient<Authorized> {
        ShardsClient::with_interceptor(self.session.channel.clone(), self.token())
            .max_decoding_message_size(self.message_max)
            .max_encoding_message_size(self.message_max)
    }

    pub(crate) fn health(&self) -> HealthClient<Authorized> {
        HealthClient::with_interceptor(self.session.channel.clone(), self.token())
    }

    pub(crate) fn raft(&self) -> RaftClient<Authorized> {
        RaftClient::with_interceptor(self.session.channel.clone(), self.token())
            .max_decoding_message_size(self.message_max)
            .max_encoding_message_size(self.message_max)
    }
}

impl Peer {
    /// A peer at an address (`host:port`). Connects when it is needed first, which is soon: the
    /// peer is pinged from now on. Needs a runtime.
    #[must_use]
    pub fn new(address: String, settings: Arc<MeshSettings>) -> Peer {
        Peer::begin(address, None, settings)
    }

    /// A member of the cluster. Another node that listens there, as one does whose predecessor lost its
    /// disk, is not called in its place: it would count as two copies.
    pub(crate) fn member(id: NodeId, address: String, settings: Arc<MeshSettings>) -> Peer {
        Peer::begin(address, Some(id), settings)
    }

    fn begin(address: String, member: Option<NodeId>, settings: Arc<MeshSettings>) -> Peer {
        let Timing { down_after, up_after, backoff_first, backoff_most, .. } = settings.timing;
        let link = Link {
            session: None,
            made: 0,
            backoff: Backoff::new(backoff_first, backoff_most),
            not_before: None,
            failure: "not connected".into(),
        };
        let inner = Inner {
            address,
            member,
            detector: Mutex::new(Detector::new(Limits { down_after, up_after })),
            link: Mutex::new(link),
            dialing: tokio::sync::Mutex::new(()),
            calls: Semaphore::new(settings.calls_max),
            group_calls: Semaphore::new(settings.calls_max),
            streams: Arc::new(Semaphore::new(settings.calls_max)),
            builds: Builds::default(),
            fell: Notify::new(),
            met: watch::Sender::new(0),
            settings,
        };
        let inner = Arc::new(inner);
        tokio::spawn(keep_asking(Arc::downgrade(&inner)));
        Peer(inner)
    }

    /// The same for somebody who does not keep it.
    pub(crate) fn downgrade(&self) -> WeakPeer {
        WeakPeer(Arc::downgrade(&self.0))
    }

    /// Indexes that are built there and waited for here.
    pub(crate) fn builds(&self) -> &Builds {
        &self.0.builds
    }

    /// Where it is called.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.0.address
    }

    /// Whether it is believed to be alive.
    #[must_use]
    pub fn liveness(&self) -> Liveness {
        self.0.detector.lock().liveness()
    }

    /// Sees a change whenever there is a new connection, after which it may not be up yet; closed
    /// when nobody has the peer any more.
    pub(crate) fn meetings(&self) -> watch::Receiver<u64> {
        self.0.met.subscribe()
    }

    /// Who it said that it is, and the version spoken with it, while there is a connection.
    #[must_use]
    pub fn node(&self) -> Option<(NodeIdentity, u32)> {
        let link = self.0.link.lock();
        link.session.as_ref().map(|session| (session.node.clone(), session.version))
    }

    /// Asks one thing. Fails at once if the peer is down or too much was asked already.
    pub(crate) async fn call<R, F>(&self, ask: impl FnOnce(Line) -> F) -> Result<R, Error>
    where
        F: Future<Output = Result<Response<R>, Status>>,
    {
        self.call_within(&self.0.calls, ask).await
    }

    /// The same for Raft and what concerns all nodes.
    pub(super) async fn call_group<R, F>(&self, ask: impl FnOnce(Line) -> F) -> Result<R, Error>
    where
        F: Future<Output = Result<Response<R>, Status>>,
    {
        self.call_within(&self.0.group_calls, ask).await
    }

    async fn call_within<R, F>(
        &self,
        places: &Semaphore,
        ask: impl FnOnce(Line) -> F,
    ) -> Result<R, Error>
    where
        F: Future<Output = Result<Response<R>, Status>>,
    {
        let _place = places.try_acquire().map_err(|_| Error::Overloaded)?;
        Ok(self.0.ask(ask).await?.1.into_inner())
    }

    /// Begins a stream, which is counted for as long as the permit lives.
    pub(crate) async fn stream<R, F>(
        &self,
        ask: impl FnOnce(Line) -> F,
    ) -> Result<(R, Thread), Error>
    where
        F: Future<Output = Result<Response<R>, Status>>,
    {
        let permit = self.0.streams.clone().try_acquire_owned().map_err(|_| Error::Overloaded)?;
        self.stream_with(permit, ask).await
    }

    /// The same for one of many who were told to begin at the same time: waits until there are not too
    /// many streams, as long as a call may take.
    pub(crate) async fn stream_in_turn<R, F>(
        &self,
        ask: impl FnOnce(Line) -> F,
    ) -> Result<(R, Thread), Error>
    where
        F: Future<Output = Result<Response<R>, Status>>,
    {
        let permit = self.0.streams.clone().acquire_owned();
        match timeout(self.0.settings.timing.call, permit).await {
            Ok(Ok(permit)) => self.stream_with(permit, ask).await,
            _ => Err(Error::Overloaded),
        }
    }

    async fn stream_with<R, F>(
        &self,
        permit: OwnedSemaphorePermit,
        ask: impl FnOnce(Line) -> F,
    ) -> Result<(R, Thread), Error>
    where
        F: Future<Output = Result<Response<R>, Status>>,
    {
        let (number, response) = self.0.ask(ask).await?;
        Ok((response.into_inner(), Thread { peer: self.clone(), number, _permit: permit }))
    }
}

/// A peer that is forgotten when nobody else has it.
pub(crate) struct WeakPeer(Weak<Inner>);

impl WeakPeer {
    pub(crate) fn upgrade(&self) -> Option<Peer> {
        self.0.upgrade().map(Peer)
    }
}

/// What a stream has to do with its peer.
pub(crate) struct Thread {
    peer: Peer,
    number: u64,
    _permit: OwnedSemaphorePermit,
}

impl Thread {
    /// Waits for a step of the stream, as long as a call may take.
    pub(crate) async fn step<R>(
        &self,
        work: impl Future<Output = Result<R, Status>>,
    ) -> Result<R, Error> {
        self.wait(async { self.peer.0.judge(self.number, work.await) }).await
    }

    /// Waits as long as a call may take, and no longer than the peer is alive.
    pub(crate) async fn wait<R>(
        &self,
        work: impl Future<Output = Result<R, Error>>,
    ) -> Result<R, Error> {
        self.peer.0.in_time(work).await
    }

    /// The other end has nothing more to say, though it should.
    pub(crate) fn cut(&self) -> Error {
        Error::Unreachable(format!("{}: the stream ended too soon", self.peer.address()))
    }
}

impl Inner {
    /// Asks on the connection; with the connection's number.
    async fn ask<R, F>(&self, ask: impl FnOnce(Line) -> F) -> Result<(u64, Response<R>), Error>
    where
        F: Future<Output = Result<Response<R>, Status>>,
    {
        if self.detector.lock().liveness() == Liveness::Down {
            return Err(self.unreachable());
        }
        let call = self.settings.timing.call;
        let work = async {
            let session = self.session().await?;
            let number = session.number;
            let answer = ask(self.line(session, call)).await;
            Ok((number, self.judge(number, answer)?))
        };
        self.in_time(work).await
    }

    /// Waits for an answer as long as a call may take, and no longer than the peer is alive.
    async fn in_time<R>(&self, work: impl Future<Output = Result<R, Error>>) -> Result<R, Error> {
        tokio::select! {
            done = timeout(self.settings.timing.call, work) => done.unwrap_or(Err(Error::Timeout)),
            () = self.fell.notified() => Err(self.unreachable()),
        }
    }

    fn line(&self, session: Session, call: Duration) -> Line {
        Line { session, call, message_max: self.settings.message_max }
    }

    /// Learns from an answer how the connection is.
    fn judge<R>(&self, number: u64, answer: Result<R, Status>) -> Result<R, Error> {
        let status = match answer {
            Ok(answer) => {
                self.detector.lock().heard();
                return Ok(answer);
            }
            Err(status) => status,
        };
        let error = failure_of(&status, &self.address);
        let spoke = !status.details().is_empty();
        let broken = matches!(
            status.code(),
            Code::Unavailable
                | Code::Unknown
                | Code::Internal
                | Code::Cancelled
                | Code::Unauthenticated
                // The connection was closed for what was too much of it.
                | Code::ResourceExhausted
        );
        if spoke {
            self.detector.lock().heard();
        } else if broken {
            self.drop_session(number, &error);
        }
        Err(error)
    }

    /// Gives a connection up; streams on it go on as far as they can.
    fn drop_session(&self, number: u64, why: &Error) {
        let mut link = self.link.lock();
        if link.session.as_ref().is_some_and(|session| session.number == number) {
            link.session = None;
            link.failure = why.to_string().into();
        }
    }

    fn unreachable(&self) -> Error {
        let failure = self.link.lock().failure.clone();
        if failure.starts_with(&self.address) {
            return Error::Unreachable(failure.as_ref().into());
        }
        Error::Unreachable(format!("{}: {failure}", self.address))
    }

    /// The connection, made now if there is none and it is time to try. One tries for all.
    async fn session(&self) -> Result<Session, Error> {
        if let Some(session) = &self.link.lock().session {
            return Ok(session.clone());
        }
        let _turn = self.dialing.lock().await;
        {
            let link = self.link.lock();
            if let Some(session) = &link.session {
                return Ok(session.clone());
            }
            if link.not_before.is_some_and(|time| Instant::now() < time) {
                drop(link);
                return Err(self.unreachable());
            }
        }
        let dialed = timeout(self.settings.timing.connect, self.dial()).await;
        if dialed.is_err() {
            // Who does not even answer a handshake in that time need not miss more beats.
            self.detector.lock().lost();
        }
        let mut link = self.link.lock();
        match dialed.unwrap_or_else(|_| Err(self.silent())) {
            Ok((channel, welcomed)) => {
                link.made += 1;
                let greet::Welcomed { node, version, token } = welcomed;
                let session = Session { number: link.made, channel, token, version, node };
                link.session = Some(session.clone());
                link.backoff.succeeded();
                link.not_before = None;
                self.met.send_replace(session.number);
                Ok(session)
            }
            Err(error) => {
                let mut chance = [0];
                // Without randomness all nodes try at the same moment, which is no harm.
                let _ = getrandom::fill(&mut chance);
                let wait = link.backoff.failed(u8::from_ne_bytes(chance));
                link.not_before = Some(Instant::now() + wait);
                link.failure = error.to_string().into();
                Err(error)
            }
        }
    }

    fn silent(&self) -> Error {
        Error::Unreachable(format!("{}: no answer to the handshake", self.address))
    }

    async fn dial(&self) -> Result<(Channel, greet::Welcomed), Error> {
        let unreachable =
            |why: &dyn std::fmt::Display| Error::Unreachable(format!("{}: {why}", self.address));
        let connecting = self.settings.net.connect(self.address.clone());
        let mut connection = connecting.await.map_err(|why| unreachable(&why))?;
        if let Some(files) = &self.settings.tls {
            connection = files.connect(&self.address, connection).await?;
        }
        let channel = Channel::open(connection, &self.address, self.settings.calls_max).await;
        let channel = channel.map_err(|why| unreachable(&why))?;
        let welcomed = greet::introduce(channel.clone(), &self.settings, &self.address).await?;
        match self.member {
            Some(id) if !welcomed.node.is(id) => Err(unreachable(&"another node answers there")),
            _ => Ok((channel, welcomed)),
        }
    }

    /// One ping; whether it was answered.
    async fn ping(&self) -> bool {
        let (number, answered) = match self.session().await {
            Ok(session) => (session.number, self.is_answered(session).await),
            Err(_) => (0, false),
        };
        let down = {
            let mut detector = self.detector.lock();
            if !answered {
                detector.missed();
            }
            detector.liveness() == Liveness::Down
        };
        if down {
            self.drop_session(number, &Error::Unreachable("it does not answer".into()));
            self.fell.notify_waiters();
        }
        answered
    }

    async fn is_answered(&self, session: Session) -> bool {
        let (number, ping) = (session.number, self.settings.timing.ping);
        let line = self.line(session, ping);
        let mut health = line.health();
        match timeout(ping, health.ping(wire::PingAsk {})).await {
            Ok(answer) => self.judge(number, answer).is_ok(),
            Err(_) => false,
        }
    }
}

/// Pings a peer for as long as somebody has it; sooner again after a beat that was missed.
async fn keep_asking(inner: Weak<Inner>) {
    loop {
        let Some(inner) = inner.upgrade() else { return };
        let well = inner.ping().await && inner.detector.lock().is_sure();
        let beat = inner.settings.timing.beat;
        drop(inner);
        sleep(if well { beat } else { beat / 4 }).await;
    }
}
