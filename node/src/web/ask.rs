//! A search as it stands in an address, for the API and for pages alike.

use http::StatusCode;
use protocol::time::Timestamp;

use super::problem::Problem;
use crate::search::{Facet, Query, QueryError, QueryParts, Sort};

/// Most parameters of one address.
const PARAMETERS_MAX: usize = 64;

/// The parameters of a search, as they were given.
#[derive(Debug, Clone, Default)]
pub struct Ask {
    /// Words.
    pub text: String,
    /// Values of filters, in the order given.
    pub filters: Vec<(Facet, String)>,
    /// The order asked for.
    pub sort: Option<String>,
    /// Results of the page.
    pub limit: Option<i64>,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

impl Ask {
    /// Reads the query part of an address. Parameters that mean nothing here are passed over: people
    /// add their own.
    ///
    /// # Errors
    /// Too many parameters, or a limit that is no number.
    pub fn read(query: &str) -> Result<Self, Problem> {
        let mut ask = Self::default();
        for (count, (name, value)) in url::form_urlencoded::parse(query.as_bytes()).enumerate() {
            if count >= PARAMETERS_MAX {
                return Err(Problem::malformed(format!(
                    "at most {PARAMETERS_MAX} parameters"
                )));
            }
            match (&*name, Facet::named(&name)) {
                (_, _) if value.is_empty() => {}
                (_, Some(facet)) => ask.filters.push((facet, value.into_owned())),
                ("q", _) => ask.text = value.into_owned(),
                ("sort", _) => ask.sort = Some(value.into_owned()),
                ("cursor", _) => ask.cursor = Some(value.into_owned()),
                ("limit", _) => {
                    let limit = value.parse().map_err(|_| {
                        Problem::malformed("limit must be a number from 1 to 100").at("limit")
                    })?;
                    ask.limit = Some(limit);
                }
                _ => {}
            }
        }
        Ok(ask)
    }

    /// The search itself, for someone who reads `language`.
    ///
    /// # Errors
    /// 400 with the parameter that is wrong.
    pub fn query(
        &self,
        language: Option<&str>,
        facets: &[Facet],
        now: Timestamp,
    ) -> Result<Query, Problem> {
        let sort = match self.sort.as_deref() {
            None => Sort::default(),
            Some(name) => Sort::named(name).ok_or_else(|| {
                Problem::malformed("sort must be relevance, newest or id").at("sort")
            })?,
        };
        let parts = QueryParts {
            text: &self.text,
            language,
            filters: self
                .filters
                .iter()
                .map(|(facet, value)| (*facet, value.as_str()))
                .collect(),
            sort,
            limit: self.limit,
            cursor: self.cursor.as_deref(),
            facets: facets.to_vec(),
            ..QueryParts::at(now)
        };
        Query::parse(&parts).map_err(Problem::from)
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-query", error.to_string())
    }
}
