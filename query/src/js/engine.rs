//! One QuickJS runtime within its limits, and the realm of ours in it that functions are called
//! from. Knows how to make realms, measure time and tell errors apart; nothing of what functions
//! are for.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rquickjs::context::intrinsic::{
    Date, Eval, Json, MapSet, Promise, RegExp, RegExpCompiler, TypedArrays,
};
use rquickjs::{CatchResultExt, CaughtError, Context, Ctx, FromJs, Function, IntoJs, Object};
use rquickjs::{Persistent, Runtime, Type, Value, function::IntoArgs};

use super::render::{ListPeer, Piece};
use super::text::mend;
use super::{Error, Limits, Log};

/// What CouchDB's engine has: no proxies, typed arrays, nothing that waits or shares. Promises
/// belong to the language's syntax (`async`) and have to be there; what waits for them never runs.
type Builtins = (Date, Eval, RegExpCompiler, RegExp, Json, MapSet, Promise);

/// What our realm has: buffers too, to ask for memory.
type OurBuiltins = (Builtins, TypedArrays);

/// Our side of the engine, in the language of the engine.
const BOOT: &str = concat!(
    "(function (host, api) { 'use strict';\n",
    include_str!("boot/core.js"),
    include_str!("boot/tame.js"),
    include_str!("boot/views.js"),
    include_str!("boot/design.js"),
    include_str!("boot/mime.js"),
    include_str!("boot/render.js"),
    include_str!("boot/end.js"),
    "\n})"
);

/// Where our functions are found in our realm.
const API: &str = "settee";

/// An engine that has less memory than this fails in ways of its own while it starts.
const MEMORY_MIN: usize = 16 << 20;

/// Lines that one call may log, and bytes of one line; more is dropped.
const LOG_LINES: usize = 1000;
const LOG_BYTES: usize = 4096;

/// What the engine's callbacks share with who calls it.
struct Watch {
    start: Instant,
    time: Duration,
    /// Nanoseconds after `start` at which the call is stopped.
    deadline: AtomicU64,
    timed_out: AtomicBool,
    gone: AtomicBool,
    log: Log,
    lines_left: AtomicUsize,
    peer: Mutex<Option<Box<dyn ListPeer>>>,
}

impl Watch {
    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Gives the call its time anew.
    fn rearm(&self) {
        let time = u64::try_from(self.time.as_nanos()).unwrap_or(u64::MAX);
        self.deadline.store(self.now().saturating_add(time), Ordering::Relaxed);
        self.lines_left.store(LOG_LINES, Ordering::Relaxed);
    }

    /// Whether the engine has to stop; asked by itself now and then.
    fn is_over(&self) -> bool {
        if self.gone.load(Ordering::Relaxed) {
            return true;
        }
        let over = self.now() > self.deadline.load(Ordering::Relaxed);
        if over {
            self.timed_out.store(true, Ordering::Relaxed);
        }
        over
    }

    fn log(&self, line: &str) {
        let spend = |left: usize| left.checked_sub(1);
        if self.lines_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend).is_ok() {
            let end = (0..=LOG_BYTES).rev().find(|&at| line.is_char_boundary(at));
            (self.log)(end.and_then(|end| line.get(..end)).unwrap_or(line));
        }
    }

    /// Asks the peer of the running list; the time that it takes is not the function's.
    fn ask<T>(
        &self,
        question: impl FnOnce(&mut dyn ListPeer) -> Result<T, super::Gone>,
    ) -> Option<T> {
        let mut peer = self.peer.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = question(peer.as_mut()?.as_mut()).ok();
        if answer.is_none() {
            self.gone.store(true, Ordering::Relaxed);
        }
        self.rearm();
        answer
    }
}

/// A runtime with our realm in it.
pub(super) struct Engine {
    // Realms before the runtime that they live in.
    ours: Context,
    runtime: Runtime,
    watch: Arc<Watch>,
}

/// A function's realm: how to run a script in it, and its global object.
pub(super) struct Realm {
    run: Persistent<Function<'static>>,
    global: Persistent<Object<'static>>,
}

impl Realm {
    /// Both as values of our realm.
    pub(super) fn restore<'js>(
        self,
        ctx: &Ctx<'js>,
    ) -> rquickjs::Result<(Function<'js>, Object<'js>)> {
        Ok((self.run.restore(ctx)?, self.global.restore(ctx)?))
    }
}

impl Engine {
    /// Starts an engine.
    pub(super) fn new(limits: &Limits, log: &Log) -> Result<Self, Error> {
        let watch = Arc::new(Watch {
            start: Instant::now(),
            time: limits.time,
            deadline: AtomicU64::new(u64::MAX),
            timed_out: AtomicBool::new(false),
            gone: AtomicBool::new(false),
            log: Arc::clone(log),
            lines_left: AtomicUsize::new(0),
            peer: Mutex::new(None),
        });
        let runtime = Runtime::new().map_err(|_| Error::Memory)?;
        runtime.set_memory_limit(limits.memory.max(MEMORY_MIN));
        runtime.set_max_stack_size(limits.stack.clamp(64 << 10, 16 << 20));
        let clock = Arc::clone(&watch);
        runtime.set_interrupt_handler(Some(Box::new(move || clock.is_over())));
        let ours = Context::custom::<OurBuiltins>(&runtime).map_err(|_| Error::Memory)?;
        let engine = Engine { ours, runtime, watch };
        engine.enter(|ctx| engine.boot(ctx))?;
        Ok(engine)
    }

