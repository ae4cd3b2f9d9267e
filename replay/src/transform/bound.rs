//! Rules held against the streams of a recording: which formats are opened for which stream, and which rules apply there.

use dejaq_shared::record::Stream;

use super::error::{Place, RulesError};
use super::formats::{Format, FormatKind, OpenError, Wanted, open};
use super::rules::{FormatChoice, Rules};
use crate::select::{StreamGlob, some_names};

/// How a format is opened; tests open others.
pub(super) type Opener = fn(FormatKind, &Wanted) -> Result<Box<dyn Format>, OpenError>;

/// Rules that are bound to streams.
#[derive(Debug)]
pub struct Bound {
    pub(super) rules: Rules,
    /// The streams of the recording.
    pub(super) streams: Vec<Stream>,
    /// Streams that are treated alike share one.
    pub(super) groups: Vec<Group>,
    /// For each stream its group.
    pub(super) of_stream: Vec<Option<u32>>,
    opener: Opener,
}

/// What is done with the records of some streams.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Group {
    pub(super) formats: Vec<Opened>,
}

/// One format of a stream, and the rules that use it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Opened {
    pub(super) kind: FormatKind,
    pub(super) wanted: Wanted,
    /// Indices of `[[expand]]`.
    pub(super) expand: Vec<u16>,
    pub(super) retime: bool,
    /// Where the first rule that opened it begins.
    place: Place,
}

impl Rules {
    /// Binds the rules to streams; `recognised` says for each stream the format that was
    /// recognised in it, for `format = "auto"`.
    ///
    /// # Errors
    /// [`RulesError`]: a rule without a stream, a format not recognised or not openable, two rules for one tag.
    pub fn bind(self, streams: &[Stream], recognised: &[Option<FormatKind>]) -> Result<Bound, RulesError> {
        self.bind_with(streams, recognised, open)
    }

    pub(super) fn bind_with(self, streams: &[Stream], recognised: &[Option<FormatKind>], opener: Opener) -> Result<Bound, RulesError> {
        let mut per_stream = vec![Group::default(); streams.len()];
        let mut binder = Binder { rules: &self, streams, recognised, groups: &mut per_stream };
        for ix in 0..self.expand.len() {
            binder.expand(ix)?;
        }
        for ix in 0..self.retime.len() {
            binder.retime(ix)?;
        }
        let mut groups: Vec<Group> = Vec::new();
        let mut of_stream = Vec::with_capacity(streams.len());
        for group in per_stream {
            if group.formats.is_empty() {
                of_stream.push(None);
                continue;
            }
            let known = groups.iter().position(|g| *g == group);
            let ix = known.unwrap_or(groups.len());
            if known.is_none() {
                groups.push(group);
            }
            of_stream.push(u32::try_from(ix).ok());
        }
        for opened in groups.iter().flat_map(|g| &g.formats) {
            opener(opened.kind, &opened.wanted).map_err(|error| RulesError::Open { place: opened.place, error })?;
        }
        Ok(Bound { streams: streams.to_vec(), rules: self, groups, of_stream, opener })
    }
}

impl Bound {
    /// The rules, in the order of their file.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The formats of a stream that rules are for.
    pub fn formats(&self, stream: u32) -> impl Iterator<Item = FormatKind> + use<'_> {
        self.group_of(stream).into_iter().flat_map(|ix| &self.groups[ix].formats).map(|opened| opened.kind)
    }

    pub(super) fn group_of(&self, stream: u32) -> Option<usize> {
        self.of_stream.get(stream as usize).copied().flatten().map(|ix| ix as usize)
    }

    /// The formats of every group, opened.
    pub(super) fn open(&self) -> Vec<Vec<Box<dyn Format>>> {
        // What could be opened when the rules were bound can be opened again.
        let open = |opened: &Opened| (self.opener)(opened.kind, &opened.wanted).ok();
        self.groups.iter().map(|group| group.formats.iter().filter_map(open).collect()).collect()
    }
}

struct Binder<'b> {
    rules: &'b Rules,
    streams: &'b [Stream],
    recognised: &'b [Option<FormatKind>],
    groups: &'b mut [Group],
}

