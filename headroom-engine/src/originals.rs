//! What a request hides, still in the request: the first store.

use std::{collections::HashMap, ops::Range};

use bytestring::ByteString;

use crate::{ccr::Handle, context, reduce::Hidden, wire::text::Str};

/// The kind of originals that are images. Their text is a data URL.
pub(crate) const IMAGE: &str = "image";

/// The originals of one request. They are decoded from its body when asked for.
#[derive(Clone, Default)]
pub struct Originals {
    body: ByteString,
    order: Vec<Handle>,
    places: HashMap<Handle, Place>,
}

#[derive(Clone, Debug)]
struct Place {
    kind: &'static str,
    part: Part,
}

/// Where an original stands in the request.
#[derive(Clone, Debug)]
enum Part {
    /// A range of a decoded text.
    Text(Str, Range<usize>),
    /// An image, as a data URL: what stands before the string, and the string.
    #[cfg(feature = "image")]
    Image(String, Str),
    /// Messages.
    Messages(Vec<Range<usize>>),
}

/// Handles only, never content.
impl std::fmt::Debug for Originals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Originals").field("handles", &self.order).finish_non_exhaustive()
    }
}

impl Originals {
    pub(crate) fn new(body: ByteString) -> Self {
        Self { body, ..Self::default() }
    }

    pub(crate) fn add(&mut self, kind: &'static str, text: &Str, hidden: &[Hidden]) {
        for Hidden { original, handle, .. } in hidden {
            self.places.entry(*handle).or_insert_with(|| {
                self.order.push(*handle);
                Place { kind, part: Part::Text(text.clone(), original.clone()) }
            });
        }
    }

    /// An image of which the model sees less.
    #[cfg(feature = "image")]
    pub(crate) fn add_image(&mut self, data: &crate::wire::image::Data, hidden: &[Hidden]) {
        for Hidden { handle, .. } in hidden {
            self.places.entry(*handle).or_insert_with(|| {
                self.order.push(*handle);
                let before = data.media_type.as_ref().map(|kind| format!("data:{kind};base64,"));
                Place { kind: IMAGE, part: Part::Image(before.unwrap_or_default(), data.text.clone()) }
            });
        }
    }

    /// Messages that left whole.
    pub(crate) fn add_messages(&mut self, handle: Handle, messages: Vec<Range<usize>>) {
        self.places.entry(handle).or_insert_with(|| {
            self.order.push(handle);
            Place { kind: context::KIND, part: Part::Messages(messages) }
        });
    }

    /// Whether nothing is hidden.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The handles and kinds, in the order of the request.
    pub fn iter(&self) -> impl Iterator<Item = (Handle, &'static str)> + '_ {
        self.order.iter().filter_map(|handle| Some((*handle, self.places.get(handle)?.kind)))
    }

    /// The handles, in the order of the request.
    #[must_use]
    pub fn handles(&self) -> &[Handle] {
        &self.order
    }

    /// The original that `handle` names, if this request hides it.
    #[must_use]
    pub fn get(&self, handle: Handle) -> Option<String> {
        let place = self.places.get(&handle)?;
        let body = &*self.body;
        match &place.part {
            Part::Text(text, range) => text.decode(body)?.get(range.clone()).map(str::to_owned),
            #[cfg(feature = "image")]
            Part::Image(before, data) => Some(format!("{before}{}", data.decode(body)?)),
            Part::Messages(messages) => Some(context::text_of(body, messages)),
        }
    }
}

impl crate::intercept::Source for Originals {
    fn handles(&self) -> Vec<(Handle, &'static str)> {
        self.iter().collect()
    }

    fn get(&self, handle: Handle) -> Option<String> {
        Self::get(self, handle)
    }
}
