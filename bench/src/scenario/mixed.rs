//! All roles at once, in the shares in which a fleet sees them.
//!
//! Each role is a lane of its own: requests of its own schedule, over connections of its own, to a
//! listener of its own. So a slow bidder does not keep pixels from being sent.

use super::{
    Role,
    url::{Url, UrlError},
};

/// The roles, and what stands in for them in `--url ROLE=URL`. The shares are those of a fleet of
/// 50 data providers, 25 bidders and 25 pixel boxes.
const ROLES: [(Role, &str, u32); 3] =
    [(Role::Provider, "provider", 2), (Role::Bidder, "bidder", 1), (Role::Pixel, "pixel", 1)];

/// One role of the mix.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// What is asked.
    pub role: Role,
    /// Of whom.
    pub url: Url,
    /// Its share of the requests, 0 to 1.
    pub share: f64,
}

/// Why there is no mix.
#[derive(Debug, thiserror::Error)]
pub enum MixedError {
    /// A URL is none.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// Nobody can tell who is meant.
    #[error(
        "{text:?}: a mix takes one URL for all roles, or ROLE=URL with provider, bidder, pixel"
    )]
    Shape {
        /// What was given.
        text: String,
    },
    /// A role stands there twice.
    #[error("{role} has two URLs; give each role one")]
    Twice {
        /// Which.
        role: &'static str,
    },
}

/// The mix of some URLs: `http://…` for all roles, or `ROLE=http://…` for each that is to be asked.
///
/// # Errors
/// [`MixedError`] when they are something else.
pub fn parts(texts: &[String]) -> Result<Vec<Part>, MixedError> {
    let mut urls: [Option<Url>; ROLES.len()] = Default::default();
    if let [text] = texts
        && text.starts_with("http://")
    {
        let url: Url = text.parse()?;
        urls.fill(Some(url));
    } else {
        for text in texts {
            let named = text.split_once('=').and_then(|(name, url)| {
                let at = ROLES.iter().position(|(_, known, _)| *known == name)?;
                Some((at, url))
            });
            let (at, url) = named.ok_or_else(|| MixedError::Shape { text: text.clone() })?;
            if urls[at].replace(url.parse()?).is_some() {
                return Err(MixedError::Twice { role: ROLES[at].1 });
            }
        }
    }
    let given = || ROLES.iter().zip(&urls).filter_map(|(role, url)| Some((role, url.clone()?)));
    let all: u32 = given().map(|((.., share), _)| share).sum();
    let part = |((role, _, share), url): (&(Role, &str, u32), Url)| Part {
        role: *role,
        url,
        share: f64::from(*share) / f64::from(all),
    };
    Ok(given().map(part).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mix(texts: &[&str]) -> Result<Vec<(Role, f64)>, String> {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        let parts = parts(&texts).map_err(|e| e.to_string())?;
        Ok(parts.iter().map(|part| (part.role, part.share)).collect())
    }

    #[test]
    fn shares_are_those_of_the_roles_that_are_asked() {
        let all = [(Role::Provider, 0.5), (Role::Bidder, 0.25), (Role::Pixel, 0.25)];
        assert_eq!(mix(&["http://127.0.0.1:1"]).unwrap(), all);
        let two = ["pixel=http://127.0.0.1:3", "bidder=http://127.0.0.1:2/x?a=b"];
        assert_eq!(mix(&two).unwrap(), [(Role::Bidder, 0.5), (Role::Pixel, 0.5)]);
    }

    #[test]
    fn what_is_no_mix_is_told() {
        for (texts, wanted) in [
            (vec!["http://127.0.0.1:1", "http://127.0.0.1:2"], "ROLE=URL"),
            (vec!["get=http://127.0.0.1:1"], "ROLE=URL"),
            (vec!["pixel=http://127.0.0.1:1", "pixel=http://127.0.0.1:2"], "two URLs"),
            (vec!["pixel=127.0.0.1:1"], "no URL"),
        ] {
            let error = mix(&texts).unwrap_err();
            assert!(error.contains(wanted), "{error}");
        }
    }
}
