//! HTTP in a thread of its own: any number of ports, each with its routes, behind one accept loop with bounds. The
//! routes here are those of the metrics port; the dashboard's are in [`crate::dashboard`].
//!
//! A handler reads what is shared (atomics of the metrics) or asks the loop through a [`LoopHandle`] with a time-out. It
//! never makes the loop wait.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::body::Incoming;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use log::Level;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::background;
use crate::facts::Readiness;
use crate::logs::line;
use crate::metrics::Metrics;
use crate::requests::{LoopHandle, Request};
use crate::statistics::{Snapshot, Statistics};

/// Connections at once to one service: a flood of one leaves the other reachable.
const MAX_CONNECTIONS: usize = 64;
/// Connections at once from one address.
const MAX_PER_ADDRESS: usize = 16;
/// A request's header must be there in this time; an idle connection ends after it.
const HEADER_TIME: Duration = Duration::from_secs(10);
/// Buffer of a connection: a longer header is refused.
const HEADER_BYTES: usize = 16 * 1024;
/// A connection lives no longer, so that slow readers do not hold all places for good.
const LIFETIME: Duration = Duration::from_secs(600);
/// After the system refused a connection, the next try waits this long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(250);
/// The loop has this long to answer.
const LOOP_TIME: Duration = Duration::from_secs(1);

/// What is served on ports of its own, which can move while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Site {
    /// `/metrics`, `/healthz`, `/readyz`.
    Metrics,
    /// The web pages and their API.
    Dashboard,
}

/// The other end of a request's connection: an extension of each request.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// What the thread is told.
enum Order {
    Routes(Site, Router),
    Listen(Site, Vec<std::net::TcpListener>),
    Stop,
}

/// The running thread.
#[derive(Debug)]
pub struct Server {
    handle: ServerHandle,
    thread: JoinHandle<()>,
}

/// How others tell the thread what to serve, and where.
#[derive(Clone, Debug)]
pub struct ServerHandle(UnboundedSender<Order>);

impl Server {
    /// Starts the thread. It serves what [`ServerHandle`] gives it, until [`Server::stop`].
    pub fn start() -> io::Result<Server> {
        // Blocking threads are for passwords, files and tries of a pool: few at once, the others wait.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(3).build()?;
        let (orders, mut inbox) = unbounded_channel();
        let thread = background::spawn("http", move || {
            runtime.block_on(async move {
                let mut sites = Sites::default();
                while let Some(order) = inbox.recv().await {
                    match order {
                        Order::Routes(site, router) => drop(sites.routes.insert(site, router)),
                        Order::Listen(site, listeners) => sites.listen(site, listeners),
                        Order::Stop => return,
                    }
                }
            });
            // A try of a pool that is under way is not waited for.
            runtime.shutdown_timeout(Duration::from_millis(50));
        })?;
        Ok(Server { handle: ServerHandle(orders), thread })
    }

    /// How others tell the thread what to serve.
    pub fn handle(&self) -> ServerHandle {
        self.handle.clone()
    }

    /// Ends the thread. Requests under way are cut.
    pub fn stop(self) {
        // Fails only if the thread has ended already; a panic there was logged by the hook.
        let _ = self.handle.0.send(Order::Stop);
        let _ = self.thread.join();
    }
}

/// If the thread has ended, so has the program: that an order is not taken then needs no words.
impl ServerHandle {
    /// Sets a site's routes. Comes before [`ServerHandle::listen`].
    pub fn routes(&self, site: Site, router: Router) {
        let _ = self.0.send(Order::Routes(site, router));
    }

    /// From now on the site's connections come from these sockets (bound, listening, non-blocking), and no longer from
    /// those before. Connections that are open stay. No sockets: the site is off.
    pub fn listen(&self, site: Site, listeners: Vec<std::net::TcpListener>) {
        let _ = self.0.send(Order::Listen(site, listeners));
    }
}

/// The thread's side.
#[derive(Default)]
struct Sites {
    routes: HashMap<Site, Router>,
    accepting: HashMap<Site, Vec<tokio::task::JoinHandle<()>>>,
    places: HashMap<Site, Places>,
}

