//! Where figures are drawn: nominal pixels, the map from data to them, text, lines and markers, and the PNG in the end.

use super::{LABEL_SIZE, MARKERS, Point};
use crate::error::{Error, Result};
use ab_glyph::{Font, FontRef, OutlinedGlyph, Rect, ScaleFont, point};
use plotters::element::{Circle, DashedPathElement, PathElement, Polygon, Rectangle};
use plotters::prelude::{BLACK, BitMapBackend, Color, DrawingArea, RGBColor};
use plotters::style::RGBAColor;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::f64::consts::PI;
use std::fmt::Display;
use std::ops::Range;
use std::sync::LazyLock;

/// A position on the canvas. The canvas has four pixels for each nominal one; pairs of them are averaged in the end, so that
/// edges are smooth in a picture of twice the nominal size.
pub(super) type Pixel = (i32, i32);

pub(super) fn pixels(nominal: f64) -> i32 {
    (4.0 * nominal).round() as i32
}

pub(super) fn to_pixels((x, y): Point) -> Pixel {
    (pixels(x), pixels(y))
}

/// A rectangle in nominal pixels.
#[derive(Clone)]
pub(super) struct Area {
    pub(super) x: Range<f64>,
    pub(super) y: Range<f64>,
}

impl Area {
    pub(super) fn width(&self) -> f64 {
        self.x.end - self.x.start
    }

    pub(super) fn height(&self) -> f64 {
        self.y.end - self.y.start
    }
}

/// The map from data to the canvas.
pub(super) struct Plot {
    pub(super) x: Range<f64>,
    pub(super) y: Range<f64>,
    pub(super) area: Area,
}

impl Plot {
    pub(super) fn nominal(&self, (x, y): Point) -> Point {
        let share = |range: &Range<f64>, v: f64| (v - range.start) / (range.end - range.start);
        (
            self.area.x.start + share(&self.x, x) * self.area.width(),
            self.area.y.end - share(&self.y, y) * self.area.height(),
        )
    }

    pub(super) fn pixel(&self, point: Point) -> Pixel {
        to_pixels(self.nominal(point))
    }

    pub(super) fn pixels(&self, points: &[Point]) -> Vec<Pixel> {
        points.iter().map(|&p| self.pixel(p)).collect()
    }
}

/// DejaVu Sans, for its Greek and mathematical signs. The text is set here, since plotters sets it with uneven spaces and
/// puts a combining accent behind its letter.
pub(super) static FONT: LazyLock<Option<FontRef<'static>>> =
    LazyLock::new(|| FontRef::try_from_slice(dejavu::sans::regular()).ok());

/// The text's outlines in canvas pixels, each with the offset of its upper left corner from the start of the baseline, and
/// where the baseline ends.
pub(super) fn typeset(text: &str, size: f64) -> (Vec<(OutlinedGlyph, Point)>, f64) {
    let (mut outlines, mut end) = (Vec::new(), 0.0_f32);
    let mut letter = Rect::default();
    let Some(font) = FONT.as_ref().map(|font| font.as_scaled(4.0 * size as f32)) else { return (outlines, 0.0) };
    for c in text.chars() {
        let advance = font.h_advance(font.glyph_id(c));
        if let Some(outline) = font.outline_glyph(font.scaled_glyph(c)) {
            let Rect { mut min, max } = outline.px_bounds();
            if ('\u{300}'..='\u{36f}').contains(&c) {
                // An accent goes above the middle of the last letter.
                min.x = (letter.min.x + letter.max.x - max.x + min.x) / 2.0;
                min.y += (letter.min.y - 0.04 * font.height() - max.y).min(0.0);
            } else {
                min.x += end;
                letter = Rect { min, max: point(min.x + outline.px_bounds().width(), max.y) };
            }
            outlines.push((outline, (f64::from(min.x), f64::from(min.y))));
        }
        end += advance;
    }
    (outlines, end.into())
}

pub(super) fn text_width(text: &str, size: f64) -> f64 {
    typeset(text, size).1 / 4.0
}

/// The largest size up to `size` at which the text is no wider than `room`.
pub(super) fn fitting(text: &str, size: f64, room: f64) -> f64 {
    size * (room / text_width(text, size).max(1.0)).min(1.0)
}

/// The drawing primitives, on plotters' bitmap.
pub(super) struct Canvas<'a> {
    pub(super) area: DrawingArea<BitMapBackend<'a>, plotters::coord::Shift>,
}

pub(super) fn failed(error: impl Display) -> Error {
    Error::Figure(error.to_string())
}

