//! [`IndexSeal`]: identifies the index file of a layer, in the layer's descriptor.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The size of an index and its hash: 128-bit XXH3 with the seed 0. It finds damage; it is no
/// defence against an attacker, who can write both files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexSeal {
    /// Its size in bytes.
    pub size: u64,
    /// Its hash; 32 hexadecimal digits in a descriptor.
    #[serde(serialize_with = "to_hex", deserialize_with = "from_hex")]
    pub xxh3: u128,
}

fn to_hex<S: Serializer>(hash: &u128, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{hash:032x}"))
}

fn from_hex<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
    let text = String::deserialize(deserializer)?;
    let is_hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let hash = u128::from_str_radix(&text, 16).ok().filter(|_| is_hex);
    hash.ok_or_else(|| serde::de::Error::custom("a hash has 32 hexadecimal digits"))
}
