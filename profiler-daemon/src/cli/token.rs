//! `token`: a token for any client, and the key it is signed with.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as ClapArgs, ValueHint};

use super::command::{UsageError, not_empty};
use super::value;

/// Arguments of `token`.
#[derive(Debug, ClapArgs)]
pub struct TokenArgs {
    /// The key that the service has too [default: PROFILER_PROFILE_KEY, or the file that PROFILER_PROFILE_KEY_FILE names]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub profile_key_file: Option<PathBuf>,
    /// How long the token is good, for any number of requests
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = value::duration)]
    pub valid: Duration,
    /// Make a new key, in a new file that only you can read, and print no token
    #[arg(long, requires = "profile_key_file", conflicts_with = "valid")]
    pub new_key: bool,
}

/// `token`.
#[derive(Debug, PartialEq, Eq)]
pub enum Token {
    /// Print one.
    Print {
        /// The key's file, where the user named it.
        key_file: Option<PathBuf>,
        /// How long it is good.
        valid: Duration,
    },
    /// Make a key.
    NewKey(PathBuf),
}

impl Token {
    pub(super) fn check(args: TokenArgs) -> Result<Self, UsageError> {
        let key_file = args.profile_key_file.map(|path| not_empty(path, "--profile-key-file")).transpose()?;
        Ok(match key_file {
            Some(path) if args.new_key => Self::NewKey(path),
            key_file => Self::Print { key_file, valid: args.valid },
        })
    }
}
