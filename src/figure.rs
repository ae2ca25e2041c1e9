//! Plots from frames: a [`Figure`] is built layer by layer and becomes a PNG with a text alternative.
//!
//! The font is part of the library, so that a picture is the same on every machine.

mod canvas;

use crate::data::{column, present};
use crate::display::significant;
use crate::error::{Error, Result, finite, finite_matrix};
use crate::gaussian::{Gaussian, same_length};
use canvas::*;
use nalgebra::DMatrix;
use plotters::prelude::{BitMapBackend, Color, ColorMap, IntoDrawingArea, RGBColor, ViridisRGB, WHITE};
use polars::prelude::DataFrame;
use std::borrow::Borrow;
use std::f64::consts::PI;
use std::iter::once;
use std::ops::Range;
use std::path::Path;

/// The colour-blind-safe colours of Okabe and Ito (2008), those with the most contrast to white first.
const PALETTE: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(60, 60, 60),
    RGBColor(240, 228, 66),
];

/// The shapes of points: name, corners, angle of the first corner, distance of an edge's middle from the centre in radii.
const MARKERS: [(&str, usize, f64, f64); 8] = [
    ("circles", 16, 0.0, 1.0),
    ("triangles", 3, -PI / 2.0, 0.5),
    ("squares", 4, PI / 4.0, 0.707),
    ("diamonds", 4, 0.0, 0.707),
    ("crosses", 4, PI / 4.0, 0.3),
    ("inverted triangles", 3, PI / 2.0, 0.5),
    ("stars", 5, -PI / 2.0, 0.45),
    ("pluses", 4, 0.0, 0.3),
];

/// A picture of one panel or several in a row, built layer by layer from frames.
///
/// Each layer takes the next colour, and a legend above the plot names the layers once there are two. Each method returns a figure of
/// its own and leaves the one it is called on as it was. A method that fails leaves its error in the figure that it returns;
/// [`png`](Self::png) returns the first one.
///
/// # Example
/// ```
/// use generative_models::prelude::*;
/// let curve = df!("x" => [-1.0, 0.0, 1.0], "x²" => [1.0, 0.0, 1.0])?;
/// let figure = Figure::new("A parabola").line(&curve, "x", "x²").vertical(0.0, "minimum");
/// assert!(figure.png()?.starts_with(b"\x89PNG"));
/// assert!(figure.text().starts_with("A parabola. The x axis (x) runs from −1.08 to 1.08."));
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a method of a figure returns a new one"]
pub struct Figure {
    /// The finished panels, left of `panel`.
    left: Vec<Panel>,
    /// The panel that methods act on.
    panel: Panel,
    alt: Option<String>,
    error: Option<Error>,
}

#[derive(Clone, Debug, Default)]
struct Panel {
    title: String,
    x: String,
    y: String,
    log_x: bool,
    log_y: bool,
    layers: Vec<Layer>,
}

#[derive(Clone, Debug)]
struct Layer {
    label: String,
    /// Index into the palette.
    colour: usize,
    mark: Mark,
}

type Point = (f64, f64);

#[derive(Clone, Debug)]
enum Mark {
    /// Left edge, right edge and height of each bar.
    Bars(Vec<(f64, f64, f64)>),
    Line(Vec<Point>),
    /// The outline.
    Band(Vec<Point>),
    /// Points in one of the shapes of [`MARKERS`].
    Points(Vec<Point>, usize),
    /// x, y, lower and upper end of each bar.
    Errors(Vec<(f64, f64, f64, f64)>),
    Vertical(f64),
    Horizontal(f64),
    HeatMap(HeatMap),
    Images(Images),
}

/// Values over the grid x × y, one row for each x, and the levels between their colours.
#[derive(Clone, Debug)]
struct HeatMap {
    x: Vec<f64>,
    y: Vec<f64>,
    z: Vec<Vec<f64>>,
    levels: Vec<f64>,
}

/// Pictures in a grid, each the colours of its pixels row by row.
#[derive(Clone, Debug)]
struct Images {
    height: usize,
    width: usize,
    columns: usize,
    /// The values of black and white.
    range: Range<f64>,
    pixels: Vec<Vec<RGBColor>>,
}

impl Figure {
    /// A figure without layers.
    pub fn new(title: impl Into<String>) -> Self {
        let panel = Panel { title: title.into(), ..Panel::default() };
        Self { left: Vec::new(), panel, alt: None, error: None }
    }

    /// Names the x axis; otherwise it has the name of the first layer's column.
    pub fn x(&self, name: impl Into<String>) -> Self {
        let mut figure = self.clone();
        figure.panel.x = name.into();
        figure
    }

    /// Names the y axis; otherwise it has the name of the column, where there is one layer.
    pub fn y(&self, name: impl Into<String>) -> Self {
        let mut figure = self.clone();
        figure.panel.y = name.into();
        figure
    }

    /// Makes the x axis logarithmic; it has room for positive numbers only.
    pub fn log_x(&self) -> Self {
        let mut figure = self.clone();
        figure.panel.log_x = true;
        figure
    }

    /// Makes the y axis logarithmic; it has room for positive numbers only, and so none for a histogram, whose bars begin at 0.
    ///
    /// # Example
    /// ```
    /// use generative_models::prelude::*;
    /// let n = [10.0, 1e3, 1e5];
    /// let error = df!("N" => n, "standard error" => values(&n, |n| 1.0 / n.sqrt()))?;
    /// let figure = Figure::new("A straight line").line(&error, "N", "standard error").log_x().log_y();
    /// assert!(figure.text().contains("The x axis (N) runs logarithmically from 6.918 to 144500."));
    /// # assert!(figure.png().is_ok());
    /// # Ok::<(), Error>(())
    /// ```
    pub fn log_y(&self) -> Self {
        let mut figure = self.clone();
        figure.panel.log_y = true;
        figure
    }

    /// Renames the last layer; "" takes it out of the legend.
    pub fn label(&self, label: impl Into<String>) -> Self {
        let mut figure = self.clone();
        if let Some(layer) = figure.panel.layers.last_mut() {
            layer.label = label.into();
        }
        figure
    }

    /// Gives the last layer the colour that the layer of index `like` had by default, such as 0 for the first (modulo 8).
    pub fn colour(&self, like: usize) -> Self {
        let mut figure = self.clone();
        if let Some(layer) = figure.panel.layers.last_mut() {
            layer.colour = like % PALETTE.len();
        }
        figure
    }

    /// Replaces the generated text alternative.
    pub fn alt(&self, text: impl Into<String>) -> Self {
        Self { alt: Some(text.into()), ..self.clone() }
    }

    /// Puts `right` beside this figure; methods called on the result act on its last panel.
    pub fn beside(&self, right: impl Borrow<Figure>) -> Self {
        let (left, right) = (self.clone(), right.borrow().clone());
        Self {
            left: left.left.into_iter().chain(once(left.panel)).chain(right.left).collect(),
            panel: right.panel,
            alt: left.alt.or(right.alt),
            error: left.error.or(right.error),
        }
    }

    /// A histogram with `bins` bars of equal width, whose areas sum to 1. The column needs finite numbers, as in every layer.
    pub fn histogram(&self, frame: &DataFrame, x: &str, bins: usize) -> Self {
        self.name(x, "density").push(x, histogram(frame, x, bins))
    }

    /// A line through the rows in their order. After a band, it has the band's colour.
    pub fn line(&self, frame: &DataFrame, x: &str, y: &str) -> Self {
        self.name(x, "").push(y, points(frame, x, y).map(Mark::Line))
    }