    fn boot<'js>(&self, ctx: &Ctx<'js>) -> rquickjs::Result<()> {
        let host = Object::new(ctx.clone())?;
        let watch = Arc::clone(&self.watch);
        let log = move |line: String| watch.log(&line);
        host.set("log", Function::new(ctx.clone(), log)?)?;
        let watch = Arc::clone(&self.watch);
        let send = move |chunks: String, response: Option<String>| {
            let chunks = serde_json::from_str(&mend(&chunks)).unwrap_or_default();
            let response = response.map(|response| mend(&response).into_owned());
            watch.ask(|peer| peer.send(Piece { chunks, response }));
        };
        host.set("send", Function::new(ctx.clone(), send)?)?;
        let watch = Arc::clone(&self.watch);
        let row = move || watch.ask(|peer| peer.next_row()).flatten();
        host.set("row", Function::new(ctx.clone(), row)?)?;
        let watch = Arc::clone(&self.watch);
        host.set("late", Function::new(ctx.clone(), move || watch.is_over())?)?;
        let api = Object::new(ctx.clone())?;
        ctx.eval::<Function<'js>, _>(BOOT)?.call::<_, ()>((host, api.clone()))?;
        ctx.globals().set(API, api)
    }

    /// Makes a realm for one function.
    pub(super) fn realm(&self) -> Result<Realm, Error> {
        let realm = Context::custom::<Builtins>(&self.runtime).map_err(|_| Error::Memory)?;
        realm.with(|ctx| {
            let global = ctx.globals();
            let run = global.get::<_, Function<'_>>("eval").map_err(|_| Error::Memory)?;
            Ok(Realm { run: Persistent::save(&ctx, run), global: Persistent::save(&ctx, global) })
        })
    }

    /// Does something in our realm, with the time that a call has.
    pub(super) fn enter<T>(
        &self,
        work: impl for<'js> FnOnce(&Ctx<'js>) -> rquickjs::Result<T>,
    ) -> Result<T, Error> {
        self.watch.rearm();
        self.ours.with(|ctx| match work(&ctx).catch(&ctx) {
            Ok(done) => Ok(done),
            Err(caught) => Err(self.explain(&ctx, caught)),
        })
    }

    /// Gives the call that is under way its time anew, for the next of a batch.
    pub(super) fn rearm(&self) {
        self.watch.rearm();
    }

    /// Lets somebody feed and hear the list that runs next, and takes him away after it.
    pub(super) fn set_peer(&self, peer: Option<Box<dyn ListPeer>>) {
        *self.watch.peer.lock().unwrap_or_else(PoisonError::into_inner) = peer;
    }

    /// Whether the call that is under way was stopped, for its time or for who no longer waits.
    pub(super) fn is_stopped(&self) -> bool {
        self.watch.timed_out.load(Ordering::Relaxed) || self.watch.gone.load(Ordering::Relaxed)
    }

    fn explain<'js>(&self, ctx: &Ctx<'js>, caught: CaughtError<'js>) -> Error {
        let thrown = match caught {
            CaughtError::Exception(exception) => exception.into_value(),
            // When there is no memory for an exception, nothing is thrown.
            CaughtError::Value(value)
                if matches!(value.type_of(), Type::Null | Type::Uninitialized) =>
            {
                return Error::Memory;
            }
            CaughtError::Value(value) => value,
            CaughtError::Error(rquickjs::Error::Allocation) => return Error::Memory,
            CaughtError::Error(other) => return Error::Engine(other.to_string()),
        };
        // Describing it may run the function's code again: the time of the call goes on.
        let described = call::<_, String>(ctx, "describe", (thrown,));
        if self.watch.gone.load(Ordering::Relaxed) {
            return Error::Gone;
        }
        if self.watch.timed_out.load(Ordering::Relaxed) {
            return Error::Timeout;
        }
        match described {
            Ok(verdict) => judged(&verdict),
            Err(_) => {
                drop(ctx.catch());
                Error::Memory
            }
        }
    }
}

/// Reads what the engine's side reports of an exception.
pub(super) fn judged(verdict: &str) -> Error {
    let verdict = mend(verdict);
    match serde_json::from_str::<(String, String, Box<serde_json::value::RawValue>)>(&verdict) {
        Ok((kind, error, reason)) => Error::from_verdict(&kind, error, reason.get().to_owned()),
        Err(error) => Error::Engine(error.to_string()),
    }
}

/// Calls one of our functions.
pub(super) fn call<'js, A, R>(ctx: &Ctx<'js>, name: &str, args: A) -> rquickjs::Result<R>
where
    A: IntoArgs<'js>,
    R: FromJs<'js>,
{
    ours(ctx, name)?.call(args)
}

/// One of our functions.
pub(super) fn ours<'js>(ctx: &Ctx<'js>, name: &str) -> rquickjs::Result<Function<'js>> {
    ctx.globals().get::<_, Object<'js>>(API)?.get(name)
}

/// Brings JSON into the engine. The copy has room for the end mark that the engine wants.
pub(super) fn parse<'js>(ctx: &Ctx<'js>, json: &[u8]) -> rquickjs::Result<Value<'js>> {
    let mut text = Vec::with_capacity(json.len() + 1);
    text.extend_from_slice(json);
    ctx.json_parse(text)
}

/// JSON, or nothing: `null`, as functions see a document that isn't there.
pub(super) fn parse_or_null<'js>(
    ctx: &Ctx<'js>,
    json: Option<&[u8]>,
) -> rquickjs::Result<Value<'js>> {
    match json {
        Some(json) => parse(ctx, json),
        None => rquickjs::Null.into_js(ctx),
    }
}
