//! draft-cavage-http-signatures-12, which most of the fediverse still sends.
//!
//! [`super::read`] and [`super::ParsedSignature`] serve it too. Its policy: covered must be
//! `(request-target)`; `host`, equal to the address of the request; with a body `digest`, equal to
//! the body's; and `date` or `(created)`, within [`CAVAGE_DATE_SECONDS_MAX`] of now.

use super::fields::{is_text, is_token_byte, read_base64, write_base64};
use super::{
    Algorithm, Dialect, HttpSigError, ParsedSignature, RequestFacts, RequestParts, Unsigned,
    check_one_digest, check_window, checked_key_id, checked_signature, is_field_name, malformed,
    read_authority, shortened,
};
use crate::limits::{
    CAVAGE_DATE_SECONDS_MAX, SIGNATURE_COMPONENTS_MAX, SIGNATURE_FIELD_BYTES_MAX,
    SIGNATURE_PARAMETERS_MAX,
};
use crate::time::Timestamp;
use sha2::{Digest as _, Sha256};

/// What to cover in a request without a body.
pub const FETCH_HEADERS: [&str; 3] = ["(request-target)", "host", "date"];

/// What to cover in a request with a body.
pub const DELIVERY_HEADERS: [&str; 4] = ["(request-target)", "host", "date", "digest"];

/// Parameters of the field `Signature` (draft-cavage-12, 2.1), in the order given.
struct Given<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Given<'a> {
    fn read(field: &'a str) -> Result<Self, HttpSigError> {
        let mut given: Vec<(&str, &str)> = Vec::new();
        let mut rest = field.trim();
        while !rest.is_empty() {
            let (name, after) = rest
                .split_once('=')
                .ok_or(malformed("a parameter has no value"))?;
            let name = name.trim();
            if name.is_empty() || !name.bytes().all(is_token_byte) {
                return Err(malformed("a parameter has no proper name"));
            }
            let after = after.trim_start();
            let (value, after) = match after.strip_prefix('"') {
                Some(quoted) => quoted
                    .split_once('"')
                    .ok_or(malformed("a quoted text is not closed"))?,
                None => after.split_at(after.find(',').unwrap_or(after.len())),
            };
            // No value that we need has a quote in it, so an escape only serves to confuse.
            if value.contains(['\\', '"']) {
                return Err(malformed("a parameter has an escape or a stray quote"));
            }
            if given.iter().any(|(other, _)| *other == name) {
                return Err(malformed("a parameter stands twice"));
            }
            if given.len() == SIGNATURE_PARAMETERS_MAX {
                return Err(malformed("too many parameters"));
            }
            given.push((name, value.trim()));
            rest = after.trim_start();
            if let Some(after) = rest.strip_prefix(',') {
                rest = after.trim_start();
                if rest.is_empty() {
                    return Err(malformed("the field ends with a comma"));
                }
            } else if !rest.is_empty() {
                return Err(malformed("parameters must be separated by commas"));
            }
        }
        Ok(Self(given))
    }

    fn get(&self, wanted: &str) -> Option<&'a str> {
        self.0
            .iter()
            .find(|(name, _)| *name == wanted)
            .map(|(_, value)| *value)
    }

    fn date(&self, wanted: &str) -> Result<Option<Timestamp>, HttpSigError> {
        let Some(text) = self.get(wanted) else {
            return Ok(None);
        };
        if text.is_empty() || text.len() > 15 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(malformed("a signature's date must be an integer"));
        }
        let seconds = text
            .parse()
            .map_err(|_| malformed("a signature's date must be an integer"))?;
        Ok(Some(Timestamp::from_unix_seconds(seconds)))
    }
}