    /// The translucent area between two curves.
    pub fn band(&self, frame: &DataFrame, x: &str, lower: &str, upper: &str) -> Self {
        let outline = points(frame, x, lower).and_then(|mut outline| {
            outline.extend(points(frame, x, upper)?.iter().rev());
            Ok(Mark::Band(outline))
        });
        self.name(x, "").push(format!("{lower} to {upper}"), outline)
    }

    /// A translucent dot for each row.
    pub fn scatter(&self, frame: &DataFrame, x: &str, y: &str) -> Self {
        self.name(x, y).push(y, points(frame, x, y).map(|points| Mark::Points(points, 0)))
    }

    /// A point for each row, with one colour and one shape for each of the at most eight values of the column `by`.
    pub fn scatter_by(&self, frame: &DataFrame, x: &str, y: &str, by: &str) -> Self {
        let figure = self.name(x, y);
        match categories(frame, x, y, by) {
            Ok(categories) => categories
                .into_iter()
                .enumerate()
                .fold(figure, |figure, (i, (label, points))| figure.push(label, Ok(Mark::Points(points, i)))),
            Err(error) => figure.push("", Err(error)),
        }
    }

    /// A point for each row with a bar from `lower` to `upper`.
    pub fn errors(&self, frame: &DataFrame, x: &str, y: &str, lower: &str, upper: &str) -> Self {
        let bars = points(frame, x, y).and_then(|points| {
            let ends = numbers(frame, lower)?.into_iter().zip(numbers(frame, upper)?);
            Ok(Mark::Errors(
                points.into_iter().zip(ends).map(|((x, y), (lower, upper))| (x, y, lower, upper)).collect(),
            ))
        });
        self.name(x, "").push(y, bars)
    }

    /// The ellipse that holds the probability `level` of a two-dimensional normal.
    pub fn ellipse(&self, normal: &Gaussian, level: f64, label: impl Into<String>) -> Self {
        let ellipse = normal.ellipse(level, 180);
        self.push(label, ellipse.map(|points| Mark::Line(points.row_iter().map(|row| (row[0], row[1])).collect())))
    }

    /// One point.
    pub fn point(&self, x: f64, y: f64, label: impl Into<String>) -> Self {
        let shape = 3;
        self.push(label, both_finite(x, y).map(|()| Mark::Points(vec![(x, y)], shape)))
    }

    /// A dashed vertical line at x.
    pub fn vertical(&self, x: f64, label: impl Into<String>) -> Self {
        self.push(label, both_finite(x, 0.0).map(|()| Mark::Vertical(x)))
    }

    /// A dashed horizontal line at y.
    pub fn horizontal(&self, y: f64, label: impl Into<String>) -> Self {
        self.push(label, both_finite(0.0, y).map(|()| Mark::Horizontal(y)))
    }

    /// Filled contours of z, one colour between each two of the increasing `levels`. The frame holds each point of a grid
    /// x × y in one row, in any order; between the points, z is interpolated bilinearly.
    pub fn heat_map(&self, frame: &DataFrame, x: &str, y: &str, z: &str, levels: &[f64]) -> Self {
        self.name(x, y).push(z, HeatMap::new(frame, x, y, z, levels).map(Mark::HeatMap))
    }

    /// The rows of a matrix as images, `columns` of them side by side. A row holds the pixels from the top left in reading
    /// order, one number each for grey or three for red, green and blue. The matrix's smallest value is black, its largest
    /// white.
    pub fn image_grid(&self, matrix: &DMatrix<f64>, height: usize, width: usize, columns: usize) -> Self {
        self.push("", Images::new(matrix, height, width, columns).map(Mark::Images))
    }

    /// The picture as a PNG of 1440×900 pixels, to be shown at half that size, or 1920×800 for several panels (wider from
    /// the fifth on). The height of images in a grid follows from their number.
    ///
    /// # Errors
    /// The first error of the methods that built the figure: [`Error::NoColumn`]; [`Error::Column`] for a column without
    /// rows, of text, or with a value that is missing, NaN or infinite; [`Error::NotFinite`], [`Error::Domain`] and
    /// [`Error::Shape`] for other arguments, among them [`Error::Domain`] for a number ≤ 0 on a logarithmic axis.
    /// [`Error::Figure`] for a panel without layers, or one with a range beyond what `f64` can hold.
    pub fn png(&self) -> Result<Vec<u8>> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        let panels: Vec<&Panel> = self.left.iter().chain(once(&self.panel)).collect();
        let (width, default_height) = match panels.len() {
            1 => (720.0, 450.0),
            n => (240.0 * n.max(4) as f64, 400.0),
        };
        let panel_width = width / panels.len() as f64;
        let height = panels.iter().map(|panel| panel.height(panel_width).unwrap_or(default_height)).fold(0.0, f64::max);
        let (pixel_width, pixel_height) = (pixels(width) as usize, pixels(height) as usize);
        let mut buffer = vec![255; 3 * pixel_width * pixel_height];
        let backend = BitMapBackend::with_buffer(&mut buffer, (pixel_width as u32, pixel_height as u32));
        let canvas = Canvas { area: backend.into_drawing_area() };
        for (i, panel) in panels.iter().enumerate() {
            let left = i as f64 * panel_width;
            panel.draw(&canvas, Area { x: left..left + panel_width, y: 0.0..height })?;
        }
        drop(canvas);
        let (rgb, exact) = (halved(&buffer, pixel_width), panels.iter().any(|panel| panel.images().is_some()));
        encode(&rgb, pixel_width / 2, exact).map_err(failed)
    }

    /// What is in the picture, for a reader who cannot see it: titles, axes with their ranges, and each layer.
    pub fn text(&self) -> String {
        let panels = self.left.iter().chain(once(&self.panel)).map(Panel::text);
        self.alt.clone().unwrap_or_else(|| panels.collect::<Vec<_>>().join("\n"))
    }

    /// Writes the picture to a file.
    ///
    /// # Errors
    /// Those of [`png`](Self::png), and [`Error::Data`] if the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let failed = |e: std::io::Error| Error::Data { path: path.to_owned(), problem: e.to_string() };
        std::fs::write(path, self.png()?).map_err(failed)
    }

    /// Names the axes that have no name yet.
    fn name(&self, x: &str, y: &str) -> Self {
        let mut figure = self.clone();
        for (name, default) in [(&mut figure.panel.x, x), (&mut figure.panel.y, y)] {
            if name.is_empty() {
                *name = default.into();
            }
        }
        figure
    }

    fn push(&self, label: impl Into<String>, mark: Result<Mark>) -> Self {
        let mut figure = self.clone();
        match mark {
            Ok(mark) => {
                let coloured = |layer: &&Layer| !matches!(layer.mark, Mark::HeatMap(_));
                let next = self.panel.layers.iter().filter(coloured).count() % PALETTE.len();
                let colour = match (self.panel.layers.last(), &mark) {
                    (Some(Layer { mark: Mark::Band(_), colour, .. }), Mark::Line(_)) => *colour,
                    _ => next,
                };
                figure.panel.layers.push(Layer { label: label.into(), colour, mark });
            }
            Err(error) => figure.error = figure.error.or(Some(error)),
        }
        figure
    }
}

/// A column of finite numbers, at least one.
fn numbers(frame: &DataFrame, name: &str) -> Result<Vec<f64>> {
    let values = column(frame, name)?;
    let wrong = |problem| Err(Error::Column { name: name.into(), problem });
    match values.iter().position(|v| !v.is_finite()) {
        Some(row) => wrong(format!("the value in row {row} is {}", values[row])),
        None if values.is_empty() => wrong("it has no rows".into()),
        None => Ok(values),
    }
}

