//! Nodes over time as a picture: SVG, one strip for each policy.

use std::fmt::Write as _;

/// A strip.
#[derive(Clone, Debug)]
pub struct Strip<'a> {
    /// Whose nodes these are.
    pub label: String,
    /// How many nodes there are from which second on.
    pub nodes: &'a [(i64, u32)],
}

/// Strips below each other with one axis of time: those of a pool.
#[derive(Clone, Debug)]
pub struct Group<'a> {
    /// What stands above them.
    pub title: String,
    /// What the axis of time counts from, such as `2026-01-01T00:00:00Z`.
    pub since: String,
    /// Up to which second they go.
    pub end: i64,
    /// The strips.
    pub strips: Vec<Strip<'a>>,
}

const WIDTH: u32 = 960;
const LEFT: u32 = 70;
const RIGHT: u32 = 20;
const STRIP: u32 = 96;
const GAP: u32 = 34;
const TITLE: u32 = 60;
const AXIS: u32 = 56;
/// Pixels of a strip from left to right.
const PIXELS: u32 = WIDTH - LEFT - RIGHT;

/// The picture.
#[must_use]
pub fn svg(groups: &[Group]) -> String {
    let tall = |group: &Group| TITLE + AXIS + u32::try_from(group.strips.len()).unwrap_or(0) * (STRIP + GAP);
    let height: u32 = groups.iter().map(tall).sum();
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\" fill=\"#222\">\n<rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#fff\"/>\n"
    );
    let mut top = 0;
    for group in groups {
        draw(&mut out, group, top);
        top += tall(group);
    }
    out.push_str("</svg>\n");
    out
}

fn draw(out: &mut String, group: &Group, top: u32) {
    let end = group.end.max(1);
    let most = group.strips.iter().flat_map(|strip| strip.nodes.iter().map(|(_, nodes)| *nodes)).max().unwrap_or(0);
    let (step, full) = scale(most);
    let mut y = top + 24;
    text(out, (LEFT, y), "start", "font-size=\"16\" font-weight=\"bold\"", &group.title);
    y += 18;
    text(
        out,
        (LEFT, y),
        "start",
        "fill=\"#555\"",
        "Dark: nodes on average; light: the most, in the time of a pixel's width.",
    );
    y = top + TITLE;
    let (unit, seconds, every) = unit(end);
    let ticks: Vec<(u32, i64)> =
        (0..=end / (seconds * every)).map(|n| (x(n * every * seconds, end), n * every)).collect();
    for strip in &group.strips {
        y += GAP;
        text(out, (LEFT, y - 8), "start", "font-weight=\"bold\"", &strip.label);
        for (at, _) in &ticks {
            line(out, (*at, y), (*at, y + STRIP), "#eee");
        }
        for nodes in (0..=full).step_by(usize::try_from(step).unwrap_or(1)) {
            let above = u64::from(STRIP) * u64::from(nodes) / u64::from(full);
            let at = y + STRIP - u32::try_from(above).unwrap_or(STRIP);
            line(out, (LEFT, at), (WIDTH - RIGHT, at), if nodes == 0 { "#888" } else { "#eee" });
            text(out, (LEFT - 8, at + 4), "end", "fill=\"#555\"", &nodes.to_string());
        }
        let middle = y + STRIP / 2;
        text(out, (18, middle), "middle", &format!("transform=\"rotate(-90 18 {middle})\" fill=\"#555\""), "nodes");
        let pixels = pixels(strip.nodes, end);
        area(out, y, full, pixels.iter().map(|(_, most)| f64::from(*most)), "#9ecae1");
        area(out, y, full, pixels.iter().map(|(mean, _)| *mean), "#2171b5");
        y += STRIP;
    }
    for (at, label) in &ticks {
        line(out, (*at, y), (*at, y + 5), "#888");
        text(out, (*at, y + 19), "middle", "fill=\"#555\"", &label.to_string());
    }
    text(out, (LEFT + PIXELS / 2, y + 40), "middle", "fill=\"#555\"", &format!("{unit} since {}", group.since));
}

/// A round step of the axis of nodes and the number it ends at, which is not below `most`.
fn scale(most: u32) -> (u32, u32) {
    let most = most.max(1);
    let steps = (0..9).flat_map(|power| [1, 2, 5].map(|step| step * 10_u32.pow(power)));
    let step = steps.into_iter().find(|step| step.saturating_mul(4) >= most).unwrap_or(most);
    (step, most.div_ceil(step).saturating_mul(step))
}

/// The unit of the axis of time, its seconds, and how many of it are between two ticks.
fn unit(end: i64) -> (&'static str, i64, i64) {
    let units = [("minutes", 60, 7_200), ("hours", 3_600, 259_200), ("days", 86_400, i64::MAX)];
    let unit = units.into_iter().find(|(_, _, most)| end <= *most);
    let (unit, seconds) = unit.map_or(("days", 86_400), |(unit, seconds, _)| (unit, seconds));
    let many = end / seconds;
    let every = [1, 2, 5, 10, 20, 30, 60, 100, 200, 500, 1_000].into_iter().find(|every| many / every <= 15);
    (unit, seconds, every.unwrap_or(many.max(1)))
}

