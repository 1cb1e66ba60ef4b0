//! A QR code in the form that a client accepts.

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, header};
use qrcode::render::{svg, unicode};
use qrcode::{Color, EcLevel, QrCode};

use crate::http::problem::{ApiResult, Kind, Problem};

/// The pixels per module of a PNG.
const SCALE: usize = 8;
/// The modules of white around the code; the standard asks for four.
const QUIET: usize = 4;
/// The smallest side of an SVG in pixels.
const SVG_SIDE: u32 = 256;

/// The media types that can be answered, for the error.
pub(super) const OFFERS: &str = "accept application/json, image/png, image/svg+xml or text/plain";

/// The forms of a code, in the order in which they are preferred when a client accepts several equally.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    Png,
    Svg,
    Text,
}

impl Form {
    const ALL: [Self; 4] = [Self::Json, Self::Png, Self::Svg, Self::Text];

    const fn media_type(self) -> (&'static str, &'static str) {
        match self {
            Self::Json => ("application", "json"),
            Self::Png => ("image", "png"),
            Self::Svg => ("image", "svg+xml"),
            Self::Text => ("text", "plain"),
        }
    }

    /// Returns the best form for an `Accept` header: JSON without one, `None` if nothing fits.
    pub(super) fn accepted(headers: &HeaderMap) -> Option<Self> {
        let texts = headers.get_all(header::ACCEPT).iter();
        let texts: Vec<&str> = texts.filter_map(|value| value.to_str().ok()).collect();
        let ranges: Vec<Range<'_>> = texts
            .iter()
            .flat_map(|text| text.split(','))
            .filter_map(Range::parse)
            .collect();
        if ranges.is_empty() {
            return Some(Self::Json);
        }
        let mut best = None;
        for form in Self::ALL {
            let quality = quality(&ranges, form);
            if quality > best.map_or(0, |(quality, _)| quality) {
                best = Some((quality, form));
            }
        }
        best.map(|(_, form)| form)
    }
}

/// One entry of an `Accept` header, with its quality in thousandths.
struct Range<'a> {
    class: &'a str,
    name: &'a str,
    quality: u16,
}

impl<'a> Range<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let (class, name) = parts.next()?.split_once('/')?;
        let weight = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
        let quality = match weight {
            None => 1_000,
            Some(text) => thousandths(text)?,
        };
        Some(Self {
            class,
            name,
            quality,
        })
    }

    /// Returns how exactly the entry names `form`, or `None` if it does not.
    fn names(&self, form: Form) -> Option<u8> {
        let (class, name) = form.media_type();
        match (self.class, self.name) {
            ("*", "*") => Some(0),
            (own, "*") if own.eq_ignore_ascii_case(class) => Some(1),
            (own, exact) if own.eq_ignore_ascii_case(class) && exact.eq_ignore_ascii_case(name) => {
                Some(2)
            }
            _ => None,
        }
    }
}

/// Parses a quality such as `0.8` into thousandths (800).
fn thousandths(text: &str) -> Option<u16> {
    let value: f32 = text.parse().ok()?;
    (0.0..=1.0)
        .contains(&value)
        .then(|| (value * 1_000.0).round() as u16)
}

/// Returns the quality that the most exact range gives to `form`; 0 if none names it.
fn quality(ranges: &[Range<'_>], form: Form) -> u16 {
    let named = |range: &Range<'_>| Some((range.names(form)?, range.quality));
    ranges
        .iter()
        .filter_map(named)
        .max()
        .map_or(0, |(_, quality)| quality)
}

/// Draws the code as a picture or for a terminal.
///
/// # Errors
/// A [`Problem`] if the worker's text does not fit into a QR code.
pub(super) fn draw(form: Form, text: &str) -> ApiResult<Response> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M).map_err(|error| {
        Problem::new(Kind::WorkerError, "the worker's code cannot be drawn").because(error)
    })?;
    let body = match form {
        Form::Png => png(&code).map_err(Problem::internal)?,
        Form::Svg => {
            let mut renderer = code.render::<svg::Color<'_>>();
            renderer
                .min_dimensions(SVG_SIDE, SVG_SIDE)
                .build()
                .into_bytes()
        }
        Form::Text | Form::Json => {
            let drawn = code.render::<unicode::Dense1x2>().build();
            format!("{drawn}\n").into_bytes()
        }
    };
    let media_type = match form {
        Form::Png => "image/png",
        Form::Svg => "image/svg+xml",
        Form::Text | Form::Json => "text/plain; charset=utf-8",
    };
    Ok(([(header::CONTENT_TYPE, media_type)], body).into_response())
}

