//! tonic: the same layer on the server.
//!
//! The service is written by hand, as `tonic-prost-build` would write it, so that building it takes no protoc:
//!
//! ```proto
//! package shop;
//! message Order { uint64 number = 1; }
//! message Made { string text = 1; }
//! service Orders { rpc Make(Order) returns (Made); }
//! ```

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use annotated_services::witness::{self, OutsideLayer};
use annotated_services::{control, orders};
use profiler_annotate::RequestIdLayer;
use tonic::body::Body;
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Status};
use tonic_prost::ProstCodec;

#[derive(Clone, PartialEq, prost::Message)]
struct Order {
    #[prost(uint64, tag = "1")]
    number: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Made {
    #[prost(string, tag = "1")]
    text: String,
}

/// The method.
struct Make;

impl UnaryService<Order> for Make {
    type Response = Made;
    type Future = Pin<Box<dyn Future<Output = Result<tonic::Response<Made>, Status>> + Send>>;

    fn call(&mut self, order: tonic::Request<Order>) -> Self::Future {
        let number = order.into_inner().number;
        Box::pin(async move { Ok(tonic::Response::new(Made { text: orders::make(number).await })) })
    }
}

/// The service.
#[derive(Clone)]
struct Orders;

impl NamedService for Orders {
    const NAME: &'static str = "shop.Orders";
}

impl tower_service::Service<http::Request<Body>> for Orders {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        // Measured for the profiler's tests.
        Box::pin(witness::inside(async move {
            Ok(match request.uri().path() {
                "/shop.Orders/Make" => Grpc::new(ProstCodec::default()).unary(Make, request).await,
                _ => Status::new(Code::Unimplemented, "the service has one method, Make").into_http(),
            })
        }))
    }
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(control::listen()?)?;
    control::obey(listener.local_addr()?)?;
    Server::builder()
        // For the profiler's tests.
        .layer(OutsideLayer)
        // The line for the profiler. tonic's outermost layer is the one that is added first.
        .layer(RequestIdLayer::new())
        .add_service(Orders)
        .serve_with_incoming(TcpIncoming::from(listener))
        .await
        .map_err(io::Error::other)
}
