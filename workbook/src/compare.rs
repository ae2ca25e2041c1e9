//! The outputs of a run against those in the file.
//!
//! Numbers agree if they differ by no more than the error printed behind them ("1.2 ± 0.1"), else to a relative 1e-9. Pictures
//! agree if at most one pixel in a thousand differs by more than 16 of 255 in a colour.

use base64::Engine;
use regex::Regex;
use serde_json::Value;
use std::sync::LazyLock;

const RELATIVE: f64 = 1e-9;
const PIXEL_DIFFERENCE: u8 = 16;
const PIXEL_SHARE: f64 = 1e-3;

static NUMBER: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"[-−]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?").ok());

/// The differences between two lists of outputs, in words.
pub fn differences(saved: &[Value], now: &[Value]) -> Vec<String> {
    let (saved, now) = (parts(saved), parts(now));
    let kinds = |parts: &[(String, String)]| parts.iter().map(|(kind, _)| kind.clone()).collect::<Vec<_>>().join(", ");
    if kinds(&saved) != kinds(&now) {
        return vec![format!("the file has [{}], this run gave [{}]", kinds(&saved), kinds(&now))];
    }
    saved
        .iter()
        .zip(&now)
        .filter_map(|((kind, a), (_, b))| Some(format!("{kind}: {}", difference(kind, a, b)?)))
        .collect()
}

