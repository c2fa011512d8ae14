//! Requests that an App signs with its own key.

use axum::extract::FromRequestParts;
use chrono::{DateTime, TimeDelta, Utc};
use http::request::Parts;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use rsa::{
    RsaPrivateKey, RsaPublicKey,
    pkcs1::{EncodeRsaPrivateKey, LineEnding},
    pkcs8::EncodePublicKey,
    rand_core,
};
use serde::Deserialize;
use serde_json::Value;

use super::{access::token_of, error::ApiError, forge::Forge, state::App};

/// The longest life of a signature.
const LONGEST: TimeDelta = TimeDelta::minutes(10);

/// GitHub hands out keys of this length.
const KEY_BITS: usize = 2048;

/// A key pair of an App, as PEM.
#[derive(Clone, Debug)]
pub struct AppKeys {
    /// What the App keeps.
    pub private_key: String,
    /// What the forge checks with.
    pub public_key: String,
}

/// Could not be made.
#[derive(Debug, thiserror::Error)]
#[error("an RSA key could not be made: {0}")]
pub struct KeyTrouble(String);

impl AppKeys {
    /// Makes a pair; takes a moment.
    ///
    /// # Errors
    /// In theory.
    pub fn generate() -> Result<Self, KeyTrouble> {
        let trouble = |error: &dyn std::error::Error| KeyTrouble(error.to_string());
        let private = RsaPrivateKey::new(&mut Randomness, KEY_BITS).map_err(|error| trouble(&error))?;
        let public_key =
            RsaPublicKey::from(&private).to_public_key_pem(LineEnding::LF).map_err(|error| trouble(&error))?;
        let private_key = private.to_pkcs1_pem(LineEnding::LF).map_err(|error| trouble(&error))?.to_string();
        Ok(Self { private_key, public_key })
    }
}

/// The App behind a request.
pub(crate) struct SignedBy(pub(crate) u64);

#[derive(Deserialize)]
struct Claims {
    iat: i64,
    exp: i64,
    /// A number or a text, as people write it.
    iss: Value,
}

impl FromRequestParts<Forge> for SignedBy {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, forge: &Forge) -> Result<Self, ApiError> {
        let token = token_of(&parts.headers)?.ok_or(ApiError::RequiresAuthentication)?;
        let now = forge.clock.now();
        forge.read(|view| {
            let mut apps = view.model.apps.values();
            let signed = apps.find_map(|app| Some((app.id, claims(app, &token)?)));
            let (app, claims) = signed.ok_or_else(|| bad("A JSON web token could not be decoded"))?;
            check(&claims, now)?;
            Ok(Self(app))
        })
    }
}

/// What a signature says, if it is one of this App.
fn claims(app: &App, token: &str) -> Option<Claims> {
    let key = DecodingKey::from_rsa_pem(app.public_key.as_bytes()).ok()?;
    let mut validation = Validation::new(Algorithm::RS256);
    // The forge's own clock decides, below.
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let claims = decode::<Claims>(token, &key, &validation).ok()?.claims;
    let issuer = claims.iss.as_str().map_or_else(|| claims.iss.to_string(), str::to_owned);
    (issuer == app.id.to_string()).then_some(claims)
}

fn check(claims: &Claims, now: DateTime<Utc>) -> Result<(), ApiError> {
    let seconds = now.timestamp();
    if claims.exp <= seconds {
        return Err(bad(
            "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the \
                        assertion expires",
        ));
    }
    if claims.exp > seconds + LONGEST.num_seconds() {
        return Err(bad("'Expiration time' claim ('exp') is too far in the future"));
    }
    if claims.iat > seconds {
        return Err(bad(
            "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
        ));
    }
    Ok(())
}

fn bad(message: &str) -> ApiError {
    ApiError::BadAssertion(message.to_owned())
}

/// The random numbers of the machine, for a library that asks for the traits of an earlier release.
struct Randomness;

impl rand_core::RngCore for Randomness {
    fn next_u32(&mut self) -> u32 {
        rand::random()
    }

    fn next_u64(&mut self) -> u64 {
        rand::random()
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        rand::fill(bytes);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

impl rand_core::CryptoRng for Randomness {}
