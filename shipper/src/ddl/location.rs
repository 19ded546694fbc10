//! Where objects lie, as a Hadoop client names it.

use super::DdlError;

/// Schemes of Hadoop's file systems, and what each needs.
const SCHEMES: [(&str, Authority); 6] = [
    ("s3a", Authority::Required),
    ("hdfs", Authority::Optional),
    ("viewfs", Authority::Optional),
    ("abfss", Authority::Required),
    ("gs", Authority::Required),
    ("file", Authority::None),
];

/// Whether a host or a bucket stands between the slashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Authority {
    Required,
    Optional,
    None,
}

const FORM: &str = "say the folder in which ds=… lie as s3a://BUCKET/PREFIX, \
                    hdfs://NAMENODE/FOLDER, file:///FOLDER, or with viewfs, abfss or gs";

/// A place that tables can lie at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    scheme: &'static str,
    authority: String,
    /// Empty, or with a slash in front and none behind.
    path: String,
}

impl Location {
    /// Reads one.
    ///
    /// # Errors
    /// [`DdlError::Location`] when it is none, or what stands in it would mean something else to
    /// one of those who read it: SQL, a URL, or a pattern of names.
    pub fn parse(text: &str) -> Result<Location, DdlError> {
        let refused = |allowed: &str| DdlError::Location {
            found: text.to_owned(),
            allowed: allowed.to_owned(),
        };
        let (scheme, rest) = text.split_once(':').ok_or_else(|| refused(FORM))?;
        if ["s3", "s3n"].contains(&scheme) {
            return Err(refused("Hadoop reads s3a://BUCKET/PREFIX; say s3a"));
        }
        let known = SCHEMES.iter().find(|(name, _)| *name == scheme);
        let (scheme, needs) = *known.ok_or_else(|| refused(FORM))?;
        let (authority, path) = match rest.strip_prefix("//") {
            Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
            None => ("", rest),
        };
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~=+@/:".contains(&b);
        if !text.bytes().all(plain) {
            return Err(refused("letters, digits and - . _ ~ = + @ / : only"));
        }
        match needs {
            Authority::Required if authority.is_empty() => {
                return Err(refused("a bucket is missing behind //"));
            }
            Authority::None if !authority.is_empty() => {
                return Err(refused("a folder of this machine is file:///FOLDER"));
            }
            Authority::None | Authority::Optional if !path.starts_with('/') => {
                return Err(refused("the folder has to begin with a slash"));
            }
            _ => {}
        }
        let path = path.trim_end_matches('/');
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        if parts.iter().any(|part| part.is_empty() || [".", ".."].contains(part)) {
            return Err(refused("no part of the folder may be empty, . or .."));
        }
        if parts.iter().any(|part| part.starts_with("ds=")) {
            return Err(refused("say the folder above ds=…; each topic is a table"));
        }
        Ok(Location { scheme, authority: authority.to_owned(), path: path.to_owned() })
    }

    /// The folder of a topic.
    #[must_use]
    pub fn of_topic(&self, topic: &str) -> String {
        let Location { scheme, authority, path } = self;
        format!("{scheme}://{authority}{path}/ds={topic}")
    }

    /// The bucket, when S3A reads it.
    #[must_use]
    pub fn bucket(&self) -> Option<&str> {
        (self.scheme == "s3a").then_some(&*self.authority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_a_folder_that_hadoop_can_name() {
        for (text, want) in [
            ("s3a://impressions/edge", "s3a://impressions/edge/ds=t"),
            ("s3a://impressions", "s3a://impressions/ds=t"),
            ("s3a://impressions/edge//", "s3a://impressions/edge/ds=t"),
            ("hdfs:///brink", "hdfs:///brink/ds=t"),
            ("hdfs://namenode:8020/brink/a.b", "hdfs://namenode:8020/brink/a.b/ds=t"),
            ("file:/var/lib/objects", "file:///var/lib/objects/ds=t"),
            ("file:///var/lib/objects", "file:///var/lib/objects/ds=t"),
        ] {
            assert_eq!(Location::parse(text).unwrap().of_topic("t"), want, "{text}");
        }
    }

    #[test]
    fn what_is_none_is_refused_with_what_is_allowed() {
        for (text, says) in [
            ("", "s3a://BUCKET"),
            ("/var/lib/objects", "file:///FOLDER"),
            ("http://a/b", "s3a://BUCKET"),
            ("s3://impressions/edge", "say s3a"),
            ("s3a:///edge", "bucket is missing"),
            ("s3a:edge", "bucket is missing"),
            ("file://host/a", "file:///FOLDER"),
            ("file:a", "begin with a slash"),
            ("hdfs://namenode", "begin with a slash"),
            ("s3a://b/a'; DROP TABLE t; --", "only"),
            ("s3a://b/a b", "only"),
            ("s3a://b/a*", "only"),
            ("s3a://b/a\\'", "only"),
            ("s3a://b/é", "only"),
            ("s3a://b/../c", "no part"),
            ("s3a://b//c", "no part"),
            ("s3a://b/ds=impressions", "above ds="),
        ] {
            let error = Location::parse(text).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