/// Each output as (kind, content), sorted within one output by MIME type.
fn parts(outputs: &[Value]) -> Vec<(String, String)> {
    let text = |value: &Value| match value {
        Value::Array(lines) => lines.iter().filter_map(Value::as_str).collect(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    outputs
        .iter()
        .flat_map(|output| match output["data"].as_object() {
            Some(data) => data.iter().map(|(mime, content)| (mime.clone(), text(content))).collect(),
            None if output["output_type"] == "stream" => vec![(text(&output["name"]), text(&output["text"]))],
            None => vec![("error".to_owned(), text(&output["evalue"]))],
        })
        .collect()
}

fn difference(kind: &str, saved: &str, now: &str) -> Option<String> {
    if kind == "image/png" { picture_difference(saved, now) } else { text_difference(saved, now) }
}

fn text_difference(saved: &str, now: &str) -> Option<String> {
    let (a, b): (Vec<&str>, Vec<&str>) = (saved.lines().collect(), now.lines().collect());
    if a.len() != b.len() {
        return Some(format!("{} lines in the file, {} now", a.len(), b.len()));
    }
    let (line, (a, b)) = a.iter().zip(&b).enumerate().find(|(_, (a, b))| !lines_agree(a, b))?;
    Some(format!("line {} was\n        {a}\n    and is now\n        {b}", line + 1))
}

fn lines_agree(a: &str, b: &str) -> bool {
    if a == b {
        return true;
    }
    let Some(number) = NUMBER.as_ref() else { return false };
    let (words_a, words_b): (Vec<&str>, Vec<&str>) = (number.split(a).collect(), number.split(b).collect());
    let numbers = |line| number.find_iter(line).map(|m| m.as_str().replace('−', "-").parse::<f64>());
    let (Ok(x), Ok(y)) = (numbers(a).collect::<Result<Vec<_>, _>>(), numbers(b).collect::<Result<Vec<_>, _>>()) else {
        return false;
    };
    words_a == words_b
        && (0..x.len()).all(|i| {
            // The word between two numbers makes the second one the error of the first.
            let has_error = words_a.get(i + 1).is_some_and(|word| word.trim() == "±");
            let error = if has_error { x.get(i + 1).copied().unwrap_or(0.0) } else { 0.0 };
            (x[i] - y[i]).abs() <= error.max(RELATIVE * x[i].abs())
        })
}

fn picture_difference(saved: &str, now: &str) -> Option<String> {
    if saved.trim() == now.trim() {
        return None;
    }
    let (Some(a), Some(b)) = (decode_png(saved), decode_png(now)) else {
        return Some("a picture is not a valid png".to_owned());
    };
    if (a.width, a.height) != (b.width, b.height) {
        return Some(format!("the picture was {}×{} and is {}×{}", a.width, a.height, b.width, b.height));
    }
    let differ = |(x, y): &(&[u8], &[u8])| x.iter().zip(*y).any(|(x, y)| x.abs_diff(*y) > PIXEL_DIFFERENCE);
    let different = a.rgba.chunks(4).zip(b.rgba.chunks(4)).filter(differ).count();
    let share = different as f64 / (a.rgba.len() / 4) as f64;
    (share > PIXEL_SHARE).then(|| format!("{:.2} % of the picture's pixels differ", 100.0 * share))
}

/// A picture, four bytes a pixel.
pub struct Picture {
    pub width: u32,
    pub height: u32,
    rgba: Vec<u8>,
}

/// Decodes a base64 png, if it is one.
pub fn decode_png(base64: &str) -> Option<Picture> {
    let joined: String = base64.split_whitespace().collect();
    let bytes = base64::engine::general_purpose::STANDARD.decode(joined).ok()?;
    let mut decoder = png::Decoder::new(bytes.as_slice());
    decoder.set_transformations(png::Transformations::normalize_to_color8() | png::Transformations::ALPHA);
    let mut reader = decoder.read_info().ok()?;
    let mut pixels = vec![0; reader.output_buffer_size()];
    let info = reader.next_frame(&mut pixels).ok()?;
    pixels.truncate(info.buffer_size());
    let rgba = match info.color_type {
        png::ColorType::Rgba => pixels,
        png::ColorType::GrayscaleAlpha => pixels.chunks(2).flat_map(|p| [p[0], p[0], p[0], p[1]]).collect(),
        _ => return None,
    };
    Some(Picture { width: info.width, height: info.height, rgba })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_agree_to_their_printed_error() {
        for (a, b, agree) in [
            ("x = 1.5 ± 0.1", "x = 1.55 ± 0.1", true),
            ("x = 1.5 ± 0.1", "x = 1.7 ± 0.1", false),
            ("x = 1.5 ± 0.1", "x = 1.5 ± 0.2", false),
            ("x = 1.5", "x = 1.5000000001", true),
            ("x = 1.5", "x = 1.51", false),
            ("x = 0", "x = 1e-30", false),
            ("3e-14 ± 1e-10", "-2e-15 ± 1e-10", true),
            ("N = 10", "M = 10", false),
            ("1 2", "1 2 3", false),
            ("x = 1 ±", "x = 2 ±", false),
        ] {
            assert_eq!(lines_agree(a, b), agree, "{a} against {b}");
        }
    }

    #[test]
    fn a_difference_names_the_output_and_the_line() {
        let stream = |text: &str| json!({"output_type": "stream", "name": "stdout", "text": [text]});
        assert!(differences(&[stream("a\nb 1\n")], &[stream("a\nb 1\n")]).is_empty());
        let found = differences(&[stream("a\nb 1\n")], &[stream("a\nb 2\n")]);
        assert_eq!(found, ["stdout: line 2 was\n        b 1\n    and is now\n        b 2"]);
        let found = differences(&[], &[stream("a")]);
        assert_eq!(found, ["the file has [], this run gave [stdout]"]);
    }

    #[test]
    fn pictures_agree_within_the_stated_tolerance() {
        let picture = |different: usize| {
            let mut pixels = vec![200_u8; 100 * 100 * 3];
            pixels[..3 * different].fill(100);
            let mut bytes = Vec::new();
            let mut encoder = png::Encoder::new(&mut bytes, 100, 100);
            encoder.set_color(png::ColorType::Rgb);
            encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
            base64::engine::general_purpose::STANDARD.encode(bytes)
        };
        assert_eq!(picture_difference(&picture(0), &picture(10)), None);
        assert_eq!(picture_difference(&picture(0), &picture(11)).unwrap(), "0.11 % of the picture's pixels differ");
        assert!(picture_difference(&picture(0), "no picture").unwrap().contains("not a valid png"));
    }
}
