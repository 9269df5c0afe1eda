//! tracing-flame: a span a request, written to a file.

use std::io;
use std::path::Path;

use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use bench_service::{routes, serve};
use tracing::{Instrument as _, info_span};
use tracing_subscriber::prelude::*;

pub(crate) fn served(folder: &Path) -> io::Result<()> {
    let (layer, _guard) = tracing_flame::FlameLayer::with_file(folder.join("tracing.folded")).map_err(io::Error::other)?;
    tracing_subscriber::registry().with(layer).init();
    let app = routes::app().layer(from_fn(|request: Request, next: Next| next.run(request).instrument(info_span!("request"))));
    super::runtime()?.block_on(serve::serve(app, |served| drop(tokio::spawn(served))))
}