fn points(frame: &DataFrame, x: &str, y: &str) -> Result<Vec<Point>> {
    Ok(numbers(frame, x)?.into_iter().zip(numbers(frame, y)?).collect())
}

fn both_finite(x: f64, y: f64) -> Result<()> {
    finite("the position in the figure", &[x, y], |i| ["x", "y"][i].into())
}

fn countable(what: &'static str, value: usize) -> Result<()> {
    if (1..=1000).contains(&value) {
        return Ok(());
    }
    Err(Error::Domain { what, value: value as f64, domain: "between 1 and 1000" })
}

/// The smallest and the largest of some numbers; None if there are none.
fn range(values: impl IntoIterator<Item = f64>) -> Option<Range<f64>> {
    values.into_iter().fold(None, |range, v| match range {
        None => Some(v..v),
        Some(Range { start, end }) => Some(start.min(v)..end.max(v)),
    })
}

fn histogram(frame: &DataFrame, x: &str, bins: usize) -> Result<Mark> {
    countable("the number of bins", bins)?;
    let values = numbers(frame, x)?;
    let range = range(values.iter().copied()).unwrap_or_default();
    // Values that are all equal get one bar, of width 1.
    let (start, width, bins) = match range.end - range.start {
        0.0 => (range.start - 0.5, 1.0, 1),
        span => (range.start, span / bins as f64, bins),
    };
    let mut counts = vec![0; bins];
    for v in &values {
        counts[(((v - start) / width) as usize).min(bins - 1)] += 1;
    }
    let bar = |(i, &count): (usize, &i32)| {
        let edge = |i: usize| start + width * i as f64;
        (edge(i), edge(i + 1), f64::from(count) / (values.len() as f64 * width))
    };
    Ok(Mark::Bars(counts.iter().enumerate().map(bar).collect()))
}

/// The points of each value of the column `by`, in the order of their first rows.
fn categories(frame: &DataFrame, x: &str, y: &str, by: &str) -> Result<Vec<(String, Vec<Point>)>> {
    let points = points(frame, x, y)?;
    let by = present(frame, by)?;
    let mut categories: Vec<(String, Vec<Point>)> = Vec::new();
    for (row, point) in points.into_iter().enumerate() {
        let value = by.get(row)?;
        let label = value.str_value();
        match categories.iter_mut().find(|(known, _)| *known == label) {
            Some((_, points)) => points.push(point),
            None => categories.push((label.into(), vec![point])),
        }
    }
    if categories.len() > MARKERS.len() {
        let problem = format!("it has {} values; at most {} can be told apart", categories.len(), MARKERS.len());
        return Err(Error::Column { name: by.name().to_string(), problem });
    }
    Ok(categories)
}

impl HeatMap {
    fn new(frame: &DataFrame, x_name: &str, y_name: &str, z_name: &str, levels: &[f64]) -> Result<Self> {
        countable("the number of levels", levels.len())?;
        finite("the levels", levels, |i| format!("entry {i}"))?;
        if let Some(pair) = levels.windows(2).find(|pair| pair[0] >= pair[1]) {
            return Err(Error::Domain { what: "a level", value: pair[1], domain: "larger than the one before it" });
        }
        let points = points(frame, x_name, y_name)?;
        let axis = |coordinate: fn(&Point) -> f64| {
            let mut axis: Vec<f64> = points.iter().map(coordinate).collect();
            axis.sort_by(f64::total_cmp);
            axis.dedup();
            axis
        };
        let (x, y) = (axis(|p| p.0), axis(|p| p.1));
        let wrong = |problem| Error::Column { name: z_name.into(), problem };
        if points.len() != x.len() * y.len() {
            let (rows, x, y) = (points.len(), x.len(), y.len());
            return Err(wrong(format!("a grid of {x} values of {x_name:?} and {y} of {y_name:?} has not {rows} rows")));
        }
        let mut cells = vec![vec![None; y.len()]; x.len()];
        for (point, z) in points.iter().zip(numbers(frame, z_name)?) {
            let (i, j) = (x.partition_point(|&v| v < point.0), y.partition_point(|&v| v < point.1));
            if cells[i][j].replace(z).is_some() {
                return Err(wrong(format!(
                    "there are two rows for {x_name:?} = {} and {y_name:?} = {}",
                    point.0, point.1
                )));
            }
        }
        // As many rows as cells and none twice: every cell is filled.
        let z = cells.into_iter().map(|row| row.into_iter().flatten().collect()).collect();
        Ok(Self { x, y, z, levels: levels.to_vec() })
    }

    /// The colour between the levels i − 1 and i.
    fn colour(&self, i: usize) -> RGBColor {
        ViridisRGB.get_color_normalized(i as f64, 0.0, self.levels.len() as f64)
    }

    fn draw(&self, canvas: &Canvas, plot: &Plot) -> Result<()> {
        let (from, to) = (plot.pixel((plot.x.start, plot.y.end)), plot.pixel((plot.x.end, plot.y.start)));
        // Where each pixel's centre lies in the grid.
        let at = |range: &Range<f64>, pixel: i32, pixels: i32| {
            range.start + (range.end - range.start) * (f64::from(pixel) + 0.5) / f64::from(pixels)
        };
        let columns: Vec<_> = (0..to.0 - from.0).map(|i| bracket(&self.x, at(&plot.x, i, to.0 - from.0))).collect();
        for row in from.1..to.1 {
            let (j, next, t) = bracket(&self.y, at(&plot.y, to.1 - 1 - row, to.1 - from.1));
            let between = |i: usize| self.z[i][j] + t * (self.z[i][next] - self.z[i][j]);
            let profile: Vec<f64> = (0..self.x.len()).map(between).collect();
            let index = |&(i, next, s): &(usize, usize, f64)| {
                let z = profile[i] + s * (profile[next] - profile[i]);
                self.levels.partition_point(|&level| level <= z)
            };
            // One rectangle for each run of pixels of one colour.
            let indices: Vec<usize> = columns.iter().map(index).collect();
            let mut left = from.0;
            for run in indices.chunk_by(|a, b| a == b) {
                let right = left + run.len() as i32;
                canvas.rectangle((left, row), (right, row + 1), self.colour(run[0]).into())?;
                left = right;
            }
        }
        Ok(())
    }
}

/// The neighbours of v in an increasing grid, and the share of the way from the one to the other.
fn bracket(grid: &[f64], v: f64) -> (usize, usize, f64) {
    let next = grid.partition_point(|&g| g <= v).clamp(1, grid.len().max(2) - 1).min(grid.len() - 1);
    let i = next.saturating_sub(1);
    let share = if next == i { 0.0 } else { ((v - grid[i]) / (grid[next] - grid[i])).clamp(0.0, 1.0) };
    (i, next, share)
}

impl Images {
    fn new(matrix: &DMatrix<f64>, height: usize, width: usize, columns: usize) -> Result<Self> {
        countable("the number of images in a row", columns)?;
        countable("the number of rows of images", matrix.nrows().div_ceil(columns))?;
        countable("the height of an image", height)?;
        countable("the width of an image", width)?;
        let pixels = height * width;
        let channels = if matrix.ncols() == 3 * pixels { 3 } else { 1 };
        same_length("a row of the images", channels * pixels, matrix.ncols())?;
        finite_matrix("the images", matrix)?;
        let range = range(matrix.iter().copied()).unwrap_or_default();
        let span = if range.end > range.start { range.end - range.start } else { 1.0 };
        let shade = |v: f64| (255.0 * (v - range.start) / span).round() as u8;
        let image = |i: usize| {
            let pixel = |p: usize| {
                let channel = |c: usize| shade(matrix[(i, p * channels + c % channels)]);
                RGBColor(channel(0), channel(1), channel(2))
            };
            (0..pixels).map(pixel).collect()
        };
        let pixels = (0..matrix.nrows()).map(image).collect();
        Ok(Self { height, width, columns: columns.min(matrix.nrows()), range, pixels })
    }

