//! The layer's side of [`crate::profile_header`]: its key, and which requests it marks.

use std::fmt;
use std::sync::Arc;

use http::HeaderMap;

use super::RequestIdLayer;
use crate::profile_header::{self, PROFILE_HEADER, ProfileKey, ProfileKeyError};

/// The key, where the layer has one.
#[derive(Clone, Default)]
pub(super) struct Marks(Option<Arc<ProfileKey>>);

impl fmt::Debug for Marks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "by key" } else { "none" })
    }
}

impl Marks {
    /// Whether the request is to be marked. Where the header comes more than once, its first value counts.
    #[inline]
    pub(super) fn has(&self, headers: &HeaderMap) -> bool {
        let Some(key) = &self.0 else { return false };
        profile_header::asks_for_tokens()
            && headers.get(PROFILE_HEADER).is_some_and(|value| profile_header::is_wanted(key, value.as_bytes()))
    }
}

impl RequestIdLayer {
    /// Lets requests ask to be profiled, by `x-profile` and a token signed with this key; see [`crate::profile_header`].
    #[must_use]
    pub fn profile_key(mut self, key: ProfileKey) -> Self {
        self.marks = Marks(Some(Arc::new(key)));
        self
    }

    /// The same with the key that the environment names: the variable `PROFILER_PROFILE_KEY` holds it, or `PROFILER_PROFILE_KEY_FILE` the
    /// path of a file with it. Without either, no request can ask. It is an error to set both, or a key that is none.
    ///
    /// ```
    /// # fn f() -> Result<(), profiler_annotate::profile_header::ProfileKeyError> {
    /// let request_ids = profiler_annotate::RequestIdLayer::new().profile_key_from_env()?;
    /// # Ok(()) }
    /// ```
    pub fn profile_key_from_env(self) -> Result<Self, ProfileKeyError> {
        Ok(match ProfileKey::from_env()? {
            Some(key) => self.profile_key(key),
            None => self,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::pin::{Pin, pin};
    use std::sync::atomic::Ordering;
    use std::task::{Context, Poll, Waker};

    use http::Request;
    use profiler_token::unix_seconds;
    use tower_layer::Layer as _;
    use tower_service::Service;

    use super::*;
    use crate::scope::Active;
    use crate::{abi, wanted};

    /// Answers whether its scope is wanted.
    #[derive(Clone)]
    struct Wanted;

    impl Service<Request<()>> for Wanted {
        type Response = bool;
        type Error = Infallible;
        type Future = Self;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<()>) -> Self {
            Self
        }
    }

    impl Future for Wanted {
        type Output = Result<bool, Infallible>;

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
            Poll::Ready(Ok(Active::now(|active| active.wanted).unwrap_or_default()))
        }
    }

    fn is_wanted(layer: &RequestIdLayer, token: &[u8]) -> bool {
        let request = Request::builder().header("x-profile", token).body(()).unwrap();
        let future = pin!(layer.layer(Wanted).call(request));
        matches!(future.poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(Ok(true)))
    }

    /// The process's own table plays the daemon's part; no other test of this process carries a token.
    #[test]
    fn a_good_token_is_wanted_while_a_profiler_asks() {
        let key = ProfileKey::new(&[1; 32]);
        let good = key.token(unix_seconds() + 60, [0; 8]);
        let layer = RequestIdLayer::new().profile_key(key);
        let asked = &abi::table().asked;
        assert!(!is_wanted(&layer, good.as_bytes()));
        let counted = || abi::table().answered.tokens.each_ref().map(|count| count.load(Ordering::Relaxed));
        assert_eq!(counted(), [0; 4], "nobody asked");

        asked.modes.store(wanted::MODE_TOKENS, Ordering::Relaxed);
        asked.generation.store(1, Ordering::Release);
        assert!(is_wanted(&layer, good.as_bytes()));
        assert!(!is_wanted(&layer, b"please"));
        assert!(!is_wanted(&RequestIdLayer::new(), good.as_bytes()), "it has no key");
        assert!(!is_wanted(&RequestIdLayer::new().profile_key(ProfileKey::new(&[2; 32])), good.as_bytes()));
        assert_eq!(counted(), [1, 1, 0, 1]);
        asked.generation.store(0, Ordering::Relaxed);
        asked.modes.store(0, Ordering::Relaxed);
    }

    #[test]
    fn no_debug_shows_the_key() {
        let layer = RequestIdLayer::new().profile_key(ProfileKey::new(&[0xab; 32]));
        assert!(format!("{layer:?}").contains("by key") && !format!("{layer:?}").contains("ab, ab"));
    }
}
