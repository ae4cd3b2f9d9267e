//! `dejaq sort`: a time-sorted copy of a recording.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use dejaq_shared::outcome::Outcome;
use dejaq_shared::segment::ordered::Ordered;
use dejaq_shared::segment::recording::Recording;
use dejaq_shared::segment::sort::SortProgress;
use dejaq_shared::segment::sorted_copy::{check_whole, write_sorted};
use dejaq_shared::segment::time_index::TimeIndex;
use dejaq_shared::segment::timeline::{TimeStatistics, measure};
use dejaq_shared::units::{format_bytes, format_count, format_percent};

use crate::progress::{Progress, talk};

#[derive(clap::Args)]
#[command(after_help = "\
A recording of history lies in the order in which its partitions were read. replay sorts such a one through scratch each \
time it begins; a sorted copy begins at once. The copy has all records, gaps and settings of topics; the order is that of \
replay's --clock auto, order within a stream first.

Examples:
  dejaq sort rec --out rec-sorted
  dejaq sort rec --out rec-sorted --scratch /mnt/large")]
pub(crate) struct Arguments {
    /// The recording
    dir: PathBuf,
    /// The copy to make; must not exist
    #[arg(long)]
    out: PathBuf,
    /// Where to sort what is too far out of order for memory (default: beside the copy). Nothing is left there
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let recording = Arc::new(Recording::open(&arguments.dir)?);
    check_whole(&recording)?;
    if arguments.out.exists() {
        anyhow::bail!("{}: it exists already: choose another --out", arguments.out.display());
    }
    let parent = arguments.out.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let scratch = arguments.scratch.as_deref().unwrap_or(parent);
    std::fs::create_dir_all(parent).with_context(|| format!("creating {}", parent.display()))?;

    let statistics = measure(&recording)?;
    let clocks: Vec<_> = statistics.iter().map(TimeStatistics::preferred_clock).collect();
    let index = Arc::new(TimeIndex::build(&recording, &clocks, &statistics)?);
    let mut progress = Progress::new();
    let mut ordered = Ordered::open(Arc::clone(&recording), index, i64::MIN..=i64::MAX, scratch, &mut |p| show_sorting(&mut progress, p))?;
    let all = recording.records();
    let records = write_sorted(&mut ordered, &arguments.out, |records| {
        progress.show(format_args!("writing  {}  {} records", format_percent(share(records, all)), format_count(records)));
    });
    progress.end();
    let records = records?;
    let by_way_of = ordered.sort_cost().map_or(String::new(), |c| format!(", by way of {} of scratch", format_bytes(c.scratch_bytes)));
    talk(format_args!("{} records in time order in {}{by_way_of}", format_count(records), arguments.out.display()));
    Ok(Outcome::Done)
}

/// Shows how far sorting into scratch is.
pub(crate) fn show_sorting(progress: &mut Progress, sorting: SortProgress) {
    let done = format_percent(share(sorting.done_bytes, sorting.all_bytes));
    progress.show(format_args!("sorting  {done}  {} of scratch", format_bytes(sorting.scratch_bytes)));
}

fn share(done: u64, all: u64) -> f64 {
    if all == 0 { 1.0 } else { done as f64 / all as f64 }
}
