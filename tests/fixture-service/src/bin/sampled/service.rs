//! Two of its three tasks are requests by the profiler's annotation.

mod work;

use std::pin::Pin;

fn main() {
    work::serve(|load, handle| -> Pin<Box<dyn Future<Output = ()> + Send>> {
        if load.name == "sampled-c" { handle } else { Box::pin(profiler_annotate::scope(request(load.name), handle)) }
    });
}

fn request(name: &'static str) -> profiler_annotate::RequestId {
    profiler_annotate::RequestId::try_from(name).unwrap_or_else(|_| profiler_annotate::RequestId::from(0_u64))
}
