//! Serving, as axum does it, but for the polls of connections, which are counted.

use std::io;
use std::net::Ipv4Addr;

use axum::Router;
use hyper::server::conn::http1::{Builder, Connection};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};

use crate::counted::Counted;

/// A connection that is served.
pub type Served = Counted<Connection<TokioIo<TcpStream>, TowerToHyperService<Router>>>;

/// Prints the port, answers on standard output what has been used, and serves `app` for ever. `spawn` makes a task of a connection.
pub async fn serve(app: Router, spawn: impl Fn(Served)) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!("{}", listener.local_addr()?.port());
    crate::usage::answer_until_the_end();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let service = TowerToHyperService::new(app.clone());
        spawn(Counted::new(Builder::new().serve_connection(TokioIo::new(stream), service)));
    }
}