    fn rows(&self) -> usize {
        self.pixels.len().div_ceil(self.columns)
    }

    /// The space between images, and the side of a pixel: as large as the width allows, unless that makes the grid much
    /// higher than other figures or the pixels huge.
    fn sizes(&self, width: f64) -> (f64, f64) {
        let gap = (width / self.columns as f64 / 8.0).min(4.0);
        let side = ((width / self.columns as f64 - gap) / self.width as f64)
            .min(640.0 / (self.rows() * self.height) as f64)
            .min(12.0);
        // Whole pixels of the file, where there is room.
        (gap, if side >= 0.5 { (side * 2.0).floor() / 2.0 } else { side })
    }

    fn grid_height(&self, width: f64) -> f64 {
        let (gap, side) = self.sizes(width);
        self.rows() as f64 * (side * self.height as f64 + gap)
    }

    fn draw(&self, canvas: &Canvas, area: &Area) -> Result<()> {
        let (gap, side) = self.sizes(area.width());
        for (i, image) in self.pixels.iter().enumerate() {
            let (row, column) = ((i / self.columns) as f64, (i % self.columns) as f64);
            let left = area.x.start + column * (side * self.width as f64 + gap);
            let top = area.y.start + row * (side * self.height as f64 + gap);
            for (p, &colour) in image.iter().enumerate() {
                let corner = |dx: usize, dy: usize| {
                    let (x, y) = (p % self.width + dx, p / self.width + dy);
                    (pixels(left + side * x as f64), pixels(top + side * y as f64))
                };
                canvas.rectangle(corner(0, 0), corner(1, 1), colour.into())?;
            }
        }
        Ok(())
    }
}

impl Mark {
    /// The values that the x axis must reach.
    fn xs(&self) -> Vec<f64> {
        match self {
            Mark::Bars(bars) => bars.iter().flat_map(|&(left, right, _)| [left, right]).collect(),
            Mark::Line(points) | Mark::Band(points) | Mark::Points(points, _) => points.iter().map(|p| p.0).collect(),
            Mark::Errors(bars) => bars.iter().map(|bar| bar.0).collect(),
            Mark::Vertical(x) => vec![*x],
            Mark::HeatMap(map) => map.x.clone(),
            Mark::Horizontal(_) | Mark::Images(_) => Vec::new(),
        }
    }

    /// The values that the y axis must reach.
    fn ys(&self) -> Vec<f64> {
        match self {
            Mark::Bars(bars) => once(0.0).chain(bars.iter().map(|bar| bar.2)).collect(),
            Mark::Line(points) | Mark::Band(points) | Mark::Points(points, _) => points.iter().map(|p| p.1).collect(),
            Mark::Errors(bars) => bars.iter().flat_map(|&(_, y, lower, upper)| [y, lower, upper]).collect(),
            Mark::Horizontal(y) => vec![*y],
            Mark::HeatMap(map) => map.y.clone(),
            Mark::Vertical(_) | Mark::Images(_) => Vec::new(),
        }
    }

    /// The mark with its coordinates mapped.
    fn map(&self, x: impl Fn(f64) -> Result<f64>, y: impl Fn(f64) -> Result<f64>) -> Result<Self> {
        let all = |points: &[Point]| points.iter().map(|p| Ok((x(p.0)?, y(p.1)?))).collect::<Result<Vec<Point>>>();
        Ok(match self {
            Mark::Bars(bars) => {
                y(0.0)?;
                let bar = |&(left, right, height): &(f64, f64, f64)| Ok((x(left)?, x(right)?, y(height)?));
                Mark::Bars(bars.iter().map(bar).collect::<Result<_>>()?)
            }
            Mark::Line(points) => Mark::Line(all(points)?),
            Mark::Band(outline) => Mark::Band(all(outline)?),
            Mark::Points(points, shape) => Mark::Points(all(points)?, *shape),
            Mark::Errors(bars) => {
                let bar = |bar: &(f64, f64, f64, f64)| Ok((x(bar.0)?, y(bar.1)?, y(bar.2)?, y(bar.3)?));
                Mark::Errors(bars.iter().map(bar).collect::<Result<_>>()?)
            }
            Mark::Vertical(at) => Mark::Vertical(x(*at)?),
            Mark::Horizontal(at) => Mark::Horizontal(y(*at)?),
            Mark::HeatMap(map) => {
                let (xs, ys) = (map.x.iter().map(|&v| x(v)), map.y.iter().map(|&v| y(v)));
                Mark::HeatMap(HeatMap { x: xs.collect::<Result<_>>()?, y: ys.collect::<Result<_>>()?, ..map.clone() })
            }
            Mark::Images(_) => self.clone(),
        })
    }

    /// A mark of the same kind in the unit square, for the legend.
    fn sample(&self) -> Self {
        match self {
            Mark::Bars(_) => Mark::Bars(vec![(0.1, 0.9, 1.0)]),
            Mark::Line(_) => Mark::Line(vec![(0.0, 0.5), (1.0, 0.5)]),
            Mark::Band(_) => Mark::Band(vec![(0.1, 0.0), (0.9, 0.0), (0.9, 1.0), (0.1, 1.0)]),
            Mark::Points(_, shape) => Mark::Points(vec![(0.5, 0.5)], *shape),
            Mark::Errors(_) => Mark::Errors(vec![(0.5, 0.5, 0.0, 1.0)]),
            Mark::Vertical(_) | Mark::Horizontal(_) | Mark::HeatMap(_) | Mark::Images(_) => Mark::Horizontal(0.5),
        }
    }

    /// Draws the mark; `halo` sets it off from a coloured ground by a white rim.
    fn draw(&self, canvas: &Canvas, plot: &Plot, colour: RGBColor, halo: bool) -> Result<()> {
        let line = |points: &[Pixel], width: f64| {
            if halo {
                canvas.stroke(points, WHITE, width + 2.0)?;
            }
            canvas.stroke(points, colour, width)
        };
        // A single point stands out from others.
        let rim = halo || matches!(self, Mark::Points(points, _) if points.len() == 1);
        let marker = |&point: &Point, shape: usize, radius: f64, opacity: f64| {
            if rim {
                canvas.marker(plot.pixel(point), shape, radius + 1.5, WHITE.into())?;
            }
            canvas.marker(plot.pixel(point), shape, radius, colour.mix(opacity))
        };
        match self {
            Mark::Bars(bars) => bars.iter().try_for_each(|&(left, right, height)| {
                let corners =
                    [(left, 0.0), (left, height), (right, height), (right, 0.0), (left, 0.0)].map(|p| plot.pixel(p));
                canvas.rectangle(corners[1], corners[3], colour.mix(0.3))?;
                canvas.stroke(&corners, colour, 1.0)
            }),
            Mark::Line(points) => line(&plot.pixels(points), 2.2),
            Mark::Band(outline) => canvas.polygon(plot.pixels(outline), colour.mix(0.25)),
            Mark::Points(points, shape) => {
                // The more points, the smaller and fainter.
                let magnitude = (points.len() as f64).log10();
                let opacity = if rim { 1.0 } else { (0.85 - 0.13 * magnitude).max(0.15) };
                points.iter().try_for_each(|p| marker(p, *shape, (6.0 - 0.9 * magnitude).max(1.5), opacity))
            }
            Mark::Errors(bars) => bars.iter().try_for_each(|&(x, y, lower, upper)| {
                let ends = [plot.pixel((x, lower)), plot.pixel((x, upper))];
                line(&ends, 1.6)?;
                for (x, y) in ends {
                    line(&[(x - pixels(4.0), y), (x + pixels(4.0), y)], 1.6)?;
                }
                marker(&(x, y), 0, 4.0, 1.0)
            }),
            Mark::Vertical(x) => canvas.dashes([plot.pixel((*x, plot.y.start)), plot.pixel((*x, plot.y.end))], colour),
            Mark::Horizontal(y) => {
                canvas.dashes([plot.pixel((plot.x.start, *y)), plot.pixel((plot.x.end, *y))], colour)
            }
            Mark::HeatMap(map) => map.draw(canvas, plot),
            Mark::Images(_) => Ok(()),
        }
    }
}

