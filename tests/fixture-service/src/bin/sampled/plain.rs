//! Nothing in it is the profiler's, and nothing names a request.

mod work;

fn main() {
    work::serve(|_, handle| handle);
}