/// Draws the code as a PNG with one bit per pixel, in which white is 1.
fn png(code: &QrCode) -> Result<Vec<u8>, png::EncodingError> {
    let side = (code.width() + 2 * QUIET) * SCALE;
    let row_bytes = side.div_ceil(8);
    let mut pixels = vec![0xff_u8; row_bytes * side];
    for (index, color) in code.to_colors().into_iter().enumerate() {
        if color == Color::Light {
            continue;
        }
        let (x, y) = (index % code.width() + QUIET, index / code.width() + QUIET);
        // A module is as wide as a byte has bits.
        for line in y * SCALE..(y + 1) * SCALE {
            pixels[line * row_bytes + x] = 0;
        }
    }
    let pixels_a_side = u32::try_from(side).unwrap_or(u32::MAX);
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, pixels_a_side, pixels_a_side);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::One);
    encoder.write_header()?.write_image_data(&pixels)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn accepted(accept: &str) -> Option<Form> {
        let mut headers = HeaderMap::new();
        let value = HeaderValue::from_str(accept).expect("a header");
        headers.insert(header::ACCEPT, value);
        Form::accepted(&headers)
    }

    #[test]
    fn the_best_accepted_form_wins() {
        assert_eq!(Form::accepted(&HeaderMap::new()), Some(Form::Json));
        for (accept, form) in [
            ("*/*", Some(Form::Json)),
            ("image/*", Some(Form::Png)),
            ("IMAGE/PNG", Some(Form::Png)),
            ("image/svg+xml", Some(Form::Svg)),
            ("text/*", Some(Form::Text)),
            ("text/plain;q=0.5, image/png;q=0.4", Some(Form::Text)),
            ("application/json;q=0.1, image/png; q=0.9", Some(Form::Png)),
            ("image/*;q=0.9, image/png;q=0, */*;q=0.1", Some(Form::Svg)),
            (
                "text/html, application/xhtml+xml, */*;q=0.8",
                Some(Form::Json),
            ),
            ("application/xml", None),
            ("*/*;q=0", None),
            ("", Some(Form::Json)),
        ] {
            assert_eq!(accepted(accept), form, "{accept}");
        }
    }

    #[test]
    fn a_png_has_the_code_inside_its_quiet_zone() {
        let code = QrCode::new("2@abc,def").expect("a code");
        let file = png(&code).expect("a file");
        let decoder = png::Decoder::new(std::io::Cursor::new(file));
        let mut reader = decoder.read_info().expect("a header");
        let side = (code.width() + 2 * QUIET) * SCALE;
        assert_eq!(reader.info().width as usize, side);
        let mut pixels = vec![0; reader.output_buffer_size().expect("a size")];
        let frame = reader.next_frame(&mut pixels).expect("a picture");
        let at = |x: usize, y: usize| pixels[y * frame.line_size + x];
        let corner = QUIET * SCALE;
        assert_eq!(
            (at(0, 0), at(QUIET, corner)),
            (0xff, 0),
            "a finder pattern begins dark"
        );
    }

    #[test]
    fn a_text_that_is_too_long_is_the_workers_fault() {
        let problem = draw(Form::Svg, &"x".repeat(3_000)).expect_err("too long");
        assert_eq!(problem.kind(), Kind::WorkerError);
    }
}
