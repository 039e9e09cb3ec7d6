//! Images: smaller where that makes them cheaper, by the provider's own arithmetic.
//!
//! [`shrink`] is a pure function of the bytes. It only ever makes an image smaller, only when its
//! tokens fall by at least a fifth, and never so small that text in it could not be read: what looks
//! like a screenshot or a scan keeps nine tenths of the size at which the provider looks at it. The
//! format stays (PNG stays PNG, alpha and all), the orientation that a camera noted is applied, and
//! what claims to be too large is not decoded at all. The caller keeps the original.
//!
//! The same bytes come out on every run. Decoders of JPEG use the processor's vector instructions,
//! which are meant to agree to the bit; a test holds bytes that every platform must write.

mod tokens;

use std::io::Cursor;

use ::image::{
    DynamicImage, GenericImageView, ImageDecoder, ImageEncoder, ImageFormat, ImageReader, Limits,
    codecs::{jpeg::JpegEncoder, png::PngEncoder},
    imageops::FilterType,
    metadata::Orientation,
};

pub use tokens::Provider;

/// An image of more pixels is not decoded.
const MOST_PIXELS: u64 = 50_000_000;
/// What decoding may allocate, in bytes.
const MOST_BYTES: u64 = 512 << 20;
/// A picture's longer side does not fall below this.
const PICTURE_EDGE: u32 = 1024;
/// What looks like text keeps at least this share of the size at which it is looked at.
const TEXT_SCALE: f64 = 0.9;
/// The quality of what was JPEG before.
const QUALITY: u8 = 88;

/// A smaller image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shrunk {
    /// The encoded image, in the format of its source.
    pub bytes: Vec<u8>,
    /// Its width and height, in pixels.
    pub size: (u32, u32),
    /// The source's, as it is seen.
    pub size_in: (u32, u32),
    /// What the source costs, in tokens.
    pub tokens_in: u64,
    /// What this costs.
    pub tokens_out: u64,
}

/// A smaller image of the same content, at most four fifths of the tokens; `None` if there is none,
/// or if `bytes` are no PNG or JPEG of that `media_type`.
///
/// ```
/// use headroom_engine::compress::{Provider, shrink};
/// assert_eq!(shrink(b"not an image", "image/png", Provider::Anthropic), None);
/// ```
#[must_use]
pub fn shrink(bytes: &[u8], media_type: &str, provider: Provider) -> Option<Shrunk> {
    let (format, mut decoder) = open(bytes, media_type)?;
    let (width, height) = decoder.dimensions();
    let tokens_in = provider.tokens(width, height);
    // Nothing to gain even for a picture: not worth decoding.
    smaller((width, height), tokens_in, provider, false)?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut image = DynamicImage::from_decoder(decoder).ok()?;
    image.apply_orientation(orientation);
    let size_in = image.dimensions();
    let size = smaller(size_in, tokens_in, provider, is_text_like(&image))?;
    let image = image.resize_exact(size.0, size.1, FilterType::CatmullRom);
    let bytes = encode(&image, format)?;
    Some(Shrunk { bytes, size, size_in, tokens_in, tokens_out: provider.tokens(size.0, size.1) })
}

/// The width and height that `bytes` claim, if they begin like an image of that `media_type`.
pub(crate) fn size(bytes: &[u8], media_type: &str) -> Option<(u32, u32)> {
    open(bytes, media_type).map(|(_, decoder)| decoder.dimensions())
}

/// A decoder of what is neither too large nor more than one picture, and its format.
fn open<'a>(bytes: &'a [u8], media_type: &str) -> Option<(ImageFormat, impl ImageDecoder + 'a)> {
    let format = match media_type {
        "image/png" => ImageFormat::Png,
        "image/jpeg" | "image/jpg" => ImageFormat::Jpeg,
        _ => return None,
    };
    // An animation is more than its first frame.
    if ::image::guess_format(bytes).ok()? != format || is_animated(bytes) {
        return None;
    }
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(MOST_BYTES);
    reader.limits(limits);
    let decoder = reader.into_decoder().ok()?;
    let (width, height) = decoder.dimensions();
    (u64::from(width) * u64::from(height) <= MOST_PIXELS).then_some((format, decoder))
}

/// A PNG with a chunk for animation before its data.
fn is_animated(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(4096)];
    bytes.starts_with(b"\x89PNG") && memchr::memmem::find(head, b"acTL").is_some()
}

fn encode(image: &DynamicImage, format: ImageFormat) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    match format {
        ImageFormat::Png => PngEncoder::new(&mut bytes)
            .write_image(image.as_bytes(), image.width(), image.height(), image.color().into())
            .ok()?,
        _ => JpegEncoder::new_with_quality(&mut bytes, QUALITY).encode_image(image).ok()?,
    }
    Some(bytes)
}

/// The largest of the cheapest sizes that are worth it, for an image of `size` that costs `before`.
fn smaller(size: (u32, u32), before: u64, provider: Provider, text: bool) -> Option<(u32, u32)> {
    let seen = provider.seen(size.0, size.1);
    let longer = seen.0.max(seen.1);
    let floor = if text { TEXT_SCALE } else { f64::from(PICTURE_EDGE) / f64::from(longer) };
    // Where the count can fall: at the floor, and where a side fills its tiles.
    let mut scales = vec![floor];
    if provider.tile() > 0 {
        for side in [seen.0, seen.1] {
            let fills = (1..=side / provider.tile()).map(|tiles| tiles * provider.tile());
            scales.extend(fills.map(|edge| f64::from(edge) / f64::from(side)));
        }
    }
    let candidates = scales.into_iter().filter(|scale| *scale >= floor && *scale < 1.0).filter_map(|scale| {
        let to = |side: u32| ((f64::from(side) * scale).floor() as u32).max(1);
        let small = (to(seen.0), to(seen.1));
        let tokens = provider.tokens(small.0, small.1);
        (tokens * 5 <= before * 4 && keeps_aspect(size, small)).then_some((tokens, small))
    });
    candidates.min_by_key(|(tokens, small)| (*tokens, std::cmp::Reverse(small.0))).map(|(_, small)| small)
}

