//! The run directory: everything that a report or a comparison needs.
//!
//! `run.json` the verdict and the totals (`docs/run.schema.json`) · `latency.hlog` histograms per interval · `intervals.csv` counts and percentiles
//! per second of intended time · `counts.csv` planned and sent per 100 ms · `streams.csv` the ledger of each stream. The files
//! that grow begin anew every hour ([`rolled`]).
//!
//! Files are private (0600), since topic names can be secrets. `run.json` is replaced as a whole (temporary name, sync, rename) and says
//! `"finished": false` until the end; the files that grow are called `….part` until then. So a killed run leaves what it
//! knew, and nothing that looks whole.

pub mod dir;
mod lines;
pub mod observed;
pub mod read;
pub mod report;
pub mod rolled;
pub mod saver;

#[cfg(test)]
mod schema;
