//! Prometheus' classic text format: written, and read as far as it has to be to put several texts together.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::histogram::Histogram;

/// What kind of figure it is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Counter,
    Gauge,
}

/// Figures by family. Each family stands in one piece in the text, as parsers demand.
#[derive(Debug, Default)]
pub(super) struct Families(BTreeMap<String, Family>);

#[derive(Debug, Default)]
struct Family {
    /// `# HELP` and `# TYPE` lines.
    head: Vec<String>,
    samples: Vec<String>,
}

impl Families {
    pub(super) fn add(
        &mut self,
        name: &str,
        kind: Kind,
        help: &str,
        labels: &[(&str, &str)],
        value: f64,
    ) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        let family = self.family(name, kind, help);
        family
            .samples
            .push(format!("{name}{} {value}", braces(labels)));
    }

    pub(super) fn add_histogram(
        &mut self,
        name: &str,
        help: &str,
        labels: &[(&str, &str)],
        histogram: &Histogram,
    ) {
        let count = histogram.count();
        let bounds = histogram
            .up_to()
            .map(|(bound, count)| (bound.to_string(), count));
        let bounds = bounds.chain([("+Inf".to_owned(), count)]);
        let family = self.family(name, "histogram", help);
        for (bound, count) in bounds {
            let mut labels = labels.to_vec();
            labels.push(("le", &bound));
            family
                .samples
                .push(format!("{name}_bucket{} {count}", braces(&labels)));
        }
        let labels = braces(labels);
        family
            .samples
            .push(format!("{name}_sum{labels} {}", histogram.sum()));
        family.samples.push(format!("{name}_count{labels} {count}"));
    }

    fn family(&mut self, name: &str, kind: &str, help: &str) -> &mut Family {
        let family = self.0.entry(name.to_owned()).or_default();
        if family.head.is_empty() {
            family.head = vec![
                format!("# HELP {name} {help}"),
                format!("# TYPE {name} {kind}"),
            ];
        }
        family
    }

    /// Takes the families of another text in, without those that tell about the exporter itself. `label` is added to each sample.
    pub(super) fn merge(&mut self, text: &str, label: Option<(&str, &str)>) {
        let mut current = String::new();
        for line in text.lines() {
            let line = line.trim();
            let comment = line.strip_prefix('#').map(str::trim_start);
            if let Some(comment) = comment {
                let mut words = comment.split_ascii_whitespace();
                let what = words.next();
                if let (Some("HELP" | "TYPE"), Some(name)) = (what, words.next()) {
                    name.clone_into(&mut current);
                    if is_wanted(name) {
                        let family = self.0.entry(current.clone()).or_default();
                        let is_new = |old: &String| old.split_ascii_whitespace().nth(1) != what;
                        if family.head.iter().all(is_new) {
                            family.head.push(line.to_owned());
                        }
                    }
                }
                continue;
            }
            let name_end = line.find(['{', ' ', '\t']).unwrap_or(line.len());
            let name = &line[..name_end];
            // A sample without a family before it is a family of its own.
            let family = match name.strip_prefix(&*current) {
                Some("" | "_bucket" | "_sum" | "_count") if !current.is_empty() => &*current,
                _ => name,
            };
            if !name.is_empty() && is_wanted(family) {
                let sample = match label {
                    Some(label) => with_label(line, name_end, label),
                    None => line.to_owned(),
                };
                let family = self.0.entry(family.to_owned()).or_default();
                family.samples.push(sample);
            }
        }
    }

    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for family in self.0.values().filter(|family| !family.samples.is_empty()) {
            for line in family.head.iter().chain(&family.samples) {
                text.push_str(line);
                text.push('\n');
            }
        }
        text
    }
}

fn is_wanted(family: &str) -> bool {
    let about_itself = ["go_", "promhttp_", "process_"];
    !about_itself.iter().any(|prefix| family.starts_with(prefix))
}

fn braces(labels: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (index, (name, value)) in labels.iter().enumerate() {
        text.push(if index == 0 { '{' } else { ',' });
        let _ = write!(text, "{name}=\"{}\"", escaped(value));
    }
    if !text.is_empty() {
        text.push('}');
    }
    text
}

fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

fn with_label(line: &str, name_end: usize, (name, value): (&str, &str)) -> String {
    let label = format!("{name}=\"{}\"", escaped(value));
    let (metric, rest) = line.split_at(name_end);
    match rest.strip_prefix('{') {
        Some(labels) if labels.starts_with('}') => format!("{metric}{{{label}{labels}"),
        Some(labels) => format!("{metric}{{{label},{labels}"),
        None => format!("{metric}{{{label}}}{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: &str = "\
# HELP node_load1 1m load average.
# TYPE node_load1 gauge
node_load1 0.5
# TYPE go_goroutines gauge
go_goroutines 8
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total 1
# TYPE http_seconds histogram
http_seconds_bucket{le=\"+Inf\"} 1
http_seconds_sum 0.1
http_seconds_count 1
untyped_thing{a=\"b c\"} 1 1700000000
";

    #[test]
    fn texts_are_put_together_by_family() {
        let mut families = Families::default();
        families.add("own_total", Kind::Counter, "Own.", &[("a", "x\"y")], 3.0);
        families.merge(NODE, None);
        families.merge(
            "# TYPE node_load1 gauge\nnode_load1{} 0.7\nnode_load1{x=\"y\"} 0.8\nnode_load1 0.9\n",
            Some(("sg_instance", "docker-registry")),
        );
        assert_eq!(
            families.text(),
            "\
# TYPE http_seconds histogram
http_seconds_bucket{le=\"+Inf\"} 1
http_seconds_sum 0.1
http_seconds_count 1
# HELP node_load1 1m load average.
# TYPE node_load1 gauge
node_load1 0.5
node_load1{sg_instance=\"docker-registry\"} 0.7
node_load1{sg_instance=\"docker-registry\",x=\"y\"} 0.8
node_load1{sg_instance=\"docker-registry\"} 0.9
# HELP own_total Own.
# TYPE own_total counter
own_total{a=\"x\\\"y\"} 3
untyped_thing{a=\"b c\"} 1 1700000000
"
        );
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in r#"(# (HELP|TYPE) |[a-z_]{0,3}|\{|\}|"|,| |\n|1|\PC){0,40}"#) {
            let mut families = Families::default();
            families.merge(&text, Some(("a", "b")));
            families.text();
        }
    }
}