/// Whether the sides of `small` are to each other as those of `size`, within a hundredth.
fn keeps_aspect(size: (u32, u32), small: (u32, u32)) -> bool {
    let cross = [u64::from(size.0) * u64::from(small.1), u64::from(size.1) * u64::from(small.0)];
    cross[0].abs_diff(cross[1]) * 100 < cross[0].max(cross[1])
}

/// Whether an image looks like a screenshot, a scan or a drawing: flat, with sharp edges.
fn is_text_like(image: &DynamicImage) -> bool {
    let (width, height) = image.dimensions();
    let step = (height / 128).max(1) as usize;
    let (mut flat, mut sharp, mut all) = (0u64, 0u64, 0u64);
    let luma = |x: u32, y: u32| {
        let [r, g, b, _] = image.get_pixel(x, y).0;
        (i32::from(r) * 3 + i32::from(g) * 6 + i32::from(b)) / 10
    };
    for y in (0..height).step_by(step) {
        let mut before = luma(0, y);
        for x in 1..width {
            let here = luma(x, y);
            let difference = (here - before).abs();
            before = here;
            all += 1;
            flat += u64::from(difference <= 4);
            sharp += u64::from(difference >= 60);
        }
    }
    // One pixel in 150 across an edge of ink is a line of text now and then.
    flat * 2 > all && sharp * 150 > all
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::image::{GrayImage, Luma, Rgb, RgbImage};

    fn photo(width: u32, height: u32) -> DynamicImage {
        let pixel = |x: u32, y: u32| {
            let wave = |at: u32, by: f32| ((at as f32 / by).sin() * 100.0 + 120.0) as u8;
            Rgb([wave(x, 91.0), wave(y, 77.0), wave(x + y, 133.0)])
        };
        DynamicImage::ImageRgb8(RgbImage::from_fn(width, height, pixel))
    }

    /// Black strokes on white.
    fn page(width: u32, height: u32) -> DynamicImage {
        let ink = |x: u32, y: u32| y % 20 < 12 && x % 9 < 2;
        DynamicImage::ImageLuma8(GrayImage::from_fn(width, height, |x, y| {
            Luma([if ink(x, y) { 0 } else { 255 }])
        }))
    }

    fn png(image: &DynamicImage) -> Vec<u8> {
        encode(image, ImageFormat::Png).unwrap()
    }

    #[test]
    fn a_picture_gets_smaller_and_keeps_its_shape() {
        let (width, height) = (2400, 720);
        let source = png(&photo(width, height));
        for provider in [Provider::Anthropic, Provider::OpenAi, Provider::Gemini] {
            let shrunk = shrink(&source, "image/png", provider).unwrap();
            assert_eq!(Some(&shrunk), shrink(&source, "image/png", provider).as_ref());
            assert!(shrunk.tokens_out * 5 <= shrunk.tokens_in * 4, "{provider:?} {:?}", shrunk.size);
            assert!(
                shrunk.size.0 <= width
                    && shrunk.size.1 <= height
                    && keeps_aspect((width, height), shrunk.size)
            );
            let read = ::image::load_from_memory_with_format(&shrunk.bytes, ImageFormat::Png).unwrap();
            assert_eq!(read.dimensions(), shrunk.size);
            assert_eq!(provider.tokens(shrunk.size.0, shrunk.size.1), shrunk.tokens_out);
        }
    }

    #[test]
    fn text_stays_legible() {
        assert!(is_text_like(&page(1200, 900)) && !is_text_like(&photo(1200, 900)));
        for (width, height) in [(1200, 900), (3000, 2000), (1000, 4000), (800, 520)] {
            for provider in [Provider::Anthropic, Provider::OpenAi, Provider::Gemini] {
                if let Some(shrunk) = shrink(&png(&page(width, height)), "image/png", provider) {
                    let seen = provider.seen(width, height);
                    assert!(shrunk.size.0 * 10 + 10 >= seen.0 * 9, "{provider:?} {seen:?} {:?}", shrunk.size);
                }
            }
        }
    }

    #[test]
    fn small_and_cheap_images_stay() {
        for (width, height) in [(1, 1), (64, 64), (500, 400), (1024, 100)] {
            assert_eq!(shrink(&png(&photo(width, height)), "image/png", Provider::Anthropic), None);
        }
    }

    #[test]
    fn what_is_no_image_of_its_type_stays() {
        let source = png(&photo(2000, 1500));
        assert_eq!(shrink(&source, "image/jpeg", Provider::Anthropic), None);
        assert_eq!(shrink(&source, "image/gif", Provider::Anthropic), None);
        assert_eq!(shrink(&source[..source.len() / 2], "image/png", Provider::Anthropic), None);
        // A header that claims 100,000 by 100,000 pixels.
        let mut bomb = source;
        bomb[16..24].copy_from_slice(&[0, 1, 0x86, 0xa0, 0, 1, 0x86, 0xa0]);
        assert_eq!(shrink(&bomb, "image/png", Provider::Anthropic), None);
    }
}