impl Binder<'_> {
    fn expand(&mut self, ix: usize) -> Result<(), RulesError> {
        let rule = &self.rules.expand[ix];
        for (stream, kind) in self.targets(rule.place, &rule.streams, rule.format)? {
            let mine: Vec<&str> = rule.tags.iter().map(String::as_str).chain(rule.derive.iter().map(|d| d.tag.as_str())).collect();
            for other in self.groups[stream].formats.iter().filter(|o| o.kind == kind).flat_map(|o| &o.expand) {
                let other = &self.rules.expand[usize::from(*other)];
                let both = mine.iter().find(|tag| other.tags.iter().chain(other.derive.iter().map(|d| &d.tag)).any(|t| t == **tag));
                if let Some(tag) = both {
                    return Err(self.clash(rule.place, other.place, format!("write the tag {tag:?}"), stream));
                }
            }
            let opened = self.open(stream, kind, rule.place)?;
            opened.expand.push(u16::try_from(ix).unwrap_or(u16::MAX));
            let tags = opened.wanted.tags.get_or_insert_default();
            tags.extend(mine.iter().map(|tag| (*tag).to_owned()));
        }
        Ok(())
    }

    fn retime(&mut self, ix: usize) -> Result<(), RulesError> {
        let rule = &self.rules.retime[ix];
        for (stream, kind) in self.targets(rule.place, &rule.streams, rule.format)? {
            if kind == FormatKind::Json && rule.field.is_none() {
                let why = "JSON was recognised, which has no time stamp field of its own; write its path, such as \"$.ts\"";
                return Err(RulesError::Missing { place: rule.place, key: "field", why });
            }
            let earlier = self.rules.retime[..ix].iter().find(|other| {
                let same = self.targets(other.place, &other.streams, other.format).is_ok_and(|all| all.contains(&(stream, kind)));
                same && (kind != FormatKind::Json || other.field.as_ref().map(|f| &f.path) == rule.field.as_ref().map(|f| &f.path))
            });
            if let Some(other) = earlier {
                return Err(self.clash(rule.place, other.place, "move the time stamps".to_owned(), stream));
            }
            let opened = self.open(stream, kind, rule.place)?;
            opened.retime = true;
            opened.wanted.tags.get_or_insert_default();
            opened.wanted.stamps.extend(rule.field.clone());
        }
        Ok(())
    }

    /// The streams that a rule is for, each with its format.
    fn targets(&self, place: Place, glob: &str, format: FormatChoice) -> Result<Vec<(usize, FormatKind)>, RulesError> {
        let compiled = StreamGlob::new(glob).map_err(|reason| RulesError::Value {
            place,
            key: "streams",
            found: format!("{glob:?}"),
            expected: format!("a glob ({reason})"),
        })?;
        let hits: Vec<usize> = (0..self.streams.len()).filter(|ix| compiled.matches(&self.streams[*ix])).collect();
        if hits.is_empty() {
            return Err(RulesError::NoStream { place, glob: glob.to_owned(), known: some_names(self.streams.iter()) });
        }
        if let FormatChoice::Named(kind) = format {
            return Ok(hits.into_iter().map(|ix| (ix, kind.of(&self.streams[ix].lane))).collect());
        }
        let kind = |ix: &usize| self.recognised.get(*ix).copied().flatten();
        let unknown: Vec<&Stream> = hits.iter().filter(|ix| kind(ix).is_none()).map(|ix| &self.streams[*ix]).collect();
        if !unknown.is_empty() {
            return Err(RulesError::Unrecognised { place, streams: some_names(unknown.into_iter()) });
        }
        Ok(hits.iter().filter_map(|ix| Some((*ix, kind(ix)?))).collect())
    }

    fn open(&mut self, stream: usize, kind: FormatKind, place: Place) -> Result<&mut Opened, RulesError> {
        let formats = &self.groups[stream].formats;
        if let Some(other) = formats.iter().find(|o| o.kind != kind && o.kind.part() == kind.part()) {
            let what = format!("take the same bytes, for {} and for {},", other.kind.name(), kind.name());
            return Err(self.clash(place, other.place, what, stream));
        }
        let formats = &mut self.groups[stream].formats;
        let ix = formats.iter().position(|o| o.kind == kind).unwrap_or(formats.len());
        if ix == formats.len() {
            formats.push(Opened { kind, wanted: Wanted::default(), expand: Vec::new(), retime: false, place });
        }
        Ok(&mut formats[ix])
    }

    fn clash(&self, place: Place, other: Place, what: String, stream: usize) -> RulesError {
        RulesError::Clash { place, other, what, stream: self.streams[stream].name() }
    }
}
