//! Settings from the environment. Every variable that is wrong is named at once, each with what to do about it.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
};

/// Environment variables, or what a test gives in their place.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    values: HashMap<String, String>,
    /// The variables that were asked for.
    asked: Arc<Mutex<BTreeSet<&'static str>>>,
}

impl Environment {
    /// The variables of this process.
    #[must_use]
    pub fn of_process() -> Self {
        std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))).collect()
    }

    /// The variables that were asked for so far, by this one and its clones: what a role's settings are.
    #[must_use]
    pub fn asked(&self) -> BTreeSet<&'static str> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The value of a variable; an empty one counts as absent.
    fn get(&self, name: &'static str) -> Option<&str> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).insert(name);
        self.values.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }
}

impl<K: Into<String>, V: Into<String>> Extend<(K, V)> for Environment {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, pairs: I) {
        self.values.extend(pairs.into_iter().map(|(k, v)| (k.into(), v.into())));
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let values = pairs.into_iter().map(|(k, v)| (k.into(), v.into())).collect();
        Self { values, asked: Arc::default() }
    }
}

/// One variable that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Its name.
    pub variable: &'static str,
    /// What is wrong with it.
    pub problem: String,
    /// What to do about it.
    pub fix: &'static str,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.variable, self.problem, self.fix)
    }
}

/// Everything that is wrong with the settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of the settings can't be used:", self.0.len())?;
        self.0.iter().try_for_each(|error| write!(f, "\n  {error}"))
    }
}

impl std::error::Error for ConfigErrors {}

/// Reads variables and remembers what was wrong.
pub struct Reader<'a> {
    environment: &'a Environment,
    errors: Vec<ConfigError>,
}

impl<'a> Reader<'a> {
    /// Reads from given variables.
    #[must_use]
    pub fn new(environment: &'a Environment) -> Self {
        Self { environment, errors: Vec::new() }
    }

    /// Notes that a variable is wrong.
    pub fn complain(&mut self, variable: &'static str, problem: impl Into<String>, fix: &'static str) {
        self.errors.push(ConfigError { variable, problem: problem.into(), fix });
    }

    /// A variable that may be absent.
    pub fn optional<T>(&mut self, variable: &'static str, fix: &'static str) -> Option<T>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        match self.environment.get(variable)?.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.complain(variable, format!("can't be read ({error})"), fix);
                None
            }
        }
    }

    /// A variable that must be there. None is returned only after a complaint.
    pub fn required<T>(&mut self, variable: &'static str, fix: &'static str) -> Option<T>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        if self.environment.get(variable).is_none() {
            self.complain(variable, "is not set", fix);
            return None;
        }
        self.optional(variable, fix)
    }

    /// A variable that has a default.
    pub fn or<T>(&mut self, variable: &'static str, default: T, fix: &'static str) -> T
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        self.optional(variable, fix).unwrap_or(default)
    }

    /// The settings, if there was no complaint.
    pub fn finish<T>(self, settings: Option<T>) -> Result<T, ConfigErrors> {
        match settings {
            Some(settings) if self.errors.is_empty() => Ok(settings),
            _ => Err(ConfigErrors(self.errors)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wrong_variable_is_named() {
        let environment: Environment = [("PORT", "many"), ("EMPTY", "  ")].into_iter().collect();
        let mut reader = Reader::new(&environment);
        let port: Option<u16> = reader.required("PORT", "give a number");
        let empty: Option<String> = reader.required("EMPTY", "give a name");
        let absent = reader.or("ABSENT", 7_u16, "give a number");
        assert_eq!((port, empty, absent), (None, None, 7));
        assert_eq!(environment.asked(), ["ABSENT", "EMPTY", "PORT"].into());
        let text = reader.finish(None::<()>).unwrap_err().to_string();
        assert_eq!(
            text,
            "2 of the settings can't be used:\n  PORT can't be read (invalid digit found in string): give a number\n  \
             EMPTY is not set: give a name"
        );
    }
}