impl Layer {
    /// One sentence on what the layer shows, without its full stop.
    fn text(&self) -> String {
        let from_to = |values: &[f64]| match range(values.iter().copied()) {
            Some(Range { start, end }) => format!("{} to {}", number(start, 4), number(end, 4)),
            None => "nothing".into(),
        };
        let label = if self.label.is_empty() { String::new() } else { format!(" “{}”", self.label) };
        let (x, y) = (from_to(&self.mark.xs()), from_to(&self.mark.ys()));
        match &self.mark {
            Mark::Bars(bars) => {
                let n = bars.len();
                let highest = bars.iter().copied().max_by(|a, b| a.2.total_cmp(&b.2)).unwrap_or_default();
                let (left, right, height) = (number(highest.0, 4), number(highest.1, 4), number(highest.2, 4));
                format!("Histogram{label}: {n} bars over x from {x}, the highest ({height}) between {left} and {right}")
            }
            Mark::Line(points) => {
                let highest = points.iter().max_by(|a, b| a.1.total_cmp(&b.1)).map_or(f64::NAN, |p| p.0);
                format!("Line{label}: x from {x}, y from {y}, highest at x = {}", number(highest, 4))
            }
            Mark::Band(_) => format!("Band{label}: x from {x}, y from {y}"),
            Mark::Points(points, _) if points.len() == 1 => {
                format!("Point{label} at ({}, {})", number(points[0].0, 4), number(points[0].1, 4))
            }
            Mark::Points(points, shape) => {
                format!("{} {}{label}: x from {x}, y from {y}", points.len(), MARKERS[*shape].0)
            }
            Mark::Errors(bars) => format!("{} points with error bars{label}: x from {x}, y from {y}", bars.len()),
            Mark::Vertical(x) => format!("Dashed vertical line{label} at x = {}", number(*x, 4)),
            Mark::Horizontal(y) => format!("Dashed horizontal line{label} at y = {}", number(*y, 4)),
            Mark::HeatMap(map) => {
                let z = from_to(&map.z.concat());
                let cells =
                    map.x.iter().zip(&map.z).flat_map(|(x, row)| map.y.iter().zip(row).map(move |(y, z)| (x, y, z)));
                let (x, y) = cells.max_by(|a, b| a.2.total_cmp(b.2)).map_or((f64::NAN, f64::NAN), |(x, y, _)| (*x, *y));
                let levels: Vec<String> = map.levels.iter().map(|&level| number(level, 4)).collect();
                let (x, y, levels) = (number(x, 4), number(y, 4), levels.join(", "));
                format!("Filled contours{label} at the levels {levels}: values from {z}, largest at ({x}, {y})")
            }
            Mark::Images(images) => {
                let Images { height, width, range, .. } = images;
                let (count, rows, black, white) =
                    (images.pixels.len(), images.rows(), number(range.start, 4), number(range.end, 4));
                format!(
                    "{count} images of {height}×{width} pixels in rows of {}, {rows} in all: {black} is black, {white} white",
                    images.columns
                )
            }
        }
    }
}

/// Sizes in nominal pixels: those of the picture as it is shown.
const MARGIN: f64 = 14.0;
const TITLE_SIZE: f64 = 19.0;
const LABEL_SIZE: f64 = 16.0;
const TICK_SIZE: f64 = 15.0;
const LINE_HEIGHT: f64 = 22.0;
const SWATCH: f64 = 26.0;
const BAR_WIDTH: f64 = 16.0;
const AXIS: RGBColor = RGBColor(130, 130, 130);
const GRID: RGBColor = RGBColor(228, 228, 228);

impl Panel {
    /// The height that the panel needs if it is `width` wide; None if any will do.
    fn height(&self, width: f64) -> Option<f64> {
        let images = self.images()?;
        let room = width - 2.0 * MARGIN;
        Some(self.title_lines(room).len() as f64 * LINE_HEIGHT + images.grid_height(room) + 2.0 * MARGIN)
    }

    fn images(&self) -> Option<&Images> {
        self.layers.iter().find_map(|layer| match &layer.mark {
            Mark::Images(images) => Some(images),
            _ => None,
        })
    }

    fn heat_map(&self) -> Option<(&str, &HeatMap)> {
        self.layers.iter().find_map(|layer| match &layer.mark {
            Mark::HeatMap(map) => Some((layer.label.as_str(), map)),
            _ => None,
        })
    }

    fn title_lines(&self, room: f64) -> Vec<String> {
        let words = self.title.split_whitespace().map(|word| (word, text_width(word, TITLE_SIZE)));
        flow(words, text_width(" ", TITLE_SIZE), room).into_iter().map(|words| words.join(" ")).collect()
    }

    /// The rows of the legend; none if there is one layer only.
    fn legend(&self, room: f64) -> Vec<Vec<&Layer>> {
        let shown = |layer: &&Layer| {
            self.layers.len() > 1 && !layer.label.is_empty() && !matches!(layer.mark, Mark::HeatMap(_))
        };
        let entries = self.layers.iter().filter(shown).map(|layer| (layer, entry_width(layer)));
        flow(entries, 0.0, room)
    }

    /// The panel as it is drawn: with decades on its logarithmic axes.
    fn in_decades(&self) -> Result<Self> {
        let coordinate = |v: f64, log: bool| match log {
            true if v > 0.0 => Ok(v.log10()),
            true => Err(Error::Domain { what: "a value on a logarithmic axis", value: v, domain: "positive" }),
            false => Ok(v),
        };
        let placed = |layer: &Layer| {
            let mark = layer.mark.map(|x| coordinate(x, self.log_x), |y| coordinate(y, self.log_y))?;
            Ok(Layer { mark, ..layer.clone() })
        };
        Ok(Self { layers: self.layers.iter().map(placed).collect::<Result<_>>()?, ..self.clone() })
    }

    /// The ranges of the two axes.
    fn ranges(&self) -> Result<(Range<f64>, Range<f64>)> {
        let margin = if self.heat_map().is_some() { 0.0 } else { 0.04 };
        let (xs, ys) = (self.layers.iter().flat_map(|l| l.mark.xs()), self.layers.iter().flat_map(|l| l.mark.ys()));
        let (x, mut y) = (widened(range(xs), margin)?, widened(range(ys.clone()), margin)?);
        // Bars stand on the axis.
        if self.layers.iter().any(|layer| matches!(layer.mark, Mark::Bars(_))) && ys.into_iter().all(|y| y >= 0.0) {
            y.start = 0.0;
        }
        Ok((x, y))
    }

    fn y_name(&self) -> &str {
        match self.layers.as_slice() {
            [layer] if self.y.is_empty() => &layer.label,
            _ => &self.y,
        }
    }