impl Sites {
    fn listen(&mut self, site: Site, listeners: Vec<std::net::TcpListener>) {
        let Some(router) = self.routes.get(&site) else { return };
        let places = self.places.entry(site).or_default();
        let mut accepting = Vec::new();
        for listener in listeners {
            match TcpListener::from_std(listener) {
                Ok(listener) => accepting.push(tokio::spawn(accept(listener, router.clone(), places.clone()))),
                Err(error) => line(Level::Warn, "http_failed").show("err", error).send(),
            }
        }
        for before in self.accepting.insert(site, accepting).unwrap_or_default() {
            before.abort();
        }
    }
}

/// Connections by address.
type Places = Arc<Mutex<HashMap<IpAddr, usize>>>;

/// One connection's place; given back when dropped.
struct Place(Places, IpAddr);

impl Place {
    fn take(places: &Places, peer: SocketAddr) -> Option<Place> {
        let address = peer.ip().to_canonical();
        // The map is whole between any two statements, so a panic elsewhere cannot have left it odd.
        let mut taken = places.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.values().sum::<usize>() >= MAX_CONNECTIONS {
            return None;
        }
        let of_address = taken.entry(address).or_insert(0);
        if *of_address >= MAX_PER_ADDRESS {
            return None;
        }
        *of_address += 1;
        Some(Place(places.clone(), address))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(of_address) = taken.get_mut(&self.1) {
            *of_address -= 1;
            if *of_address == 0 {
                taken.remove(&self.1);
            }
        }
    }
}

async fn accept(listener: TcpListener, router: Router, places: Places) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // No place: closed without a word, which costs nothing.
                if let Some(place) = Place::take(&places, peer) {
                    tokio::spawn(serve(stream, peer, router.clone(), place));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn serve(stream: TcpStream, peer: SocketAddr, router: Router, place: Place) {
    // A hint to the kernel.
    let _ = stream.set_nodelay(true);
    let routes = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        routes.call(request)
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_buf_size(HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    // How a client ends its connection is its own affair.
    let _ = timeout(LIFETIME, connection).await;
    drop(place);
}

/// What the handlers of the metrics port need.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The loop.
    pub handle: LoopHandle,
    /// All series.
    pub metrics: Metrics,
    /// What the gauges of windows are filled from.
    pub statistics: Statistics,
    /// Whether miners can work.
    pub readiness: Arc<Readiness>,
}

/// The routes of the metrics port.
pub fn metrics_routes(observed: Observed) -> Router {
    Router::new()
        .route("/", get(|| async { "dpmp: /metrics /healthz /readyz\n" }))
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(observed)
}

/// Has the loop bring its series up to date. False if it did not answer in time.
async fn loop_answers(handle: &LoopHandle) -> bool {
    let (done, answered) = oneshot::channel();
    let reply = move || {
        // Fails only when nobody waits for it any more.
        let _ = done.send(());
    };
    let asked = handle.send(Request::Refresh(Box::new(reply)));
    asked.is_ok() && matches!(timeout(LOOP_TIME, answered).await, Ok(Ok(())))
}

/// A snapshot, if the statistics answer in time.
async fn snapshot(statistics: &Statistics) -> Option<Arc<Snapshot>> {
    let (done, answered) = oneshot::channel();
    let reply = move |snapshot| {
        // Fails only when nobody waits for it any more.
        let _ = done.send(snapshot);
    };
    statistics.ask(reply).ok()?;
    timeout(LOOP_TIME, answered).await.ok()?.ok()
}

async fn metrics(State(observed): State<Observed>) -> Response {
    // A loop that does not answer is for /healthz to tell; its last numbers are still worth having.
    let _ = loop_answers(&observed.handle).await;
    if let Some(snapshot) = snapshot(&observed.statistics).await {
        observed.metrics.show(&snapshot);
    }
    match observed.metrics.text() {
        Ok(text) => ([(header::CONTENT_TYPE, Metrics::content_type())], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

async fn healthz(State(observed): State<Observed>) -> Response {
    if loop_answers(&observed.handle).await {
        "ok\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the event loop did not answer within 1 s\n").into_response()
    }
}

async fn readyz(State(observed): State<Observed>) -> Response {
    match observed.readiness.ready() {
        Ok(()) => "ready\n".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}
