//! Pictures for tests, made here: no file is needed.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};

/// A picture without text in it, as base64; another `seed` is another picture.
pub(crate) fn picture(format: ImageFormat, (width, height): (u32, u32), seed: u32) -> String {
    let pixel = |x: u32, y: u32| {
        let wave = |at: u32, by: u32| u8::try_from((at / by + seed * 40) % 200).unwrap_or_default();
        Rgb([wave(x, 9), wave(y, 7), wave(x + y, 13)])
    };
    let image = DynamicImage::ImageRgb8(RgbImage::from_fn(width, height, pixel));
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    BASE64_STANDARD.encode(bytes.into_inner())
}

/// The width and height of a picture.
pub(crate) fn size(base64: &str) -> (u32, u32) {
    let bytes = BASE64_STANDARD.decode(base64).unwrap();
    let image = image::load_from_memory(&bytes).unwrap();
    (image.width(), image.height())
}
