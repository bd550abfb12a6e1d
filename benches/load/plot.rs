//! Lines in a coordinate system, as SVG that needs no script.

use std::fmt::Write;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 40.0;
/// Marks on an axis, about.
const MARKS: f64 = 6.0;

/// One line. Its class decides its colour.
pub(super) struct Line {
    pub(super) class: &'static str,
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64)>,
}

/// How values become places on an axis.
#[derive(Clone, Debug)]
pub(super) enum Axis {
    /// In proportion, from the first to the second.
    Linear(f64, f64),
    /// By powers of ten, likewise. Both are above 0.
    Powers(f64, f64),
    /// At marks of one's own, from 0 to 1: place and label.
    Marked(Vec<(f64, String)>),
}

impl Axis {
    /// From 0 to a little above the largest.
    pub(super) fn linear(values: impl Iterator<Item = f64>) -> Self {
        let most = values.fold(0.0, f64::max);
        Self::Linear(0.0, if most > 0.0 { most * 1.05 } else { 1.0 })
    }

    /// Whole powers of ten around all values above 0.
    pub(super) fn powers(values: impl Iterator<Item = f64> + Clone) -> Self {
        let least = values.clone().filter(|value| *value > 0.0).fold(f64::INFINITY, f64::min);
        let most = values.fold(0.0, f64::max);
        if most <= 0.0 {
            return Self::Powers(1.0, 10.0);
        }
        let low = least.log10().floor();
        Self::Powers(10_f64.powf(low), 10_f64.powf(most.log10().ceil().max(low + 1.0)))
    }

    /// Where a value lies, 0 to 1.
    fn place(&self, value: f64) -> f64 {
        let place = match self {
            Self::Linear(from, to) => (value - from) / (to - from),
            Self::Powers(from, to) => {
                (value.max(*from).log10() - from.log10()) / (to.log10() - from.log10())
            }
            Self::Marked(_) => value,
        };
        place.clamp(0.0, 1.0)
    }

    /// Places and labels of its marks.
    fn marks(&self) -> Vec<(f64, String)> {
        match self {
            Self::Linear(from, to) => {
                let step = round_step((to - from) / MARKS);
                let count = ((to - from) / step) as usize;
                let value = |index: usize| from + index as f64 * step;
                (0..=count).map(|index| (self.place(value(index)), label(value(index)))).collect()
            }
            Self::Powers(from, to) => {
                let (low, high) = (from.log10().round() as i32, to.log10().round() as i32);
                let value = |power| 10_f64.powi(power);
                (low..=high).map(|power| (self.place(value(power)), label(value(power)))).collect()
            }
            Self::Marked(marks) => marks.clone(),
        }
    }
}

/// The plot with its axes and a legend of its lines.
pub(super) fn plot(
    title: &str,
    axes: (&Axis, &str),
    values: (&Axis, &str),
    lines: &[Line],
) -> String {
    let mut svg = String::new();
    draw(&mut svg, title, axes, values, lines).expect("writing to memory does not fail");
    svg
}

fn draw(
    svg: &mut String,
    title: &str,
    (across, across_name): (&Axis, &str),
    (up, up_name): (&Axis, &str),
    lines: &[Line],
) -> std::fmt::Result {
    let x = |value: f64| LEFT + across.place(value) * (WIDTH - LEFT - RIGHT);
    let y = |place: f64| HEIGHT - BOTTOM - place * (HEIGHT - TOP - BOTTOM);
    writeln!(svg, "<figure><figcaption>{}</figcaption>", escape(title))?;
    writeln!(svg, "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">")?;
    for (place, label) in up.marks() {
        let y = y(place);
        let right = WIDTH - RIGHT;
        writeln!(svg, "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{right}\"/>")?;
        let (x, y) = (LEFT - 6.0, y + 4.0);
        writeln!(svg, "<text x=\"{x}\" y=\"{y:.1}\" text-anchor=\"end\">{label}</text>")?;
    }
    for (place, label) in across.marks() {
        let (x, y) = (LEFT + place * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM + 16.0);
        writeln!(svg, "<text x=\"{x:.1}\" y=\"{y}\" text-anchor=\"middle\">{label}</text>")?;
    }
    let (middle, bottom) = ((LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 6.0);
    writeln!(
        svg,
        "<text x=\"{middle}\" y=\"{bottom}\" text-anchor=\"middle\">{}</text>",
        escape(across_name)
    )?;
    for line in lines {
        let mut path = String::new();
        for (index, (at, value)) in line.points.iter().enumerate() {
            let verb = if index == 0 { 'M' } else { 'L' };
            write!(path, "{verb}{:.1} {:.1}", x(*at), y(up.place(*value)))?;
        }
        let name = escape(&line.name);
        writeln!(svg, "<path class=\"{}\" d=\"{path}\"><title>{name}</title></path>", line.class)?;
    }
    writeln!(svg, "</svg><p class=\"legend\">{}: ", escape(up_name))?;
    for line in lines {
        writeln!(svg, "<span class=\"{}\">{}</span>", line.class, escape(&line.name))?;
    }
    writeln!(svg, "</p></figure>")
}

/// The nearest of 1, 2, 5 times a power of ten that is not smaller.
fn round_step(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= step * 0.999_999);
    factor.unwrap_or(10.0) * power
}

fn label(value: f64) -> String {
    let (scaled, unit) = match value {
        _ if value >= 1e6 => (value / 1e6, "M"),
        _ if value >= 1e3 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    // Ten significant digits are free of the noise of binary fractions.
    let text = format!("{scaled:.3}");
    format!("{}{unit}", text.trim_end_matches('0').trim_end_matches('.'))
}

/// Text that may stand anywhere in the page.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_round_numbers_in_order() {
        let labels = |axis: &Axis| axis.marks().into_iter().map(|mark| mark.1).collect::<Vec<_>>();
        assert_eq!(labels(&Axis::Linear(0.0, 10.5)), ["0", "2", "4", "6", "8", "10"]);
        let rates = labels(&Axis::Linear(0.0, 1_260_000.0));
        assert_eq!(rates, ["0", "500k", "1M"]);
        let powers = Axis::powers([3.0, 0.0, 450.0].into_iter());
        assert_eq!(labels(&powers), ["1", "10", "100", "1k"]);
    }

    #[test]
    fn values_keep_to_the_plot() {
        let axis = Axis::powers([10.0, 1_000.0].into_iter());
        for (value, place) in [(0.0, 0.0), (10.0, 0.0), (100.0, 0.5), (1e9, 1.0)] {
            assert!((axis.place(value) - place).abs() < 1e-9, "{value}");
        }
        assert!((Axis::linear(std::iter::empty()).place(0.0)).abs() < 1e-9);
    }

    #[test]
    fn names_cannot_leave_their_place() {
        let line = Line { class: "one", name: "<script>&\"".into(), points: vec![(0.0, 1.0)] };
        let axis = Axis::Linear(0.0, 1.0);
        let svg = plot("t", (&axis, "x"), (&axis, "y"), &[line]);
        assert!(svg.contains("&lt;script&gt;&amp;&quot;"));
        assert!(!svg.contains("<script"));
    }
}
