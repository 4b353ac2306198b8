//! The name of a pair as one text.

use std::fmt;
use std::str::FromStr;

/// A consumer and a provider at one broker. Pacticipants of two brokers never mix, even under
/// equal names.
///
/// As text it is `broker/consumer/provider`, where `%`, `/` and control characters of a name are
/// percent-encoded, so that every text stands for one pair.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PairKey {
    /// The broker's name here, `default` unless said otherwise.
    pub broker: String,
    /// The consumer's name.
    pub consumer: String,
    /// The provider's name.
    pub provider: String,
}

/// The text names no pair.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no pair: write broker/consumer/provider, percent-encoded")]
pub struct InvalidPairKey;

impl fmt::Display for PairKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        encode(&self.broker, f)?;
        f.write_str("/")?;
        encode(&self.consumer, f)?;
        f.write_str("/")?;
        encode(&self.provider, f)
    }
}

impl FromStr for PairKey {
    type Err = InvalidPairKey;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Vec<&str> = text.split('/').collect();
        let [broker, consumer, provider] = parts[..] else { return Err(InvalidPairKey) };
        Ok(Self {
            broker: decode(broker)?,
            consumer: decode(consumer)?,
            provider: decode(provider)?,
        })
    }
}

fn encode(name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for c in name.chars() {
        // All of these are one byte long.
        if matches!(c, '%' | '/') || c.is_ascii_control() {
            write!(f, "%{:02X}", u32::from(c))?;
        } else {
            write!(f, "{c}")?;
        }
    }
    Ok(())
}

fn decode(text: &str) -> Result<String, InvalidPairKey> {
    let mut name = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        name.push_str(before);
        let hex = after.get(..2).ok_or(InvalidPairKey)?;
        let byte = u8::from_str_radix(hex, 16).map_err(|_| InvalidPairKey)?;
        if !byte.is_ascii() {
            return Err(InvalidPairKey);
        }
        name.push(char::from(byte));
        rest = after.get(2..).unwrap_or_default();
    }
    name.push_str(rest);
    Ok(name)
}
