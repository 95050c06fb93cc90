//! The chart: for each row that is to be drawn and has a figure of tokio's, a bar from 1 to our ratio to tokio, on a log scale.

use std::fmt::Write;

use super::report::{Report, Row};
use super::text::ratio;

const WIDTH: f64 = 920.0;
/// Where the bars are.
const LEFT: f64 = 392.0;
const RIGHT: f64 = 850.0;
const TOP: f64 = 104.0;
const LINE: f64 = 24.0;
const BAR: f64 = 13.0;
const FOOT: f64 = 40.0;

/// Both colour schemes, without fonts from elsewhere.
const STYLE: &str = "
  text { font-family: system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif; font-size: 13px; fill: #1f2328; }
  .page { fill: #ffffff; }
  .title { font-size: 17px; font-weight: 600; }
  .small { font-size: 12px; fill: #59636e; }
  .grid { stroke: #d1d9e0; stroke-width: 1; }
  .one { stroke: #59636e; stroke-width: 1.5; }
  .wins { fill: #1a7f64; }
  .loses { fill: #c4432b; }
  .best { fill: none; stroke: #1f2328; stroke-width: 1.5; }
  .target { stroke: #9a6700; stroke-width: 2.5; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .page { fill: #0d1117; }
    .small { fill: #9198a1; }
    .grid { stroke: #30363d; }
    .one { stroke: #9198a1; }
    .wins { fill: #3fb68b; }
    .loses { fill: #f0705a; }
    .best { stroke: #e6edf3; }
    .target { stroke: #e3b341; }
  }
";

/// A row of the chart. All ratios are to tokio, less is better.
struct Line {
    id: String,
    label: String,
    ours: f64,
    best: Option<f64>,
    target: Option<f64>,
}

impl Line {
    fn of(row: &Row) -> Option<Line> {
        let tokio = row.tokio()?.median?;
        // A logarithm needs more than zero, and a difference below zero says nothing.
        let to_tokio = |value: f64| {
            let [part, whole] = if row.higher_is_better { [tokio, value] } else { [value, tokio] };
            (part > 0.0 && whole > 0.0).then(|| part / whole)
        };
        Some(Line {
            id: row.workload.clone(),
            label: row.chart.clone()?,
            ours: to_tokio(row.ours()?.median?)?,
            best: row.best().and_then(|best| to_tokio(best.median?)),
            target: row.verdicts.first().and_then(|verdict| to_tokio(verdict.limit?)),
        })
    }
}

/// The chart as an SVG document.
pub(super) fn render(report: &Report) -> String {
    let lines: Vec<Line> = report.rows.iter().filter_map(Line::of).collect();
    let scale = Scale::over(&lines);
    let bottom = TOP + LINE * lines.len() as f64;
    let height = bottom + FOOT;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         role=\"img\">\n<title>ramus to tokio, all workloads</title>\n<style>{STYLE}</style>\n\
         <rect class=\"page\" width=\"{WIDTH}\" height=\"{height}\" rx=\"8\"/>\n"
    );
    let mut put = |part: String| svg.push_str(&part);
    put(text(20.0, 34.0, "title", "start", "ramus to the best form of tokio: time, CPU or memory, less is better"));
    put(legend());
    for tick in scale.ticks() {
        let x = scale.x(tick);
        let class = if tick == 1.0 { "one" } else { "grid" };
        put(format!(
            "<line class=\"{class}\" x1=\"{x:.1}\" y1=\"{:.1}\" x2=\"{x:.1}\" y2=\"{bottom:.1}\"/>\n",
            TOP - 6.0
        ));
        put(text(x, TOP - 12.0, "small", "middle", &format!("{tick}×")));
    }
    for (place, line) in lines.iter().enumerate() {
        put(bar(line, &scale, TOP + LINE * place as f64));
    }
    let run = if report.quick { "quick run" } else { "full run" };
    let machine = &report.machine;
    let foot = format!("{}, {} cores; {run}, commit {}; log scale", machine.processor, machine.cores, machine.commit);
    put(text(20.0, bottom + 26.0, "small", "start", &foot));
    svg + "</svg>\n"
}

fn legend() -> String {
    let y = 58.0;
    format!(
        "<rect class=\"wins\" x=\"20\" y=\"{:.1}\" width=\"26\" height=\"{BAR}\" rx=\"2\"/>\n{}\
         <rect class=\"loses\" x=\"190\" y=\"{:.1}\" width=\"26\" height=\"{BAR}\" rx=\"2\"/>\n{}\
         <circle class=\"best\" cx=\"372\" cy=\"{:.1}\" r=\"4.5\"/>\n{}\
         <line class=\"target\" x1=\"470\" y1=\"{:.1}\" x2=\"470\" y2=\"{:.1}\"/>\n{}",
        y - 11.0,
        text(52.0, y, "small", "start", "ramus, ahead of tokio"),
        y - 11.0,
        text(222.0, y, "small", "start", "ramus, behind tokio"),
        y - 4.5,
        text(384.0, y, "small", "start", "best peer"),
        y - 12.0,
        y + 3.0,
        text(480.0, y, "small", "start", "target"),
    )
}

fn bar(line: &Line, scale: &Scale, y: f64) -> String {
    let (one, ours) = (scale.x(1.0), scale.x(line.ours));
    let class = if line.ours > 1.0 { "loses" } else { "wins" };
    let middle = y + LINE / 2.0;
    let mut part =
        text(20.0, middle + 4.5, "small", "start", &line.id) + &text(114.0, middle + 4.5, "", "start", &line.label);
    part += &format!(
        "<rect class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{BAR}\" rx=\"2\"/>\n",
        one.min(ours),
        middle - BAR / 2.0,
        (one - ours).abs().max(1.0),
    );
    if let Some(target) = line.target {
        let x = scale.x(target);
        part += &format!(
            "<line class=\"target\" x1=\"{x:.1}\" y1=\"{:.1}\" x2=\"{x:.1}\" y2=\"{:.1}\"/>\n",
            middle - 9.0,
            middle + 9.0
        );
    }
    if let Some(best) = line.best {
        part += &format!("<circle class=\"best\" cx=\"{:.1}\" cy=\"{middle:.1}\" r=\"4.5\"/>\n", scale.x(best));
    }
    part + &text(RIGHT + 12.0, middle + 4.5, "small", "start", &ratio(line.ours))
}

fn text(x: f64, y: f64, class: &str, anchor: &str, words: &str) -> String {
    let words = words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
    let mut text = String::new();
    writeln!(text, "<text{class} x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{words}</text>")
        .expect("a string takes everything");
    text
}

/// From ratios to places: equal factors are equal distances.
struct Scale {
    least: f64,
    most: f64,
}

impl Scale {
    /// Wide enough for all, and for 1 with something on either side; what is beyond three decades lies on the edge.
    fn over(lines: &[Line]) -> Scale {
        let values = || lines.iter().flat_map(|line| [Some(line.ours), line.best, line.target]).flatten();
        Scale { least: values().fold(0.5, f64::min).max(0.001), most: values().fold(2.0, f64::max).min(1000.0) }
    }

    fn x(&self, value: f64) -> f64 {
        let place = (value.clamp(self.least, self.most) / self.least).ln() / (self.most / self.least).ln();
        LEFT + place * (RIGHT - LEFT)
    }

    /// Factors that are easily read, few enough not to touch each other.
    fn ticks(&self) -> Vec<f64> {
        let inside = |tick: &f64| (self.least..=self.most).contains(tick);
        let all = [0.001, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 100.0, 1000.0];
        all.into_iter().filter(inside).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::example;
    use super::*;

    fn line(ours: f64) -> Line {
        Line { id: "X".into(), label: "A < B & C".into(), ours, best: Some(0.5), target: None }
    }

    #[test]
    fn equal_factors_are_equal_distances() {
        let scale = Scale { least: 0.1, most: 10.0 };
        assert_eq!((scale.x(0.1), scale.x(10.0)), (LEFT, RIGHT));
        assert!((scale.x(1.0) - (LEFT + RIGHT) / 2.0).abs() < 1e-9);
        assert_eq!(scale.x(100.0), RIGHT);
        assert_eq!(scale.ticks(), [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0]);
    }

    #[test]
    fn bars_leave_the_one_to_the_side_that_they_belong_to() {
        let scale = Scale { least: 0.1, most: 10.0 };
        assert!(bar(&line(0.2), &scale, 0.0).contains("class=\"wins\""));
        let lost = bar(&line(3.0), &scale, 0.0);
        assert!(lost.contains(&format!("class=\"loses\" x=\"{:.1}\"", scale.x(1.0))), "{lost}");
        assert!(lost.contains("A &lt; B &amp; C"), "{lost}");
    }

    #[test]
    fn the_chart_has_a_bar_for_each_row_that_is_drawn_and_has_a_rival() {
        let svg = render(&example());
        assert_eq!(svg.matches("rx=\"2\"").count(), 2 + 3, "{svg}");
        assert!(svg.contains("A &lt;fast&gt; processor") && svg.contains("prefers-color-scheme: dark"));
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
        for element in ["svg", "text", "title", "style"] {
            let opened = svg.matches(&format!("<{element}>")).count() + svg.matches(&format!("<{element} ")).count();
            assert_eq!(opened, svg.matches(&format!("</{element}>")).count(), "{element}");
        }
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    #[test]
    fn a_row_without_a_ratio_has_no_bar() {
        let mut report = example();
        for figure in &mut report.rows[0].figures {
            figure.median = figure.median.map(|median| -median);
        }
        assert!(Line::of(&report.rows[0]).is_none());
    }

    #[test]
    fn more_is_better_is_turned_round() {
        let report = example();
        let w13 = report.rows.iter().find(|row| row.workload == "W13").expect("it was chosen");
        let line = Line::of(w13).expect("tokio was measured");
        assert!((line.ours - 0.5 / 1.5).abs() < 1e-9, "{}", line.ours);
    }
}