    fn draw(&self, canvas: &Canvas, area: Area) -> Result<()> {
        if self.layers.is_empty() {
            return Err(Error::Figure(format!("the panel {:?} has no layers", self.title)));
        }
        let mut inner =
            Area { x: area.x.start + MARGIN..area.x.end - MARGIN, y: area.y.start + MARGIN / 2.0..area.y.end - MARGIN };
        for line in self.title_lines(inner.width()) {
            inner.y.start += LINE_HEIGHT;
            let size = fitting(&line, TITLE_SIZE, inner.width());
            canvas.text(&line, size, (inner.x.start, inner.y.start - 5.0), 0.0)?;
        }
        if let Some(images) = self.images() {
            if self.layers.len() > 1 {
                return Err(Error::Figure("images need a panel of their own; put it beside this one".into()));
            }
            inner.y.start += MARGIN / 2.0;
            return images.draw(canvas, &inner);
        }
        for row in self.legend(inner.width()) {
            let mut x = inner.x.start;
            inner.y.start += LINE_HEIGHT;
            for layer in row {
                let swatch = Area { x: x..x + SWATCH, y: inner.y.start - 17.0..inner.y.start - 5.0 };
                let plot = Plot { x: 0.0..1.0, y: 0.0..1.0, area: swatch };
                layer.mark.sample().draw(canvas, &plot, PALETTE[layer.colour], false)?;
                let size = fitting(&layer.label, TICK_SIZE, inner.width() - SWATCH - 6.0);
                canvas.text(&layer.label, size, (x + SWATCH + 6.0, inner.y.start - 6.0), 0.0)?;
                x += entry_width(layer);
            }
        }
        inner.y.start += MARGIN / 2.0;
        self.in_decades()?.draw_plot(canvas, inner)
    }

    fn draw_plot(&self, canvas: &Canvas, mut area: Area) -> Result<()> {
        let (x, y) = self.ranges()?;
        if let Some((label, map)) = self.heat_map() {
            area.x.end -= colour_bar(canvas, map, label, &area)?;
        }
        area.y.end -= LINE_HEIGHT + if self.x.is_empty() { 0.0 } else { LINE_HEIGHT };
        let ticks = |log: bool| if log { decade_ticks } else { ticks };
        let y_ticks = ticks(self.log_y)(&y, (area.height() / 45.0).max(2.0));
        let widest = y_ticks.iter().map(|(_, label)| text_width(label, TICK_SIZE)).fold(0.0, f64::max);
        area.x.start += widest + 8.0 + if self.y_name().is_empty() { 0.0 } else { LINE_HEIGHT };
        // As many ticks as leave room between their labels.
        let fits = |ticks: &Vec<(f64, String)>| {
            ticks.iter().map(|(_, label)| text_width(label, TICK_SIZE) + 20.0).sum::<f64>() < area.width()
        };
        let x_ticks = (2..=8).rev().map(|most| ticks(self.log_x)(&x, f64::from(most))).find(fits).unwrap_or_default();

        let plot = Plot { x, y, area };
        let (left, right, top, bottom) = (plot.area.x.start, plot.area.x.end, plot.area.y.start, plot.area.y.end);
        for (value, label) in &x_ticks {
            let at = plot.nominal((*value, plot.y.start)).0;
            canvas.stroke(&[(at, top), (at, bottom)].map(to_pixels), GRID, 1.0)?;
            // The last label stays inside the margin.
            let middle = at.min(right + MARGIN - text_width(label, TICK_SIZE) / 2.0);
            canvas.text(label, TICK_SIZE, (middle, bottom + 18.0), 0.5)?;
        }
        for (value, label) in &y_ticks {
            let at = plot.nominal((plot.x.start, *value)).1;
            canvas.stroke(&[(left, at), (right, at)].map(to_pixels), GRID, 1.0)?;
            canvas.text(label, TICK_SIZE, (left - 7.0, at + 4.5), 1.0)?;
        }
        for layer in &self.layers {
            layer.mark.draw(canvas, &plot, PALETTE[layer.colour], self.heat_map().is_some())?;
        }
        canvas.stroke(&[(left, top), (left, bottom), (right, bottom)].map(to_pixels), AXIS, 1.2)?;
        let size = fitting(&self.x, LABEL_SIZE, plot.area.width());
        canvas.text(&self.x, size, ((left + right) / 2.0, bottom + 18.0 + LINE_HEIGHT), 0.5)?;
        canvas.vertical_text(self.y_name(), (left - widest - 18.0, &plot.area.y))
    }

    fn text(&self) -> String {
        let mut sentences = vec![self.title.trim_end_matches('.').to_owned()];
        let axis = |name: &str, title: &str, log: bool, Range { start, end }: Range<f64>| {
            let title = if title.is_empty() { String::new() } else { format!(" ({title})") };
            let (how, [start, end]) =
                if log { (" logarithmically", [start, end].map(|v| 10_f64.powf(v))) } else { ("", [start, end]) };
            format!("The {name} axis{title} runs{how} from {} to {}", number(start, 4), number(end, 4))
        };
        match self.in_decades().and_then(|panel| panel.ranges()) {
            Ok((x, y)) if self.images().is_none() => {
                sentences.extend([axis("x", &self.x, self.log_x, x), axis("y", self.y_name(), self.log_y, y)]);
            }
            _ => {}
        }
        sentences.extend(self.layers.iter().map(Layer::text));
        sentences.retain(|sentence| !sentence.is_empty());
        sentences.join(". ") + "."
    }
}

/// A range of an axis: that of the data with a margin on both sides.
fn widened(range: Option<Range<f64>>, margin: f64) -> Result<Range<f64>> {
    let Range { start, end } = range.unwrap_or(0.0..1.0);
    let (span, size) = (end - start, start.abs().max(end.abs()));
    let margin = match size {
        0.0..1e-290 => 1.0,
        // Constant to the precision of a tick's label.
        _ if span <= 1e-9 * size => 0.1 * size,
        _ => margin * span,
    };
    let range = start - margin..end + margin;
    if (range.end - range.start).is_finite() {
        return Ok(range);
    }
    Err(Error::Figure(format!("an axis from {start:e} to {end:e} is too long")))
}

/// The multiples of 1, 2 or 5 times a power of ten within the range, about `most` of them at most, with their labels.
fn ticks(range: &Range<f64>, most: f64) -> Vec<(f64, String)> {
    let least = (range.end - range.start) / most;
    let power = 10_f64.powf(least.log10().floor());
    let step = [1.0, 2.0, 5.0].map(|m| m * power).into_iter().find(|&step| step >= least).unwrap_or(10.0 * power);
    let (first, last) = ((range.start / step - 1e-9).ceil() as i64, (range.end / step + 1e-9).floor() as i64);
    // The digits from the largest label's first to the step's last.
    let largest = range.start.abs().max(range.end.abs());
    let digits = (largest.log10().floor() - step.log10().floor()) as usize + 2;
    (first..=last).map(|k| k as f64 * step).map(|value| (value, number(value, digits))).collect()
}

