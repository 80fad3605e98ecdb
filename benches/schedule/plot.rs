//! Mean waits over the load, a panel for each model, as a picture.

use std::fmt::Write as _;

use crate::cluster::Policy;
use crate::workload::Model;

pub(crate) struct Point {
    pub(crate) model: Model,
    pub(crate) policy: Policy,
    pub(crate) load: f64,
    /// Seconds.
    pub(crate) wait: f64,
    /// Seconds.
    pub(crate) large: f64,
}

const COLOURS: [&str; 7] = ["#888888", "#2a7f3f", "#b5651d", "#1f5fbf", "#17a2b8", "#c02f6f", "#7a3fbf"];
const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 240.0;

/// Two rows: mean waits, and the worst waits of the largest; a column for each model.
pub(crate) fn draw(points: &[Point]) -> String {
    let mut svg = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"800\" height=\"640\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"800\" height=\"640\" fill=\"white\"/>\n",
    );
    for (column, model) in [Model::Lublin, Model::Downey].into_iter().enumerate() {
        for (line, (title, of)) in
            [("mean wait", wait as fn(&Point) -> f64), ("worst wait of the largest", large)].into_iter().enumerate()
        {
            let (left, top) = (if column == 0 { 50.0 } else { 440.0 }, if line == 0 { 40.0 } else { 320.0 });
            let mine: Vec<&Point> =
                points.iter().filter(|it| it.model == model && it.policy != Policy::StrictFifo).collect();
            panel(&mut svg, &format!("{}: {title}, min", model.name()), &mine, of, (left, top));
        }
    }
    for (place, (number, policy)) in drawn().enumerate() {
        let (x, y) = ([50.0, 240.0, 430.0][place % 3], if place < 3 { 592.0 } else { 614.0 });
        let (colour, name) = (COLOURS[number], policy.name());
        // Writing to a String cannot fail.
        let _ = writeln!(svg, "<rect x=\"{x}\" y=\"{y}\" width=\"14\" height=\"4\" fill=\"{colour}\"/>");
        let _ = writeln!(svg, "<text x=\"{}\" y=\"{}\">{name}</text>", x + 20.0, y + 6.0);
    }
    svg + "</svg>\n"
}

/// All but `StrictFifo`, beside which nothing else could be told apart; with the number of its colour.
fn drawn() -> impl Iterator<Item = (usize, Policy)> {
    Policy::ALL.into_iter().enumerate().filter(|(_, policy)| *policy != Policy::StrictFifo)
}

fn wait(point: &Point) -> f64 {
    point.wait / 60.0
}

fn large(point: &Point) -> f64 {
    point.large / 60.0
}

fn panel(svg: &mut String, title: &str, points: &[&Point], of: fn(&Point) -> f64, (left, top): (f64, f64)) {
    let most = points.iter().map(|point| of(point)).fold(1.0, f64::max);
    let (low, high) = (0.7, 0.9);
    let x = |load: f64| left + (load - low) / (high - low) * (WIDTH - 40.0);
    let y = |value: f64| top + HEIGHT - 20.0 - value / most * (HEIGHT - 40.0);
    let _ = writeln!(svg, "<text x=\"{left}\" y=\"{}\" font-weight=\"bold\">{title}</text>", top - 6.0);
    for share in [0.0, 0.5, 1.0] {
        let at = y(most * share);
        let _ = writeln!(
            svg,
            "<line x1=\"{left}\" y1=\"{at:.1}\" x2=\"{:.1}\" y2=\"{at:.1}\" stroke=\"#ddd\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{:.0}</text>",
            left + WIDTH - 40.0,
            left - 4.0,
            at + 4.0,
            most * share
        );
    }
    for load in [0.7, 0.8, 0.9] {
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">load {load}</text>",
            x(load),
            top + HEIGHT - 2.0
        );
    }
    for (number, policy) in drawn() {
        let mine = points.iter().filter(|point| point.policy == policy);
        let line: Vec<String> = mine.map(|point| format!("{:.1},{:.1}", x(point.load), y(of(point)))).collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\"/>",
            line.join(" "),
            COLOURS[number]
        );
    }
}
