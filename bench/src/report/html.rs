//! A report as one page that needs nothing else: no script, no font, no picture from elsewhere.
//!
//! ```text
//!  what was asked ─ what came of it ─ load ─ percentiles ─ time ─ tables ─ machine ─ command
//! ```
//!
//! The drawings are made here and sit in the page as SVG. What they show is in tables too, for
//! those who cannot see them or want the digits. Series differ by more than colour. Every text from
//! outside is escaped, and the page forbids itself to load anything, should that ever fail.

mod ladder;
mod percentiles;
mod plot;
mod tables;
mod timeline;
mod words;

use super::{HistogramError, Report, Round, VALID_PERCENT_MIN};
use hdrhistogram::Histogram;
use std::fmt::Write;
use words::{
    bound, command, count, duration, escape, latency, latency_parts, moment, percent, rate,
};

const STYLE: &str = include_str!("html/page.css");

/// What a page may load: nothing; what it may apply: the styles within it.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// A round with its histograms.
struct Shown<'a> {
    round: &'a Round,
    intended: Histogram<u64>,
    valid: Histogram<u64>,
    actual: Histogram<u64>,
    lag: Histogram<u64>,
}

impl<'a> Shown<'a> {
    fn of(round: &'a Round) -> Result<Shown<'a>, HistogramError> {
        Ok(Shown {
            round,
            intended: round.intended.decode()?,
            valid: round.valid.decode()?,
            actual: round.actual.decode()?,
            lag: round.lag.decode()?,
        })
    }
}

/// The page of a report.
///
/// # Errors
/// [`HistogramError`] when a histogram cannot be read.
pub fn page(report: &Report) -> Result<String, HistogramError> {
    let rounds: Vec<Shown<'_>> = report.rounds.iter().map(Shown::of).collect::<Result<_, _>>()?;
    let mut out = String::with_capacity(256 << 10);
    let title = escape(&report.title);
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{title}</title>\
         <style>{STYLE}</style></head><body>\n"
    );
    header(&mut out, report);
    out.push_str("<main>");
    notices(&mut out, report);
    summary(&mut out, &rounds);
    ladder::write(&mut out, &rounds);
    percentiles::write(&mut out, &rounds);
    timeline::write(&mut out, &rounds);
    numbers(&mut out, &rounds)?;
    machine(&mut out, report);
    out.push_str("</main>");
    footer(&mut out);
    out.push_str("</body></html>\n");
    Ok(out)
}

fn header(out: &mut String, report: &Report) {
    let plan = &report.plan;
    let cores = match plan.cpus.as_slice() {
        [] => "not pinned".to_owned(),
        [one] => format!("core {one}"),
        several => {
            format!("cores {}", several.iter().map(usize::to_string).collect::<Vec<_>>().join(", "))
        }
    };
    let times =
        format!("{} after {} of warm-up", duration(plan.duration_ms), duration(plan.warmup_ms));
    let each = if report.rounds.len() > 1 { "each round" } else { "recorded" };
    let facts = [
        ("target", plan.target.clone()),
        ("scenario", plan.scenario.clone()),
        ("arrivals", format!("{}, seed {}", plan.arrivals, plan.seed)),
        (
            "connections",
            format!("{}, timeout {}", count(plan.connections as u64), bound(plan.timeout_ms)),
        ),
        (each, times),
        ("generator", cores),
    ];
    let _ = write!(
        out,
        "<header><p class=\"mark\"><span>Brink bench</span><time>{} UTC</time></p><h1>{}</h1><dl class=\"facts\">",
        moment(report.started_unix_ms),
        escape(&report.title)
    );
    for (name, value) in facts {
        let _ = write!(out, "<div><dt>{name}</dt><dd>{}</dd></div>", escape(&value));
    }
    out.push_str("</dl></header>\n");
}