/// The same for a range of decades: powers of ten, their multiples by 2 and 5 where there is room, and within one decade the multiples of
/// one number.
fn decade_ticks(range: &Range<f64>, most: f64) -> Vec<(f64, String)> {
    let span = range.end - range.start;
    if span < 1.0 {
        let values = 10_f64.powf(range.start)..10_f64.powf(range.end);
        return ticks(&values, most).into_iter().map(|(value, label)| (value.log10(), label)).collect();
    }
    let factors: &[f64] = if 3.0 * span <= most { &[1.0, 2.0, 5.0] } else { &[1.0] };
    let stride = [1, 2, 3, 5, 10, 20, 50, 100].into_iter().find(|&s| span <= most * f64::from(s)).unwrap_or(200);
    let (first, last) = (range.start.floor() as i32 / stride - 1, range.end.floor() as i32 / stride + 1);
    let label = |factor: f64, k: i32| match k {
        -3..=3 => number(factor * 10_f64.powi(k), 1),
        _ if factor == 1.0 => power_of_ten(&k.to_string()),
        _ => format!("{factor}×{}", power_of_ten(&k.to_string())),
    };
    let ticks = (first..=last).map(|k| k * stride).flat_map(|k| factors.iter().map(move |&factor| (factor, k)));
    let ticks = ticks.map(|(factor, k)| (f64::from(k) + factor.log10(), label(factor, k)));
    ticks.filter(|(at, _)| range.contains(at)).collect()
}

/// A number as a figure shows it, such as 0.25 or −2×10⁻⁵.
fn number(x: f64, digits: usize) -> String {
    let text = significant(x, digits).replace('-', "−");
    match text.split_once('e') {
        Some((mantissa, exponent)) => format!("{mantissa}×{}", power_of_ten(exponent)),
        None => text,
    }
}

