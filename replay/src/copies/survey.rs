//! What must be known of a recording's keys before they are multiplied: one look at all of them, in storage order.

use dejaq_shared::segment::SegmentError;
use dejaq_shared::segment::recording::Recording;
use dejaq_shared::segment::walk::each_record;

use super::{Copies, CopyKeys, LoopKeys, OneShot};
use crate::batch::Route;
use crate::fit::Fit;
use crate::hash;

/// Keys that cannot be multiplied.
#[derive(Debug, thiserror::Error)]
pub enum SurveyError {
    /// A key that looks like a copy's.
    #[error(
        "the recorded key {key:?} of {stream} (position {position}) ends as the key of a copy would, so that keys could collide: give another --copy-suffix than {suffix:?}, without digits, such as \"~copy\""
    )]
    Taken {
        /// The key.
        key: String,
        /// Where.
        stream: String,
        /// Where in it.
        position: i64,
        /// The suffix.
        suffix: String,
    },
    /// The recording cannot be read.
    #[error(transparent)]
    Segment(#[from] SegmentError),
}

/// What was found.
#[derive(Debug, Default)]
pub struct Survey {
    /// The keys that occur once, if `--loop-keys one-shot` needs them.
    pub one_shot: Option<OneShot>,
    /// Records without a key.
    pub without_key: u64,
    /// All of them.
    pub records: u64,
}

/// Looks at the keys, as they are at the target, of all streams that have a route. Damaged blocks are left out: replay reports them.
///
/// # Errors
/// [`SurveyError`].
pub fn survey(recording: &Recording, routes: &[Option<Route>], fit: &Fit, copies: &Copies) -> Result<Survey, SurveyError> {
    let keys = CopyKeys::new(&copies.suffix);
    let mut found = Survey { one_shot: (copies.loop_keys == LoopKeys::OneShot).then(OneShot::default), ..Survey::default() };
    each_record(
        recording,
        |_| true,
        |ix, record| {
            let Some(route) = routes.get(ix as usize).copied().flatten() else { return Ok(()) };
            let record = fit.keyed(record);
            if fit.leaves_out(&record) {
                return Ok(());
            }
            found.records += 1;
            let Some(key) = record.key else {
                found.without_key += 1;
                return Ok(());
            };
            if keys.is_taken(key) {
                return Err(SurveyError::Taken {
                    key: String::from_utf8_lossy(key).into_owned(),
                    stream: recording.streams[ix as usize].stream.name(),
                    position: record.position,
                    suffix: copies.suffix.clone(),
                });
            }
            if let Some(one_shot) = &mut found.one_shot {
                one_shot.add(key_hash(copies.seed, route, key));
            }
            Ok(())
        },
    )?;
    Ok(found)
}

/// The hash that stands for a key: keys are those of a topic at the target.
pub(crate) fn key_hash(seed: u64, route: Route, key: &[u8]) -> u64 {
    hash::bytes(hash::key(seed, u64::from(route.target)), key)
}