/// What has to be known before any number is looked at; the first word says how bad it is.
fn notices(out: &mut String, report: &Report) {
    let named = |which: &dyn Fn(&Round) -> bool| {
        let names = report.rounds.iter().filter(|r| which(r)).map(|r| r.name.as_str());
        names.collect::<Vec<_>>().join(", ")
    };
    let mut notices = Vec::new();
    let failed = named(&|round| !is_well(round));
    if !failed.is_empty() {
        notices.push(("Failed", format!("not every request was answered rightly: {failed}")));
    }
    let few = named(&|round| !round.is_measurable());
    if !few.is_empty() {
        let bound = report.rounds.iter().any(|round| round.generator_bound);
        let kind = if bound { "Generator-bound" } else { "Not measurable here" };
        let text = format!("fewer than {VALID_PERCENT_MIN} % of the windows are valid");
        notices.push((kind, format!("{text}, so latencies are not the server's: {few}")));
    }
    if report.environment.bench.contains("debug") {
        notices.push(("Debug build", "the generator was not compiled for speed".to_owned()));
    }
    if notices.is_empty() {
        let valid: usize = report.rounds.iter().map(Round::windows_valid).sum();
        let all: usize = report.rounds.iter().map(|round| round.windows.len()).sum();
        let text = format!(
            "every request was answered rightly; {} of {} windows are valid",
            count(valid as u64),
            count(all as u64)
        );
        let _ = writeln!(out, "<p class=\"notice good\"><strong>Clean</strong> {text}</p>");
    }
    for (kind, text) in notices {
        // Names such as `25 %` stay on one line.
        let text = escape(&text).replace(" %", "\u{a0}%");
        let _ = writeln!(out, "<p class=\"notice\"><strong>{kind}</strong> {text}</p>");
    }
}

/// Whether a round's requests ended as they should. To an exchange late answers are the subject.
fn is_well(round: &Round) -> bool {
    let counts = &round.counts;
    let late = if round.exchange.is_some() { counts.timeouts } else { 0 };
    counts.answered > 0 && counts.answered + late == counts.due
}

/// The four numbers that people ask for; of several rounds, the least and the most of each.
fn summary(out: &mut String, rounds: &[Shown<'_>]) {
    out.push_str("<section aria-labelledby=\"summary\"><h2 id=\"summary\" class=\"quiet\">");
    let measured: Vec<&Shown<'_>> = rounds.iter().filter(|s| !s.valid.is_empty()).collect();
    let is_doubtful = rounds.iter().any(|s| !s.round.is_measurable() || s.round.generator_bound);
    let windows =
        if is_doubtful { "too few valid windows to be believed" } else { "valid windows" };
    let _ = match (measured.as_slice(), rounds) {
        ([], _) => write!(out, "No valid window, so no latency"),
        (_, [one]) => {
            let rate = rate(one.round.achieved_rate);
            write!(out, "Latency at {rate} requests/s, over {windows}")
        }
        _ => write!(out, "Highest latency of {} rounds, over {windows}", rounds.len()),
    };
    let class = if is_doubtful { "figures doubtful" } else { "figures" };
    let _ = write!(out, "</h2><dl class=\"{class}\">");
    for (name, quantile) in [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)] {
        let values = measured.iter().map(|s| s.valid.value_at_quantile(quantile) as f64);
        let values: Vec<f64> = values.collect();
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = values.iter().copied().fold(0.0, f64::max);
        let (number, unit) =
            if values.is_empty() { ("–".to_owned(), "") } else { latency_parts(most) };
        let from = match values.len() {
            0 | 1 => String::new(),
            _ => format!("<span class=\"from\">lowest {}</span>", latency(least)),
        };
        let _ = write!(
            out,
            "<div><dt>{name}</dt><dd>{number}<span class=\"unit\"> {unit}</span>{from}</dd></div>"
        );
    }
    out.push_str("</dl>");
    budgets(out, rounds);
    out.push_str("</section>\n");
}