pub(super) fn read(
    request: &RequestParts<'_>,
    field: &str,
) -> Result<ParsedSignature, HttpSigError> {
    let given = Given::read(field)?;
    let named = given.get("algorithm").unwrap_or("hs2019");
    let algorithm = match named {
        "hs2019" => None,
        "rsa-sha256" => Some(Algorithm::RsaV15Sha256),
        _ => {
            return Err(HttpSigError::UnsupportedAlgorithm {
                found: shortened(named),
            });
        }
    };
    let value = given
        .get("signature")
        .ok_or(HttpSigError::MissingParameter {
            parameter: "signature",
        })?;
    let signature = read_base64(value.as_bytes()).ok_or(malformed("it is not base64"))?;
    let headers = given
        .get("headers")
        .unwrap_or("(created)")
        .to_ascii_lowercase();
    let (components, base) = signing_string(request, headers.split(' '), |pseudo| {
        // Draft-cavage-12, 2.3: these two came with hs2019.
        if algorithm.is_some() {
            None
        } else {
            given.get(pseudo).map(str::to_owned)
        }
    })?;
    let host = request.field("host")?;
    let own_port = if request.target.scheme == "https" {
        "443"
    } else {
        "80"
    };
    let host = host.and_then(|host| read_authority(&host, own_port));
    Ok(ParsedSignature {
        dialect: Dialect::Cavage12,
        label: String::new(),
        key_id: checked_key_id(given.get("keyId"))?,
        algorithm,
        created: given.date("created")?,
        expires: given.date("expires")?,
        nonce: None,
        tag: None,
        components,
        base,
        signature: checked_signature(signature)?,
        request: RequestFacts {
            has_query: request.target.query.is_some(),
            digest: request.short_field("digest")?,
            date: request.short_field("date")?,
            host_fits: host.as_ref() == Some(&request.target.authority),
        },
    })
}

/// The names of the covered headers, and the text that is signed (draft-cavage-12, 2.3).
fn signing_string<'h>(
    request: &RequestParts<'_>,
    headers: impl Iterator<Item = &'h str> + Clone,
    parameter: impl Fn(&str) -> Option<String>,
) -> Result<(Vec<String>, String), HttpSigError> {
    if headers.clone().count() > SIGNATURE_COMPONENTS_MAX {
        return Err(malformed("too many headers are covered"));
    }
    let mut names: Vec<String> = Vec::new();
    let mut base = String::with_capacity(256);
    for name in headers.filter(|name| !name.is_empty()) {
        if names.iter().any(|given| given == name) {
            return Err(malformed("a header is covered twice"));
        }
        let absent = || HttpSigError::AbsentComponent {
            component: shortened(name),
        };
        let value = match name {
            "(request-target)" => {
                let method = request.method.to_ascii_lowercase();
                format!("{method} {}", request.target.path_and_query())
            }
            "(created)" => parameter("created").ok_or_else(absent)?,
            "(expires)" => parameter("expires").ok_or_else(absent)?,
            _ if name.starts_with('(') => {
                return Err(HttpSigError::UnsupportedComponent {
                    component: shortened(name),
                });
            }
            _ if !is_field_name(name) => return Err(malformed("a covered header has no name")),
            _ => request.field(name)?.ok_or_else(absent)?,
        };
        if !names.is_empty() {
            base.push('\n');
        }
        base.push_str(name);
        base.push_str(": ");
        base.push_str(&value);
        names.push(name.to_owned());
    }
    if names.is_empty() {
        return Err(malformed("no header is covered"));
    }
    Ok((names, base))
}

pub(super) fn check_policy(
    signature: &ParsedSignature,
    body: &[u8],
    now: Timestamp,
) -> Result<(), HttpSigError> {
    signature.must_cover("(request-target)")?;
    signature.must_cover("host")?;
    if !body.is_empty() {
        signature.must_cover("digest")?;
    }
    let created = if signature.covers("(created)") {
        signature.created
    } else {
        None
    };
    let date = if signature.covers("date") {
        let text = signature.request.date.as_deref().unwrap_or_default();
        Some(read_http_date(text).ok_or(malformed("the date is no date of HTTP"))?)
    } else {
        None
    };
    let Some(made) = created.or(date) else {
        return Err(HttpSigError::MissingComponent { component: "date" });
    };
    for dated in created.into_iter().chain(date) {
        check_window(dated, now, CAVAGE_DATE_SECONDS_MAX, CAVAGE_DATE_SECONDS_MAX)?;
    }
    signature.check_expiry(made, now)?;
    if !signature.request.host_fits {
        return Err(HttpSigError::WrongHost);
    }
    signature.check_digest("digest", body, check_digest)
}