fn power_of_ten(exponent: &str) -> String {
    let superscript = |c: char| match c.to_digit(10) {
        Some(digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹".chars().nth(digit as usize),
        None => Some('⁻'),
    };
    format!("10{}", exponent.chars().filter_map(superscript).collect::<String>())
}

/// Draws the colour bar at the right of the area and returns the width that it takes.
fn colour_bar(canvas: &Canvas, map: &HeatMap, label: &str, area: &Area) -> Result<f64> {
    let widest = map.levels.iter().map(|&level| text_width(&number(level, 4), TICK_SIZE)).fold(0.0, f64::max);
    let right = area.x.end - if label.is_empty() { 0.0 } else { LINE_HEIGHT };
    let bar = right - widest - 6.0 - BAR_WIDTH..right - widest - 6.0;
    let (top, bottom) = (area.y.start, area.y.end - 2.0 * LINE_HEIGHT);
    let edge = |i: usize| bottom - (bottom - top) * i as f64 / (map.levels.len() + 1) as f64;
    for i in 0..=map.levels.len() {
        canvas.rectangle(to_pixels((bar.start, edge(i + 1))), to_pixels((bar.end, edge(i))), map.colour(i).into())?;
    }
    // Where there are many levels, some go without a label.
    let stride = (map.levels.len() as f64 * 18.0 / (bottom - top)).ceil().max(1.0) as usize;
    for (i, &level) in map.levels.iter().enumerate().step_by(stride) {
        canvas.text(&number(level, 4), TICK_SIZE, (bar.end + 6.0, edge(i + 1) + 4.5), 0.0)?;
    }
    canvas.vertical_text(label, (area.x.end, &(top..bottom)))?;
    Ok(area.x.end - bar.start + 18.0)
}

fn entry_width(layer: &Layer) -> f64 {
    SWATCH + 6.0 + text_width(&layer.label, TICK_SIZE) + 20.0
}

/// Breaks items with their widths into rows that fit the room.
fn flow<T>(items: impl IntoIterator<Item = (T, f64)>, gap: f64, room: f64) -> Vec<Vec<T>> {
    let (mut rows, mut used) = (Vec::<Vec<T>>::new(), 0.0);
    for (item, width) in items {
        match rows.last_mut() {
            Some(row) if used + gap + width <= room => {
                row.push(item);
                used += gap + width;
            }
            _ => {
                rows.push(vec![item]);
                used = width;
            }
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use ab_glyph::Font;
    use nalgebra::{dmatrix, dvector};
    use polars::prelude::df;

    fn frame() -> DataFrame {
        df!(
            "x" => [1.0, 2.0, 3.0, 4.0], "n" => [3, 1, 2, 5], "low" => [0.5, 0.2, 1.0, 4.0], "high" => [4, 2, 3, 6],
            "kind" => ["a", "b", "a", "b"], "flat" => [7.0; 4], "gap" => [Some(1.0), None, None, None],
            "nan" => [0.0, 1.0, f64::NAN, 2.0],
            "u" => [0, 0, 1, 1], "v" => [0, 1, 0, 1]
        )
        .unwrap()
    }

    fn size(figure: &Figure) -> (u32, u32) {
        let png = figure.png().unwrap();
        let mut reader = png::Decoder::new(png.as_slice()).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert!(pixels.iter().any(|&p| p != pixels[0]), "the picture is empty");
        (info.width, info.height)
    }

    fn figures() -> Vec<(Figure, &'static str)> {
        let (frame, new) = (frame(), || Figure::new("Title"));
        let normal = Gaussian::new(dvector![1.0, 2.0], dmatrix![2.0, 0.5; 0.5, 1.0]).unwrap();
        let images = DMatrix::from_fn(3, 12, |i, j| (i * j) as f64);
        vec![
            (
                new().histogram(&frame, "x", 2),
                "Histogram “x”: 2 bars over x from 1 to 4, the highest (0.3333) between 2.5 and 4.",
            ),
            (new().histogram(&frame, "flat", 9), "1 bars over x from 6.5 to 7.5, the highest (1) between"),
            (new().line(&frame, "x", "n"), "Line “n”: x from 1 to 4, y from 1 to 5, highest at x = 4."),
            (new().line(&frame, "x", "flat"), "The y axis (flat) runs from 6.3 to 7.7."),
            (new().band(&frame, "x", "low", "high"), "Band “low to high”: x from 1 to 4, y from 0.2 to 6."),
            (new().scatter(&frame, "x", "n").label("data"), "4 circles “data”"),
            (
                new().scatter_by(&frame, "x", "n", "kind"),
                "2 circles “a”: x from 1 to 3, y from 2 to 3. 2 triangles “b”",
            ),
            (
                new().errors(&frame, "x", "n", "low", "high"),
                "4 points with error bars “n”: x from 1 to 4, y from 0.2 to 6.",
            ),
            (new().ellipse(&normal, 0.5, "half"), "Line “half”"),
            (new().point(1e-5, -2.0, "here"), "Point “here” at (1×10⁻⁵, −2)."),
            (new().vertical(3.0, "v").horizontal(-1.0, ""), "line “v” at x = 3. Dashed horizontal line at y = −1."),
            (
                new().heat_map(&frame, "u", "v", "n", &[2.0, 3.0]),
                "“n” at the levels 2, 3: values from 1 to 5, largest at (1, 1).",
            ),
            (new().heat_map(&frame, "x", "flat", "n", &[2.0]), "Filled contours"),
            (
                new().image_grid(&images, 3, 4, 2),
                "3 images of 3×4 pixels in rows of 2, 2 in all: 0 is black, 22 white.",
            ),
            (new().image_grid(&images, 2, 2, 9), "in rows of 3"),
        ]
    }

    #[test]
    fn every_layer_is_drawn_and_described() {
        for (figure, description) in figures() {
            let text = figure.text();
            assert!(text.starts_with("Title. ") && text.contains(description), "{text}");
            let (width, height) = size(&figure);
            assert!(width == 1440 && (height == 900 || figure.panel.images().is_some()), "{text} {width}×{height}");
        }
    }

    #[test]
    fn a_picture_is_the_same_each_time() {
        let figure = || Figure::new("μ̂").scatter_by(&frame(), "x", "n", "kind").line(&frame(), "x", "low");
        assert_eq!(figure().png().unwrap(), figure().png().unwrap());
    }

    #[test]
    fn the_font_has_the_signs_of_mathematics() {
        let font = FONT.as_ref().unwrap();
        for c in "μΣσθλφψεβαℓ∇∑∫∞≤≥≈≠±−×·∂∈∝√‖⟨⟩ℝ∼→²³⁻¹₀₁₂ᵀᵢⱼ½…\u{302}\u{304}\u{303}".chars()
        {
            assert_ne!(font.glyph_id(c).0, 0, "{c}");
        }
        // The accent takes no room of its own and stands above its letter.
        assert_eq!(text_width("Σ̂", 10.0), text_width("Σ", 10.0));
        let (outlines, _) = typeset("Σ̂", 10.0);
        assert!(outlines[1].1.0 > outlines[0].1.0 && outlines[1].1.1 < outlines[0].1.1);
    }

    #[test]
    fn panels_stand_side_by_side() {
        assert_eq!(size(&Figure::new("a").vertical(1.0, "").beside(Figure::new("b").horizontal(1.0, ""))), (1920, 800));
        let all = figures().into_iter().map(|(figure, _)| figure).reduce(|left, right| left.beside(right)).unwrap();
        assert_eq!(size(&all.clone().label("last")), (7200, 800));
        assert_eq!(all.text().lines().count(), 15);
        assert_eq!(all.alt("replaced").text(), "replaced");
    }

    #[test]
    fn errors_name_the_column() {
        let (frame, new) = (frame(), || Figure::new(""));
        let message = |figure: Figure| figure.png().unwrap_err().to_string();
        assert!(
            message(new().line(&frame, "x", "nan").line(&frame, "?", "x"))
                .contains("\"nan\": the value in row 2 is NaN")
        );
        assert!(message(new().scatter(&frame, "x", "y")).contains("no column \"y\"; the frame has x, n, low"));
        assert!(message(new().histogram(&frame, "kind", 3)).contains("\"kind\": its type is str"));
        assert!(message(new().histogram(&frame, "gap", 3)).contains("\"gap\""));
        assert!(message(new().histogram(&frame, "x", 0)).contains("the number of bins"));
        assert!(message(new().histogram(&frame.head(Some(0)), "x", 3)).contains("no rows"));
        assert!(message(new().scatter_by(&frame, "x", "n", "?")).contains("no column \"?\""));
        assert!(message(new().heat_map(&frame, "x", "n", "low", &[1.0])).contains("\"low\": a grid of 4 values"));
        assert!(message(new().heat_map(&frame, "u", "v", "x", &[1.0, 1.0])).contains("larger than the one before"));
        assert!(message(new().image_grid(&DMatrix::zeros(2, 5), 2, 2, 1)).contains("length 4"));
        assert!(
            message(new().image_grid(&DMatrix::zeros(2, 4), usize::MAX, 3, 1)).contains("the height of an image is")
        );
        assert!(message(new().histogram(&frame, "x", usize::MAX)).contains("between 1 and 1000"));
        assert!(message(new().point(f64::NAN, 0.0, "")).contains("NaN at x"));
        assert!(message(new().ellipse(&Gaussian::standard(3).unwrap(), 0.5, "")).contains("length 2"));
        assert!(message(new().vertical(-1e308, "").vertical(1.7e308, "")).contains("too long"));
        assert!(message(new()).contains("no layers"));
        assert!(message(new().beside(new().vertical(f64::INFINITY, ""))).contains("at x"));
    }

    #[test]
    fn logarithmic_axes() {
        let (frame, new) = (frame(), || Figure::new("Title"));
        let text = new().line(&frame, "x", "n").log_x().text();
        assert!(
            text.contains("(x) runs logarithmically from 0.9461 to 4.228. The y axis (n) runs from 0.84 to 5.16."),
            "{text}"
        );
        // A parabola on two logarithmic axes is a straight line.
        let x = [0.01, 0.1, 1.0, 10.0];
        let curves =
            df!("x" => x, "x²" => x.map(|x| x * x), "ln" => x.map(f64::log10), "2 ln" => x.map(|x| 2.0 * x.log10()))
                .unwrap();
        let bent = new().line(&curves, "x", "x²").log_x().log_y().panel.in_decades().unwrap();
        let straight = new().line(&curves, "ln", "2 ln").panel;
        let points = |panel: &Panel| match &panel.layers[0].mark {
            Mark::Line(points) => points.clone(),
            _ => vec![],
        };
        assert_eq!((points(&bent), bent.ranges().unwrap()), (points(&straight), straight.ranges().unwrap()));
        // Every kind of layer has its place, but for bars on a logarithmic y axis and what is not positive.
        for (figure, description) in figures() {
            size(&figure.clone());
            match figure.log_x().log_y().png() {
                Ok(_) => {}
                Err(Error::Domain { what: "a value on a logarithmic axis", value, .. }) => {
                    assert!(value <= 0.0, "{description}")
                }
                Err(error) => panic!("{description}: {error}"),
            }
        }
        assert!(new().histogram(&frame, "x", 2).log_x().png().is_ok());
        assert!(
            new().histogram(&frame, "x", 2).log_y().png().unwrap_err().to_string().contains("logarithmic axis is 0")
        );
        assert!(new().heat_map(&frame, "x", "flat", "n", &[2.0]).log_x().log_y().png().is_ok());
        assert!(
            new()
                .errors(&frame, "x", "n", "low", "high")
                .vertical(0.1, "")
                .horizontal(9.0, "")
                .log_x()
                .log_y()
                .png()
                .is_ok()
        );
        assert!(new().point(f64::MIN_POSITIVE, f64::MAX, "").vertical(f64::MAX, "").log_x().log_y().png().is_ok());
        assert!(new().beside(new().vertical(0.0, "").log_x()).text().contains("Dashed vertical line at x = 0"));
    }

    #[test]
    fn ticks_of_decades() {
        let labels = |range, most| decade_ticks(&range, most).into_iter().map(|(_, label)| label).collect::<Vec<_>>();
        assert_eq!(labels(-3.1..4.2, 8.0), ["0.001", "0.01", "0.1", "1", "10", "100", "1000", "10⁴"]);
        assert_eq!(labels(-9.0..3.5, 5.0), ["10⁻⁹", "10⁻⁶", "0.001", "1", "1000"]);
        assert_eq!(labels(3.6..5.1, 8.0), ["5000", "10⁴", "2×10⁴", "5×10⁴", "10⁵"]);
        assert_eq!(labels(3.6..5.1, 3.0), ["10⁴", "10⁵"]);
        assert_eq!(labels(0.0..0.5, 5.0), ["1", "1.5", "2", "2.5", "3"]);
        assert_eq!(labels(-330.0..320.0, 4.0), ["10⁻²⁰⁰", "1", "10²⁰⁰"]);
        let at: Vec<f64> = decade_ticks(&(0.0..1.0), 3.0).into_iter().map(|(at, _)| at).collect();
        assert_eq!(at, [0.0, 2_f64.log10(), 5_f64.log10()]);
    }

    #[test]
    fn ticks_are_short() {
        let labels = |range, most| ticks(&range, most).into_iter().map(|(_, label)| label).collect::<Vec<_>>();
        assert_eq!(labels(0.0..1.0, 5.0), ["0", "0.2", "0.4", "0.6", "0.8", "1"]);
        assert_eq!(labels(-0.31..0.29, 8.0), ["−0.3", "−0.2", "−0.1", "0", "0.1", "0.2"]);
        assert_eq!(labels(1e6..1e6 + 1.0, 2.0), ["1000000", "1000000.5", "1000001"]);
        assert_eq!(labels(0.0..3e-9, 3.0), ["0", "1×10⁻⁹", "2×10⁻⁹", "3×10⁻⁹"]);
    }
}
