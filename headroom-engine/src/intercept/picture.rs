//! Originals that are images: their text is a data URL.

/// The most tokens that an image in an answer is taken for; those that are made smaller cost about
/// this.
pub(super) const TOKENS: usize = 1600;

/// An image in an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Picture {
    pub(super) media_type: String,
    /// Base64.
    pub(super) data: String,
}

impl Picture {
    /// The image that `original` is, if it is one that a provider will take.
    pub(super) fn parse(original: &str) -> Option<Self> {
        let (media_type, data) = original.strip_prefix("data:")?.split_once(";base64,")?;
        // The first bytes of each, in base64.
        let begins = match media_type {
            "image/png" => "iVBORw0KGgo",
            "image/jpeg" | "image/jpg" => "/9j/",
            _ => return None,
        };
        let mut digits = data.trim_end_matches('=').bytes();
        let base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
        (data.starts_with(begins) && data.len().is_multiple_of(4) && digits.all(base64))
            .then(|| Self { media_type: media_type.to_owned(), data: data.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::Picture;

    #[test]
    fn only_what_begins_like_an_image() {
        let picture = Picture::parse("data:image/png;base64,iVBORw0KGgo=").unwrap();
        assert_eq!((picture.media_type.as_str(), picture.data.as_str()), ("image/png", "iVBORw0KGgo="));
        for none in [
            "iVBORw0KGgo=",
            "data:image/png;base64,AAAA",
            "data:image/png;base64,iVBORw0KGgo",
            "data:image/jpeg;base64,/9j/\n",
            "data:image/gif;base64,R0lGODlh",
            "data:image/jpeg,/9j/",
        ] {
            assert_eq!(Picture::parse(none), None, "{none}");
        }
    }
}