fn x(second: i64, end: i64) -> u32 {
    LEFT + u32::try_from(i64::from(PIXELS) * second / end).unwrap_or(PIXELS).min(PIXELS)
}

/// For each pixel how many nodes there are on average, and at most.
fn pixels(nodes: &[(i64, u32)], end: i64) -> Vec<(f64, u32)> {
    let mut at = 0;
    let mut now = 0;
    let mut pixels = Vec::with_capacity(usize::try_from(PIXELS).unwrap_or(0));
    for pixel in 0..i64::from(PIXELS) {
        let (from, to) = (
            end * pixel / i64::from(PIXELS),
            (end * (pixel + 1) / i64::from(PIXELS)).max(end * pixel / i64::from(PIXELS) + 1),
        );
        while let Some((_, count)) = nodes.get(at).filter(|(since, _)| *since <= from) {
            now = *count;
            at += 1;
        }
        let (mut sum, mut most, mut since) = (0_i64, now, from);
        let mut ahead = at;
        while let Some((next, count)) = nodes.get(ahead).filter(|(next, _)| *next < to) {
            sum += i64::from(now) * (next - since);
            (now, since) = (*count, *next);
            most = most.max(now);
            ahead += 1;
        }
        at = ahead;
        sum += i64::from(now) * (to - since);
        #[expect(clippy::cast_precision_loss, reason = "pixels")]
        pixels.push((sum as f64 / (to - from) as f64, most));
    }
    pixels
}

fn area(out: &mut String, top: u32, full: u32, heights: impl Iterator<Item = f64>, colour: &str) {
    let bottom = top + STRIP;
    let _ = write!(out, "<path fill=\"{colour}\" d=\"M{LEFT} {bottom}");
    let mut last = None;
    for (pixel, height) in (0_u32..).zip(heights) {
        let y = format!("{:.1}", f64::from(bottom) - f64::from(STRIP) * height / f64::from(full));
        if last.as_ref() != Some(&y) {
            let _ = write!(out, "H{}V{y}", LEFT + pixel);
            last = Some(y);
        }
    }
    let _ = writeln!(out, "H{}V{bottom}Z\"/>", WIDTH - RIGHT);
}

fn line(out: &mut String, from: (u32, u32), to: (u32, u32), colour: &str) {
    let ((x1, y1), (x2, y2)) = (from, to);
    let _ = writeln!(out, "<line x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\" stroke=\"{colour}\"/>");
}

fn text(out: &mut String, at: (u32, u32), anchor: &str, style: &str, words: &str) {
    let (x, y) = at;
    let _ = writeln!(out, "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\" {style}>{}</text>", escaped(words));
}

/// As XML has it; what XML cannot hold is left out.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars().filter(|c| !c.is_control()) {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn picture(end: i64, nodes: &[(i64, u32)]) -> String {
        let strips = vec![Strip { label: "A < B & \"C\"\u{1}".to_owned(), nodes }];
        svg(&[Group { title: "Pool".to_owned(), since: "then".to_owned(), end, strips }])
    }

    #[test]
    fn axes_have_units_and_names_are_escaped() {
        let month = picture(30 * 86_400, &[(0, 3), (86_400, 0)]);
        assert!(month.contains("days since then") && month.contains(">nodes</text>"), "{month}");
        assert!(month.contains("A &lt; B &amp; &quot;C&quot;</text>"), "{month}");
        assert!(picture(3_600, &[]).contains("minutes since then"));
        assert!(picture(86_400, &[]).contains("hours since then"));
    }

    #[test]
    fn the_axis_of_nodes_is_round_and_holds_all() {
        assert_eq!([0, 1, 3, 7, 12, 999].map(scale), [(1, 1), (1, 1), (1, 3), (2, 8), (5, 15), (500, 1_000)]);
    }

    proptest! {
        #[test]
        fn the_dark_area_is_the_node_seconds(
            mut nodes in proptest::collection::vec((0i64..5_000_000, 0u32..1_000), 0..100), end in 900i64..5_000_000
        ) {
            nodes.sort_unstable();
            nodes.dedup_by_key(|(at, _)| *at);
            let until = |at: usize| nodes.get(at + 1).map_or(end, |(next, _)| (*next).min(end));
            let each = nodes.iter().enumerate().map(|(at, (since, count))| i64::from(*count) * (until(at) - since).max(0));
            let area: i64 = each.sum();
            let bounds = |pixel: i64| end * pixel / i64::from(PIXELS);
            let width = |pixel: usize| bounds(i64::try_from(pixel).unwrap() + 1) - bounds(i64::try_from(pixel).unwrap());
            let shown: f64 = pixels(&nodes, end).iter().enumerate().map(|(pixel, (mean, _))| mean * width(pixel) as f64).sum();
            prop_assert!((shown - area as f64).abs() < 1.0, "{} {}", shown, area);
        }

        #[test]
        fn no_numbers_make_it_panic(
            nodes in proptest::collection::vec((0i64..1_000_000_000, any::<u32>()), 0..20), end in 0i64..1_000_000_000
        ) {
            prop_assert!(picture(end, &nodes).ends_with("</svg>\n"));
        }
    }
}
