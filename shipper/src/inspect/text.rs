//! What was seen of a spool, as people read it.

use super::{
    Depth,
    report::{FilesSeen, SinkSeen, StreamSeen, Survey},
};
use std::fmt::{self, Display, Formatter};

impl Display for Survey {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.tell_owner(f)?;
        self.tell_segments(f)?;
        writeln!(f, "\nstreams")?;
        self.streams.iter().try_for_each(|stream| write!(f, "{stream}"))?;
        self.tell_sinks(f)?;
        tell_files(f, "\nquarantine", &self.quarantine)?;
        if !self.set_aside.is_empty() {
            writeln!(f, "set aside    {}", self.set_aside.join(", "))?;
        }
        self.tell_verdict(f)
    }
}

impl Survey {
    fn tell_owner(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let owner = &self.identity;
        let machine = match owner.this_machine {
            Some(true) => "this one",
            Some(false) => "another one",
            None => "?",
        };
        writeln!(f, "spool        {}", self.spool.display())?;
        writeln!(f, "edge         {}", owner.edge.as_deref().unwrap_or("?"))?;
        writeln!(f, "machine      {machine}")?;
        writeln!(f, "incarnation  {}", told(owner.incarnation))?;
        writeln!(f, "format       {}", told(owner.format))?;
        match (self.lock.held_by, &self.lock.says) {
            (Some(process), _) => writeln!(f, "in use by    process {process}"),
            (None, Some(says)) => writeln!(f, "in use by    nobody; the last one was {says}"),
            (None, None) => writeln!(f, "in use by    nobody"),
        }
    }

    fn tell_segments(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let frames: u64 = self.segments.iter().map(|segment| segment.frames).sum();
        let bytes: u64 = self.segments.iter().map(|segment| segment.bytes).sum();
        let (count, free, all) = (self.segments.len(), self.free.count, size(bytes));
        writeln!(f, "\nsegments     {count} of {all}, {frames} frames; {free} free")?;
        if self.released > 0 {
            let released = self.released;
            writeln!(f, "             {released} more were let go while they were read")?;
        }
        if !self.segments.is_empty() {
            let titles = ("generation", "state", "used", "frames", "events");
            let (generation, state, used, frames, events) = titles;
            writeln!(f, "  {generation:>10}  {state:<8} {used:>10} {frames:>9} {events:>12}")?;
        }
        for s in &self.segments {
            let state = if s.sealed { "sealed" } else { "open" };
            let (generation, used) = (s.generation, size(s.end.into()));
            let (frames, events) = (s.frames, s.events);
            write!(f, "  {generation:>10}  {state:<8} {used:>10} {frames:>9} {events:>12}")?;
            if let Some(at) = s.torn_from {
                write!(f, "  torn at {at}")?;
            }
            if s.faults > 0 {
                write!(f, "  FAULTS: {}", s.faults)?;
            }
            writeln!(f)?;
        }
        Ok(())
    }

    fn tell_sinks(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let cursors = &self.cursors;
        writeln!(f, "\nsinks        cursors {}, written {} times", cursors.state, cursors.writes)?;
        for slot in &cursors.broken_slots {
            writeln!(f, "             slot {slot} tore; the other one holds")?;
        }
        self.sinks.iter().try_for_each(|(name, sink)| tell_sink(f, name, sink))
    }

    fn tell_verdict(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.is_sound() {
            return match self.depth {
                Depth::Headers => Ok(()),
                Depth::Payloads => {
                    let (payloads, events) = (self.payloads, self.events());
                    writeln!(f, "\nsound: {payloads} payloads with {events} events were read")
                }
            };
        }
        writeln!(f, "\nDAMAGED: {} faults", self.faults_count)?;
        self.faults.iter().try_for_each(|fault| writeln!(f, "  {fault}"))?;
        let untold = self.faults_count - self.faults.len() as u64;
        if untold > 0 {
            writeln!(f, "  and {untold} more")?;
        }
        Ok(())
    }
}

impl Display for StreamSeen {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let StreamSeen { stream, first, end, frames, events, .. } = self;
        let (payload, raw) = (size(self.payload_bytes), size(self.raw_bytes));
        writeln!(f, "  {stream}")?;
        writeln!(f, "    sequences {first} up to {end}: {events} events in {frames} frames")?;
        writeln!(f, "    {payload} compressed, {raw} before")?;
        writeln!(f, "    hours {} to {}", self.hours.from, self.hours.to)?;
        if self.again > 0 {
            writeln!(f, "    {} frames were written again after a disk error", self.again)?;
        }
        let shed = self.shed.iter().filter(|(_, count)| **count > 0);
        let shed: Vec<_> = shed.map(|(reason, count)| format!("{count} {reason}")).collect();
        if shed.is_empty() { Ok(()) } else { writeln!(f, "    shed {}", shed.join(", ")) }
    }
}

fn tell_sink(f: &mut Formatter<'_>, name: &str, sink: &SinkSeen) -> fmt::Result {
    writeln!(f, "  {name}: {} events pending", sink.pending)?;
    for s in &sink.streams {
        let (stream, pending) = (&s.stream, s.pending);
        match s.delivered {
            Some(to) => writeln!(f, "    {stream}: delivered up to {to}, {pending} pending")?,
            None => writeln!(f, "    {stream}: nothing delivered, {pending} pending")?,
        }
    }
    for seal in &sink.seals {
        writeln!(f, "    under way: {} ({} frames)", seal.key, seal.frames)?;
    }
    for chain in &sink.chains {
        let objects = chain.list.as_ref().map_or(0, |list| list.objects.len());
        let (id, next) = (chain.id, chain.next);
        writeln!(f, "    {id}: {objects} objects wait for manifest {next}")?;
    }
    for l in &sink.lineages {
        let (stream, partition, producer, first) = (l.stream, l.partition, l.producer, l.first);
        writeln!(f, "    {stream}: partition {partition}, producer {producer} from {first} on")?;
    }
    Ok(())
}

fn tell_files(f: &mut Formatter<'_>, title: &str, files: &FilesSeen) -> fmt::Result {
    let title = format!("{title:<width$}", width = 13 + usize::from(title.starts_with('\n')));
    match files.count {
        0 => writeln!(f, "{title}nothing"),
        count => writeln!(f, "{title}{count} ranges, {}", size(files.bytes)),
    }?;
    files.names.iter().try_for_each(|name| writeln!(f, "  {name}"))
}

fn told(number: Option<impl Display>) -> String {
    number.map_or("?".to_owned(), |number| number.to_string())
}

/// Bytes in the unit that fits them.
fn size(bytes: u64) -> String {
    let (kib, mib) = (1 << 10, 1 << 20);
    match bytes {
        _ if bytes < kib => format!("{bytes} B"),
        _ if bytes < mib => format!("{:.1} KiB", bytes as f64 / kib as f64),
        _ => format!("{:.1} MiB", bytes as f64 / mib as f64),
    }
}