/// The value of `Digest` for a body: its SHA-256 (RFC 3230, 4.3.2; RFC 5843).
pub fn digest(body: &[u8]) -> String {
    format!("SHA-256={}", write_base64(&Sha256::digest(body)))
}

/// Checks a body against its `Digest` (RFC 3230): all digests by SHA-256 and SHA-512 must fit,
/// others are left aside.
///
/// # Errors
/// As [`super::check_content_digest`].
pub fn check_digest(header: &str, body: &[u8]) -> Result<(), HttpSigError> {
    if header.len() > SIGNATURE_FIELD_BYTES_MAX {
        return Err(malformed("a field is too long"));
    }
    let mut fits = Err(HttpSigError::UnsupportedDigest);
    for instance in header.split(',') {
        let (algorithm, value) = instance
            .trim()
            .split_once('=')
            .ok_or(malformed("a digest has no value"))?;
        let algorithm = algorithm.to_ascii_lowercase();
        // Others, such as UNIXsum, are not even base64.
        if matches!(algorithm.as_str(), "sha-256" | "sha-512") {
            let value = read_base64(value.as_bytes()).ok_or(malformed("a digest is not base64"))?;
            check_one_digest(&algorithm, &value, body, &mut fits)?;
        }
    }
    fits
}

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Writes a moment as the header `Date` does: `Sun, 05 Jan 2014 21:31:40 GMT` (RFC 9110, 5.6.7).
pub fn write_http_date(moment: Timestamp) -> String {
    let text = moment.to_string();
    let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
    let weekday = usize::try_from(moment.unix_day().rem_euclid(7)).unwrap_or_default();
    let month = part(5, 7).parse::<usize>().unwrap_or(1).saturating_sub(1);
    format!(
        "{}, {} {} {} {} GMT",
        DAYS.get(weekday).unwrap_or(&""),
        part(8, 10),
        MONTHS.get(month).unwrap_or(&""),
        part(0, 4),
        part(11, 19),
    )
}

/// Reads the one form of [`write_http_date`]; the two obsolete ones, leap seconds and a weekday that
/// is not the date's are refused.
pub fn read_http_date(text: &str) -> Option<Timestamp> {
    if text.len() != 29 || !text.is_ascii() {
        return None;
    }
    let month = MONTHS
        .iter()
        .position(|month| Some(*month) == text.get(8..11))?
        + 1;
    let (day, year, time) = (text.get(5..7)?, text.get(12..16)?, text.get(17..25)?);
    let moment = Timestamp::parse(&format!("{year}-{month:02}-{day}T{time}Z")).ok()?;
    if write_http_date(moment) == text {
        Some(moment)
    } else {
        None
    }
}

/// Prepares a signature by draft-cavage-12 over `headers`, in their order, such as
/// [`DELIVERY_HEADERS`]. The headers covered must already be among the request's.
///
/// The algorithm is named `rsa-sha256`, the only one that every receiver knows: sign
/// [`Unsigned::base`] with RSASSA-PKCS1-v1_5 and SHA-256.
///
/// # Errors
/// [`HttpSigError::AbsentComponent`], [`HttpSigError::UnsupportedComponent`], and
/// [`HttpSigError::Malformed`] if the key id cannot be written.
pub fn prepare(
    request: &RequestParts<'_>,
    headers: &[&str],
    key_id: &str,
) -> Result<Unsigned, HttpSigError> {
    if !is_text(key_id) || key_id.contains(['"', '\\']) {
        return Err(malformed(
            "the key id must be printable ASCII without quotes",
        ));
    }
    let (names, base) = signing_string(request, headers.iter().copied(), |_| None)?;
    let names = names.join(" ");
    Ok(Unsigned {
        dialect: Dialect::Cavage12,
        label: String::new(),
        parameters: format!("keyId=\"{key_id}\",algorithm=\"rsa-sha256\",headers=\"{names}\""),
        base,
    })
}