impl Canvas<'_> {
    pub(super) fn polygon(&self, corners: Vec<Pixel>, colour: RGBAColor) -> Result<()> {
        self.area.draw(&Polygon::new(corners, colour.filled())).map_err(failed)
    }

    pub(super) fn rectangle(&self, from: Pixel, to: Pixel, colour: RGBAColor) -> Result<()> {
        self.area.draw(&Rectangle::new([from, to], colour.filled())).map_err(failed)
    }

    /// A line with round joints. plotters draws a wide path as one polygon, which has holes where the path meets itself.
    pub(super) fn stroke(&self, points: &[Pixel], colour: RGBColor, width: f64) -> Result<()> {
        let width = pixels(width);
        for pair in points.windows(2).filter(|pair| pair[0] != pair[1]) {
            self.area.draw(&PathElement::new(pair.to_vec(), colour.stroke_width(width as u32))).map_err(failed)?;
        }
        for &joint in points {
            self.area.draw(&Circle::new(joint, width / 2, colour.filled())).map_err(failed)?;
        }
        Ok(())
    }

    pub(super) fn dashes(&self, ends: [Pixel; 2], colour: RGBColor) -> Result<()> {
        let (dash, gap) = (pixels(6.0), pixels(4.0));
        let style = colour.stroke_width(pixels(1.6) as u32);
        self.area.draw(&DashedPathElement::new(ends, dash, gap, style)).map_err(failed)
    }

    /// One of the shapes of [`MARKERS`].
    pub(super) fn marker(&self, (x, y): Pixel, shape: usize, radius: f64, colour: RGBAColor) -> Result<()> {
        let (_, corners, turn, inner) = MARKERS[shape];
        let corner = |i: usize| {
            let angle = turn + PI * i as f64 / corners as f64;
            let radius = 4.0 * radius * if i.is_multiple_of(2) { 1.0 } else { inner };
            (x + (radius * angle.cos()).round() as i32, y + (radius * angle.sin()).round() as i32)
        };
        self.polygon((0..2 * corners).map(corner).collect(), colour)
    }

    /// Text on the baseline through `at`, which is its left end (`align` 0), its middle (½) or its right end (1).
    pub(super) fn text(&self, text: &str, size: f64, at: Point, align: f64) -> Result<()> {
        let (outlines, width) = typeset(text, size);
        let start = (4.0 * at.0 - align * width, 4.0 * at.1);
        self.glyphs(outlines, |x, y| (start.0 + x, start.1 + y))
    }

    /// Text that runs upwards, in the middle of a range, with its baseline at x.
    pub(super) fn vertical_text(&self, text: &str, (x, y): (f64, &Range<f64>)) -> Result<()> {
        let (outlines, width) = typeset(text, fitting(text, LABEL_SIZE, y.end - y.start));
        let start = (4.0 * x, 2.0 * (y.start + y.end) + width / 2.0);
        self.glyphs(outlines, |x, y| (start.0 + y, start.1 - x))
    }

    pub(super) fn glyphs(
        &self,
        outlines: Vec<(OutlinedGlyph, Point)>,
        place: impl Fn(f64, f64) -> Point,
    ) -> Result<()> {
        for (outline, (left, top)) in outlines {
            let mut shades = Vec::new();
            outline.draw(|x, y, coverage| shades.push((place(left + f64::from(x), top + f64::from(y)), coverage)));
            for ((x, y), coverage) in shades {
                let shade = BLACK.mix(coverage.into());
                self.area.draw_pixel((x.round() as i32, y.round() as i32), &shade).map_err(failed)?;
            }
        }
        Ok(())
    }
}

/// The mean of each block of 2×2 pixels, in bytes of red, green and blue.
pub(super) fn halved(buffer: &[u8], width: usize) -> Vec<u8> {
    let stride = 3 * width;
    let mean = |pair: &[u8], byte: usize| {
        let sum: u16 = [byte, byte + 3, byte + stride, byte + stride + 3].iter().map(|&i| u16::from(pair[i])).sum();
        ((sum + 2) / 4) as u8
    };
    let row = |pair| (0..width / 2).flat_map(move |x| (0..3).map(move |c| mean(pair, 6 * x + c)));
    buffer.chunks_exact(2 * stride).flat_map(row).collect()
}

/// A PNG with the exact colours, or one of less than half the size with the 256 most frequent, to which the rare shades of
/// smoothed edges are rounded.
pub(super) fn encode(rgb: &[u8], width: usize, exact: bool) -> Result<Vec<u8>, png::EncodingError> {
    let mut png = Vec::new();
    let mut encoder = png::Encoder::new(&mut png, width as u32, (rgb.len() / (3 * width)) as u32);
    encoder.set_compression(png::Compression::Best);
    encoder.set_filter(png::FilterType::NoFilter);
    if exact {
        encoder.set_color(png::ColorType::Rgb);
        encoder.write_header()?.write_image_data(rgb)?;
    } else {
        let (palette, indices) = indexed(rgb);
        encoder.set_color(png::ColorType::Indexed);
        encoder.set_palette(palette);
        encoder.write_header()?.write_image_data(&indices)?;
    }
    Ok(png)
}

/// The 256 most frequent colours, and for each pixel the index of the one nearest to it.
pub(super) fn indexed(rgb: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (pixels, _) = rgb.as_chunks::<3>();
    let mut counts = HashMap::new();
    for pixel in pixels {
        *counts.entry(pixel).or_insert(0) += 1;
    }
    let mut colours: Vec<&[u8; 3]> = counts.keys().copied().collect();
    colours.sort_by_key(|&colour| (Reverse(counts[colour]), colour));
    let palette = &colours[..colours.len().min(256)];
    let nearest = |colour: &[u8; 3]| {
        let distance = |i: &usize| (0..3).map(|c| u32::from(palette[*i][c].abs_diff(colour[c])).pow(2)).sum::<u32>();
        (0..palette.len()).min_by_key(distance).unwrap_or(0) as u8
    };
    let indices: HashMap<_, _> = colours.iter().map(|&colour| (colour, nearest(colour))).collect();
    (palette.iter().copied().flatten().copied().collect(), pixels.iter().map(|pixel| indices[pixel]).collect())
}
