//! Bearer tokens, as Entra ID gives them for Event Hubs, and whose a broker takes.

use std::sync::Arc;

use anyhow::{Context, anyhow};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};

/// The name of the one key.
const KEY: &str = "1";

/// Signs tokens. Entra ID does it with RSA; a broker takes either.
pub struct Issuer {
    key: Arc<EcdsaKeyPair>,
    name: String,
    audience: String,
}

impl Issuer {
    /// With a key of its own. `name` and `audience` are what tokens are to say about who made them and for whom, and a broker
    /// takes no others.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn new(name: &str, audience: &str) -> anyhow::Result<Self> {
        let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let made = EcdsaKeyPair::generate_pkcs8(algorithm, &random);
        let made = made.map_err(|_| anyhow!("cannot make the key of the issuer {name}"))?;
        let key = EcdsaKeyPair::from_pkcs8(algorithm, made.as_ref(), &random).map_err(|error| anyhow!("{error}"))?;
        Ok(Self { key: Arc::new(key), name: name.to_owned(), audience: audience.to_owned() })
    }

    /// The same one, of tokens for others.
    #[must_use]
    pub fn for_audience(&self, audience: &str) -> Self {
        Self { key: Arc::clone(&self.key), name: self.name.clone(), audience: audience.to_owned() }
    }

    /// What its tokens say about who made them.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its tokens say about for whom they are.
    #[must_use]
    pub fn audience(&self) -> &str {
        &self.audience
    }

    /// A token for somebody: made then, and good until then.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn token(&self, subject: &str, made: Timestamp, until: Timestamp) -> anyhow::Result<String> {
        let header = json!({"alg": "ES256", "typ": "JWT", "kid": KEY});
        let (made, until) = (made.as_second(), until.as_second());
        let claims = json!({
            "iss": self.name, "aud": self.audience, "sub": subject, "iat": made, "nbf": made, "exp": until,
        });
        let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let signed = format!("{}.{}", part(&header), part(&claims));
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes());
        let signature = signature.map_err(|_| anyhow!("cannot sign a token for {subject}"))?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// Its public key, as a broker reads it (JWKS).
    pub(super) fn keys(&self) -> anyhow::Result<String> {
        // A byte that says that both coordinates follow.
        let point = self.key.public_key().as_ref().get(1..65).context("a key that is none of P-256")?;
        let (x, y) = point.split_at(32);
        let [x, y] = [x, y].map(|coordinate| URL_SAFE_NO_PAD.encode(coordinate));
        let key = json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": KEY, "x": x, "y": y});
        Ok(json!({"keys": [key]}).to_string())
    }
}

#[cfg(test)]
mod tests {
    use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    use super::*;

    #[test]
    fn a_token_is_signed_with_the_key_that_brokers_get() {
        let issuer = Issuer::new("https://sts/", "https://plant.servicebus.windows.net").unwrap();
        let at = |second| Timestamp::from_second(second).unwrap();
        let token = issuer.token("scorer", at(1_800_000_000), at(1_800_003_600)).unwrap();
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let keys: Value = serde_json::from_str(&issuer.keys().unwrap()).unwrap();
        let decoded = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
        let coordinate = |name: &str| decoded(keys["keys"][0][name].as_str().unwrap());
        let point = [vec![4], coordinate("x"), coordinate("y")].concat();
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
        key.verify(signed.as_bytes(), &decoded(signature)).unwrap();
        let claims: Value = serde_json::from_slice(&decoded(signed.split('.').nth(1).unwrap())).unwrap();
        let wanted = json!({
            "iss": "https://sts/", "aud": "https://plant.servicebus.windows.net", "sub": "scorer",
            "iat": 1_800_000_000, "nbf": 1_800_000_000, "exp": 1_800_003_600,
        });
        assert_eq!(claims, wanted);
    }
}
