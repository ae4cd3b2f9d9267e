//! Secrets: what holds one, and where they come from when they are not in the URL.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use super::text::no_nul;
use crate::broker::secret::HIDDEN;

/// The environment variable that holds a token for SASL OAUTHBEARER. It cannot be renewed.
pub const TOKEN_VARIABLE: &str = "DEJAQ_KAFKA_TOKEN";
/// The environment variable that names a file with a token, which is read again before the token expires.
pub const TOKEN_FILE_VARIABLE: &str = "DEJAQ_KAFKA_TOKEN_FILE";

/// A secret: it has no text form.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a secret in.
    #[must_use]
    pub fn new(secret: String) -> Self {
        Self(secret)
    }

    /// The secret itself, for the client only.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

/// Where the tokens for SASL OAUTHBEARER come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenPlace {
    /// A file, which another program keeps up to date.
    File(PathBuf),
    /// The environment.
    Given(Secret),
}

impl fmt::Display for TokenPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{} ({TOKEN_FILE_VARIABLE})", path.display()),
            Self::Given(_) => f.write_str(TOKEN_VARIABLE),
        }
    }
}

/// The environment, as a function, so that tests have their own.
pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// Where a broker's passwords are looked for.
pub(super) struct PasswordVariables {
    /// The variable that holds the password.
    pub(super) value: &'static str,
    /// The variable that names a file with it; one trailing newline is cut.
    pub(super) file: &'static str,
    /// What else to try where there is none.
    pub(super) hint: &'static str,
}

pub(super) const KAFKA_PASSWORD: PasswordVariables = PasswordVariables {
    value: "DEJAQ_KAFKA_PASSWORD",
    file: "DEJAQ_KAFKA_PASSWORD_FILE",
    hint: " (a token, for OAUTHBEARER, names its user itself: leave USER@ out)",
};
pub(super) const AMQP_PASSWORD: PasswordVariables =
    PasswordVariables { value: "DEJAQ_AMQP_PASSWORD", file: "DEJAQ_AMQP_PASSWORD_FILE", hint: "" };

impl PasswordVariables {
    /// The password of a user that the URL names without one.
    pub(super) fn read(&self, environment: Environment<'_>) -> Result<Secret, String> {
        let Self { value, file, hint } = self;
        let password = match (environment(value), environment(file)) {
            (Some(_), Some(_)) => return Err(format!("{value} and {file} are both set; set one of them")),
            (Some(password), None) => password.into_string().map_err(|_| format!("{value} is not UTF-8"))?,
            (None, Some(path)) => read_password(Path::new(&path))?,
            (None, None) => {
                return Err(format!("it names a user and no password; set {value}, or {file} to a file that holds it{hint}"));
            }
        };
        no_nul(password, value).map(Secret)
    }
}

fn read_password(path: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("the password file {} cannot be read: {e}", path.display()))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

/// Where a token is, if the environment says so.
pub(super) fn token_place(environment: Environment<'_>) -> Result<Option<TokenPlace>, String> {
    match (environment(TOKEN_VARIABLE), environment(TOKEN_FILE_VARIABLE)) {
        (Some(_), Some(_)) => Err(format!("{TOKEN_VARIABLE} and {TOKEN_FILE_VARIABLE} are both set; set one of them")),
        (Some(token), None) => {
            let token = token.into_string().map_err(|_| format!("{TOKEN_VARIABLE} is not UTF-8"))?;
            Ok(Some(TokenPlace::Given(Secret(token))))
        }
        (None, path) => Ok(path.map(|path| TokenPlace::File(path.into()))),
    }
}