/// How many requests took longer than the roles have promised, of all that were recorded.
fn budgets(out: &mut String, rounds: &[Shown<'_>]) {
    let recorded: u64 = rounds.iter().map(|s| s.intended.len()).sum();
    if recorded == 0 {
        return;
    }
    let count_of = count(recorded);
    let _ = write!(out, "<ul class=\"budgets\"><li>of {count_of} requests that were recorded</li>");
    for (ms, role) in plot::BUDGETS {
        let bounds = rounds.iter().flat_map(|s| &s.round.late).filter(|late| late.beyond_ms == ms);
        let late: u64 = bounds.map(|late| late.count).sum();
        let share = percent(late as f64 / recorded as f64);
        let _ = match late {
            0 => write!(out, "<li>beyond {ms} ms ({role}): <strong>none</strong></li>"),
            late => {
                let late = count(late);
                write!(out, "<li>beyond {ms} ms ({role}): <strong>{late}</strong>, {share}</li>")
            }
        };
    }
    out.push_str("</ul>");
}

fn numbers(out: &mut String, rounds: &[Shown<'_>]) -> Result<(), HistogramError> {
    if rounds.is_empty() {
        return Ok(());
    }
    out.push_str("<section aria-labelledby=\"numbers\"><h2 id=\"numbers\">Numbers</h2>");
    tables::latencies(out, rounds);
    tables::load(out, rounds);
    let pair = if rounds.len() == 1 { "pair" } else { "" };
    let _ = write!(out, "<div class=\"{pair}\">");
    tables::ends(out, rounds);
    tables::late(out, rounds);
    out.push_str("</div>");
    tables::cost(out, rounds);
    tables::exchange(out, rounds);
    tables::seconds(out, rounds)?;
    out.push_str("</section>\n");
    Ok(())
}

fn machine(out: &mut String, report: &Report) {
    out.push_str(
        "<section aria-labelledby=\"machine\"><h2 id=\"machine\">Environment</h2><dl class=\"rows\">",
    );
    for (name, value) in report.environment.rows() {
        let (name, value) = (escape(&name), escape(&value));
        let _ = write!(out, "<div><dt>{name}</dt><dd>{value}</dd></div>");
    }
    let _ = writeln!(
        out,
        "</dl></section><section aria-labelledby=\"command\"><h2 id=\"command\">Command</h2>\
         <pre><code>{}</code></pre></section>",
        escape(&command(&report.plan.command))
    );
}

fn footer(out: &mut String) {
    out.push_str(
        "<footer><p>Open loop: requests are due by a schedule that does not wait for answers, and \
         latency counts from when a request was due, so a server that stalls is not asked less. \
         Quantiles are those of merged histograms, never means of quantiles. What crosses the \
         loopback device sees no network card and none of its interrupts.</p></footer>\n",
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn pages() -> Vec<String> {
        let reports = [sample::plain(6), sample::ladder(2), sample::overload(3), sample::nothing()];
        reports.iter().map(|report| page(report).unwrap()).collect()
    }

    #[test]
    fn a_page_asks_for_nothing_from_elsewhere() {
        for page in pages() {
            for way in
                ["<script", "<link", "<img", "<iframe", "<object", "src=", "href=", "@import"]
            {
                assert!(!page.contains(way), "{way}");
            }
            let urls = page.split("url(").skip(1);
            assert!(urls.clone().all(|rest| rest.starts_with("#hatch-")), "{:?}", urls.last());
            // Addresses are told, in text, and only those of the target and the command.
            let text = page.split("<style>").next().unwrap();
            assert!(!text.contains("//"), "{text}");
        }
    }

    #[test]
    fn text_from_outside_stays_text() {
        let page = page(&sample::overload(1)).unwrap();
        assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;exchange&quot;"));
        assert!(page.contains("&#39;--title=it&#39;\\&#39;&#39;s &lt;b&gt;bold&lt;/b&gt;&#39;"));
        assert!(!page.contains("<exchange>") && !page.contains("<b>"));
    }

    #[test]
    fn a_page_has_a_bound_whatever_the_length_of_the_run() {
        let mut report = sample::plain(2);
        let round = &mut report.rounds[0];
        let (windows, seconds) = (round.windows.clone(), round.seconds.clone());
        round.windows.clear();
        round.seconds.clear();
        for hour in 0..900u64 {
            round.windows.extend(
                windows.iter().map(|w| super::super::Window { at_ms: w.at_ms + hour * 2000, ..*w }),
            );
            round.seconds.extend(
                seconds
                    .iter()
                    .map(|s| super::super::Second { at_ms: s.at_ms + hour * 2000, ..s.clone() }),
            );
        }
        let page = page(&report).unwrap();
        assert!(page.len() < 300_000, "{}", page.len());
        assert!(page.contains("A column is the worst of 23 windows"));
    }

    #[test]
    fn what_spoils_a_run_is_said_first() {
        let [clean, ladder, spoilt, nothing] = <[String; 4]>::try_from(pages()).unwrap();
        assert!(clean.contains("<strong>Clean</strong> every request was answered rightly"));
        assert!(clean.contains("26 of 30 windows are valid"));
        assert!(ladder.contains(">Latency against load<"));
        assert!(spoilt.contains("<strong>Failed</strong>"));
        assert!(spoilt.contains("<strong>Generator-bound</strong> fewer than 60\u{a0}%"));
        assert!(nothing.contains("<strong>Not measurable here</strong>"));
        assert!(nothing.contains("No valid window, so no latency"));
        assert!(!nothing.contains("NaN") && !nothing.contains("inf"));
    }

    #[test]
    fn every_drawing_has_a_name() {
        for page in pages() {
            let drawings = page.split("<svg").skip(1);
            let unnamed = drawings.filter(|svg| {
                let tag = svg.split('>').next().unwrap_or_default();
                !tag.contains("aria-hidden") && !tag.contains("role=\"img\" aria-label=\"")
            });
            assert_eq!(unnamed.count(), 0);
        }
    }
}
